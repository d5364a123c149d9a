//! Which fields of a response pass on to the client.

use super::additions::Additions;
use super::fields::is_hop_by_hop;
use crate::h1::lists;
use crate::h1::response::Response;
use crate::header::head::Header;

/// The fields of `response` that the client gets: neither those of the connection to the target
/// (RFC 9110, 7.6.1), nor those that frame the body, nor those that `additions` replaces.
pub(crate) fn passed<'r>(
    response: &'r Response<'_>,
    additions: &'r Additions,
) -> impl Iterator<Item = &'r Header<'r>> {
    let nominating = nominates(response);
    response.fields.iter().filter(move |field| {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        !(is_hop_by_hop(field.name)
            || is("content-length")
            || is("transfer-encoding")
            || (nominating && is_nominated(response, field.name))
            || additions.replace(field.name))
    })
}

/// Whether Connection names fields besides the options that are hop-by-hop anyway.
fn nominates(response: &Response<'_>) -> bool {
    connection(response).any(|value| {
        !(value.eq_ignore_ascii_case(b"keep-alive")
            || value.eq_ignore_ascii_case(b"close")
            || value.eq_ignore_ascii_case(b"upgrade"))
    })
}

/// Whether Connection names `name`.
fn is_nominated(response: &Response<'_>, name: &str) -> bool {
    connection(response).any(|value| lists(value, name))
}

fn connection<'r>(response: &'r Response<'_>) -> impl Iterator<Item = &'r [u8]> {
    let named = |f: &&Header<'_>| f.name.eq_ignore_ascii_case("connection");
    response.fields.iter().filter(named).map(|f| f.value)
}
