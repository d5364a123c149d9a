//! Fields that a listener gives all its responses.

use std::sync::Arc;

use elbow_model::ListenerAttributes;

/// `routing.http.response.*` of a listener (ALB guide: header modification).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseFields {
    /// Each replaces a target's fields of the same name.
    inserts: Vec<(&'static str, Arc<str>)>,
    /// `Server` is left out of the load balancer's own responses.
    pub hides_server: bool,
}

impl ResponseFields {
    /// `None` when responses stay as they are.
    pub(crate) fn new(attributes: &ListenerAttributes) -> Option<Arc<Self>> {
        let changes = attributes.hides_server || !attributes.response_headers.is_empty();
        changes.then(|| {
            Arc::new(Self {
                inserts: attributes.response_headers.clone(),
                hides_server: attributes.hides_server,
            })
        })
    }

    /// Whether a field of a target's response is replaced.
    pub(crate) fn replaces(&self, name: &str) -> bool {
        let is = |(insert, _): &(&str, Arc<str>)| insert.eq_ignore_ascii_case(name);
        self.inserts.iter().any(is)
    }

    /// Names and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.inserts.iter().map(|(name, value)| (*name, &value[..]))
    }

    /// Appends the lines of HTTP/1.1.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in self.iter() {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}
