//! The certificates of a model that are to be issued.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Certificate, CertificateSource, Model};

use super::home::{Error, Home, normal};
use super::issuer::Authority;

/// Replaces each self-signed certificate of `model` by one from this user's authority.
///
/// # Errors
/// A diagnostic for each certificate that could not be issued.
pub(crate) fn resolve(model: Model) -> Result<Model, Vec<Diagnostic>> {
    let Some(wanted) = model.certificates.iter().find(|c| is_self_signed(c)) else {
        return Ok(model);
    };
    match Home::find() {
        Ok(home) => resolve_with(&home, model),
        Err(error) => Err(vec![refusal(wanted, &error)]),
    }
}

/// As [`resolve`], with the authority in `home`, which is opened only if a certificate is to be issued.
///
/// # Errors
/// As [`resolve`].
pub(crate) fn resolve_with(home: &Home, model: Model) -> Result<Model, Vec<Diagnostic>> {
    let mut authority = None;
    let issue = |hosts: &[Arc<str>]| {
        let authority = match &mut authority {
            Some(authority) => authority,
            none => none.insert(Authority::open(home)?),
        };
        Ok::<_, Error>(authority.leaf(hosts)?.file)
    };
    let (model, refused) = replace(model, issue);
    if refused.is_empty() {
        Ok(model)
    } else {
        Err(refused)
    }
}

/// `model` with the path of each certificate that this user's authority issues, whether it is issued yet or not.
pub(crate) fn locate(model: Model) -> Model {
    let Ok(home) = Home::find() else {
        return model;
    };
    let place = |hosts: &[Arc<str>]| Ok::<_, Error>(home.leaf(&normal(hosts)));
    // Computing a path cannot fail.
    let (model, _) = replace(model, place);
    model
}

fn is_self_signed(certificate: &Certificate) -> bool {
    matches!(certificate.source, CertificateSource::SelfSigned { .. })
}

/// `model` with the file that `issue` returns for the hosts of each self-signed certificate.
fn replace(
    mut model: Model,
    mut issue: impl FnMut(&[Arc<str>]) -> Result<PathBuf, Error>,
) -> (Model, Vec<Diagnostic>) {
    let mut issued: HashMap<Arc<str>, Arc<Certificate>> = HashMap::new();
    let mut refused = Vec::new();
    for certificate in &mut model.certificates {
        let CertificateSource::SelfSigned { hosts } = &certificate.source else {
            continue;
        };
        match issue(hosts) {
            Ok(file) => {
                let source = CertificateSource::Files {
                    certificate: file.clone(),
                    private_key: file,
                };
                Arc::make_mut(certificate).source = source;
                issued.insert(Arc::clone(&certificate.name), Arc::clone(certificate));
            }
            Err(error) => refused.push(refusal(certificate, &error)),
        }
    }
    for balancer in &mut model.load_balancers {
        balancer.replace_certificates(|name| issued.get(name));
    }
    (model, refused)
}

fn refusal(certificate: &Certificate, error: &Error) -> Diagnostic {
    let (file, line, column) = certificate.declared.clone().unwrap_or_default();
    let message = format!("cannot issue certificate \"{}\": {error}", certificate.name);
    Diagnostic::error("certificate-not-issued", message)
        .at(&*file, line, column)
        .object(format!("certificate/{}", certificate.name))
        .hint("name another folder for the local authority with ELBOW_CA_DIR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn self_signed_certificate_is_issued_to_its_located_path() {
        let text = "
loadBalancers:
- name: a
  type: network
  listeners:
  - {port: 443, protocol: TLS, certificates: [own], defaultActions: [{type: forward, forwardConfig: {targetGroups: [{targetGroup: g}]}}]}
targetGroups: [{name: g, protocol: TCP, port: 1}]
certificates: [{name: own, selfSigned: [a.example]}]
";
        let model = elbow_native::parse(text, "a.yaml").0.unwrap();
        let folder = std::env::temp_dir().join(format!("elbow-models-{}", std::process::id()));
        let home = Home::at(&folder);
        let resolved = resolve_with(&home, model).unwrap();
        assert_eq!(elbow_plane::check(&resolved), []);
        let listener = &resolved.load_balancers[0].listeners[0];
        assert_eq!(listener.certificates, resolved.certificates);
        let CertificateSource::Files { certificate, .. } = &resolved.certificates[0].source else {
            panic!("{resolved:?}");
        };
        assert_eq!(*certificate, home.leaf(&["a.example".to_owned()]));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
