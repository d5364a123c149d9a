use super::*;

/// Load balancers with listeners on these ports, all of them forwarding to a group of their own.
fn model(balancers: &[(&str, &[u16])]) -> Model {
    let balancer = |(name, ports): &(&str, &[u16])| {
        let listener = |port: &u16| {
            format!(
                "{{port: {port}, protocol: TCP, defaultActions: [{{type: forward, forwardConfig: {{targetGroups: \
                 [{{targetGroup: {name}}}]}}}}]}}"
            )
        };
        let listeners: Vec<String> = ports.iter().map(listener).collect();
        format!(
            "- {{name: {name}, type: network, listeners: [{}]}}\n",
            listeners.join(", ")
        )
    };
    let all: String = balancers.iter().map(balancer).collect();
    let group = |(name, _): &(&str, &[u16])| {
        format!(
            "- {{name: {name}, protocol: TCP, port: 80, targets: [{{id: 127.0.0.1, port: 80}}]}}\n"
        )
    };
    let groups: String = balancers.iter().map(group).collect();
    let text = format!("loadBalancers:\n{all}targetGroups:\n{groups}");
    let (model, found) = elbow_native::parse(&text, "elbow.yaml");
    model.unwrap_or_else(|| panic!("{found:?}\n{text}"))
}

/// What a model has: names with ports.
fn names(model: &Model) -> Vec<String> {
    let balancers = model.load_balancers.iter();
    let listed = balancers.flat_map(|lb| {
        lb.listeners
            .iter()
            .map(|l| format!("{}:{}", lb.name, l.port))
    });
    listed.collect()
}

fn failure(name: &str, listener: Option<u16>) -> Failure {
    Failure {
        listener,
        ..Failure::new(
            Some(name.into()),
            Cause::Environment,
            Diagnostic::error("cannot-listen", format!("{name} {listener:?}")),
        )
    }
}

/// A plane on which these ports are busy; counts how often it is asked.
struct Plane {
    busy: Vec<(&'static str, u16)>,
    asked: usize,
}

impl Plane {
    fn new(busy: &[(&'static str, u16)]) -> Self {
        Self {
            busy: busy.to_vec(),
            asked: 0,
        }
    }

    fn apply(&mut self, model: &Model) -> Result<(), Vec<Failure>> {
        self.asked += 1;
        let mut failures = Vec::new();
        for lb in &model.load_balancers {
            for listener in &lb.listeners {
                if self.busy.contains(&(&lb.name, listener.port)) {
                    failures.push(failure(&lb.name, Some(listener.port)));
                }
            }
        }
        if failures.is_empty() {
            Ok(())
        } else {
            Err(failures)
        }
    }
}

#[test]
fn a_busy_port_leaves_out_its_listener_and_the_rest_serves() {
    let wanted = model(&[("a", &[80, 443]), ("b", &[80])]);
    let mut desired = Desired::default();
    let mut plane = Plane::new(&[("a", 443)]);
    let attempt = desired.serve(&wanted, true, |m| plane.apply(&m));
    assert!(!attempt.is_complete && !attempt.is_refused);
    assert_eq!(attempt.new, [failure("a", Some(443))]);
    assert_eq!(names(desired.in_force()), ["a:80", "b:80"]);
    assert_eq!(desired.not_serving(), ["a:443"]);
    assert_eq!(desired.failure("a").unwrap(), "a Some(443)");
    assert_eq!(desired.failure("b"), None);

    // The port becomes free.
    plane.busy.clear();
    let attempt = desired.serve(&wanted, true, |m| plane.apply(&m));
    assert!(attempt.is_complete);
    assert_eq!(attempt.over, [failure("a", Some(443))]);
    assert_eq!(names(desired.in_force()), ["a:80", "a:443", "b:80"]);
    assert!(desired.not_serving().is_empty());
}

#[test]
fn a_load_balancer_without_any_listener_left_is_left_out() {
    let wanted = model(&[("a", &[80, 443]), ("b", &[80])]);
    let mut desired = Desired::default();
    let mut plane = Plane::new(&[("a", 80), ("a", 443)]);
    desired.serve(&wanted, true, |m| plane.apply(&m));
    assert_eq!(names(desired.in_force()), ["b:80"]);
    assert_eq!(desired.not_serving(), ["a:80", "a:443"]);
}

#[test]
fn a_listener_that_served_keeps_its_load_balancer_as_it_was() {
    let mut desired = Desired::default();
    let before = model(&[("a", &[80]), ("b", &[80])]);
    desired.serve(&before, true, |_| Ok(()));
    // The load balancer moves to an address where its port is busy.
    let mut wanted = model(&[("a", &[80]), ("b", &[80, 81])]);
    let moved = Arc::make_mut(&mut wanted.load_balancers[0]);
    moved.addresses = vec!["127.0.0.9".parse().unwrap()];
    let attempt = desired.serve(&wanted, true, |m| {
        let is_moved = m.load_balancers.iter().any(|lb| !lb.addresses.is_empty());
        if is_moved {
            return Err(vec![failure("a", Some(80))]);
        }
        Ok(())
    });
    assert!(!attempt.is_complete);
    assert_eq!(names(desired.in_force()), ["a:80", "b:80", "b:81"]);
    assert!(desired.in_force().load_balancers[0].addresses.is_empty());
    assert!(desired.not_serving().is_empty(), "all ports serve");
}

#[test]
fn what_is_rejected_stays_as_it_was_with_its_target_groups() {
    let mut desired = Desired::default();
    desired.serve(&model(&[("a", &[80]), ("b", &[80])]), true, |_| Ok(()));
    let mut wanted = model(&[("a", &[81]), ("b", &[81])]);
    wanted.target_groups.retain(|group| &*group.name != "a");
    desired.serve(&wanted, true, |m| {
        let is_new = m.load_balancers[0].listeners[0].port == 81;
        if is_new {
            return Err(vec![failure("a", None)]);
        }
        Ok(())
    });
    assert_eq!(names(desired.in_force()), ["a:80", "b:81"]);
    assert!(desired.in_force().target_group("a").is_some());
}

#[test]
fn what_can_serve_neither_as_it_is_nor_as_it_was_is_left_out() {
    let mut desired = Desired::default();
    desired.serve(&model(&[("a", &[80]), ("b", &[80])]), true, |_| Ok(()));
    let wanted = model(&[("a", &[81]), ("b", &[81])]);
    desired.serve(&wanted, true, |m| {
        if m.load_balancers.iter().any(|lb| &*lb.name == "a") {
            return Err(vec![failure("a", None)]);
        }
        Ok(())
    });
    assert_eq!(names(desired.in_force()), ["b:81"]);
    assert_eq!(desired.not_serving(), ["a:81"]);
}

#[test]
fn a_failure_of_nobody_leaves_everything_as_it_was() {
    let mut desired = Desired::default();
    desired.serve(&model(&[("a", &[80])]), true, |_| Ok(()));
    let found = Diagnostic::error("bad-certificate", "unused and broken");
    let unused = Failure::new(None, Cause::Input, found);
    let attempt = desired.serve(&model(&[("a", &[81])]), true, |_| Err(vec![unused.clone()]));
    assert!(attempt.is_refused);
    assert_eq!(attempt.new, [unused]);
    assert_eq!(names(desired.in_force()), ["a:80"]);
    assert_eq!(desired.failure("a").unwrap(), "unused and broken");
}

#[test]
fn what_failed_is_left_out_until_it_changes_or_is_tried_again() {
    let wanted = model(&[("a", &[80]), ("b", &[80])]);
    let mut desired = Desired::default();
    let mut plane = Plane::new(&[("a", 80)]);
    desired.serve(&wanted, false, |m| plane.apply(&m));
    plane.busy.clear();
    plane.asked = 0;
    let attempt = desired.serve(&wanted, false, |m| plane.apply(&m));
    assert_eq!((attempt.new.len(), plane.asked), (0, 1));
    assert_eq!(names(desired.in_force()), ["b:80"]);
    // Another version of it may serve.
    let changed = model(&[("a", &[80]), ("b", &[80])]);
    desired.serve(&changed, false, |m| plane.apply(&m));
    assert_eq!(names(desired.in_force()), ["a:80", "b:80"]);
}

#[test]
fn a_retry_in_vain_applies_nothing_twice() {
    let wanted = model(&[("a", &[80]), ("b", &[80])]);
    let mut desired = Desired::default();
    let mut plane = Plane::new(&[("a", 80)]);
    desired.serve(&wanted, true, |m| plane.apply(&m));
    assert_eq!(plane.asked, 2);
    let attempt = desired.serve(&wanted, true, |m| plane.apply(&m));
    assert_eq!(plane.asked, 3, "what is wanted, and no more");
    assert!(attempt.new.is_empty() && attempt.over.is_empty());
    assert!(!attempt.is_complete);
}
