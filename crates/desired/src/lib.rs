//! What is wanted, between the readers and the plane.
//!
//! ```text
//!   native file, manifests, cluster --parts--> Merged --model--> Desired --candidate--> plane
//!                                                                   ^--------failures-----/
//! ```
//!
//! [`Merged`] joins the parts of all owners into one model and decides who keeps a name that several ask for.
//! [`Desired`] finds the largest part of that model that the plane can serve: what fails is left out or stays as it
//! was, and the rest serves. Nothing here opens a socket, reads a file or looks at a clock.

mod desired;
mod merged;
mod retry;

pub use desired::{Attempt, Cause, Desired, Failure};
pub use merged::Merged;
pub use retry::Retry;
