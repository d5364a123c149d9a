//! Fields of Services with the values that the API server assumes.

use crate::Cursor;

/// The type that the API server assumes.
pub(super) fn type_of<'a>(spec: &Cursor<'a>) -> &'a str {
    let text = spec.text_of("type").filter(|text| !text.is_empty());
    text.unwrap_or("ClusterIP")
}

/// The text of a field, empty if it is absent.
pub(super) fn text<'a>(of: &Cursor<'a>, field: &str) -> &'a str {
    of.text_of(field).unwrap_or_default()
}

pub(super) fn is_headless(spec: &Cursor<'_>) -> bool {
    let ips = spec.get("clusterIPs");
    match ips.items().count() {
        0 => text(spec, "clusterIP") == "None",
        count => count == 1 && ips.item(0).text() == Some("None"),
    }
}

pub(super) fn protocol<'a>(port: &Cursor<'a>) -> &'a str {
    let text = port.text_of("protocol").filter(|text| !text.is_empty());
    text.unwrap_or("TCP")
}
