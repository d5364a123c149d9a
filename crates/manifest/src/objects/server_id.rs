//! The QUIC server IDs of pods. The AWS Load Balancer Controller gives them to containers by an environment variable
//! (`pkg/inject/quic`), and reads them back when it registers a pod (`pkg/k8s/pod_info.go`).

use std::collections::BTreeMap;
use std::sync::Arc;

use elbow_model::{Origin, QuicServerId};

use super::Meta;
use crate::annotations::other;
use crate::base64::decode;
use crate::object::Place;
use crate::view::View;

/// The annotation of a pod that lists the containers which get a QUIC server ID, separated by commas.
pub const QUIC_ENABLED_CONTAINERS: &str = other::QUIC_ENABLED_CONTAINERS.key;

/// The default name of the environment variable of a container with its QUIC server ID: 8 octets in base64.
pub(crate) const QUIC_SERVER_ID: &str = "AWS_LBC_QUIC_SERVER_ID";

/// A server ID, or the place of an invalid one.
pub type ServerId = Result<QuicServerId, Origin>;

/// The server IDs of a pod's containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerIds {
    /// By container port, whatever its protocol. Of two containers with the same port, the last one counts.
    ports: BTreeMap<u16, ServerId>,
    /// That of the first container that has one, for ports that no container names.
    first: Option<ServerId>,
    /// A value that is not base64. It counts only if there is no other.
    undecodable: Option<Origin>,
}

impl ServerIds {
    /// Reads the IDs of a pod with this `spec` from the environment variable `name`; `None` without the annotation or without the
    /// variable. Whether the annotation lists a container does not matter. Sidecars, which are init containers that go on running,
    /// count after the others.
    pub(super) fn read(meta: &Meta, spec: &View<'_>, name: &str) -> Option<Box<Self>> {
        if !meta.annotations.contains_key(QUIC_ENABLED_CONTAINERS) {
            return None;
        }
        let is_sidecar = |view: &View<'_>| view.get("restartPolicy").text() == Some("Always");
        let containers = spec.get("containers").items();
        let sidecars = spec.get("initContainers").items().into_iter();
        let mut ids = Self::default();
        for container in containers.into_iter().chain(sidecars.filter(is_sidecar)) {
            ids.add(meta, &container, name);
        }
        (ids != Self::default()).then(|| Box::new(ids))
    }

    fn add(&mut self, meta: &Meta, container: &View<'_>, name: &str) {
        let variables = container.get("env").items();
        let mut variables = variables.iter();
        let named = |view: &&View<'_>| view.get("name").text() == Some(name);
        let Some(variable) = variables.find(named) else {
            return;
        };
        // A value from elsewhere (`valueFrom`) counts as empty.
        let value = variable.get("value");
        let place = Place {
            file: meta.place.file.clone(),
            at: if value.is_absent() { variable } else { &value }.at(),
        };
        let origin = place.origin(&meta.object, Arc::default());
        let Some(octets) = decode(value.text().unwrap_or_default()) else {
            self.undecodable.get_or_insert(origin);
            return;
        };
        let id = <[u8; 8]>::try_from(octets).map(|octets| QuicServerId(u64::from_be_bytes(octets)));
        let id = id.map_err(|_| origin);
        let ports = container.get("ports").items();
        let ports = ports
            .iter()
            .filter_map(|view| view.get("containerPort").number());
        self.ports.extend(ports.map(|port| (port, id.clone())));
        self.first.get_or_insert(id);
    }

    /// The ID of the pod as a target with this port: that of the container that has the port, else the pod's first.
    pub fn of(&self, port: u16) -> Option<ServerId> {
        let decoded = self.ports.get(&port).or(self.first.as_ref());
        decoded
            .cloned()
            .or_else(|| self.undecodable.clone().map(Err))
    }
}
