use std::fmt;

use crate::kinds::{LoadBalancerType, Protocol};
use crate::scope::Scope;

/// The listener, or the rule in it, that an action belongs to. What is not known is not checked.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) kind: Option<LoadBalancerType>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) port: Option<u16>,
    pub(crate) rule: Option<u32>,
    /// What actions may forward to; `None`: anything.
    pub(crate) scope: Option<&'a Scope>,
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "listener {port}")?,
            None => f.write_str("the listener")?,
        }
        match self.rule {
            Some(priority) => write!(f, ", rule {priority}"),
            None => Ok(()),
        }
    }
}
