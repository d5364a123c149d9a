//! The DNS server for the names of load balancers.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use elbow_dns::Names;
use elbow_model::{LoadBalancer, Model, ZoneName};
use elbow_plane::View;
use tokio::net::UdpSocket;
use tracing::info;

use crate::process::Failure;
use crate::sockets::Sockets;

/// The DNS server, which does not answer yet.
pub(crate) struct Server(Option<UdpSocket>);

/// Binds `address` (UDP), unless it is off.
///
/// # Errors
/// The address cannot be bound.
pub(crate) async fn bind(
    address: Option<SocketAddr>,
    sockets: &Sockets,
) -> Result<Server, Failure> {
    let Some(address) = address else {
        return Ok(Server(None));
    };
    let socket = sockets.udp("dns", address).await.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need root or `setcap cap_net_bind_service=+ep`; or choose another with --dns ADDR"
            }
            _ => "choose another with --dns ADDR, or --dns off",
        };
        Failure::environment(format!("DNS address {address}: {error}"), hint)
    })?;
    info!(%address, "serving the DNS names of load balancers");
    Ok(Server(Some(socket)))
}

impl Server {
    /// Answers with the DNS names of all load balancers, until another process does.
    pub(crate) fn serve(self, view: View, sockets: &Sockets) {
        let Some(socket) = self.0 else { return };
        let names = Served {
            view,
            index: Mutex::default(),
            queries: AtomicU64::new(0),
        };
        sockets.serve(async move { elbow_dns::serve(socket, &names).await });
    }
}

/// The served load balancers by DNS name.
struct Served {
    view: View,
    index: Mutex<Index>,
    /// How many named a load balancer.
    queries: AtomicU64,
}

/// What DNS names are of, for one model.
#[derive(Default)]
struct Index {
    of: Arc<Model>,
    names: HashMap<String, Named>,
}

/// The name of a load balancer, and the zone if the DNS name is of its node there.
type Named = (Arc<str>, Option<ZoneName>);

impl Names for Served {
    fn zone(&self) -> &str {
        &self.view.dns_zone().suffix
    }

    fn addresses(&self, name: &str, client: IpAddr) -> Option<Vec<IpAddr>> {
        let (name, zone) = self.named(name)?;
        if let Some(zone) = zone {
            return self.view.zonal_addresses(&name, &zone);
        }
        let turn = self.queries.fetch_add(1, Ordering::Relaxed);
        self.view.dns_addresses(&name, client, turn)
    }
}

impl Served {
    /// What has this DNS name.
    fn named(&self, dns_name: &str) -> Option<Named> {
        // A panic elsewhere leaves the index consistent: it is replaced in one step.
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let model = self.view.model();
        if !Arc::ptr_eq(&index.of, &model) {
            let dns = self.view.dns_zone();
            let named = |balancer: &Arc<LoadBalancer>| {
                let name = &balancer.name;
                let zones = if balancer.kind.personality().has_zonal_nodes {
                    &balancer.zones[..]
                } else {
                    &[]
                };
                let zonal = zones.iter().map(|zone| {
                    let dns_name = balancer.zonal_dns_name(&zone.name, dns);
                    (dns_name, (Arc::clone(name), Some(zone.name.clone())))
                });
                let whole = (balancer.dns_name(dns), (Arc::clone(name), None));
                zonal.chain([whole]).collect::<Vec<_>>()
            };
            let names = model.load_balancers.iter().flat_map(named).collect();
            *index = Index { of: model, names };
        }
        index.names.get(dns_name).cloned()
    }
}
