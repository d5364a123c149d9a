//! Access to the admin address. Every process that reaches the address may send requests, and so may a web page in a
//! browser of this machine.

use std::fmt;
use std::sync::{Arc, OnceLock};

use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::{Method, StatusCode, Uri};
use subtle::ConstantTimeEq;

use crate::page::Page;

/// The admin token where `Authorization` does not arrive: API servers remove it from proxied requests.
pub const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-elbow-admin-token");
/// Sent by elbow's own commands, which may then use any host name. No page can make a browser send it: scripts may not set fields
/// that begin with `Sec-` (Fetch standard, section 2.2.2, forbidden request-headers).
pub const CLIENT_HEADER: HeaderName = HeaderName::from_static("sec-elbow-client");

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Which requests an admin address accepts.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Accepted host names besides `localhost` and addresses, in any case.
    pub hosts: Vec<String>,
    /// The token that all pages but the free ones require; it may be set later.
    pub token: Arc<OnceLock<Token>>,
    /// Whether those pages are refused while there is no token: for addresses that other machines reach.
    pub only_with_token: bool,
}

/// The secret that grants access.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A token of 1 to 4,096 visible ASCII characters, which fit into a header field.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        (fits && text.bytes().all(|b| b.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }

    /// The longest token in bytes; a longer one may not fit into a request head.
    pub const MAX_BYTES: usize = 4_096;

    /// The secret itself.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Compares in a time that depends only on the lengths.
    fn is(&self, shown: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(shown).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It names an unknown host: DNS rebinding, or a name missing in `--admin-host`.
    Host,
    /// A page of another site sent it.
    Site,
    /// It carries no token, or a wrong one.
    Token,
    /// There is no token yet.
    NoToken,
}

impl Refusal {
    pub(crate) const ALL: [Self; 4] = [Self::Host, Self::Site, Self::Token, Self::NoToken];

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Site | Self::NoToken => StatusCode::FORBIDDEN,
            Self::Token => StatusCode::UNAUTHORIZED,
        }
    }

    /// The value of the label `reason`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Site => "site",
            Self::Token => "token",
            Self::NoToken => "no_token",
        }
    }

    /// The response body: what is wrong and what to do.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Host => {
                "the Host header names an unknown host; use an IP address or localhost, or start elbow with --admin-host NAME\n"
            }
            Self::Site => {
                "a page of another site sent this request; open the address itself, or use curl or elbow get\n"
            }
            Self::Token => {
                "this page requires the admin token; send `Authorization: Bearer TOKEN`, or use elbow get --admin-token FILE\n"
            }
            Self::NoToken => {
                "this address serves only /live /ready /health and /metrics; use the --admin address for other pages, or start elbow with --admin-token FILE\n"
            }
        }
    }
}

impl Access {
    /// Whether to accept a request with this head.
    ///
    /// Free pages are for everybody: kubelets and Prometheus use any name for them, and the pages change nothing and
    /// contain no configuration.
    ///
    /// # Errors
    /// Why the request is refused.
    pub(crate) fn admit(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        if Page::of(uri.path()).is_some_and(Page::is_free) {
            return Ok(());
        }
        let host = host(uri, headers);
        let known = host.as_ref().is_some_and(|host| self.knows(host.name));
        if !known && !headers.contains_key(CLIENT_HEADER) {
            return Err(Refusal::Host);
        }
        if !is_of_this_site(method, headers, host) {
            return Err(Refusal::Site);
        }
        match self.token.get() {
            Some(token) if shown(headers).is_some_and(|shown| token.is(shown)) => Ok(()),
            Some(_) => Err(Refusal::Token),
            None if self.only_with_token => Err(Refusal::NoToken),
            None => Ok(()),
        }
    }

    /// Whether `name` cannot belong to a foreign page: addresses need no DNS, and `localhost` and names below it
    /// always mean this machine (RFC 6761 section 6.3).
    fn knows(&self, name: &str) -> bool {
        let address = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
        let is_v6 = address.is_some_and(|a| a.parse::<std::net::Ipv6Addr>().is_ok());
        if is_v6 || name.parse::<std::net::Ipv4Addr>().is_ok() {
            return true;
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        let last = name.rsplit('.').next().unwrap_or_default();
        last.eq_ignore_ascii_case("localhost")
            || self
                .hosts
                .iter()
                .any(|host| host.eq_ignore_ascii_case(name))
    }
}

/// Name and port of an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Host<'a> {
    name: &'a str,
    port: Option<u16>,
}

impl<'a> Host<'a> {
    fn parse(authority: &'a str) -> Option<Self> {
        let end = match authority.strip_prefix('[') {
            Some(rest) => rest.find(']')? + 2,
            None => authority.find(':').unwrap_or(authority.len()),
        };
        let (name, port) = authority.split_at(end);
        let port = match port.strip_prefix(':') {
            Some(port) => Some(port.parse().ok()?),
            None if port.is_empty() => None,
            None => return None,
        };
        (!name.is_empty()).then_some(Self { name, port })
    }

    fn is(self, other: Self, default_port: u16) -> bool {
        let port = |host: Self| host.port.unwrap_or(default_port);
        self.name.eq_ignore_ascii_case(other.name) && port(self) == port(other)
    }
}

/// The host of a request. RFC 9112 section 3.2.2: the authority of the target takes precedence over the header.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<Host<'a>> {
    if let Some(authority) = uri.authority() {
        return Host::parse(authority.as_str());
    }
    Host::parse(the_only(headers, &HOST)?)
}

/// The value of a field that occurs exactly once.
fn the_only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Whether the user or one of elbow's own pages sent the request. Clients other than browsers send neither field.
fn is_of_this_site(method: &Method, headers: &HeaderMap, host: Option<Host<'_>>) -> bool {
    if headers.contains_key(ORIGIN) {
        let origin = the_only(headers, &ORIGIN).and_then(|origin| {
            let (scheme, authority) = origin.split_once("://")?;
            let port = match scheme {
                "http" => 80,
                "https" => 443,
                _ => return None,
            };
            Some((Host::parse(authority)?, port))
        });
        let same = origin
            .zip(host)
            .is_some_and(|((origin, port), host)| origin.is(host, port));
        if !same {
            return false;
        }
    }
    if !headers.contains_key(&SEC_FETCH_SITE) {
        return true;
    }
    match the_only(headers, &SEC_FETCH_SITE) {
        Some("same-origin" | "none") => true,
        // A followed link: the linking page cannot read the response.
        Some(_) => {
            method == Method::GET
                && the_only(headers, &SEC_FETCH_MODE) == Some("navigate")
                && the_only(headers, &SEC_FETCH_DEST) == Some("document")
        }
        None => false,
    }
}

/// The token in a request.
fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(value) = headers.get(TOKEN_HEADER) {
        return Some(value.as_bytes());
    }
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

#[cfg(test)]
mod tests;
