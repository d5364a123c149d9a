//! Certificates of an HTTPS listener: by ARN, or found by host name.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use elbow_model::At;
use serde_json::{Value, json};

use super::Build;
use super::group::Member;
use super::tags::ingress_tags;
use crate::Refusal;
use crate::annotations::ingress as keys;
use crate::context::UnknownCertificates;
use crate::names;
use crate::objects::Ingress;
use crate::stack::{CERTIFICATE, CREATED, OWN, SECRET};

/// The existing Secrets of an Ingress's `spec.tls`, by their hosts in lower case: an Ingress may have thousands of
/// rules and of Secrets.
#[derive(Debug, Default)]
struct TlsSecrets<'a> {
    /// The index in `spec.tls` and the name of the first Secret for a host.
    by_host: BTreeMap<String, (usize, &'a str)>,
    /// The first Secret without hosts, which covers all hosts.
    of_all: Option<(usize, &'a str)>,
}

/// A certificate that the controller asks ACM for.
struct Created {
    /// Its id in the stack.
    id: String,
    spec: Value,
}

impl Build<'_> {
    /// Adds the certificates that members ask for.
    pub(super) fn add_certificates(&mut self) {
        for member in &self.group.members {
            if let Some(Created { id, spec }) = self.refused.or_default(self.created(member)) {
                let key = (CERTIFICATE.to_owned(), id);
                self.stack.others.insert(key, json!({"spec": spec}));
            }
        }
    }

    /// What stands for the ARN of the certificate that a member asks for.
    pub(super) fn created_arn(&self, member: &Member<'_>) -> Option<At<String>> {
        let Created { id, .. } = self.created(member).ok().flatten()?;
        let origin = member.ingress.meta.origin();
        let origin = member.annotations().origin(keys::CREATE_ACM_CERT, &origin);
        Some(At::new(format!("{CREATED}{id}"), origin))
    }

    /// The certificate that a member asks for (`pkg/ingress/model_build_certificates.go`).
    fn created(&self, member: &Member<'_>) -> Result<Option<Created>, Refusal> {
        let annotations = member.annotations();
        // The controller ignores a wrong value.
        let asks = annotations.boolean(keys::CREATE_ACM_CERT).ok().flatten() == Some(true);
        let is_explicit = annotations
            .list(keys::CERTIFICATE_ARN)
            .is_some_and(|list| !list.is_empty());
        let Some(found) = annotations
            .find(keys::CREATE_ACM_CERT)
            .filter(|_| asks && !is_explicit)
        else {
            return Ok(None);
        };
        if !self.context.gate(keys::CREATES_CERTIFICATES, false) {
            return Ok(None);
        }
        let hosts = hosts(member.ingress);
        let Some(first) = hosts.first() else {
            let message = format!(
                "{}: the Ingress has no host that a certificate could be for",
                keys::CREATE_ACM_CERT
            );
            let refusal = found.refuse("invalid-annotation", message);
            return Err(Box::new(
                refusal.hint("write hosts in spec.rules or spec.tls"),
            ));
        };
        let authority = annotations.text(keys::ACM_PCA_ARN).unwrap_or_default();
        let (kind, prefix) = if authority.is_empty() {
            ("AMAZON_ISSUED", "amazon_issued")
        } else {
            ("PRIVATE", "private")
        };
        // A tag holds the id, and has no asterisk.
        let name = first.replace('*', "wildcard");
        let hash: String = names::short_hash(&[&member.key()])
            .chars()
            .take(8)
            .collect();
        let mut tags = ingress_tags(member)?;
        tags.extend(self.context.defaults.tags.clone());
        let mut spec = json!({
            "type": kind,
            "certificateAuthorityARN": authority,
            "domainName": first,
            "subjectAlternativeNames": hosts,
            "validationMethod": "DNS",
            "keyAlgorithm": "",
        });
        if !tags.is_empty() {
            spec["tags"] = json!(tags);
        }
        let id = format!("{prefix}/{name}-{hash}");
        Ok(Some(Created { id, spec }))
    }

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

    /// The certificates that the class names, else the annotation.
    pub(super) fn explicit_certificates(&self, member: &Member<'_>) -> Vec<At<String>> {
        let meta = member.ingress.meta.origin();
        let annotations = member.annotations();
        let (arns, origin) = match member.params {
            Some(params) if !params.certificate_arns.is_empty() => {
                (params.certificate_arns.clone(), params.meta.origin())
            }
            _ => {
                let arns = annotations.list(keys::CERTIFICATE_ARN).unwrap_or_default();
                (arns, annotations.origin(keys::CERTIFICATE_ARN, &meta))
            }
        };
        arns.into_iter()
            .map(|arn| At::new(arn, origin.clone()))
            .collect()
    }

    /// The ARNs of all certificates that cover one of the hosts; a host without a certificate refuses the stack. Unlike
    /// AWS, a Secret with an ARN counts too, and for load balancers that serve, the Secrets of `spec.tls` and
    /// self-signed certificates.
    pub(super) fn find_certificates(
        &self,
        member: &Member<'_>,
    ) -> Result<Vec<At<String>>, Refusal> {
        let ingress = member.ingress;
        let hosts = hosts(ingress);
        let secrets = OnceCell::new();
        let mut arns = BTreeSet::new();
        for host in hosts {
            let mut found = self.known_certificates(host);
            if found.is_empty() && self.scope.is_serving() {
                let secrets = secrets.get_or_init(|| self.tls_secrets(member));
                found.extend(self.stand_in(member, host, secrets));
            }
            if found.is_empty() {
                let message = format!("no certificate covers the host {host}");
                let mut refusal = ingress.meta.refuse("no-certificate", message);
                refusal.hint = Some(format!(
                    "name one with {}, or add one to the environment file",
                    keys::CERTIFICATE_ARN.key
                ));
                return Err(refusal);
            }
            arns.extend(found);
        }
        let origin = ingress.meta.origin();
        let arns = arns.into_iter();
        Ok(arns.map(|arn| At::new(arn, origin.clone())).collect())
    }

    /// The certificates of the environment, and of Secrets with an ARN, that cover a host.
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

    /// A stand-in that AWS does not have: a Secret of `spec.tls`, else a self-signed certificate for the host.
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

/// The hosts that certificates are wanted for.
fn hosts(ingress: &Ingress) -> BTreeSet<&String> {
    let hosts = ingress.rules.iter().map(|rule| &rule.host);
    let hosts = hosts.filter(|host| !host.is_empty());
    hosts.chain(&ingress.tls_hosts).collect()
}

/// Whether a certificate for `name` covers `host`: the names are equal, or a wildcard replaces one label.
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
