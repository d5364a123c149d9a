//! Distinguished names as text (RFC 2253), as OpenSSL's option `-nameopt RFC2253` writes them.

use std::fmt::Write;

use x509_parser::asn1_rs::{Any, BmpString, Tag, ToDer};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The names of attribute types; OpenSSL's short names.
const TYPES: [(&str, &str); 22] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.44", "generationQualifier"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.65", "pseudonym"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("1.3.6.1.4.1.311.60.2.1.3", "jurisdictionC"),
];

/// `name` as text: the last part first, parts separated by commas, without spaces.
pub(crate) fn rfc2253(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name.iter().collect();
    let mut text = String::new();
    for (i, part) in parts.iter().rev().enumerate() {
        for (j, attribute) in part.iter().enumerate() {
            match (i, j) {
                (0, 0) => {}
                (_, 0) => text.push(','),
                _ => text.push('+'),
            }
            write_attribute(&mut text, attribute);
        }
    }
    text
}

fn write_attribute(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let oid = attribute.attr_type().to_id_string();
    let known = TYPES.iter().find(|(known, _)| *known == oid);
    text.push_str(known.map_or(&oid, |(_, name)| name));
    text.push('=');
    let value = attribute.attr_value();
    match decoded(value).filter(|_| known.is_some()) {
        Some(value) => write_escaped(text, &value),
        None => write_der(text, value),
    }
}

/// A value of a string type as text.
pub(crate) fn decoded(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::Ia5String
        | Tag::NumericString
        | Tag::VisibleString => str::from_utf8(value.data).ok().map(str::to_owned),
        // By common practice Latin-1.
        Tag::T61String => Some(value.data.iter().map(|&byte| char::from(byte)).collect()),
        Tag::BmpString => Some(BmpString::try_from(value.clone()).ok()?.string()),
        _ => None,
    }
}

/// Escapes what would end a value, and every byte that is not printable ASCII.
fn write_escaped(text: &mut String, value: &str) {
    let last = value.len().saturating_sub(1);
    for (i, byte) in value.bytes().enumerate() {
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b'#' if i == 0 => text.push_str("\\#"),
            b' ' if i == 0 || i == last => text.push_str("\\ "),
            b' '..=b'~' => text.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => _ = write!(text, "\\{byte:02X}"),
        }
    }
}

/// A value that has no text form: `#` and its encoding.
fn write_der(text: &mut String, value: &Any<'_>) {
    text.push('#');
    for byte in value.to_der_vec().unwrap_or_default() {
        _ = write!(text, "{byte:02X}");
    }
}
