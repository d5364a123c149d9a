//! What stands behind the ARN of a certificate (control-plane.md 5.2).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::file::{MAX_CERTIFICATE_HOSTS, Origin};
use elbow_model::yaml::Node;
use elbow_model::{LoadBalancerType, Scheme, dns_name, is_certificate_host};
use serde_json::Value;

use super::Surroundings;
use super::catalog::Catalog;
use super::draft::{self, Draft, Role};
use crate::context::{KnownCertificate, UnknownCertificates};
use crate::objects::Secret;
use crate::scope::Scope;
use crate::stack::{Reference, Stack};
use crate::{Context, Refusal, secret};

/// All certificates that are known, and who wants which.
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

    /// The certificate as the native file has it, under the name [`name`] gives it.
    pub(super) fn write(
        &self,
        arn: &str,
        origin: &Origin,
        draft: &mut Draft,
        found: &mut Vec<Diagnostic>,
    ) -> Result<Node, Refusal> {
        let at = draft.spot(origin.clone(), Role::Fixed);
        let mut fields = vec![("name", draft::text(at, name(arn)))];
        if let Some(known) = known(&self.context.certificates, arn) {
            let file = |path: &str| {
                let folder = Path::new(&self.context.file).parent();
                let path = folder.unwrap_or_else(|| Path::new("")).join(path);
                draft::text(at, path.display())
            };
            fields.push(("certificateFile", file(&known.certificate_file)));
            fields.push(("privateKeyFile", file(&known.private_key_file)));
        } else if let Some(secret) = self.secret(arn) {
            let (certificate, key) = secret::pair(secret)?;
            if arn.starts_with(SECRET) {
                found.push(beyond(secret, origin));
            }
            fields.push(("certificate", draft::text(at, certificate)));
            fields.push(("privateKey", draft::text(at, key)));
        } else {
            found.push(self.unknown(arn, origin)?);
            let hosts = few(&self.catalog.hosts(arn, self.scope));
            let hosts = hosts.iter().map(|host| draft::text(at, host)).collect();
            fields.push(("selfSigned", draft::list(at, hosts)));
        }
        Ok(draft::map(at, fields))
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
        let message = match arn.strip_prefix(OWN) {
            Some(host) => format!("no certificate holds for {host}"),
            None => format!("no certificate is known by \"{arn}\""),
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

/// The note that a Secret is used which AWS would not read.
fn beyond(secret: &Secret, origin: &Origin) -> Diagnostic {
    let message = format!(
        "the certificate of Secret {} is served, which spec.tls names; on AWS nothing reads it",
        secret.meta.key()
    );
    origin.place(Diagnostic::new(Severity::Note, "tls-secret", message))
}

/// How a listener names a Secret instead of an ARN.
pub(crate) const SECRET: &str = "secret/";

/// How a listener names a self-signed certificate instead of an ARN.
pub(crate) const OWN: &str = "self-signed/";

/// The name of a certificate in the model: its ARN, where that is fit to be a name.
pub(super) fn name(arn: &str) -> String {
    let fit = |letter: char| letter.is_ascii_alphanumeric() || "-_.:/*".contains(letter);
    let letters = arn.chars().take(256);
    letters
        .map(|letter| if fit(letter) { letter } else { '-' })
        .collect()
}

/// The certificates of a listener, each once: a certificate that two members of a group name stands
/// there twice. A listener that has none gets one of its own.
pub(super) fn of_listener(stack: &Stack, listener: &crate::stack::Listener) -> Vec<String> {
    let mut arns: Vec<String> = Vec::new();
    for certificate in &listener.certificates {
        if !arns.iter().any(|arn| name(arn) == name(&certificate.arn)) {
            arns.push(certificate.arn.clone());
        }
    }
    if arns.is_empty() && listener.protocol == "HTTPS" {
        arns.push(format!("{OWN}{}", stack.id));
    }
    arns
}

/// The certificate of the environment for an ARN: by the ARN, by its id alone, by a pattern.
fn known<'a>(certificates: &'a [KnownCertificate], arn: &str) -> Option<&'a KnownCertificate> {
    let by = |holds: &dyn Fn(&str) -> bool| certificates.iter().find(|known| holds(&known.arn));
    let id = arn.rsplit('/').next().filter(|id| !id.is_empty());
    by(&|known| known == arn)
        .or_else(|| by(&|known| Some(known) == id))
        .or_else(|| by(&|known| known.contains('*') && matches(known, arn)))
}

/// Whether `text` is what `pattern` says, where `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, pattern)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = pattern.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

/// The hosts that each certificate of a stack is wanted for: those of the Ingresses, the name of the load
/// balancer, and this machine.
pub(super) fn wanted(
    stack: &Stack,
    scope: Scope<'_>,
    context: &Context,
) -> Vec<(String, BTreeSet<String>)> {
    let mut wanted = Vec::new();
    let own = |kind, scheme: &str, name: &str| {
        let scheme = match scheme {
            "internal" => Scheme::Internal,
            _ => Scheme::InternetFacing,
        };
        let name = dns_name(kind, scheme, name, &context.dns_zone());
        BTreeSet::from([name, "localhost".to_owned()])
    };
    for balancer in stack.load_balancers.values() {
        let kind = match balancer.kind {
            "application" => LoadBalancerType::Application,
            _ => LoadBalancerType::Network,
        };
        for listener in stack.listeners.values() {
            let mut hosts = own(kind, &balancer.scheme, &balancer.name);
            hosts.extend(rule_hosts(stack, &listener.port.to_string()));
            let members = stack.members.iter();
            let members = members.filter_map(|key| scope.ingress(key));
            hosts.extend(members.flat_map(|ingress| ingress.tls_hosts.iter().cloned()));
            hosts.retain(|host| is_certificate_host(host));
            for arn in of_listener(stack, listener) {
                wanted.push((arn, hosts.clone()));
            }
        }
    }
    if let Some(classic) = &stack.classic {
        let arns = classic.listeners.iter();
        for arn in arns.filter_map(|listener| listener.ssl_certificate_id.clone()) {
            let hosts = own(
                LoadBalancerType::Classic,
                &classic.scheme,
                &classic.load_balancer_name,
            );
            wanted.push((arn, hosts));
        }
    }
    wanted
}

/// The hosts in the conditions of a listener's rules.
fn rule_hosts<'s>(stack: &'s Stack, port: &str) -> impl Iterator<Item = String> + use<'s> {
    let listener = Reference::listener(port);
    let rules = stack.rules.values();
    let rules = rules.filter(move |rule| rule.listener == listener);
    let conditions = rules.flat_map(|rule| &rule.conditions);
    let values = conditions.filter_map(|condition| {
        let config = condition.get("hostHeaderConfig")?;
        config.get("values")?.as_array()
    });
    values
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
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
            assert_eq!(matches(pattern, text), holds, "{pattern} {text}");
        }
    }
}
