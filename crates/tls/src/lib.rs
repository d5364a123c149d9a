//! Security policies, the SNI certificate store, TLS termination for clients, and TLS to targets.
//!
//! ```text
//! model::Certificate -- load ------------> Loaded -----+
//! model::TrustStore -- load_trust_store -> ClientAuth -+--> Acceptor -- accept(TcpStream) --> (ServerTls, TlsMeta)
//! policy(name) --------------------------> Policy -----+
//! Tickets (outlives all of them) ----------------------+
//!
//! load_public_key -> PublicKey --> Originator -- connect(TcpStream) --> ClientTls
//! ```
//!
//! rustls does not support TLS 1.0 and 1.1, CBC suites and RSA key exchange; a client that needs them is
//! refused with an alert and a typed error. Both streams are [`elbow_net::Stream`]s.

mod acceptor;
mod alert;
pub mod alpn;
mod backend;
mod certificate;
mod client_algorithms;
mod client_auth;
pub mod client_certificate;
mod danger;
mod distinguished_name;
mod error;
mod failure;
mod hello;
mod hybrid;
mod originator;
pub mod pem;
mod plain;
mod policy;
mod public_keys;
mod store;
mod stream;
mod ticketer;
mod tickets;
mod trust_store;

#[cfg(test)]
mod testkit;

pub use acceptor::Acceptor;
pub use backend::BackendPolicy;
pub use certificate::{CertificateError, KeyType, Loaded, load};
pub use client_auth::ClientAuth;
pub use error::AcceptError;
pub use failure::HandshakeFailure;
pub use originator::Originator;
pub use plain::PlainClient;
pub use policy::{Policy, UnknownPolicy, policy};
pub use public_keys::{PublicKey, PublicKeyError, load_public_key};
pub use stream::{ClientTls, ServerTls, Tls};
pub use ticketer::EXPORTED as TICKET_KEY_BYTES;
pub use tickets::Tickets;
pub use trust_store::{MAX_REVOCATION_BYTES, TrustStore, TrustStoreError, load_trust_store};
