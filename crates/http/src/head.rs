//! The parsed form of a message head that rules, header work and both codecs share.

pub use httparse::Header;

/// HTTP version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
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
    /// Origin form (`/a?b`), absolute form, or `*`; from HTTP/2 the `:path`.
    pub target: &'a str,
    /// What the client speaks.
    pub version: Version,
    /// In order. From HTTP/2, `:authority` comes first as `host`.
    pub fields: &'a [Header<'a>],
}

impl<'a> RequestHead<'a> {
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
