//! The upstream side: connections to targets, opened, reused and given back.

mod either;
mod h1;
pub(crate) mod h2;
pub(crate) mod target;

use crate::h1::Framing;
use crate::multiplex::head::{NeverIndexed, RequestHead};
pub(crate) use either::Upstream;
pub(crate) use h1::Request;

/// What is needed of a request besides its head.
#[derive(Clone, Debug)]
pub(crate) struct Outline {
    /// How the body is framed on its way to the target.
    pub(crate) framing: Framing,
    /// The request is HEAD.
    pub(crate) to_head: bool,
    /// The client gets the trailers of the response.
    pub(crate) passes_trailers: bool,
    /// Names of fields that enter no table of HPACK.
    pub(crate) never_indexed: NeverIndexed,
}

impl Outline {
    /// The head of the request over HTTP/2; `text` is that of HTTP/1.1.
    fn head<'h>(&'h self, text: &'h [u8], is_tls: bool) -> RequestHead<'h> {
        RequestHead {
            text,
            is_tls,
            never_indexed: &self.never_indexed,
            to_head: self.to_head,
            is_all: self.framing == Framing::Empty,
        }
    }
}
