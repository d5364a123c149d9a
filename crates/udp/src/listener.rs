use std::net::SocketAddr;
use std::sync::Arc;

use elbow_balance::{Chosen, Group, Target, choose_weighted, flow};
use elbow_model::{QuicServerId, TargetState, Transport};

/// An active UDP listener.
#[derive(Debug)]
pub struct Listener {
    /// The target groups with their weights; a weight of 0 gets no flows.
    pub groups: Vec<(Arc<Group>, u32)>,
    /// Whether all flows of one client address go to the same group (NLB guide: listeners).
    pub sticky: bool,
    /// Whether datagrams are those of QUIC, whose connection IDs name targets.
    pub quic: bool,
}

impl Listener {
    /// The registered or draining target with this QUIC server ID. Its health does not matter: no other target knows the
    /// connection.
    pub(crate) fn by_server_id(&self, id: u64) -> Option<(&Group, &Arc<Target>)> {
        let id = Some(QuicServerId(id));
        let groups = self.groups.iter().map(|(group, _)| &**group);
        let mut targets = groups.flat_map(|group| group.targets.iter().map(move |t| (group, t)));
        targets.find(|(_, target)| {
            target.registered.quic_server_id == id && target.state() != TargetState::Unused
        })
    }

    /// Chooses the target of a new flow: by protocol, source and destination, or by the source address alone if the group is
    /// sticky (NLB guide: introduction; target groups, sticky sessions). `random` spreads flows over weighted groups.
    pub(crate) fn choose(
        &self,
        client: SocketAddr,
        local: SocketAddr,
        random: u64,
    ) -> Option<(&Group, Chosen<'_>)> {
        let weights = self.groups.iter().map(|(_, weight)| *weight);
        let random = if self.sticky {
            flow::source_hash(client.ip())
        } else {
            random
        };
        let (group, _) = self.groups.get(choose_weighted(weights, random)?)?;
        let chosen = group.choose_flow(match group.config.attributes.stickiness {
            Some(_) => flow::source_hash(client.ip()),
            None => flow::hash(Transport::Udp, client, local, 0),
        });
        Some((group, chosen?))
    }
}
