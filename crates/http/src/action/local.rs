//! Actions that the load balancer answers itself: redirects and fixed responses (parity 1.4).

use std::borrow::Cow;
use std::fmt::Write;

use bytes::Bytes;
use elbow_model::{ContentType, FixedResponse, Redirect, RedirectStatus};

use crate::endpoint::Endpoint;
use crate::error::ErrorKind;
use crate::header::head::RequestHead;
use crate::header::uri::split_port;
use crate::page::{LocalResponse, page, reason};

/// Longest Location; beyond it the redirect is not made.
const MAX_LOCATION: usize = 8 * 1024;

/// The redirect of a request; 507 when its Location would be too long, 400 when the client's host
/// cannot stand in a URL.
pub(crate) fn redirect(
    redirect: &Redirect,
    head: &RequestHead<'_>,
    endpoint: &Endpoint,
) -> Result<LocalResponse, ErrorKind> {
    let location = location(redirect, head, endpoint)?;
    if location.len() > MAX_LOCATION {
        return Err(ErrorKind::RedirectTooLong);
    }
    let status = match redirect.status {
        RedirectStatus::Moved => 301,
        RedirectStatus::Found => 302,
    };
    Ok(LocalResponse {
        location: Some(location),
        ..page(status)
    })
}

/// The response of a fixed-response action.
pub(crate) fn fixed_response(fixed: &FixedResponse) -> LocalResponse {
    LocalResponse {
        status: fixed.status,
        reason: reason(fixed.status),
        content_type: Cow::Borrowed(match fixed.content_type {
            ContentType::TextPlain => "text/plain; charset=utf-8",
            ContentType::TextCss => "text/css; charset=utf-8",
            ContentType::TextHtml => "text/html; charset=utf-8",
            ContentType::Javascript => "application/javascript; charset=utf-8",
            ContentType::Json => "application/json; charset=utf-8",
        }),
        body: Bytes::copy_from_slice(fixed.body.as_bytes()),
        location: None,
        cookies: Vec::new(),
        bare: false,
    }
}

/// The parts of the request that placeholders stand for.
struct Request<'a> {
    protocol: &'static str,
    host: &'a str,
    port: u16,
    /// Without the leading `/`.
    path: &'a str,
    query: &'a str,
}

/// An absolute URL that always names its port (parity 1.4).
fn location(
    redirect: &Redirect,
    head: &RequestHead<'_>,
    endpoint: &Endpoint,
) -> Result<String, ErrorKind> {
    let target = &head.target;
    let host = match head.authority() {
        Some(authority) if !authority.is_empty() => host_text(authority)?,
        _ => &*endpoint.dns_name,
    };
    let request = Request {
        protocol: endpoint.scheme(),
        host,
        port: endpoint.port,
        path: target.path.strip_prefix('/').unwrap_or(target.path),
        query: target.query.unwrap_or_default(),
    };
    let mut out = String::with_capacity(128);
    let protocol_at = out.len();
    expand(&mut out, &redirect.protocol, &request);
    if let Some(protocol) = out.get_mut(protocol_at..) {
        protocol.make_ascii_lowercase();
    }
    out.push_str("://");
    expand(&mut out, &redirect.host, &request);
    out.push(':');
    expand(&mut out, &redirect.port, &request);
    expand(&mut out, &redirect.path, &request);
    let before_query = out.len();
    out.push('?');
    expand(&mut out, &redirect.query, &request);
    if out.len() == before_query + 1 {
        out.truncate(before_query);
    }
    Ok(out)
}

/// The host without its port, if it can stand in a URL.
fn host_text(authority: &[u8]) -> Result<&str, ErrorKind> {
    let (host, _) = split_port(authority);
    let allowed = |b: &u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'[' | b']' | b':')
    };
    match std::str::from_utf8(host) {
        Ok(text) if host.iter().all(allowed) => Ok(text),
        _ => Err(ErrorKind::BadRequest),
    }
}

/// Appends `template` with its placeholders filled in; an unknown one stays as it is written.
fn expand(out: &mut String, template: &str, request: &Request<'_>) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("#{") {
        push_escaped(out, before);
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        match name {
            "protocol" => out.push_str(request.protocol),
            "host" => out.push_str(request.host),
            // Writing to a String cannot fail.
            "port" => _ = write!(out, "{}", request.port),
            "path" => push_escaped(out, request.path),
            "query" => push_escaped(out, request.query),
            _ => {
                push_escaped(out, "#{");
                rest = after;
                continue;
            }
        }
        rest = tail;
    }
    push_escaped(out, rest);
}

/// Appends `text`, percent-encoding every byte that could end the field or the URL.
fn push_escaped(out: &mut String, text: &str) {
    if text.bytes().all(is_plain) {
        out.push_str(text);
        return;
    }
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\')
}

#[cfg(test)]
mod tests;
