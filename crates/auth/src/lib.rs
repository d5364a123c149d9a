//! Authenticates requests before the action of their rule is carried out.
//!
//! A [`Gate`] is an action of the model in force. [`Gate::check`] does no I/O: it lets a request through, refuses it with
//! a [`Reason`], sends the client elsewhere with a [`Reply`], or asks for a [`Consultation`] of the identity provider. What that brings is given to the next check of
//! the same request.
//!
//! ```text
//! Gate::check(request, None) -> Admitted | Refused(reason) | Reply | Consult(consultation)
//!                                                                             | run().await
//! Gate::check(request, Some(advice)) -> Admitted | Refused(reason) | Reply <--+
//! ```

mod client;
mod encoding;
mod gate;
mod jwt;
mod oidc;
mod provider;
mod reason;
mod request;

pub use gate::{Advice, Consultation, Gate, Verdict};
pub use jwt::{JwtGate, Now};
pub use oidc::{Callbacks, OidcGate};
pub use provider::Providers;
pub use reason::{Blame, Reason};
pub use request::{Admission, Identity, Reply, Request};
