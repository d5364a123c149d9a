//! Layer 7 of ALB: HTTP/1.1, HTTP/2 and WebSocket; and of CLB: HTTP/1.1.
//!
//! [`serve`] takes a client connection and answers its requests as [`Listener`] says. HTTP/1.x is
//! read and written by the codec in [`h1`], which does no I/O.

pub mod action;
mod budget;
mod client;
mod context;
pub mod decide;
pub mod endpoint;
pub mod error;
mod exchange;
pub mod h1;
pub mod header;
pub mod listener;
mod multiplex;
pub mod outgoing;
pub mod page;
mod personality;
mod pool;
mod record;
pub mod rules;
mod spare;
#[cfg(test)]
mod test_kit;
mod upstream;

use std::pin::Pin;
use std::rc::Rc;

use elbow_net::{ConnMeta, Connect, Stream};

pub use context::Context;
pub use elbow_auth::Providers;
pub use listener::Listener;
pub use pool::Pools;
pub use record::connection::failed;

/// Serves one client connection until it is over: HTTP/2 when ALPN settled on it, else HTTP/1.x. Then drops `open`.
pub fn serve<S: Stream, C: Connect, O>(
    context: Rc<Context<C>>,
    io: S,
    meta: ConnMeta,
    open: O,
) -> impl Future<Output = ()> {
    let id = context.worker.random();
    record::connection::established(&context, &meta, id);
    let alpn = meta.tls.as_ref().and_then(|tls| tls.alpn.as_deref());
    // HTTP/2 is boxed to keep the future small; `Version` avoids holding the future twice.
    let mut version = if alpn == Some(b"h2") {
        Version::Http2(Box::pin(client::h2::serve(context, io, meta, id)))
    } else {
        Version::Http1(client::h1::Connection::new(context, io, meta, id))
    };
    async move {
        match &mut version {
            Version::Http1(connection) => connection.run().await,
            Version::Http2(connection) => connection.await,
        }
        drop(version);
        drop(open);
    }
}

/// A connection, by its version of HTTP.
#[allow(clippy::large_enum_variant)] // One per connection, in the box of its task.
enum Version<S, C: Connect, H> {
    Http1(client::h1::Connection<S, C>),
    Http2(Pin<Box<H>>),
}
