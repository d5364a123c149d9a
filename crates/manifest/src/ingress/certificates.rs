//! Certificates of an HTTPS listener: by ARN, or found by host name.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::Build;
use super::group::Member;
use crate::Refusal;
use crate::context::UnknownCertificates;
use crate::serve::{OWN, SECRET};

/// The Secrets of an Ingress's `spec.tls` that are there, by the hosts beside them in lower case. An Ingress may have
/// thousands of hosts on both sides.
#[derive(Debug, Default)]
struct TlsSecrets<'a> {
    /// The place in `spec.tls` and the name of the first one.
    by_host: BTreeMap<String, (usize, &'a str)>,
    /// The first one without hosts, which is for all.
    of_all: Option<(usize, &'a str)>,
}

impl Build<'_> {
    fn tls_secrets<'m>(&self, member: &Member<'m>) -> TlsSecrets<'m> {
        let mut secrets = TlsSecrets::default();
        for (index, (name, hosts)) in member.ingress.tls_secrets.iter().enumerate() {
            let key = (member.ingress.meta.namespace.clone(), name.clone());
            if self.scope.secret(&key).is_none() {
                continue;
            }
            let secret = (index, name.as_str());
            if hosts.is_empty() {
                secrets.of_all.get_or_insert(secret);
            }
            for host in hosts {
                let host = host.to_ascii_lowercase();
                secrets.by_host.entry(host).or_insert(secret);
            }
        }
        secrets
    }

    /// The certificates that are named: by the class, else by the annotation.
    pub(super) fn explicit_certificates(&self, member: &Member<'_>) -> Vec<String> {
        match member.params {
            Some(params) if !params.certificate_arns.is_empty() => params.certificate_arns.clone(),
            _ => member
                .annotations()
                .list("certificate-arn")
                .unwrap_or_default(),
        }
    }

    /// Every certificate that holds for one of the hosts, by ARN; a host without one refuses the stack.
    /// Beyond AWS, a Secret that carries an ARN counts, and where load balancers are to serve,
    /// the Secrets of `spec.tls` and a self-signed certificate.
    pub(super) fn find_certificates(&self, member: &Member<'_>) -> Result<Vec<String>, Refusal> {
        let ingress = member.ingress;
        let hosts = ingress.rules.iter().map(|rule| &rule.host);
        let hosts: BTreeSet<&String> = hosts
            .filter(|host| !host.is_empty())
            .chain(&ingress.tls_hosts)
            .collect();
        let secrets = OnceCell::new();
        let mut arns = BTreeSet::new();
        for host in hosts {
            let mut found = self.known_certificates(host);
            if found.is_empty() && self.scope.is_serving() {
                let secrets = secrets.get_or_init(|| self.tls_secrets(member));
                found.extend(self.stand_in(member, host, secrets));
            }
            if found.is_empty() {
                let message = format!("no certificate holds for host {host}");
                let mut refusal = ingress.meta.refuse("no-certificate", message);
                refusal.hint = Some(format!(
                    "name one by {}/certificate-arn, or add one to the environment",
                    super::PREFIX
                ));
                return Err(refusal);
            }
            arns.extend(found);
        }
        Ok(arns.into_iter().collect())
    }

    /// The certificates of the environment and of Secrets with an ARN that hold for a host.
    fn known_certificates(&self, host: &str) -> Vec<String> {
        let matching = self.context.certificates.iter();
        let matching =
            matching.filter(|known| known.names.iter().any(|name| holds_for(name, host)));
        let mut arns: Vec<String> = matching.map(|known| known.arn.clone()).collect();
        for (arn, names) in self.scope.certificate_names() {
            if names.iter().any(|name| holds_for(name, host)) {
                arns.push(arn.clone());
            }
        }
        arns
    }

    /// What AWS does not know: a Secret of `spec.tls`, else a certificate that is made for the host.
    fn stand_in(
        &self,
        member: &Member<'_>,
        host: &str,
        secrets: &TlsSecrets<'_>,
    ) -> Option<String> {
        let namespace = &member.ingress.meta.namespace;
        if let Some(name) = secrets.first_for(host) {
            return Some(format!("{SECRET}{namespace}/{name}"));
        }
        let allowed = self.context.unknown_certificates == UnknownCertificates::SelfSigned;
        allowed.then(|| format!("{OWN}{host}"))
    }
}

impl<'a> TlsSecrets<'a> {
    /// The first Secret that is listed for the host.
    fn first_for(&self, host: &str) -> Option<&'a str> {
        let host = host.to_ascii_lowercase();
        let parent = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let listed = [Some(host), parent].into_iter().flatten();
        let listed = listed.filter_map(|name| self.by_host.get(&name).copied());
        let first = listed.chain(self.of_all).min();
        first.map(|(_, name)| name)
    }
}

/// Whether a certificate for `name` holds for `host`: the same, or a wildcard for one label.
fn holds_for(name: &str, host: &str) -> bool {
    if name.eq_ignore_ascii_case(host) {
        return true;
    }
    match (name.strip_prefix("*."), host.split_once('.')) {
        (Some(parent), Some((_, rest))) => parent.eq_ignore_ascii_case(rest),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// control-plane.md 5.1.
    #[test]
    fn a_wildcard_is_one_label() {
        assert!(holds_for("*.a.b", "x.a.b"));
        assert!(!holds_for("*.a.b", "x.y.a.b"));
        assert!(!holds_for("*.a.b", "a.b"));
        assert!(holds_for("a.b", "A.b"));
    }
}
