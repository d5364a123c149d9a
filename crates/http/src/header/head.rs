//! The parsed form of a request head, which rules, fields, the log and both codecs share.

pub use httparse::Header;

use crate::header::uri::RequestTarget;

/// HTTP version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/0.9, whose requests have no version.
    Http09,
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    H2,
}

/// A request head; all slices are as the client sent them.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// A token, e.g. `GET`.
    pub method: &'a str,
    /// What is requested; parsed once for all that look at it.
    pub target: RequestTarget<'a>,
    /// The version that the client speaks.
    pub version: Version,
    /// In order. From HTTP/2, `:authority` comes first as `host`.
    pub fields: &'a [Header<'a>],
}

impl<'a> RequestHead<'a> {
    /// The requested host with its port: the authority of an absolute target, else the first Host
    /// field (parity 1.3).
    pub fn authority(&self) -> Option<&'a [u8]> {
        match self.target.authority {
            Some(authority) => Some(authority.as_bytes()),
            None => self.value("host"),
        }
    }

    /// Whether it is a gRPC call: HTTP/2 with the content type `application/grpc`, maybe with `+` and a
    /// format. gRPC-Web is not.
    pub fn is_grpc(&self) -> bool {
        const GRPC: &[u8] = b"application/grpc";
        self.version == Version::H2
            && self.value("content-type").is_some_and(|value| {
                let start = value.get(..GRPC.len()).unwrap_or_default();
                let next = value.get(GRPC.len());
                start.eq_ignore_ascii_case(GRPC) && matches!(next, None | Some(b'+' | b';'))
            })
    }

    /// The values of all fields called `name` (any case), in order.
    pub fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.fields
            .iter()
            .filter(move |f| f.name.eq_ignore_ascii_case(name))
            .map(|f| f.value)
    }

    /// The value of the first field called `name` (any case).
    pub fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.fields
            .iter()
            .find(|f| f.name.eq_ignore_ascii_case(name))
            .map(|f| f.value)
    }
}

/// A head that outlives the bytes that it was read from, for a request that has to wait before it is decided.
#[derive(Clone, Debug)]
pub(crate) struct OwnedHead {
    method: String,
    target: String,
    version: Version,
    fields: Vec<(String, Vec<u8>)>,
}

impl OwnedHead {
    pub(crate) fn of(head: &RequestHead<'_>) -> Self {
        let fields = head.fields.iter();
        Self {
            method: head.method.to_owned(),
            target: head.target.text.to_owned(),
            version: head.version,
            fields: fields
                .map(|f| (f.name.to_owned(), f.value.to_vec()))
                .collect(),
        }
    }

    /// Its bytes.
    pub(crate) fn size(&self) -> usize {
        let fields = self.fields.iter();
        let fields: usize = fields.map(|(name, value)| name.len() + value.len()).sum();
        self.method.len() + self.target.len() + fields
    }

    /// Lets `then` see the head.
    pub(crate) fn with<R>(&self, then: impl FnOnce(&RequestHead<'_>) -> R) -> R {
        let fields = self.fields.iter();
        let fields: Vec<Header<'_>> = fields.map(|(name, value)| Header { name, value }).collect();
        then(&RequestHead {
            method: &self.method,
            target: RequestTarget::parse(&self.target),
            version: self.version,
            fields: &fields,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_kit::{field, get};

    #[test]
    fn grpc_is_told_by_version_and_content_type() {
        for (value, expected) in [
            ("application/grpc", true),
            ("Application/GRPC+proto", true),
            ("application/grpc;x=1", true),
            ("application/grpc-web+proto", false),
            ("application/json", false),
            ("", false),
        ] {
            let fields = [field("content-type", value)];
            let head = RequestHead {
                version: Version::H2,
                ..get("/", &fields)
            };
            assert_eq!(head.is_grpc(), expected, "{value}");
            let head = RequestHead {
                version: Version::Http11,
                ..head
            };
            assert!(!head.is_grpc());
        }
    }
}
