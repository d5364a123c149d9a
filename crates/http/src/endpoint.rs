//! What clients connect to.

use std::sync::Arc;

/// A listener as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The host of requests without one.
    pub dns_name: Arc<str>,
    /// The port that clients connect to: in `X-Forwarded-Port`, Host and `#{port}`.
    pub port: u16,
    /// Whether clients speak TLS.
    pub https: bool,
}

impl Endpoint {
    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// Whether a URL need not name the port.
    pub(crate) fn has_default_port(&self) -> bool {
        matches!(self.port, 80 | 443)
    }
}
