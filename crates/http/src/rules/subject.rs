//! What conditions look at.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::header::head::RequestHead;
use crate::header::uri::{normalise, split_port};

/// A request as conditions see it: each part is taken from the head when the first condition asks
/// for it. Values with control bytes are left out, since rules apply to visible characters only
/// (parity 1.3).
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    head: &'a RequestHead<'a>,
    client: IpAddr,
    host: Option<Option<&'a [u8]>>,
    path: Option<Option<Cow<'a, [u8]>>>,
}

/// Something that a condition looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen<'a> {
    /// A host, a path, a value, a method, or one `key=value` of a query.
    Text(&'a [u8]),
    /// The peer of the connection.
    Client(IpAddr),
}

impl<'a> Subject<'a> {
    /// A request from `client`, the peer of the connection.
    pub(crate) fn new(head: &'a RequestHead<'a>, client: IpAddr) -> Self {
        Self {
            head,
            client: client.to_canonical(),
            host: None,
            path: None,
        }
    }

    /// The peer of the connection; an IPv4 address is never mapped to IPv6.
    pub(super) fn client(&self) -> IpAddr {
        self.client
    }

    pub(super) fn method(&self) -> &'a str {
        self.head.method
    }

    /// The values of all fields called `name`.
    pub(super) fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.head.values(name).filter(|value| is_visible(value))
    }

    /// The members of the query, each `key=value` or a key alone.
    pub(super) fn query(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let query = self.head.target.query.unwrap_or_default().as_bytes();
        query
            .split(|b| *b == b'&')
            .filter(|member| !member.is_empty() && is_visible(member))
    }

    /// The host without its port.
    pub(super) fn host(&mut self) -> Option<&'a [u8]> {
        *self.host.get_or_insert_with(|| {
            let (host, _) = split_port(self.head.authority()?);
            Some(host).filter(|host| is_visible(host))
        })
    }

    /// The path, normalised.
    pub(super) fn path(&mut self) -> Option<&[u8]> {
        self.path
            .get_or_insert_with(|| {
                let path = self.head.target.path.as_bytes();
                is_visible(path).then(|| normalise(path))
            })
            .as_deref()
    }
}

fn is_visible(value: &[u8]) -> bool {
    !value.iter().any(u8::is_ascii_control)
}
