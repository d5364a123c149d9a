//! How clients stay with their targets (ALB guide and NLB guide: sticky sessions).

use std::sync::Arc;
use std::time::Duration;

/// `stickiness.type` and its settings: how a client stays with one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stickiness {
    /// ALB: by a cookie of the load balancer.
    LoadBalancerCookie {
        /// `stickiness.lb_cookie.duration_seconds`: 86,400 s, 1-604,800.
        duration: Duration,
    },
    /// ALB: by a cookie of the load balancer beside one of the target's.
    ApplicationCookie {
        /// `stickiness.app_cookie.cookie_name`.
        name: Arc<str>,
        /// `stickiness.app_cookie.duration_seconds`: 86,400 s, 1-604,800.
        duration: Duration,
    },
    /// NLB: by the client's address.
    SourceIp,
}
