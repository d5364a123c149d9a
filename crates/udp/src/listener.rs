use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use elbow_balance::{Chosen, Forwards, Target, Weighted, flow};
use elbow_model::{QuicServerId, TargetState, Transport};

/// An active UDP listener.
#[derive(Debug)]
pub struct Listener {
    /// The target groups.
    pub forwards: Forwards,
    /// Whether datagrams are those of QUIC, whose connection IDs name targets.
    pub quic: bool,
}

impl Listener {
    /// The registered or draining target with this QUIC server ID, in a group that gets flows of `client`. Its health does not
    /// matter: no other target knows the connection.
    pub(crate) fn by_server_id(
        &self,
        id: u64,
        client: IpAddr,
    ) -> Option<(&Weighted, &Arc<Target>)> {
        let id = Some(QuicServerId(id));
        let groups = self.forwards.of(client).all_with_flows();
        let mut targets = groups.flat_map(|one| one.group.targets.iter().map(move |t| (one, t)));
        targets.find(|(_, target)| {
            target.registered.quic_server_id == id && target.state() != TargetState::Unused
        })
    }

    /// The target at this address in the group called `group`, if the group gets flows of `client`.
    pub(crate) fn registered(
        &self,
        client: IpAddr,
        group: &str,
        address: SocketAddr,
    ) -> Option<(&Weighted, &Arc<Target>)> {
        let weighted = self.forwards.of(client).with_flows(group)?;
        let mut targets = weighted.group.targets.iter();
        let target = targets
            .find(|target| target.address == address && target.state() != TargetState::Unused);
        Some((weighted, target?))
    }

    /// Chooses the target of a new flow: by protocol, source and destination, or by the source address alone if the group is
    /// sticky (NLB guide: introduction; target groups, sticky sessions). `random` spreads flows over weighted groups.
    pub(crate) fn choose(
        &self,
        client: SocketAddr,
        local: SocketAddr,
        random: impl FnOnce() -> u64,
    ) -> Option<(&Weighted, Chosen<'_>)> {
        let forward = self.forwards.of(client.ip());
        let weighted = forward.choose(client.ip(), random)?;
        let group = &weighted.group;
        let chosen = group.choose_flow(match group.config.attributes.stickiness {
            Some(_) => flow::source_hash(client.ip()),
            None => flow::hash(Transport::Udp, client, local, 0),
        });
        Some((weighted, chosen?))
    }
}
