//! One manifest for each rule that refuses it.

use elbow_yaml::{Limits, parse};

use super::{check, rules};
use crate::{Cursor, Fault, Faults};
use examples::{EXAMPLES, NAMED, NAMED_WRONGLY};

mod examples;

fn faults(manifest: &str) -> Vec<Fault> {
    let (root, problems) = parse(manifest, Limits::OBJECTS);
    assert_eq!(problems.len(), 0, "{problems:?}");
    let root = root.unwrap();
    let root = Cursor::root(&root);
    let mut faults = Faults::default();
    let text = |field: &str| root.text_of(field).unwrap();
    check(text("apiVersion"), text("kind"), &root, &mut faults);
    faults.into_sorted()
}

fn manifest(kind: &str, rest: &str) -> String {
    let (api_version, kind) = kind.split_once(' ').unwrap();
    format!("{{apiVersion: {api_version}, kind: {kind}, {rest}}}")
}

#[test]
fn each_example_is_refused_at_its_fields() {
    for (kind, rest, expected) in EXAMPLES {
        let found = faults(&manifest(kind, rest));
        let found: Vec<String> = found
            .iter()
            .map(|fault| format!("{} {}", fault.path, fault.code))
            .collect();
        assert_eq!(found, *expected, "{kind} {rest}");
    }
}

#[test]
fn names_and_finalizers_of_each_kind_are_checked() {
    for kind in NAMED {
        let found = faults(&manifest(kind, NAMED_WRONGLY));
        let paths: Vec<&str> = found.iter().map(|fault| &*fault.path).collect();
        assert!(paths.contains(&"metadata.name"), "{kind}: {paths:?}");
        let is_custom = kind.starts_with("eks.");
        assert_eq!(
            paths.contains(&"metadata.finalizers[0]"),
            !is_custom,
            "{kind}: {paths:?}"
        );
    }
}

#[test]
fn every_rule_refuses_an_example() {
    let examples = EXAMPLES.iter().map(|(kind, rest, _)| (*kind, *rest));
    let examples = examples.chain(NAMED.iter().map(|kind| (*kind, NAMED_WRONGLY)));
    let examples =
        examples.map(|(kind, rest)| parse(&manifest(kind, rest), Limits::OBJECTS).0.unwrap());
    let examples: Vec<_> = examples.collect();
    for rule in rules() {
        let refuses = |root: &elbow_yaml::Node| {
            let root = Cursor::root(root);
            let version = root.text_of("apiVersion").unwrap();
            let group = version.split_once('/').map_or("", |(group, _)| group);
            let mut faults = Faults::default();
            if rule.applies(group, root.text_of("kind").unwrap()) {
                rule.check(&root, &mut faults);
            }
            faults.count() > 0
        };
        let bounds = ["validatePorts", "MaxSecretSize"].contains(&rule.source)
            || rule.field.contains("hints")
            || rule.field.starts_with("endpoints");
        assert!(
            bounds || examples.iter().any(refuses),
            "{rule:?} refuses no example"
        );
    }
}

#[test]
fn a_secret_holds_a_mebibyte() {
    let secret = |length: usize| {
        let text = "x".repeat(length);
        faults(&manifest(
            "v1 Secret",
            &format!("metadata: {{name: a}}, stringData: {{a: {text}}}, data: {{b: YQ==}}"),
        ))
    };
    assert_eq!(secret((1 << 20) - 1), []);
    let found = secret(1 << 20);
    assert_eq!((&*found[0].path, found[0].code), ("data", "too-long"));
}

#[test]
fn lists_and_annotations_are_bounded() {
    let slice = |endpoint: &str, count: usize| {
        let list = vec![endpoint; count].join(", ");
        faults(&manifest(
            "discovery.k8s.io/v1 EndpointSlice",
            &format!("metadata: {{name: a}}, addressType: IPv4, endpoints: [{list}]"),
        ))
    };
    assert_eq!(slice("{addresses: [10.0.0.1]}", 1000), []);
    let found = slice("{addresses: [10.0.0.1]}", 1001);
    assert_eq!((&*found[0].path, found[0].code), ("endpoints", "too-many"));
    let addresses = format!("{{addresses: [{}]}}", vec!["10.0.0.1"; 101].join(", "));
    assert_eq!(slice(&addresses, 1)[0].path, "endpoints[0].addresses");
    let text = "x".repeat(256 << 10);
    let found = faults(&manifest(
        "v1 Namespace",
        &format!("metadata: {{name: a, annotations: {{a: {text}}}}}"),
    ));
    assert_eq!(
        (&*found[0].path, found[0].code),
        ("metadata.annotations", "too-long")
    );
}

#[test]
fn a_message_says_the_field_the_value_and_why_as_kubernetes_does() {
    let manifest = "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: NodePort, ports: [{port: 80, nodePort: 80}]}}";
    let found = faults(manifest);
    assert_eq!(
        found[0].message,
        "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767"
    );
    assert_eq!((found[0].at.line, found[0].at.column), (1, 106));
}

#[test]
fn the_hint_about_a_missing_value_says_its_name() {
    for (manifest, hint) in [
        (
            "{apiVersion: v1, kind: Secret, metadata: {name: a}, type: kubernetes.io/tls, data: {tls.crt: YQ==}}",
            "write `tls.key` here",
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{name: a, port: 80}, {port: 81}]}}",
            "write `name` here",
        ),
    ] {
        let found = faults(manifest);
        assert_eq!(found[0].hint.as_deref(), Some(hint), "{manifest}");
    }
}

#[test]
fn addresses_are_read_as_strictly_as_kubernetes_reads_them() {
    use super::address::{canonical_ip, cidr, ip};
    for good in ["10.0.0.1", "2001:DB8::1", "::"] {
        assert!(ip(good).is_empty(), "{good}");
    }
    for bad in [
        "10.0.0.256",
        "010.0.0.1",
        "::ffff:10.0.0.1",
        "fe80::1%eth0",
        "1.2.3",
        "",
        " 10.0.0.1",
        "1::2::3",
    ] {
        assert!(!ip(bad).is_empty(), "{bad}");
    }
    assert_eq!(
        canonical_ip("2001:DB8::1"),
        ["must be in canonical form (\"2001:db8::1\")"]
    );
    for good in ["10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "10.0.0.1/32"] {
        assert!(cidr(good).is_empty(), "{good}");
    }
    for bad in [
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/08",
        "10.0.0.0",
        "10.0.0.0/+8",
        "::ffff:10.0.0.0/104",
        "/8",
    ] {
        assert!(!cidr(bad).is_empty(), "{bad}");
    }
}

#[test]
fn base64_is_decoded_as_go_does() {
    use super::base64::decoded;
    assert_eq!(decoded("YQ=="), Some(b"a".to_vec()));
    assert_eq!(decoded("YWI=\n"), Some(b"ab".to_vec()));
    assert_eq!(decoded("YWJj\r\nYWJj"), Some(b"abcabc".to_vec()));
    for bad in ["YQ", "YQ=", "Y", "Y===", "YQ==YQ==", "Y-==", "Y Q=="] {
        assert_eq!(decoded(bad), None, "{bad}");
    }
}
