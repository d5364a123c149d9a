//! Specs that are right, to be changed in one place.

use std::collections::BTreeMap;
use std::sync::Arc;

use elbow_model::*;

/// `FIELD CODE` of everything that is wrong; nothing about a value that is right.
pub(crate) fn faults<T: std::fmt::Debug>(checked: Checked<T>) -> Vec<String> {
    let faults = checked.value.err().unwrap_or_default();
    let line = |fault: &Invalid| format!("{} {}", fault.field, fault.code);
    faults.iter().map(line).collect()
}

/// `FIELD CODE` of the warnings about a value that is right.
pub(crate) fn warnings<T: std::fmt::Debug>(checked: Checked<T>) -> Vec<String> {
    checked.value.unwrap();
    let line = |fault: &Invalid| format!("{} {}", fault.field, fault.code);
    checked.warnings.iter().map(line).collect()
}

pub(crate) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

pub(crate) fn attributes(pairs: &[(&str, &str)]) -> AttributesSpec {
    let pair = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
    pairs.iter().map(pair).collect::<BTreeMap<_, _>>()
}

pub(crate) fn group(name: &str, protocol: &str) -> TargetGroupSpec {
    TargetGroupSpec {
        name: Some(name.to_owned()),
        protocol: Some(protocol.to_owned()),
        port: Some(80),
        ..TargetGroupSpec::default()
    }
}

pub(crate) fn listener(port: u32, protocol: &str, action: ActionSpec) -> ListenerSpec {
    ListenerSpec {
        port: Some(port),
        protocol: Some(protocol.to_owned()),
        default_actions: Some(vec![action]),
        ..ListenerSpec::default()
    }
}

/// A TLS listener with the certificate of [`scope`].
pub(crate) fn tls_listener(protocol: &str, action: ActionSpec) -> ListenerSpec {
    ListenerSpec {
        certificates: Some(texts(&["demo"])),
        ..listener(443, protocol, action)
    }
}

pub(crate) fn balancer(kind: &str, listeners: Vec<ListenerSpec>) -> LoadBalancerSpec {
    LoadBalancerSpec {
        name: Some("web".to_owned()),
        kind: Some(kind.to_owned()),
        listeners,
        ..LoadBalancerSpec::default()
    }
}

pub(crate) fn certificate(name: &str) -> CertificateSpec {
    CertificateSpec {
        name: Some(name.to_owned()),
        self_signed: Some(texts(&["a.example"])),
        ..CertificateSpec::default()
    }
}

/// Groups `http`, `https`, `tcp`, `tls`, `both` (TCP_UDP), `quic`, the sticky `lb-cookie`, `app-cookie` and `source-ip`, and the
/// certificate `demo`.
pub(crate) fn scope() -> Scope {
    let mut scope = Scope::default();
    let sticky = |name: &str, protocol: &str, more: &[(&str, &str)]| {
        let mut spec = group(name, protocol);
        spec.attributes = attributes(more);
        spec.attributes
            .insert("stickiness.enabled".to_owned(), "true".to_owned());
        spec
    };
    let app_cookie = [
        ("stickiness.type", "app_cookie"),
        ("stickiness.app_cookie.cookie_name", "session"),
    ];
    for spec in [
        group("http", "HTTP"),
        group("https", "HTTPS"),
        group("tcp", "TCP"),
        group("tls", "TLS"),
        group("both", "TCP_UDP"),
        group("quic", "QUIC"),
        sticky("lb-cookie", "HTTP", &[]),
        sticky("app-cookie", "HTTP", &app_cookie),
        sticky("source-ip", "TCP", &[]),
    ] {
        scope.add_target_group(&Arc::new(TargetGroup::new(&spec).value.unwrap()));
    }
    let demo = Certificate::new(&certificate("demo")).value.unwrap();
    scope.add_certificate(&Arc::new(demo));
    scope
}

/// What is wrong with a load balancer of this kind with one listener, relative to the listener.
pub(crate) fn listener_faults(kind: &str, listener: ListenerSpec) -> Vec<String> {
    let checked = LoadBalancer::new(&balancer(kind, vec![listener]), &scope());
    let relative = |line: String| {
        line.replace("listeners[0].", "")
            .replace("listeners[0] ", "")
    };
    faults(checked).into_iter().map(relative).collect()
}

/// The one listener of a load balancer of this kind.
pub(crate) fn built(kind: &str, listener: ListenerSpec) -> Listener {
    let checked = LoadBalancer::new(&balancer(kind, vec![listener]), &scope());
    checked.value.unwrap().listeners.remove(0)
}
