use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Declared;
use super::item::{Item, Seen};
use crate::Certificate;

pub(super) const FIELDS: &[&str] = &["name", "certificateFile", "privateKeyFile"];

pub(super) fn read(item: &Item<'_>, names: &mut Seen<Arc<str>>) -> Option<Declared<Certificate>> {
    let name = item.peek("name").unwrap_or_default();
    let item = item.of(format!("certificate/{name}"));
    let fields = item.fields(FIELDS)?;
    let file = |field| {
        let item = fields.required(field)?;
        let text = item.text()?;
        if text.is_empty() {
            item.error("missing-field", format!("{field} names no file"));
        }
        Some(beside(item.file(), text))
    };
    let certificate_file = file("certificateFile").unwrap_or_default();
    let private_key_file = file("privateKeyFile").unwrap_or_default();
    let name_item = fields.required("name")?;
    let name = label(&name_item)?;
    names.check(name.clone(), &name_item, "duplicate-name");
    Some(Declared {
        name: name.clone(),
        protocol: None,
        value: Arc::new(Certificate {
            name,
            certificate_file,
            private_key_file,
            declared: Some(item.place()),
        }),
    })
}

/// A path as seen from the folder of `file`.
fn beside(file: &str, path: &str) -> PathBuf {
    Path::new(file)
        .parent()
        .unwrap_or_else(|| Path::new(""))
        .join(path)
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
