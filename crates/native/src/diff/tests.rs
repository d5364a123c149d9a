use super::*;

const FILE: &str = "
loadBalancers:
- name: web
  type: application
  attributes: {idle_timeout.timeout_seconds: 60}
  listeners:
  - port: 80
    protocol: HTTP
    defaultActions: [{type: forward, forwardConfig: {targetGroups: [{targetGroup: pods}]}}]
    rules:
    - priority: 10
      conditions: [{field: path-pattern, pathPatternConfig: {values: [/a]}}]
      actions: [{type: fixed-response, fixedResponseConfig: {statusCode: '404'}}]
targetGroups:
- name: pods
  protocol: HTTP
  port: 80
  targets: [{id: 10.0.0.1}]
";

fn model(text: &str) -> Model {
    let (model, diagnostics) = crate::parse(text, "a.yaml");
    assert!(diagnostics.is_empty(), "{diagnostics:#?}");
    model.unwrap()
}

/// The changes from the file to what it is with `from` replaced by `to`.
fn changes(from: &str, to: &str) -> Vec<String> {
    assert!(FILE.contains(from));
    let changes = diff(&model(FILE), &model(&FILE.replacen(from, to, 1)));
    changes.iter().map(ToString::to_string).collect()
}

#[test]
fn equal_models_have_no_changes() {
    assert_eq!(changes("web", "web"), [""; 0]);
    assert_eq!(changes("[{id: 10.0.0.1}]", "\n  - id: 10.0.0.1"), [""; 0]);
}

#[test]
fn each_kind_of_change_is_one_line() {
    for (from, to, expected) in [
        (
            "timeout_seconds: 60",
            "timeout_seconds: 61",
            "load balancer web: attributes.idle_timeout.timeout_seconds changed from 60 to 61",
        ),
        (
            "attributes: {idle_timeout.timeout_seconds: 60}",
            "",
            "load balancer web: attributes.idle_timeout.timeout_seconds unset from 60",
        ),
        (
            "type: application",
            "type: application\n  addresses: [127.0.0.9]",
            "load balancer web: addresses set to [\"127.0.0.9\"]",
        ),
        ("'404'", "'403'", "rule web:80/10: actions changed from "),
        ("[{id: 10.0.0.1}]", "[]", "target pods/10.0.0.1:80 removed"),
        (
            "[{id: 10.0.0.1}]",
            "[{id: 10.0.0.1}, {id: 10.0.0.2, port: 81}]",
            "target pods/10.0.0.2:81 added",
        ),
        (
            "  port: 80\n  targets",
            "  port: 80\n  healthCheckConfig: {intervalSeconds: 10}\n  targets",
            "target group pods: healthCheckConfig.intervalSeconds changed from 30 to 10",
        ),
    ] {
        let found = changes(from, to);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
    }
}

#[test]
fn a_listener_with_a_new_port_is_removed_and_added() {
    assert_eq!(
        changes("port: 80", "port: 81"),
        [
            "listener web:80 removed",
            "rule web:80/10 removed",
            "listener web:81 added",
            "rule web:81/10 added",
        ]
    );
}

/// A chain is too long to show, and a key is secret.
#[test]
fn certificates_change_by_fingerprint() {
    let certificate = |source: &str| model(&format!("certificates: [{{name: a, {source}}}]"));
    let change = |old: &str, new: &str| diff(&certificate(old), &certificate(new))[0].to_string();
    assert_eq!(
        change(
            "certificate: OLD, privateKey: K",
            "certificate: NEW, privateKey: L"
        ),
        "certificate a: certificate changed from PEM 2fabad19bf2c8496 to PEM 36d51519c2ce2811"
    );
    assert_eq!(
        change("selfSigned: [a]", "selfSigned: [a, b]"),
        "certificate a: selfSigned changed from [\"a\"] to [\"a\",\"b\"]"
    );
}

#[test]
fn a_summary_counts_objects_by_kind_and_action() {
    let change = |kind, name: &str, action| Change {
        kind,
        name: name.to_owned(),
        action,
    };
    let field = |field: &str| ChangeAction::Changed {
        field: field.to_owned(),
        from: "1".to_owned(),
        to: "2".to_owned(),
    };
    let changes = [
        change("certificate", "c", field("certificateFile")),
        change("target", "g/a:1", ChangeAction::Removed),
        change("target", "g/b:1", ChangeAction::Added),
        change("target", "g/c:1", ChangeAction::Added),
        change("listener", "web:80", field("protocol")),
        change("listener", "web:80", field("defaultActions")),
        change("load balancer", "web", ChangeAction::Added),
    ];
    assert_eq!(
        summary(&changes),
        "1 load balancer added, 1 listener changed, 2 targets added, 1 target removed, 1 certificate changed"
    );
}
