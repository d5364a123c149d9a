//! What the load balancer adds to a target's response: fields by attributes of the listener, and
//! cookies of sticky sessions.

use std::sync::Arc;

use crate::action::sticky::Cookies;
use crate::h1::response::Response;
use crate::header::cookie;
use crate::header::response_fields::ResponseFields;

/// What is added to one response.
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
        for value in self.cookies(response) {
            out.extend_from_slice(b"Set-Cookie: ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if let Some(fields) = &self.fields {
            fields.write(out);
        }
    }

    /// The values of Set-Cookie for `response`.
    pub(crate) fn cookies<'s>(&'s self, response: &Response<'_>) -> impl Iterator<Item = &'s str> {
        let cookies = self.cookies.iter();
        cookies.flat_map(move |cookies| due(cookies, response))
    }
}

/// Those of `cookies` that belong to `response`.
fn due<'c>(cookies: &'c Cookies, response: &Response<'_>) -> impl Iterator<Item = &'c str> {
    let sets = |name: &str| {
        response.fields.iter().any(|field| {
            field.name.eq_ignore_ascii_case("set-cookie") && cookie::sets(field.value, name)
        })
    };
    let of_application = cookies.of_application.iter().flat_map(move |one| {
        if sets(&one.name) {
            &one.beside
        } else {
            &one.without
        }
    });
    cookies
        .always
        .iter()
        .chain(of_application)
        .map(String::as_str)
}
