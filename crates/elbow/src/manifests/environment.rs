//! The environment file: what manifests do not contain.

use std::path::Path;

use elbow_manifest::Context;
use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Account, Certificate, CertificateSpec, Invalid};

use super::{MAX_BYTES, TOO_LARGE};
use crate::text;

/// The name of the environment file in a folder of manifests.
pub(super) const NAME: &str = "environment.yaml";

/// Reads the environment file, with the host names of its certificates; errors are added to `found`.
pub(crate) fn read(path: Option<&Path>, found: &mut Vec<Diagnostic>) -> Context {
    let Some(path) = path else {
        return Context::default();
    };
    let name = path.display().to_string();
    let text = match text::read(path, MAX_BYTES, TOO_LARGE) {
        Ok(text) => text,
        Err(unreadable) => {
            found.push(unreadable);
            return Context::default();
        }
    };
    let (mut context, problems) = Context::parse(&text, &name);
    found.extend(problems);
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    for certificate in &mut context.certificates {
        let names = names_of(
            &folder.join(&certificate.certificate_file),
            &folder.join(&certificate.private_key_file),
        );
        match names {
            Ok(names) => certificate.names.extend(names),
            Err(reason) => {
                let message = format!("certificate {}: {reason}", certificate.arn);
                found.push(Diagnostic::error("unusable-certificate", message).at(&name, 0, 0));
            }
        }
    }
    context
}

/// The DNS names of the certificate in these PEM files, or why it cannot be used.
fn names_of(certificate: &Path, private_key: &Path) -> Result<Vec<String>, String> {
    let spec = CertificateSpec::files("environment", certificate, private_key);
    let files = Certificate::new(&spec).value.map_err(one_line)?;
    let loaded = elbow_tls::load(&files, &Account::default()).map_err(|error| error.to_string())?;
    Ok(loaded.names().iter().map(ToString::to_string).collect())
}

fn one_line(faults: Vec<Invalid>) -> String {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    faults.join("; ")
}

/// Whether `file` with the content `text` is an environment file, and not a manifest of the same name.
pub(super) fn is_environment(file: &Path, text: &str) -> bool {
    let is_object = |line: &str| line.starts_with("kind:") || line.starts_with("apiVersion:");
    file.file_name().is_some_and(|name| name == NAME) && !text.lines().any(is_object)
}

/// The warning about an environment file that is not the one in use.
pub(super) fn unused(name: &str) -> Diagnostic {
    let message = "this environment file is not used, because another one is";
    Diagnostic::warning("unused-environment", message)
        .at(name, 0, 0)
        .hint("name it with --environment, or name its folder first")
}
