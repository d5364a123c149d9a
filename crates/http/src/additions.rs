//! What the load balancer adds to responses: fields by attributes of the listener, and its cookies.

use std::sync::Arc;

use elbow_model::ListenerAttributes;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue, SET_COOKIE};

use crate::cookie;
use crate::h1::response::Response;

/// `routing.http.response.*` of a listener (ALB guide: header modification).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseFields {
    /// In place of the target's own.
    inserts: Vec<(&'static str, Arc<str>)>,
    /// `Server` is left out of responses of our own.
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

    fn replaces(&self, name: &str) -> bool {
        let is = |(insert, _): &(&str, Arc<str>)| insert.eq_ignore_ascii_case(name);
        self.inserts.iter().any(is)
    }

    /// Appends the lines of HTTP/1.1.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in &self.inserts {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Puts the fields among those of HTTP/2.
    pub(crate) fn put(&self, fields: &mut HeaderMap) {
        for (name, value) in &self.inserts {
            let name = HeaderName::from_bytes(name.as_bytes());
            // Names are known, and values were checked when they were read.
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
                fields.insert(name, value);
            }
        }
    }
}

/// Cookies for one response.
#[derive(Debug, Default)]
pub(crate) struct Cookies {
    /// Values of Set-Cookie.
    pub(crate) always: Vec<String>,
    /// One that comes only beside a cookie of the target's, with that one's name.
    pub(crate) beside: Option<(Arc<str>, String)>,
}

impl Cookies {
    fn due<'s>(&'s self, response: &Response<'_>) -> impl Iterator<Item = &'s str> {
        let beside = self.beside.as_ref().filter(|(name, _)| {
            response.fields.iter().any(|field| {
                field.name.eq_ignore_ascii_case("set-cookie") && cookie::sets(field.value, name)
            })
        });
        let always = self.always.iter().map(|value| &value[..]);
        always.chain(beside.map(|(_, value)| &value[..]))
    }
}

/// What one response of a target gets besides.
#[derive(Debug, Default)]
pub(crate) struct Additions {
    pub(crate) fields: Option<Arc<ResponseFields>>,
    pub(crate) cookies: Option<Box<Cookies>>,
}

impl Additions {
    /// Whether the target's own field of this name is left out.
    pub(crate) fn replace(&self, name: &str) -> bool {
        self.fields.as_ref().is_some_and(|f| f.replaces(name))
    }

    /// Appends the lines of HTTP/1.1.
    pub(crate) fn write(&self, out: &mut Vec<u8>, response: &Response<'_>) {
        if let Some(cookies) = &self.cookies {
            for value in cookies.due(response) {
                out.extend_from_slice(b"Set-Cookie: ");
                out.extend_from_slice(value.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
        }
        if let Some(fields) = &self.fields {
            fields.write(out);
        }
    }

    /// Puts the fields among those of HTTP/2.
    pub(crate) fn put(&self, fields: &mut HeaderMap, response: &Response<'_>) {
        if let Some(cookies) = &self.cookies {
            for value in cookies.due(response) {
                // Made of visible ASCII.
                if let Ok(value) = HeaderValue::from_str(value) {
                    fields.append(SET_COOKIE, value);
                }
            }
        }
        if let Some(more) = &self.fields {
            more.put(fields);
        }
    }
}
