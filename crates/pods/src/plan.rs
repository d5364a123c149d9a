//! A pod before it is started.

use crate::certificate::Identity;
use crate::port::Port;

/// The parts of a pod.
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) identity: Identity,
    pub(crate) s3: Port,
    pub(crate) console: Port,
}
