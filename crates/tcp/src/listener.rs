use std::sync::Arc;
use std::time::Duration;

use elbow_balance::Forwards;
use elbow_model::Personality;
use elbow_telemetry::{LogStream, SurgeQueue};

/// An active TCP or TLS listener.
#[derive(Debug)]
pub struct Listener {
    /// The target groups.
    pub forwards: Forwards,
    /// After this time without activity a flow ends as [`Personality::idle_connection`] says.
    pub idle_timeout: Duration,
    /// The kind of load balancer.
    pub personality: &'static Personality,
    /// `net/name/id`, or the name of a Classic load balancer, for access logs.
    pub load_balancer_id: Arc<str>,
    /// The ID of the listener for access logs, 16 hex digits.
    pub id: Arc<str>,
    /// The port that clients connect to, without the port offset.
    pub port: u16,
    /// Bounds the connections that wait for an instance, of a Classic load balancer.
    pub surge_queue: Option<Arc<SurgeQueue>>,
    /// The access log of the load balancer, if any.
    pub access_log: Option<Arc<LogStream>>,
}
