//! Addresses and commands to try, for the load balancers of manifests.

use std::sync::Arc;

use elbow_model::{Certificate, CertificateSource, Listener, Protocol};
use elbow_plane::{LoadBalancerStatus, Status};

use super::screen::{REGION, balancer, port_note};
use super::{ACCESS_KEY, Demo, SECRET_KEY, hosts_of, say};

/// Prints the addresses and commands to try.
pub(super) fn introduce(demo: &Demo, status: &Status) {
    port_note(demo);
    let model = demo.plane.view().model();
    for config in &model.load_balancers {
        let Some(status) = balancer(status, &config.name) else {
            continue;
        };
        say(&format!(
            "\n{}    {}, {}\n    {}",
            status.name, status.kind, status.address, status.dns_name
        ));
        for listener in &config.listeners {
            for line in lines(demo, listener, status) {
                say(&format!("    {line}"));
            }
        }
    }
    say(&format!(
        "\nAWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY} AWS_REGION={REGION}\n\
         Admin: http://{}/targets /metrics /health /config",
        demo.admin
    ));
}

/// A command for each host in the rules of the listener, or one for its address.
fn lines(demo: &Demo, listener: &Listener, status: &LoadBalancerStatus) -> Vec<String> {
    let port = listener.port.saturating_add(demo.port_offset);
    let address = &status.address;
    let mut hosts: Vec<&str> = hosts_of(listener).collect();
    match listener.protocol {
        Protocol::Tcp => {
            let scheme = if is_plain(listener) { "http" } else { "https" };
            return vec![format!("curl -k {scheme}://{address}:{port}/")];
        }
        protocol if protocol.has_datagrams() => return Vec::new(),
        _ => {}
    }
    if hosts.is_empty() {
        hosts.push(&status.dns_name);
    }
    let from_demo = |c: &Arc<Certificate>| is_from_demo(demo, c);
    let (scheme, trust) = match (listener.protocol.is_tls(), listener.certificates.first()) {
        (false, _) => ("http", String::new()),
        (true, Some(first)) if from_demo(first) => {
            let ca = demo.folder.file("ca.pem");
            ("https", format!("--cacert {} ", ca.display()))
        }
        (true, _) => ("https", "-k ".to_owned()),
    };
    let line = |host: &&str| {
        format!("curl {trust}--resolve {host}:{port}:{address} {scheme}://{host}:{port}/")
    };
    hosts.iter().map(line).collect()
}

/// Whether the authority of the demo issued `certificate`.
fn is_from_demo(demo: &Demo, certificate: &Certificate) -> bool {
    match &certificate.source {
        CertificateSource::Files { certificate, .. } => {
            certificate.starts_with(demo.folder.file("leaves"))
        }
        _ => false,
    }
}

/// Whether a TCP listener probably carries plain HTTP, judged by its port.
fn is_plain(listener: &Listener) -> bool {
    matches!(listener.port, 80 | 8080 | 9090)
}
