//! What the load balancer adds to a target's response: fields by attributes of the listener, and
//! cookies of sticky sessions.

use std::borrow::Cow;
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
        let mut sets_cookies = false;
        for value in self.cookies(response) {
            out.extend_from_slice(b"Set-Cookie: ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
            sets_cookies = true;
        }
        if sets_cookies && self.cookies.as_ref().is_some_and(|c| c.forbids_caching) {
            let mut names = response.fields.iter().map(|field| field.name);
            if !names.any(|name| name.eq_ignore_ascii_case("cache-control")) {
                out.extend_from_slice(b"Cache-control: no-cache=\"set-cookie\"\r\n");
            }
        }
        if let Some(fields) = &self.fields {
            fields.write(out);
        }
    }

    /// The values of Set-Cookie for `response`.
    pub(crate) fn cookies<'s>(
        &'s self,
        response: &Response<'_>,
    ) -> impl Iterator<Item = Cow<'s, str>> {
        let cookies = self.cookies.iter();
        cookies.flat_map(move |cookies| due(cookies, response))
    }
}

/// Those of `cookies` that belong to `response`.
fn due<'c>(cookies: &'c Cookies, response: &Response<'_>) -> impl Iterator<Item = Cow<'c, str>> {
    let set_by_target = |name: &str| {
        let mut fields = response.fields.iter();
        let field = fields.find(|field| {
            field.name.eq_ignore_ascii_case("set-cookie") && cookie::sets(field.value, name)
        });
        field.map(|field| field.value)
    };
    let of_application = cookies.of_application.iter().flat_map(move |one| {
        let (values, attributes) = match set_by_target(&one.name) {
            None => (&one.without, None),
            // The guide ignores cookies that end like this.
            Some(field) if one.follows && field.trim_ascii_end().ends_with(b";") => {
                (&one.without, None)
            }
            Some(field) => (&one.beside, one.follows.then(|| cookie::attributes(field))),
        };
        values.iter().map(move |value| match &attributes {
            None => Cow::Borrowed(&**value),
            Some(attributes) => Cow::Owned(format!("{value}{attributes}")),
        })
    });
    let always = cookies.always.iter().map(|value| Cow::Borrowed(&**value));
    always.chain(of_application)
}
