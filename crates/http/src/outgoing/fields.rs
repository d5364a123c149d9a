//! The fields of a request as its target gets them (parity 1.11), written in one pass.
//!
//! Framing (`Content-Length`, `Transfer-Encoding`) is left out: `super::request` adds it.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use elbow_auth::Identity;
use elbow_model::{ClientCertificateHeaders, XffHeaderProcessingMode};
use elbow_net::{ClientCertificate, ConnMeta};

use crate::error::ErrorKind;
use crate::header::head::{RequestHead, Version};
use crate::header::uri::split_port;
use crate::listener::Listener;
use crate::outgoing::trace_id;
use crate::page::digits;

/// Names in Connection beyond which it is an attack, since each is looked for in every field.
const MAX_CONNECTION_OPTIONS: usize = 64;

/// Where a request comes from and what becomes of it.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The listener that accepted it.
    pub listener: &'a Listener,
    /// The client connection.
    pub meta: &'a ConnMeta,
    /// Whether the client's upgrade is passed on.
    pub upgrade: bool,
    /// The host that a rule's transform made; it has a port only if the transform added one.
    pub host: Option<&'a [u8]>,
    /// The user that the request comes from.
    pub identity: Option<&'a Identity>,
    /// Seconds since the epoch.
    pub now: u64,
}

/// What [`write_fields`] wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where the value of X-Amzn-Trace-Id is in the output.
    pub trace_id: Range<usize>,
    /// Fields with a name other than `[-A-Za-z0-9]+`, dropped or forwarded by the attribute
    /// `routing.http.drop_invalid_header_fields.enabled`.
    pub invalid_names: u32,
}

/// Appends the field lines for the target, each with its CRLF, without the empty line at the end.
pub fn write_fields(
    out: &mut Vec<u8>,
    head: &RequestHead<'_>,
    origin: &Origin<'_>,
    random: impl FnMut() -> u64,
) -> Result<Written, ErrorKind> {
    let survey = Survey::of(head)?;
    let attributes = &origin.listener.attributes;
    let personality = &origin.listener.personality.http;
    let max_addresses = personality.max_forwarded_addresses;
    if max_addresses.is_some_and(|max| survey.addresses > max) {
        return Err(ErrorKind::TooManyForwardedAddresses);
    }
    out.reserve(survey.size + 256);
    let authority = head.authority().filter(|authority| !authority.is_empty());
    let kept_host = authority
        .filter(|_| attributes.preserve_host_header && survey.has_host && origin.host.is_none());
    if kept_host.is_none() {
        write_host(out, authority, origin);
    }
    let mut trace = None;
    let mut host_done = false;
    let mut forwarded_for_done = false;
    let mut cookie_done = false;
    let mut invalid_names = 0;
    for field in head.fields {
        match classify(field.name) {
            Class::Hop | Class::Framing | Class::Ours => {}
            // Only the host that the rules saw (RFC 9112, 3.2 and 3.2.2). By ALB's guide every Host
            // field goes on, which would let a target read another host than the rules did.
            Class::Host => {
                if let Some(host) = kept_host.filter(|_| !host_done) {
                    write_field(out, field.name, host);
                    host_done = true;
                }
            }
            Class::ForwardedFor => match attributes.xff_header_processing_mode {
                XffHeaderProcessingMode::Append if forwarded_for_done => {}
                XffHeaderProcessingMode::Append if survey.nominates(head, field.name) => {}
                XffHeaderProcessingMode::Append => {
                    append_forwarded_for(out, head.values(X_FORWARDED_FOR), origin);
                    forwarded_for_done = true;
                }
                XffHeaderProcessingMode::Preserve => {
                    let name = match head.version {
                        Version::H2 => X_FORWARDED_FOR,
                        _ => field.name,
                    };
                    write_field(out, name, field.value);
                }
                XffHeaderProcessingMode::Remove => {}
            },
            Class::TraceId if !personality.trace_id => write_field(out, field.name, field.value),
            Class::TraceId => trace = trace.or(Some(field.value)),
            Class::Cookie if head.version == Version::H2 => {
                if !cookie_done {
                    write_cookie_crumbs(out, head);
                    cookie_done = true;
                }
            }
            Class::Cookie | Class::Other => {
                if survey.nominates(head, field.name) {
                    continue;
                }
                if origin.listener.has_renamed(field.name) {
                    continue;
                }
                if !is_valid_name(field.name) {
                    invalid_names += 1;
                    if attributes.drop_invalid_header_fields {
                        continue;
                    }
                }
                write_field(out, field.name, field.value);
            }
        }
    }
    if !forwarded_for_done
        && attributes.xff_header_processing_mode == XffHeaderProcessingMode::Append
    {
        append_forwarded_for(out, std::iter::empty(), origin);
    }
    write_facts(out, head, origin);
    let trace_id = if personality.trace_id {
        out.extend_from_slice(b"X-Amzn-Trace-Id: ");
        let written = trace_id::write(out, trace, survey.size, origin.now, random);
        out.extend_from_slice(b"\r\n");
        written
    } else {
        out.len()..out.len()
    };
    Ok(Written {
        trace_id,
        invalid_names,
    })
}

const X_FORWARDED_FOR: &str = "X-Forwarded-For";

/// Facts about all fields that the treatment of a single one depends on.
struct Survey {
    /// Bytes of the head, approximately.
    size: usize,
    has_host: bool,
    /// Number of addresses in X-Forwarded-For.
    addresses: usize,
    /// Connection names fields that would otherwise be forwarded.
    nominating: bool,
}

impl Survey {
    fn of(head: &RequestHead<'_>) -> Result<Self, ErrorKind> {
        let mut survey = Self {
            size: head.method.len() + head.target.text.len() + " HTTP/1.1\r\n\r\n".len(),
            has_host: false,
            addresses: 0,
            nominating: false,
        };
        let mut options = 0;
        for field in head.fields {
            survey.size += field.name.len() + field.value.len() + ": \r\n".len();
            match field.name.len() {
                4 if field.name.eq_ignore_ascii_case("host") => {
                    survey.has_host = true;
                }
                10 if field.name.eq_ignore_ascii_case("connection") => {
                    for option in list(field.value) {
                        options += 1;
                        survey.nominating |= !is_harmless_option(option);
                    }
                }
                15 if field.name.eq_ignore_ascii_case(X_FORWARDED_FOR) => {
                    survey.addresses += list(field.value).count();
                }
                _ => {}
            }
        }
        if options > MAX_CONNECTION_OPTIONS {
            return Err(ErrorKind::BadRequest);
        }
        Ok(survey)
    }

    /// Whether Connection names `name`, so that it is not forwarded (RFC 9110, 7.6.1).
    fn nominates(&self, head: &RequestHead<'_>, name: &str) -> bool {
        self.nominating && is_nominated(head.values("connection"), name)
    }
}

fn is_harmless_option(option: &[u8]) -> bool {
    [b"keep-alive".as_slice(), b"close", b"upgrade", b"te"]
        .iter()
        .any(|known| option.eq_ignore_ascii_case(known))
}

/// Whether one of the `connection` fields names `name`.
fn is_nominated<'a>(mut connection: impl Iterator<Item = &'a [u8]>, name: &str) -> bool {
    connection.any(|value| list(value).any(|option| option.eq_ignore_ascii_case(name.as_bytes())))
}

/// The non-empty members of a comma-separated field value.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&b| b == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

/// Whether a field of a request or response is meant for the next hop alone and never forwarded.
pub fn is_hop_by_hop(name: &str) -> bool {
    classify(name) == Class::Hop
}

/// How a field is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// For the next hop alone.
    Hop,
    /// Left out here: rewritten for the body as it is sent.
    Framing,
    /// Set by the load balancer alone; a client's copy would be a forgery.
    Ours,
    Host,
    ForwardedFor,
    TraceId,
    Cookie,
    Other,
}

fn classify(name: &str) -> Class {
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    match name.len() {
        2 if is("te") => Class::Hop,
        4 if is("host") => Class::Host,
        6 if is("cookie") => Class::Cookie,
        6 if is("expect") => Class::Hop,
        7 if is("upgrade") => Class::Hop,
        10 if is("connection") || is("keep-alive") => Class::Hop,
        14 if is("content-length") => Class::Framing,
        15 if is(X_FORWARDED_FOR) => Class::ForwardedFor,
        15 if is("x-amzn-trace-id") => Class::TraceId,
        16 if is("x-forwarded-port") => Class::Ours,
        16 if is("proxy-connection") => Class::Hop,
        17 if is("x-forwarded-proto") => Class::Ours,
        17 if is("transfer-encoding") => Class::Framing,
        8.. if is_reserved(name) => Class::Ours,
        _ => Class::Other,
    }
}

/// Whether targets trust a field of this name to come from the load balancer.
fn is_reserved(name: &str) -> bool {
    let starts = |prefix: &str| {
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    starts("x-amzn-")
        && (name.eq_ignore_ascii_case("x-amzn-tls-version")
            || name.eq_ignore_ascii_case("x-amzn-tls-cipher-suite")
            || name.eq_ignore_ascii_case("x-amzn-tls-kx")
            || starts("x-amzn-mtls-")
            || starts("x-amzn-oidc-"))
}

/// `routing.http.drop_invalid_header_fields.enabled`: a valid name is `[-A-Za-z0-9]+`.
fn is_valid_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b == b'-' || b.is_ascii_alphanumeric())
}

fn write_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// HTTP/2 may split Cookie; HTTP/1.1 may not (RFC 9113, 8.2.3).
fn write_cookie_crumbs(out: &mut Vec<u8>, head: &RequestHead<'_>) {
    let mut separator: &[u8] = b"cookie: ";
    for crumb in head.values("cookie") {
        out.extend_from_slice(separator);
        out.extend_from_slice(crumb);
        separator = b"; ";
    }
    out.extend_from_slice(b"\r\n");
}

/// Host when it is not preserved: in lower case; a listener on 80 or 443 drops that port, any other
/// adds its own if the client named none. Another port of the client's (a port mapping in front of
/// the load balancer) stays, since clients sign it.
fn write_host(out: &mut Vec<u8>, authority: Option<&[u8]>, origin: &Origin<'_>) {
    let listener = origin.listener;
    let (mut host, mut port) =
        split_port(authority.unwrap_or(listener.endpoint.dns_name.as_bytes()));
    if let Some(transformed) = origin.host {
        let (new, own) = split_port(transformed);
        (host, port) = (new, own.or(port));
    }
    let port = port.filter(|port| !port.is_empty());
    out.extend_from_slice(b"Host: ");
    let start = out.len();
    out.extend_from_slice(host);
    if let Some(written) = out.get_mut(start..) {
        written.make_ascii_lowercase();
    }
    match port {
        Some(b"80" | b"443") if listener.endpoint.has_default_port() => {}
        Some(port) => {
            out.push(b':');
            out.extend_from_slice(port);
        }
        None if listener.endpoint.has_default_port() => {}
        None => push_port(out, listener.endpoint.port),
    }
    out.extend_from_slice(b"\r\n");
}

fn push_port(out: &mut Vec<u8>, port: u16) {
    out.push(b':');
    out.extend_from_slice(digits(&mut [0; 20], usize::from(port)));
}

/// One line: the client's own list, then its address.
fn append_forwarded_for<'a>(
    out: &mut Vec<u8>,
    existing: impl Iterator<Item = &'a [u8]>,
    origin: &Origin<'_>,
) {
    out.extend_from_slice(b"X-Forwarded-For: ");
    let mut appended = false;
    for value in existing.map(<[u8]>::trim_ascii).filter(|v| !v.is_empty()) {
        out.extend_from_slice(value);
        out.extend_from_slice(b", ");
        appended = true;
    }
    let with_port = origin.listener.attributes.xff_client_port;
    push_client(out, origin.meta.client, with_port, appended);
    out.extend_from_slice(b"\r\n");
}

/// `1.2.3.4`, `1.2.3.4:5`; an IPv6 address has brackets with a port and in a list.
fn push_client(out: &mut Vec<u8>, client: SocketAddr, with_port: bool, in_list: bool) {
    match client.ip().to_canonical() {
        IpAddr::V4(ip) => {
            let mut separator: &[u8] = b"";
            for octet in ip.octets() {
                out.extend_from_slice(separator);
                out.extend_from_slice(digits(&mut [0; 20], usize::from(octet)));
                separator = b".";
            }
        }
        // Writing to a Vec cannot fail.
        IpAddr::V6(ip) if with_port || in_list => _ = write!(out, "[{ip}]"),
        IpAddr::V6(ip) => _ = write!(out, "{ip}"),
    }
    if with_port {
        push_port(out, client.port());
    }
}

/// What is known of the connection, in place of whatever the client claimed.
fn write_facts(out: &mut Vec<u8>, head: &RequestHead<'_>, origin: &Origin<'_>) {
    let listener = origin.listener;
    out.extend_from_slice(b"X-Forwarded-Proto: ");
    out.extend_from_slice(listener.endpoint.scheme().as_bytes());
    out.extend_from_slice(b"\r\nX-Forwarded-Port: ");
    out.extend_from_slice(digits(&mut [0; 20], usize::from(listener.endpoint.port)));
    out.extend_from_slice(b"\r\n");
    if let Some(tls) = &origin.meta.tls
        && listener.attributes.tls_version_and_cipher_headers
    {
        let version = listener
            .tls_version_header
            .as_deref()
            .unwrap_or("x-amzn-tls-version");
        let cipher = listener
            .tls_cipher_header
            .as_deref()
            .unwrap_or("x-amzn-tls-cipher-suite");
        write_field(out, version, tls.version.as_bytes());
        write_field(out, cipher, tls.cipher.as_bytes());
    }
    if let Some(tls) = &origin.meta.tls
        && listener.attributes.tls_key_exchange_header
        && let Some(group) = tls.key_exchange
    {
        write_field(out, "x-amzn-tls-kx", group.as_bytes());
    }
    if let Some(tls) = &origin.meta.tls
        && let Some(certificate) = &tls.client_certificate
    {
        write_client_certificate(out, certificate, listener);
    }
    if let Some(identity) = origin.identity {
        write_field(
            out,
            "x-amzn-oidc-accesstoken",
            identity.access_token.as_bytes(),
        );
        write_field(out, "x-amzn-oidc-identity", identity.subject.as_bytes());
        write_field(out, "x-amzn-oidc-data", identity.data.as_bytes());
    }
    if origin.upgrade
        && let Some(protocol) = head.value("upgrade")
    {
        write_field(out, "Upgrade", protocol);
        write_field(out, "Connection", b"Upgrade");
    }
}

/// What is known of a client's certificate (ALB guide: mutual authentication, header modification).
fn write_client_certificate(
    out: &mut Vec<u8>,
    certificate: &ClientCertificate,
    listener: &Listener,
) {
    let own = listener.client_certificate_headers.as_deref();
    let mut write =
        |name: fn(&ClientCertificateHeaders) -> &Option<Arc<str>>, default, value: &str| {
            let renamed = own.and_then(|own| name(own).as_deref());
            write_field(out, renamed.unwrap_or(default), value.as_bytes());
        };
    if !certificate.is_verified {
        return write(|own| &own.chain, "X-Amzn-Mtls-Clientcert", &certificate.pem);
    }
    write(
        |own| &own.serial_number,
        "X-Amzn-Mtls-Clientcert-Serial-Number",
        &certificate.serial_number,
    );
    write(
        |own| &own.issuer,
        "X-Amzn-Mtls-Clientcert-Issuer",
        &certificate.issuer,
    );
    write(
        |own| &own.subject,
        "X-Amzn-Mtls-Clientcert-Subject",
        &certificate.subject,
    );
    write(
        |own| &own.validity,
        "X-Amzn-Mtls-Clientcert-Validity",
        &certificate.validity,
    );
    write(
        |own| &own.leaf,
        "X-Amzn-Mtls-Clientcert-Leaf",
        &certificate.pem,
    );
}

#[cfg(test)]
mod tests;
