use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Declared;
use super::item::{Fields, Item, Seen};
use crate::{Certificate, CertificateSource, PrivateKey, is_certificate_host};

pub(super) const FIELDS: &[&str] = &[
    "name",
    "certificateFile",
    "privateKeyFile",
    "certificate",
    "privateKey",
    "selfSigned",
];
/// The fields that say where a certificate comes from, of which it has those of one line.
pub(super) const FORMS: [(&[&str], Reader); 3] = [
    (&["certificateFile", "privateKeyFile"], files),
    (&["certificate", "privateKey"], texts),
    (&["selfSigned"], self_signed),
];
type Reader = fn(&Fields<'_>) -> Option<CertificateSource>;
/// Hosts of one certificate (ACM quotas: domain names per certificate, at most).
pub const MAX_HOSTS: usize = 100;

pub(super) fn read(item: &Item<'_>, names: &mut Seen<Arc<str>>) -> Option<Declared<Certificate>> {
    let name = item.peek("name").unwrap_or_default();
    let item = item.of(format!("certificate/{name}"));
    let fields = item.fields(FIELDS)?;
    // What is wrong with it has been reported, and keeps the file from being served.
    let source = source(&item, &fields)
        .unwrap_or_else(|| CertificateSource::SelfSigned { hosts: Vec::new() });
    let name_item = fields.required("name")?;
    let name = label(&name_item)?;
    names.check(name.clone(), &name_item, "duplicate-name");
    Some(Declared {
        name: name.clone(),
        protocol: None,
        value: Arc::new(Certificate {
            name,
            source,
            declared: Some(item.place()),
        }),
    })
}

fn source(item: &Item<'_>, fields: &Fields<'_>) -> Option<CertificateSource> {
    let mut given = FORMS
        .iter()
        .filter(|(form, _)| form.iter().any(|field| fields.get(field).is_some()));
    let Some((form, read)) = given.next() else {
        item.error_with(
            "missing-field",
            "nothing says where this certificate comes from",
            "give certificateFile and privateKeyFile, certificate and privateKey, or selfSigned"
                .to_owned(),
        );
        return None;
    };
    let mut others = given.flat_map(|(form, _)| *form);
    if let Some(field) = others.find_map(|field| fields.get(field)) {
        let first = form.join(" and ");
        field.error_with(
            "invalid-combination",
            "a certificate comes from one place alone",
            format!("keep this or {first}"),
        );
        return None;
    }
    read(fields)
}

fn files(fields: &Fields<'_>) -> Option<CertificateSource> {
    let certificate = file(fields, "certificateFile");
    let private_key = file(fields, "privateKeyFile");
    Some(CertificateSource::Files {
        certificate: certificate?,
        private_key: private_key?,
    })
}

fn texts(fields: &Fields<'_>) -> Option<CertificateSource> {
    let text = |field| fields.required(field)?.text();
    let certificate = text("certificate");
    let private_key = text("privateKey");
    Some(CertificateSource::Pem {
        certificate: certificate?.into(),
        private_key: PrivateKey::new(private_key?),
    })
}

fn file(fields: &Fields<'_>, field: &str) -> Option<PathBuf> {
    let item = fields.required(field)?;
    let text = item.text()?;
    if text.is_empty() {
        item.error("missing-field", format!("{field} names no file"));
    }
    Some(beside(item.file(), text))
}

/// A path as seen from the folder of `file`.
fn beside(file: &str, path: &str) -> PathBuf {
    Path::new(file)
        .parent()
        .unwrap_or_else(|| Path::new(""))
        .join(path)
}

fn self_signed(fields: &Fields<'_>) -> Option<CertificateSource> {
    let item = fields.get("selfSigned")?;
    let items = item.items();
    if !(1..=MAX_HOSTS).contains(&items.len()) {
        let message = format!(
            "a certificate is for 1 to {MAX_HOSTS} hosts, not {}",
            items.len()
        );
        item.error("out-of-range", message);
    }
    let mut hosts: Vec<Arc<str>> = Vec::new();
    for item in items {
        let Some(text) = item.text() else { continue };
        if !is_certificate_host(text) {
            item.error_with(
                "invalid-host",
                format!("{text:?} is no host that a certificate can be for"),
                "a DNS name, one with * for its first label, or an IP address".to_owned(),
            );
        }
        let host = text.to_ascii_lowercase().into();
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Some(CertificateSource::SelfSigned { hosts })
}

/// A name that is safe in an access log and an ARN.
fn label(item: &Item<'_>) -> Option<Arc<str>> {
    let text = item.text()?;
    let valid = (1..=256).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.:/*".contains(&b));
    if !valid {
        item.error_with(
            "invalid-name",
            format!("{text:?} cannot be a certificate's name"),
            "1 to 256 letters, digits and - _ . : / *".to_owned(),
        );
        return None;
    }
    Some(text.into())
}
