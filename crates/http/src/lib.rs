//! Layer 7 of ALB: HTTP/1.1, HTTP/2 and WebSocket; and of CLB: HTTP/1.1.
//!
//! [`serve`] takes a client connection and answers its requests as [`Listener`] says. HTTP/1.x is
//! read and written by the codec in [`h1`], which does no I/O.

pub mod action;
mod additions;
mod answer;
mod body;
mod classic;
mod context;
pub mod cookie;
pub mod date;
pub mod error;
mod exchange;
pub mod forwarded;
pub mod h1;
mod h2;
pub mod head;
pub mod listener;
pub mod page;
pub mod pattern;
mod plan;
mod pool;
mod record;
mod rules;
pub mod seal;
mod serve;
mod sticky;
mod target;
#[cfg(test)]
mod test_kit;
pub mod trace_id;
mod transform;
mod upgrade;
pub mod uri;

use std::pin::Pin;
use std::rc::Rc;

use elbow_net::{ConnMeta, Connect, Stream};

pub use context::Context;
pub use listener::Listener;
pub use pool::Pools;

/// Serves one client connection until it is over: HTTP/2 when ALPN settled on it, else HTTP/1.x.
pub fn serve<S: Stream, C: Connect>(
    context: Rc<Context<C>>,
    io: S,
    meta: ConnMeta,
) -> impl Future<Output = ()> {
    let alpn = meta.tls.as_ref().and_then(|tls| tls.alpn.as_deref());
    // What waits is small: the rare and the large are in boxes, and nothing is there twice.
    let mut version = if alpn == Some(b"h2") {
        Version::Http2(Box::pin(h2::serve(context, io, meta)))
    } else {
        Version::Http1(serve::Connection::new(context, io, meta))
    };
    async move {
        match &mut version {
            Version::Http1(connection) => connection.run().await,
            Version::Http2(connection) => connection.await,
        }
    }
}

/// What a client speaks.
#[allow(clippy::large_enum_variant)] // One per connection, in the box of its task.
enum Version<S, C: Connect, H> {
    Http1(serve::Connection<S, C>),
    Http2(Pin<Box<H>>),
}
