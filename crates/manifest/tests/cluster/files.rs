//! Manifests in files: an edit costs what it changes, and every error is reported.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use elbow_manifest::Context;
use elbow_manifest::cluster::{Files, Update};
use elbow_model::diagnostic::Diagnostic;

/// A Service with its own Network Load Balancer and its endpoints.
fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: {name}, annotations: {{service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip}}}}
spec: {{type: LoadBalancer, loadBalancerClass: service.k8s.aws/nlb, ports: [{{name: http, port: {port}}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: 8080}}]
endpoints: [{{addresses: [10.0.0.1]}}]
"
    )
}

/// Files in memory, and the cluster made from them.
struct Folder {
    texts: BTreeMap<Arc<str>, String>,
    files: Files,
    /// The names of the files that were read.
    read: RefCell<Vec<Arc<str>>>,
}

impl Folder {
    fn new(texts: impl IntoIterator<Item = (String, String)>) -> (Self, Update) {
        let texts = texts.into_iter();
        let mut folder = Self {
            texts: texts.map(|(name, text)| (name.into(), text)).collect(),
            files: Files::new(Context::default()),
            read: RefCell::default(),
        };
        let update = folder.update(&[]);
        (folder, update)
    }

    fn update(&mut self, changed: &[&str]) -> Update {
        self.read.borrow_mut().clear();
        let names: Vec<Arc<str>> = self.texts.keys().cloned().collect();
        let changed = changed.iter().map(|name| Arc::from(*name));
        self.files.update(&names, changed, |name| {
            self.read.borrow_mut().push(name.clone());
            match self.texts[name].as_str() {
                "unreadable" => {
                    Err(Diagnostic::error("unreadable-file", "cannot be read").at(&**name, 0, 0))
                }
                text => Ok(text.to_owned()),
            }
        })
    }

    fn write(&mut self, name: &str, text: impl Into<String>) -> Update {
        self.texts.insert(name.into(), text.into());
        self.update(&[name])
    }

    fn remove(&mut self, name: &str) -> Update {
        self.texts.remove(name);
        self.update(&[])
    }

    fn balancers(&self) -> Vec<String> {
        let model = self.files.cluster().model();
        let balancers = model.load_balancers.iter();
        let text = |lb: &Arc<elbow_model::LoadBalancer>| {
            let name = lb.name.rsplit_once('-').map_or("", |(name, _)| name);
            format!(
                "{} {}",
                name.trim_start_matches("k8s-default-"),
                lb.listeners[0].port
            )
        };
        balancers.map(text).collect()
    }

    fn found(&self) -> Vec<String> {
        let found = self.files.diagnostics();
        let text = |one: &Diagnostic| format!("{} {}:{}", one.code, one.file, one.line);
        found.iter().map(text).collect()
    }
}

const APPLIED: Update = Update {
    parsed: 1,
    is_applied: true,
};

#[test]
fn an_edit_among_many_files_costs_what_it_changes() {
    let many = (0..500).map(|n| (format!("{n:03}.yaml"), service(&format!("s{n}"), 80)));
    let (mut folder, update) = Folder::new(many);
    assert_eq!(update.parsed, 500);
    let planned = folder.files.cluster().planned();
    let before = folder.files.cluster().model();
    assert_eq!(before.load_balancers.len(), 500);

    assert_eq!(folder.write("042.yaml", service("s42", 81)), APPLIED);
    assert_eq!(*folder.read.borrow(), ["042.yaml".into()]);
    assert_eq!(folder.files.cluster().planned() - planned, 1);
    let after = folder.files.cluster().model();
    let pairs = before.load_balancers.iter().zip(&after.load_balancers);
    let other = pairs.filter(|(before, after)| !Arc::ptr_eq(before, after));
    assert_eq!(other.count(), 1);
    let pairs = before.target_groups.iter().zip(&after.target_groups);
    let other = pairs.filter(|(before, after)| !Arc::ptr_eq(before, after));
    assert!(other.count() <= 1);

    // Nothing changed: nothing is planned.
    let planned = folder.files.cluster().planned();
    assert_eq!(folder.update(&[]).parsed, 0);
    assert_eq!(folder.files.cluster().planned(), planned);
}

#[test]
fn of_two_objects_with_one_name_the_first_file_counts() {
    let (mut folder, _) = Folder::new([
        ("b.yaml".to_owned(), service("web", 80)),
        ("c.yaml".to_owned(), service("web", 81)),
    ]);
    assert_eq!(folder.balancers(), ["web 80"]);
    assert_eq!(
        folder.found(),
        ["duplicate-object c.yaml:1", "duplicate-object c.yaml:6"]
    );
    // An earlier file takes the name over, and gives it back when it is deleted.
    folder.write("a.yaml", service("web", 79));
    assert_eq!(folder.balancers(), ["web 79"]);
    assert_eq!(folder.found().len(), 4);
    folder.remove("a.yaml");
    assert_eq!(folder.balancers(), ["web 80"]);
    folder.write("b.yaml", service("other", 80));
    assert_eq!(folder.balancers(), ["other 80", "web 81"]);
    assert!(folder.found().is_empty());
    folder.write("c.yaml", service("web", 82) + "---\n" + &service("web", 83));
    assert_eq!(folder.balancers(), ["other 80", "web 82"]);
    assert_eq!(
        folder.found(),
        ["duplicate-object c.yaml:13", "duplicate-object c.yaml:18"]
    );
}

#[test]
fn a_file_that_cannot_be_read_keeps_every_change_from_being_applied() {
    let (mut folder, _) = Folder::new([
        ("a.yaml".to_owned(), service("a", 80)),
        ("b.yaml".to_owned(), service("b", 80)),
    ]);
    for broken in ["unreadable", "a: [", "kind: Service\n"] {
        folder.texts.remove("b.yaml");
        folder.texts.insert("c.yaml".into(), service("b", 81));
        let update = folder.write("a.yaml", broken);
        assert!(!update.is_applied, "{broken}");
        assert_eq!(folder.balancers(), ["a 80", "b 80"]);
        let found = folder.files.diagnostics();
        assert!(
            !found.is_empty() && found.iter().all(|one| one.file == "a.yaml"),
            "{found:?}"
        );
        // Once it can be read, the rest of the change follows.
        folder.write("a.yaml", service("a", 80));
        assert_eq!(folder.balancers(), ["a 80", "b 81"]);
        folder.texts.remove("c.yaml");
        folder.write("b.yaml", service("b", 80));
        assert_eq!(folder.balancers(), ["a 80", "b 80"]);
    }
}

#[test]
fn nothing_of_the_first_files_counts_when_one_cannot_be_read() {
    let (mut folder, update) = Folder::new([
        ("a.yaml".to_owned(), service("a", 80)),
        ("b.yaml".to_owned(), "unreadable".to_owned()),
    ]);
    assert!(!update.is_applied);
    assert!(folder.balancers().is_empty());
    assert_eq!(folder.found(), ["unreadable-file b.yaml:0"]);
    assert_eq!(folder.write("b.yaml", service("b", 80)).parsed, 2);
    assert_eq!(folder.balancers(), ["a 80", "b 80"]);
}

#[test]
fn an_error_is_reported_with_its_place_until_it_is_fixed() {
    let broken = service("a", 80).replace("port: 80}", "port: 80, protocol: SCTP}");
    let (mut folder, _) = Folder::new([
        ("a.yaml".to_owned(), service("a", 80)),
        ("b.yaml".to_owned(), service("b", 80)),
    ]);
    folder.write("a.yaml", &broken);
    assert_eq!(folder.found(), ["invalid-service a.yaml:4"]);
    assert_eq!(folder.balancers(), ["a 80", "b 80"], "it serves as it was");
    folder.write("b.yaml", service("b", 81));
    assert_eq!(
        folder.found(),
        ["invalid-service a.yaml:4"],
        "it was not touched"
    );
    folder.write("a.yaml", format!("\n\n{broken}"));
    assert_eq!(folder.found(), ["invalid-service a.yaml:6"], "it moved");
    folder.write("a.yaml", service("a", 82));
    assert!(folder.found().is_empty());
    assert_eq!(folder.balancers(), ["a 82", "b 81"]);
}

#[test]
fn an_object_that_cannot_be_read_stays_as_it_was_and_others_follow() {
    let (mut folder, _) = Folder::new([
        ("a.yaml".to_owned(), service("a", 80)),
        ("b.yaml".to_owned(), service("b", 80)),
    ]);
    folder.texts.insert("b.yaml".into(), service("b", 81));
    folder.texts.insert(
        "a.yaml".into(),
        service("a", 80).replace("port: 80}", "port: eighty}"),
    );
    let update = folder.update(&["a.yaml", "b.yaml"]);
    assert!(update.is_applied);
    assert_eq!(folder.found(), ["wrong-type a.yaml:4"]);
    assert_eq!(folder.balancers(), ["a 80", "b 81"]);
}

#[test]
fn another_context_plans_everything_again_and_parses_nothing() {
    let (mut folder, _) = Folder::new([
        ("a.yaml".to_owned(), service("a", 80)),
        ("b.yaml".to_owned(), service("b", 80)),
    ]);
    let planned = folder.files.cluster().planned();
    let context = Context {
        cluster_name: "another".to_owned(),
        ..Context::default()
    };
    folder.files.set_context(context.clone());
    assert_eq!(folder.update(&[]).parsed, 0);
    assert_eq!(folder.files.cluster().planned() - planned, 2);
    assert_is_as_fresh(&folder, context);
}

/// What else pods say is not kept.
#[test]
fn pods_are_read_again_for_another_variable_of_server_ids() {
    let quic = service("a", 443)
        .replace(
            "nlb-target-type: ip",
            "nlb-target-type: ip, service.beta.kubernetes.io/aws-load-balancer-quic-enabled-ports: '443', \
             service.beta.kubernetes.io/aws-load-balancer-disable-nlb-sg: 'true'",
        )
        .replace("port: 443}", "port: 443, protocol: UDP}")
        .replace("port: 8080}", "port: 8080, protocol: UDP}")
        .replace("[10.0.0.1]", "[10.0.0.1], targetRef: {kind: Pod, name: p}");
    let pod = "apiVersion: v1
kind: Pod
metadata: {name: p, annotations: {service.beta.kubernetes.io/aws-load-balancer-quic-enabled-containers: web}}
spec: {containers: [{name: web, image: w, env: [{name: QUIC_ID, value: AAAAAAAAAKE=}]}]}
";
    let (mut folder, _) = Folder::new([
        ("a.yaml".to_owned(), quic),
        ("b.yaml".to_owned(), pod.into()),
    ]);
    let targets = |folder: &Folder| {
        folder.files.cluster().model().target_groups[0]
            .targets
            .len()
    };
    assert_eq!(targets(&folder), 0);
    let mut context = Context::default();
    context.defaults.quic_environment_variable_name = "QUIC_ID".to_owned();
    folder.files.set_context(context.clone());
    assert_eq!(folder.update(&[]).parsed, 2);
    assert_eq!(targets(&folder), 1);
    assert_is_as_fresh(&folder, context);
}

/// The model is that of the same files in a new process.
fn assert_is_as_fresh(folder: &Folder, context: Context) {
    let mut fresh = Folder {
        texts: folder.texts.clone(),
        files: Files::new(context),
        read: RefCell::default(),
    };
    fresh.update(&[]);
    assert_eq!(
        format!("{:?}", folder.files.cluster().model()),
        format!("{:?}", fresh.files.cluster().model())
    );
}

/// A file that goes is a deletion, which deletion protection refuses until the file is there without it.
#[test]
fn a_protected_load_balancer_outlives_its_file() {
    let key = "service.beta.kubernetes.io/aws-load-balancer-attributes";
    let protected = service("web", 80).replace(
        "annotations: {",
        &format!("annotations: {{{key}: deletion_protection.enabled=true, "),
    );
    let (mut folder, _) = Folder::new([("web.yaml".to_owned(), protected.clone())]);
    folder.remove("web.yaml");
    assert_eq!(folder.files.cluster().model().load_balancers.len(), 1);
    let found = folder.files.diagnostics();
    let errors = found.iter().filter(|one| one.is_error());
    assert_eq!(
        errors.map(|one| one.code).collect::<Vec<_>>(),
        ["deletion-protection"]
    );
    folder.write(
        "web.yaml",
        protected.replace("enabled=true", "enabled=false"),
    );
    assert_eq!(folder.files.cluster().model().load_balancers.len(), 1);
    folder.remove("web.yaml");
    assert!(folder.files.cluster().model().load_balancers.is_empty());
}
