use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use elbow_balance::Group;
use elbow_model::{
    ActionSpec, Expression, Forward as ForwardAction, JwtValidationSpec, Protocol, Rewrite,
    Stickiness, TargetState, Transforms, WeightedTargetGroup,
};

use super::reasons::TransformFailure;
use super::*;
use crate::action::sticky::Sticky;
use crate::test_kit::{
    field, fixed, get, group, listener, listener_with, paths, redirect_config, rule, target,
};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const NOW: u64 = 1_709_042_513;

fn asked<'a>(head: &'a RequestHead<'a>) -> Asked<'a> {
    Asked {
        head,
        client: CLIENT,
        refused: None,
        now: NOW,
        advice: None,
    }
}

/// Decides with a random number that is always `random`.
fn decide_with<'l>(listener: &'l Listener, asked: &Asked<'_>, random: u64) -> Decision<'l> {
    let chance = Chance {
        worker: 0,
        random: || random,
    };
    decide(listener, asked, chance)
}

/// What is decided for `GET /` with these fields.
fn decision<'l>(listener: &'l Listener, fields: &[(&str, &str)]) -> Decision<'l> {
    let fields: Vec<_> = fields.iter().map(|(n, v)| field(n, v)).collect();
    decide_with(listener, &asked(&get("/", &fields)), 0)
}

/// The address of the target that was chosen, or why none was.
fn address(decision: &Decision<'_>) -> Result<String, ErrorKind> {
    match &decision.plan {
        Ok(Plan::Forward(choice)) => Ok(choice.target().address.to_string()),
        Ok(other) => panic!("expected a target, found {other:?}"),
        Err(kind) => Err(*kind),
    }
}

/// The group `name` with `targets`, changed by `change`.
fn group_of(
    name: &str,
    targets: &[&str],
    change: impl FnOnce(&mut elbow_model::TargetGroup),
) -> Arc<Group> {
    let mut config = group(name, ProtocolVersion::Http1);
    change(&mut config);
    let targets = targets.iter().map(|address| target(address)).collect();
    Arc::new(Group::new(Arc::new(config), targets, 1))
}

/// A listener that forwards everything to `groups` by weight.
fn forwarding(groups: &[(&Arc<Group>, u32)], stickiness: Option<Duration>) -> Listener {
    let target_groups = groups.iter().map(|(group, weight)| WeightedTargetGroup {
        target_group: Arc::clone(&group.config.name),
        weight: *weight,
    });
    let action = elbow_model::Action::Forward(ForwardAction {
        target_groups: target_groups.collect(),
        stickiness,
    });
    listener_with(Protocol::Http, 80, Vec::new(), action, |name| {
        let mut groups = groups.iter().map(|(group, _)| *group);
        groups.find(|group| *group.config.name == *name).cloned()
    })
}

const ADDRESSES: [&str; 2] = ["10.0.0.1:80", "10.0.0.2:80"];

#[test]
fn refused_requests_reach_no_rule() {
    let listener = listener(
        Protocol::Http,
        80,
        vec![rule(1, Vec::new(), fixed(200, ""))],
    );
    let (head, refused) = (get("/", &[]), Some(ErrorKind::Desync));
    let trace = RequestHead {
        method: "TRACE",
        ..head
    };
    for (head, refused, expected) in [
        (&head, refused, ErrorKind::Desync),
        (&trace, None, ErrorKind::MethodNotAllowed),
        (&trace, refused, ErrorKind::MethodNotAllowed),
    ] {
        let asked = Asked {
            refused,
            ..asked(head)
        };
        let decision = decide_with(&listener, &asked, 0);
        assert_eq!(address(&decision), Err(expected));
        assert_eq!(decision.reasons, Reasons::default());
        assert!(decision.member.is_none());
    }
}

// Parity 1.15: fields 21 and 23 of the access log.
#[test]
fn local_answers_name_their_rule_and_action() {
    let redirect = elbow_model::Action::Redirect(redirect_config());
    let rules = vec![rule(7, vec![paths(&["/r*"])], redirect)];
    let listener = listener(Protocol::Http, 80, rules);
    let long = format!("/r{}", "a".repeat(8 * 1024));
    for (target, expected, priority, action) in [
        ("/r", Ok(301), 7, Some("redirect")),
        ("/", Ok(404), 0, Some("fixed-response")),
        (&long, Err(ErrorKind::RedirectTooLong), 7, None),
    ] {
        let head = get(target, &[]);
        let decision = decide_with(&listener, &asked(&head), 0);
        let status = match decision.plan {
            Ok(Plan::Answer(response)) => Ok(response.status),
            Ok(other) => panic!("expected an answer, found {other:?}"),
            Err(kind) => Err(kind),
        };
        assert_eq!(status, expected);
        assert_eq!(decision.reasons.priority, Some(priority));
        assert_eq!(decision.reasons.actions_executed(), action);
    }
}

// Parity 1.4, 1.10 and 1.15: `jwt-validation`.
#[test]
fn rule_that_authenticates_refuses_or_asks_for_keys() {
    let mut gated = rule(7, vec![paths(&["/a*"])], fixed(200, "in"));
    let spec = ActionSpec::jwt_validation(JwtValidationSpec {
        jwks_endpoint: Some("https://issuer.example/keys".to_owned()),
        issuer: Some("https://issuer.example".to_owned()),
        ..JwtValidationSpec::default()
    });
    let gate = elbow_model::Action::new(&spec).value.unwrap();
    gated.actions.insert(0, gate);
    let listener = listener(Protocol::Https, 443, vec![gated]);
    let head = get("/a", &[]);
    let refused = decide_with(&listener, &asked(&head), 0);
    assert!(matches!(refused.plan, Err(ErrorKind::Unauthenticated)));
    assert_eq!(refused.reasons.priority, Some(7));
    assert_eq!(refused.reasons.actions_executed(), Some("authenticate"));
    assert_eq!(refused.reasons.log_reason(), Some("JWTHeaderNotPresent"));

    let token = "Bearer eyJhbGciOiJSUzI1NiJ9.e30.AA";
    let fields = [field("authorization", token)];
    let head = get("/a", &fields);
    let waiting = decide_with(&listener, &asked(&head), 0);
    assert!(matches!(waiting.plan, Ok(Plan::Consult(_))));
    assert_eq!(waiting.reasons.actions_executed(), None);
    let head = get("/b", &[]);
    let open = decide_with(&listener, &asked(&head), 0);
    assert!(matches!(open.plan, Ok(Plan::Answer(_))), "no gate there");
}

#[test]
fn admitted_requests_name_both_actions() {
    let executed = |action, transform| {
        let reasons = Reasons {
            authentication: Some(Authentication::Admitted),
            action,
            transform,
            ..Reasons::default()
        };
        reasons.actions_executed().unwrap()
    };
    let rewritten = Some(TransformStatus::Success);
    let forward = Some(ActionKind::Forward);
    assert_eq!(executed(forward, None), "authenticate,forward");
    assert_eq!(executed(forward, rewritten), "authenticate,rewrite,forward");
    let redirect = executed(Some(ActionKind::Redirect), None);
    assert_eq!(redirect, "authenticate,redirect");
    let fixed = executed(Some(ActionKind::FixedResponse), None);
    assert_eq!(fixed, "authenticate,fixed-response");
}

#[test]
fn targets_are_chosen_by_the_algorithm_of_their_group() {
    let pods = group_of("pods", &ADDRESSES, |_| {});
    let listener = forwarding(&[(&pods, 1)], None);
    let decisions = [(); 3].map(|()| decision(&listener, &[]));
    let [one, two, three] = decisions.each_ref().map(|d| address(d).unwrap());
    assert_eq!([one.as_str(), &two], ADDRESSES);
    assert_eq!(one, three);
    let [decision, ..] = decisions;
    assert_eq!(
        decision.reasons,
        Reasons {
            priority: Some(0),
            action: Some(ActionKind::Forward),
            group: Some(GroupReason::Weight),
            target: Some(TargetReason::Algorithm),
            ..Reasons::default()
        }
    );
    assert!(
        decision
            .member
            .is_some_and(|member| Arc::ptr_eq(&member.group, &pods))
    );
}

// Parity check 6: fail-open.
#[test]
fn fail_open_is_among_the_reasons() {
    let pods = group_of("pods", &ADDRESSES[..1], |_| {});
    let listener = forwarding(&[(&pods, 1)], None);
    assert!(!decision(&listener, &[]).reasons.fail_open);
    pods.targets[0].set_state(TargetState::Unhealthy);
    let open = decision(&listener, &[]);
    assert_eq!(address(&open).unwrap(), ADDRESSES[0]);
    assert!(open.reasons.fail_open);
}

// Parity check 1 and 29.
#[test]
fn empty_group_is_named_and_has_no_target() {
    let (empty, full) = (
        group_of("empty", &[], |_| {}),
        group_of("full", &ADDRESSES, |_| {}),
    );
    let listener = forwarding(&[(&empty, 1), (&full, 1)], None);
    let found = decision(&listener, &[]);
    assert_eq!(address(&found), Err(ErrorKind::NoTargets));
    assert_eq!(found.member.map(|m| &*m.group.config.name), Some("empty"));
    assert_eq!(found.reasons.target, Some(TargetReason::Algorithm));
    let nowhere = forwarding(&[(&full, 0)], None);
    let found = decision(&nowhere, &[]);
    assert_eq!(address(&found), Err(ErrorKind::NoTargets));
    assert!(found.member.is_none());
    assert_eq!(found.reasons.target, None);
}

// Parity check 33: HTTP/1.1 to a group of HTTP/2.
#[test]
fn group_of_http2_does_not_fit() {
    let pods = group_of("pods", &ADDRESSES, |config| {
        config.protocol_version = ProtocolVersion::Http2;
    });
    let listener = forwarding(&[(&pods, 1)], None);
    let found = decision(&listener, &[]);
    assert_eq!(address(&found), Err(ErrorKind::IncompatibleProtocol));
    assert!(found.member.is_some());
    assert_eq!(found.reasons.target, None);
}

// Parity 1.2: the table of what may meet what.
#[test]
fn protocol_versions_meet_as_in_the_guide() {
    use ProtocolVersion::{Grpc, Http1, Http2};
    let grpc = [field("content-type", "application/grpc")];
    let web = [field("content-type", "application/grpc-web")];
    let post = |version, fields| RequestHead {
        method: "POST",
        version,
        ..get("/", fields)
    };
    let table = [
        (get("/", &[]), [true, false, false]),
        (post(Version::Http11, &grpc), [true, false, false]),
        (post(Version::Http10, &[]), [true, false, false]),
        (
            RequestHead {
                version: Version::H2,
                ..get("/", &[])
            },
            [true, true, false],
        ),
        (post(Version::H2, &[]), [true, true, true]),
        (post(Version::H2, &web), [true, true, true]),
        (post(Version::H2, &grpc), [false, true, true]),
    ];
    for (version, column) in [(Http1, 0), (Http2, 1), (Grpc, 2)] {
        let pods = group_of("pods", &ADDRESSES, |config| {
            config.protocol_version = version;
        });
        let listener = forwarding(&[(&pods, 1)], None);
        for (head, fits) in &table {
            let found = decide_with(&listener, &asked(head), 0);
            let refused = address(&found) == Err(ErrorKind::IncompatibleProtocol);
            assert_eq!(refused, !fits[column], "{version:?} {head:?}");
        }
    }
}

/// The cookie that a response of `target` sets as `name`.
fn cookie(session: Option<&Session>, name: &str, target: &Target) -> String {
    let cookies = session.unwrap().cookies(target, NOW);
    let mut lines = cookies.always.iter();
    let line = lines.find(|line| line.starts_with(&format!("{name}=")));
    line.unwrap().split(';').next().unwrap().to_owned()
}

// Parity 1.8.
#[test]
fn sticky_client_stays_with_its_target() {
    let pods = group_of("pods", &ADDRESSES, |config| {
        config.attributes.stickiness = Some(Stickiness::LoadBalancerCookie {
            duration: Duration::from_secs(60),
        });
    });
    let listener = forwarding(&[(&pods, 1)], None);
    let first = decision(&listener, &[]);
    assert_eq!(first.reasons.target, Some(TargetReason::NewSession));
    let Ok(Plan::Forward(choice)) = &first.plan else {
        panic!("expected a target");
    };
    let cookie = cookie(choice.session.as_deref(), "AWSALB", &pods.targets[1]);
    for _ in 0..3 {
        let kept = decision(&listener, &[("Cookie", &cookie)]);
        assert_eq!(address(&kept).unwrap(), ADDRESSES[1]);
        assert_eq!(kept.reasons.target, Some(TargetReason::Cookie));
    }
    pods.targets[1].set_state(TargetState::Unhealthy);
    let moved = decision(&listener, &[("Cookie", &cookie)]);
    assert_eq!(address(&moved).unwrap(), ADDRESSES[0]);
    assert_eq!(moved.reasons.target, Some(TargetReason::NewSession));
}

// Parity 1.4: AWSALBTG.
#[test]
fn sticky_client_stays_with_its_group() {
    let [a, b] = ["a", "b"].map(|name| group_of(name, &ADDRESSES, |_| {}));
    let hour = Duration::from_secs(3600);
    let listener = forwarding(&[(&a, 1), (&b, 1)], Some(hour));
    let name = |decision: &Decision<'_>| String::from(&*decision.member.unwrap().group.config.name);
    let to_b = decide_with(&listener, &asked(&get("/", &[])), 1);
    assert_eq!(
        (&*name(&to_b), to_b.reasons.group),
        ("b", Some(GroupReason::Weight))
    );
    assert_eq!(to_b.reasons.target, Some(TargetReason::Algorithm));
    let Ok(Plan::Forward(choice)) = &to_b.plan else {
        panic!("expected a target");
    };
    let cookie = cookie(choice.session.as_deref(), "AWSALBTG", choice.target());
    let kept = decision(&listener, &[("Cookie", &cookie)]);
    assert_eq!(
        (&*name(&kept), kept.reasons.group),
        ("b", Some(GroupReason::Cookie))
    );
    assert_eq!(kept.reasons.log_reason(), None);
    let invalid = decision(&listener, &[("Cookie", "AWSALBTG=x")]);
    assert_eq!(name(&invalid), "a");
    assert_eq!(invalid.reasons.group, Some(GroupReason::InvalidCookie));
    assert_eq!(invalid.reasons.log_reason(), Some("AWSALBTGCookieInvalid"));
    // A group whose weight became 0 loses its clients.
    let listener = forwarding(&[(&a, 1), (&b, 0)], Some(hour));
    let moved = decision(&listener, &[("Cookie", &cookie)]);
    assert_eq!(
        (&*name(&moved), moved.reasons.group),
        ("a", Some(GroupReason::Weight))
    );
}

/// A listener that rewrites the URL and forwards.
fn rewriting(pods: &Arc<Group>, regex: &str, replace: &str) -> Listener {
    let mut rewrite = rule(
        3,
        Vec::new(),
        elbow_model::Action::Forward(ForwardAction::to("pods".into())),
    );
    rewrite.transforms = Transforms {
        url: Some(Rewrite {
            regex: Expression::new(regex, false).unwrap(),
            replace: replace.into(),
        }),
        host_header: None,
    };
    listener_with(Protocol::Http, 80, vec![rewrite], fixed(404, ""), |_| {
        Some(Arc::clone(pods))
    })
}

// Parity 1.4 and 1.15: fields 23 and 33 of the access log.
#[test]
fn transforms_are_applied_and_reported() {
    let pods = group_of("pods", &ADDRESSES, |_| {});
    let table = [
        (
            "^/$",
            "/new",
            Some("/new"),
            Some("TransformSuccess"),
            "rewrite,forward",
        ),
        ("^/none", "/new", None, None, "forward"),
    ];
    for (regex, replace, uri, status, actions) in table {
        let listener = rewriting(&pods, regex, replace);
        let found = decision(&listener, &[]);
        assert_eq!(found.reasons.transform_status(), status);
        assert_eq!(found.reasons.actions_executed(), Some(actions));
        let Ok(Plan::Forward(choice)) = found.plan else {
            panic!("expected a target");
        };
        assert_eq!(choice.start().1.uri.as_deref(), uri);
    }
    let broken = rewriting(&pods, "^/$", "no path");
    let found = decision(&broken, &[]);
    assert_eq!(address(&found), Err(ErrorKind::Transform));
    let failure = TransformStatus::Failure(TransformFailure::Path);
    assert_eq!(found.reasons.transform, Some(failure));
    assert_eq!(
        found.reasons.transform_status(),
        Some("TransformInvalidPath")
    );
    assert_eq!(found.reasons.actions_executed(), Some("forward"));
}

#[test]
fn choice_counts_at_its_target_when_it_starts() {
    let pods = group_of("pods", &ADDRESSES[..1], |_| {});
    let listener = forwarding(&[(&pods, 1)], None);
    let Ok(Plan::Forward(choice)) = decision(&listener, &[]).plan else {
        panic!("expected a target");
    };
    assert_eq!(pods.targets[0].in_flight(), 0);
    let (forward, ..) = choice.start();
    assert_eq!(pods.targets[0].in_flight(), 1);
    assert!(Arc::ptr_eq(&forward.group, &pods));
    drop(forward);
    assert_eq!(pods.targets[0].in_flight(), 0);
}

/// A request on its way to the first of [`ADDRESSES`].
fn forward_to(pods: Arc<Group>, session: Option<Box<Session>>) -> Forward {
    Forward::new(pods.targets[0].start(), pods, session, Vec::new())
}

// The attribute `elbow.connect_failover.enabled`; CLB guide, metrics: BackendConnectionErrors.
#[test]
fn fail_over_depends_on_the_error_and_the_kind_of_load_balancer() {
    use elbow_model::Personality;
    let group = |failover: bool, personality| {
        let mut config = group("pods", ProtocolVersion::Http1);
        config.attributes.connect_failover = failover;
        let targets = ADDRESSES.map(target).into();
        let group = Group::new(Arc::new(config), targets, 1);
        Arc::new(group.with_personality(personality))
    };
    let (alb, clb) = (&Personality::APPLICATION, &Personality::CLASSIC);
    for (error, failover, personality, expected) in [
        (ErrorKind::ConnectFailed, true, alb, true),
        (ErrorKind::ConnectFailed, false, alb, false),
        (ErrorKind::ConnectFailed, true, clb, true),
        (ErrorKind::ConnectTimeout, true, alb, false),
        (ErrorKind::ConnectTimeout, true, clb, true),
        (ErrorKind::TargetTls, true, alb, false),
        (ErrorKind::TargetTls, true, clb, true),
        (ErrorKind::TargetPublicKey, true, clb, true),
        (ErrorKind::TargetTlsTimeout, true, clb, true),
        (ErrorKind::NoDescriptor, true, clb, false),
        (ErrorKind::TargetClosed, true, clb, false),
    ] {
        let mut forward = forward_to(group(failover, personality), None);
        assert_eq!(forward.fail_over(error, 0), expected, "{error:?}");
        let now_at = forward.in_flight.target().address.to_string();
        assert_eq!(now_at, ADDRESSES[usize::from(expected)], "{error:?}");
    }
}

#[test]
fn fail_over_tries_each_target_once() {
    let pods = group_of("pods", &ADDRESSES, |config| {
        config.attributes.connect_failover = true;
    });
    let mut forward = forward_to(Arc::clone(&pods), None);
    assert!(forward.fail_over(ErrorKind::ConnectFailed, 0));
    assert!(!forward.fail_over(ErrorKind::ConnectFailed, 0));
    let in_flight = [0, 1].map(|i| pods.targets[i].in_flight());
    assert_eq!(in_flight, [0, 1], "counted at the last target alone");
    let failures = || [0, 1].map(|i| pods.targets[i].failures());
    assert_eq!(failures(), [1, 1]);
    // A lack of descriptors is no fault of a target, but one that is not retried is.
    forward.fail_over(ErrorKind::NoDescriptor, 0);
    assert_eq!(failures(), [1, 1]);
    forward.fail_over(ErrorKind::ConnectTimeout, 0);
    assert_eq!(failures(), [1, 2]);
}

#[test]
fn responses_get_the_cookies_of_their_session() {
    let pods = group_of("pods", &ADDRESSES, |_| {});
    let listener = forwarding(&[(&pods, 1)], None);
    let plain = forward_to(Arc::clone(&pods), None);
    assert!(plain.additions(&listener, NOW).cookies.is_none());
    let sticky = Sticky::to_groups("app/web/1", Duration::from_secs(60));
    let session = Session::new(Some((&sticky, 7)), None, &get("/", &[]), NOW);
    let cookies = forward_to(pods, session).additions(&listener, NOW).cookies;
    assert_eq!(cookies.map(|cookies| cookies.always.len()), Some(2));
}
