//! Certificates of an HTTPS listener: by ARN, or found by host name.

use std::collections::BTreeSet;

use super::Build;
use super::group::Member;
use crate::Refusal;
use crate::context::UnknownCertificates;
use crate::serve::{OWN, SECRET};

impl Build<'_> {
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
        let mut arns = BTreeSet::new();
        for host in hosts {
            let mut found = self.known_certificates(host);
            if found.is_empty() && self.scope.is_serving() {
                found.extend(self.stand_in(member, host));
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
    fn stand_in(&self, member: &Member<'_>, host: &str) -> Option<String> {
        let ingress = member.ingress;
        let namespace = &ingress.meta.namespace;
        let there = |name: &str| {
            let key = (namespace.clone(), name.to_owned());
            self.scope.secret(&key).is_some()
        };
        let mut secrets = ingress.tls_secrets.iter();
        let secret = secrets.find(|(name, hosts)| {
            let listed = hosts.is_empty() || hosts.iter().any(|one| holds_for(one, host));
            listed && there(name)
        });
        if let Some((name, _)) = secret {
            return Some(format!("{SECRET}{namespace}/{name}"));
        }
        let allowed = self.context.unknown_certificates == UnknownCertificates::SelfSigned;
        allowed.then(|| format!("{OWN}{host}"))
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
