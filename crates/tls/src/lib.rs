//! Security policies, the SNI certificate store, TLS termination for clients, and TLS to targets.
//!
//! ```text
//! model::Certificate -- load --> Loaded --+
//! policy(name) ----------------> Policy --+--> Acceptor -- accept(TcpStream) --> (ServerTls, TlsMeta)
//! Tickets (outlives all of them) ---------+
//!
//! Originator -- connect(TcpStream) --> ClientTls
//! ```
//!
//! rustls does not support TLS 1.0 and 1.1, CBC suites and RSA key exchange; a client that needs them is
//! refused with an alert and a typed error. Both streams are [`elbow_net::Stream`]s.

mod acceptor;
pub mod alpn;
mod certificate;
mod danger;
mod error;
mod originator;
pub mod pem;
mod policy;
mod store;
mod stream;
mod ticketer;
mod tickets;

#[cfg(test)]
mod testkit;

pub use acceptor::Acceptor;
pub use certificate::{CertificateError, KeyType, Loaded, load};
pub use error::{AcceptError, AcceptErrorKind};
pub use originator::Originator;
pub use policy::{Policy, UnknownPolicy, policy};
pub use stream::{ClientTls, ServerTls, Tls};
pub use tickets::Tickets;
