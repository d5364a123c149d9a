use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use elbow_balance::Group;
use elbow_model::Personality;
use elbow_telemetry::{LogStream, SurgeQueue};

/// An active TCP or TLS listener.
#[derive(Debug)]
pub struct Listener {
    /// The target groups with their weights; a weight of 0 gets no flows.
    pub groups: Vec<(Arc<Group>, u32)>,
    /// Ends the flows to each of the groups. A new version of the listener takes them over.
    pub cutoffs: Vec<Cutoff>,
    /// Whether all flows of one client address go to the same group (NLB guide: listeners).
    pub sticky: bool,
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

impl Listener {
    /// What ends the flows to the group `name`, if it gets flows.
    pub fn cutoff(&self, name: &str) -> Option<&Cutoff> {
        self.with_flows()
            .find_map(|(group, cutoff)| (group == name).then_some(cutoff))
    }

    /// What ends the flows to the groups whose weight is 0 in `next`, the new version of the listener (NLB guide: listeners).
    pub fn cut_by<'l>(&'l self, next: &'l Self) -> impl Iterator<Item = Cutoff> + 'l {
        let is_out = |name: &str| {
            let mut groups = next.groups.iter();
            groups.any(|(group, weight)| *group.config.name == *name && *weight == 0)
        };
        let cut = self.with_flows().filter(move |(name, _)| is_out(name));
        cut.map(|(_, cutoff)| cutoff.clone())
    }

    fn with_flows(&self) -> impl Iterator<Item = (&str, &Cutoff)> {
        let groups = self.groups.iter().zip(&self.cutoffs);
        let with_flows = groups.filter(|((_, weight), _)| *weight > 0);
        with_flows.map(|((group, _), cutoff)| (&*group.config.name, cutoff))
    }
}

/// Ends the flows of a listener to one of its groups, after the weight of the group became 0.
#[derive(Clone, Debug, Default)]
pub struct Cutoff(Arc<AtomicBool>);

impl Cutoff {
    /// Ends the flows. They see it when polled next; the caller wakes the workers.
    pub fn cut(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the flows end.
    pub fn is_cut(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
