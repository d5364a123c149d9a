//! The upstream side: connections to targets, opened, reused and given back.

mod either;
mod h1;
pub(crate) mod h2;
pub(crate) mod target;

use crate::h1::Framing;
pub(crate) use either::Upstream;
pub(crate) use h1::Request;

/// What is needed of a request besides its head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outline {
    /// How the body is framed on its way to the target.
    pub(crate) framing: Framing,
    /// The request is HEAD.
    pub(crate) to_head: bool,
    /// The client gets the trailers of the response.
    pub(crate) passes_trailers: bool,
}
