//! The certificate that an ARN means (control-plane.md 5.2).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::{At, CertificateSpec, MAX_CERTIFICATE_HOSTS, Origin, PrivateKey};

use super::Surroundings;
use super::catalog::Catalog;
use super::hosts::name;
use super::values::is_match;
use crate::context::{KnownCertificate, UnknownCertificates};
use crate::objects::Secret;
use crate::scope::Scope;
use crate::stack::{CREATED, OWN, SECRET};
use crate::{Context, Refusal, secret};

/// All known certificates, and which stacks want them.
pub(super) struct Certificates<'a> {
    context: &'a Context,
    scope: Scope<'a>,
    catalog: &'a Catalog,
}

impl<'a> Certificates<'a> {
    pub(super) fn new(surroundings: &Surroundings<'a>) -> Self {
        let Surroundings {
            context,
            scope,
            catalog,
        } = *surroundings;
        Self {
            context,
            scope,
            catalog,
        }
    }

    /// The certificate in the words of the model, under the name that [`name`] gives it.
    pub(super) fn spec(
        &self,
        arn: &At<String>,
        notes: &mut Vec<Diagnostic>,
    ) -> Result<CertificateSpec, Refusal> {
        let At {
            value: text,
            origin,
        } = arn;
        let spec = CertificateSpec {
            name: Some(name(text)),
            declared: Some((origin.file.clone(), origin.line, origin.column)),
            ..CertificateSpec::default()
        };
        if let Some(known) = known(&self.context.certificates, text) {
            let folder = Path::new(&self.context.file).parent();
            let folder = folder.unwrap_or_else(|| Path::new(""));
            return Ok(CertificateSpec {
                certificate_file: Some(folder.join(&known.certificate_file)),
                private_key_file: Some(folder.join(&known.private_key_file)),
                ..spec
            });
        }
        if let Some(secret) = self.secret(text) {
            let (certificate, key) = secret::pair(secret)?;
            if text.starts_with(SECRET) {
                notes.push(beyond(secret, origin));
            }
            return Ok(CertificateSpec {
                certificate: Some(certificate),
                private_key: Some(PrivateKey::new(key)),
                ..spec
            });
        }
        notes.push(self.unknown(text, origin)?);
        let hosts = few(&self.catalog.hosts(text, self.scope));
        Ok(CertificateSpec {
            self_signed: Some(hosts.into_iter().collect()),
            ..spec
        })
    }

    fn secret(&self, arn: &str) -> Option<&'a Secret> {
        if let Some(key) = arn.strip_prefix(SECRET) {
            let (namespace, name) = key.split_once('/')?;
            let key = (namespace.to_owned(), name.to_owned());
            return self.scope.secret(&key);
        }
        self.scope.secret_of(arn)
    }

    /// The warning that a self-signed certificate stands in, or the error that none does.
    fn unknown(&self, arn: &str, origin: &Origin) -> Result<Diagnostic, Refusal> {
        let code = "certificate-not-found";
        let hint = "map it to files by certificates in the environment, or annotate a Secret of type \
                    kubernetes.io/tls with elbow.dev/certificate-arn";
        let message = if let Some(host) = arn.strip_prefix(OWN) {
            format!("no certificate holds for {host}")
        } else if arn.starts_with(CREATED) {
            "elbow has no ACM that makes the certificate".to_owned()
        } else {
            format!("no certificate is known by \"{arn}\"")
        };
        match self.context.unknown_certificates {
            UnknownCertificates::SelfSigned => {
                let message = format!("{message}; a self-signed one stands in");
                Ok(origin.place(Diagnostic::warning(code, message)).hint(hint))
            }
            UnknownCertificates::Fail => {
                let error = origin.place(Diagnostic::error(code, message)).hint(hint);
                Err(Box::new(error))
            }
        }
    }
}

/// The note that elbow serves a Secret that AWS would not read.
fn beyond(secret: &Secret, origin: &Origin) -> Diagnostic {
    let message = format!(
        "the certificate of Secret {} is served, which spec.tls names; on AWS nothing reads it",
        secret.meta.key()
    );
    origin.place(Diagnostic::new(Severity::Note, "tls-secret", message))
}

/// The certificate of the environment for an ARN: by the ARN, by its id alone, by a pattern.
fn known<'a>(certificates: &'a [KnownCertificate], arn: &str) -> Option<&'a KnownCertificate> {
    let by = |holds: &dyn Fn(&str) -> bool| certificates.iter().find(|known| holds(&known.arn));
    let id = arn.rsplit('/').next().filter(|id| !id.is_empty());
    by(&|known| known == arn)
        .or_else(|| by(&|known| Some(known) == id))
        .or_else(|| by(&|known| known.contains('*') && is_match(known, arn)))
}

/// As many hosts as one certificate may have: when there are more, those that share a parent become a wildcard.
fn few(hosts: &BTreeSet<String>) -> BTreeSet<String> {
    if hosts.len() <= MAX_CERTIFICATE_HOSTS {
        return hosts.clone();
    }
    let parent = |host: &str| host.split_once('.').map(|(_, parent)| parent.to_owned());
    let mut children: BTreeMap<String, usize> = BTreeMap::new();
    for parent in hosts.iter().filter_map(|host| parent(host)) {
        *children.entry(parent).or_default() += 1;
    }
    let shared = |host: &String| match parent(host) {
        Some(parent) if parent.contains('.') && children.get(&parent) > Some(&1) => {
            format!("*.{parent}")
        }
        _ => host.clone(),
    };
    let hosts: BTreeSet<String> = hosts.iter().map(shared).collect();
    hosts.into_iter().take(MAX_CERTIFICATE_HOSTS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// control-plane.md 5.2, rule 1: an ARN, its id alone, a pattern; the nearest first.
    #[test]
    fn the_environment_knows_arns_ids_and_patterns() {
        let certificate = |arn: &str| KnownCertificate {
            arn: arn.to_owned(),
            certificate_file: String::new(),
            private_key_file: String::new(),
            names: Vec::new(),
        };
        let all = [
            "arn:aws:acm:*:certificate/*",
            "1-2",
            "arn:aws:acm:r:a:certificate/33",
            "arn:aws:acm:r:a:certificate/3",
        ];
        let all = all.map(certificate);
        let found = |arn| known(&all, arn).map(|known| &*known.arn);
        assert_eq!(
            found("arn:aws:acm:r:a:certificate/3"),
            Some("arn:aws:acm:r:a:certificate/3")
        );
        assert_eq!(found("arn:aws:acm:r:a:certificate/1-2"), Some("1-2"));
        assert_eq!(
            found("arn:aws:acm:x:certificate/9"),
            Some("arn:aws:acm:*:certificate/*")
        );
        assert_eq!(found("arn:aws:iam::a:server-certificate/web"), None);
    }

    #[test]
    fn many_hosts_share_wildcards() {
        let mut hosts: BTreeSet<String> = (0..500).map(|n| format!("h{n}.example.com")).collect();
        hosts.extend(["localhost".to_owned(), "a.other.example".to_owned()]);
        let few: Vec<String> = few(&hosts).into_iter().collect();
        assert_eq!(few, ["*.example.com", "a.other.example", "localhost"]);
    }

    #[test]
    fn patterns_are_whole() {
        for (pattern, text, holds) in [
            ("a*", "a", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("*b*d", "abcd", true),
            ("*b*b", "ab", false),
            ("a", "ab", false),
        ] {
            assert_eq!(is_match(pattern, text), holds, "{pattern} {text}");
        }
    }
}
