//! EndpointSlices and Endpoints: the addresses of the pods behind a Service.

use std::net::IpAddr;
use std::sync::Arc;

use super::Meta;
use crate::object::{Object, Place};
use crate::view::View;

/// The label of a slice that names its Service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Endpoints of a Service: an EndpointSlice, or a subset of an Endpoints object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSet {
    /// The family of its addresses.
    pub family: Family,
    /// Its ports; each endpoint has all of them.
    pub ports: Vec<EndpointPort>,
    /// Its endpoints, in the order of the text.
    pub endpoints: Vec<Endpoint>,
}

/// The family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// Host names; only in EndpointSlices.
    Fqdn,
    /// IPv4 and IPv6 together, as in an Endpoints object.
    Both,
}

/// A port of endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointPort {
    /// The name of the Service's port; may be empty.
    pub name: String,
    /// Its number, if there is one.
    pub port: Option<u16>,
    /// `TCP`, `UDP`, `SCTP`.
    pub protocol: String,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its first address.
    pub address: String,
    /// `conditions.ready`; `None` counts as ready.
    pub ready: Option<bool>,
    /// `conditions.terminating`.
    pub terminating: bool,
    /// Its zone.
    pub zone: Option<String>,
    /// Its node.
    pub node: Option<String>,
    /// Kind, namespace and name of the object behind it.
    pub target: Option<(String, String, String)>,
    /// Where it stands.
    pub place: Place,
    /// The object that it stands in, as diagnostics name it.
    pub object: Arc<str>,
}

/// An EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// Name, namespace, place.
    pub meta: Meta,
    /// Its endpoints.
    pub set: EndpointSet,
}

impl EndpointSlice {
    /// Reads an EndpointSlice.
    pub fn read(object: &Object, view: &View<'_>) -> Self {
        let kind = view.get("addressType");
        let family = match kind.text() {
            Some("IPv4") => Family::Ipv4,
            Some("IPv6") => Family::Ipv6,
            Some("FQDN") => Family::Fqdn,
            other => {
                let other = other.unwrap_or("nothing");
                let message = format!("addressType: expected IPv4, IPv6 or FQDN, found {other}");
                kind.error("unknown-value", message);
                Family::Fqdn
            }
        };
        let endpoints = view.get("endpoints").items();
        let path: Arc<str> = object.path().into();
        Self {
            meta: Meta::read(object, view),
            set: EndpointSet {
                family,
                ports: view.get("ports").items().iter().map(port).collect(),
                endpoints: endpoints
                    .iter()
                    .filter_map(|view| endpoint((object, &path), view, family))
                    .collect(),
            },
        }
    }

    /// The name of the Service that it belongs to.
    pub fn service(&self) -> Option<&String> {
        self.meta.labels.get(SERVICE_NAME)
    }
}

fn port(view: &View<'_>) -> EndpointPort {
    EndpointPort {
        name: view.get("name").text().unwrap_or_default().to_owned(),
        port: view.get("port").number(),
        protocol: view.get("protocol").text().unwrap_or("TCP").to_owned(),
    }
}

fn endpoint(
    (object, path): (&Object, &Arc<str>),
    view: &View<'_>,
    family: Family,
) -> Option<Endpoint> {
    let conditions = view.get("conditions");
    let address = view.get("addresses").items().into_iter().next()?;
    let text = check(&address, family)?;
    let name = |field: &str| view.get(field).text().map(str::to_owned);
    Some(Endpoint {
        address: text,
        ready: conditions.get("ready").boolean(),
        terminating: conditions.get("terminating").boolean().unwrap_or(false),
        zone: name("zone"),
        node: name("nodeName"),
        target: target(&view.get("targetRef"), object),
        place: Place {
            file: object.file.clone(),
            at: address.at(),
        },
        object: path.clone(),
    })
}

/// An address of the family.
fn check(view: &View<'_>, family: Family) -> Option<String> {
    let text = view.text()?;
    let fits = match (family, text.parse::<IpAddr>()) {
        (Family::Ipv4, Ok(address)) => address.is_ipv4(),
        (Family::Ipv6, Ok(address)) => address.is_ipv6(),
        (Family::Both, address) => address.is_ok(),
        (Family::Fqdn, address) => address.is_err() && !text.is_empty(),
        (_, Err(_)) => false,
    };
    if !fits {
        let wanted = match family {
            Family::Ipv4 => "IPv4 address",
            Family::Ipv6 => "IPv6 address",
            Family::Fqdn => "FQDN",
            Family::Both => "IP address",
        };
        view.error(
            "invalid-address",
            format!("expected an {wanted}, found \"{text}\""),
        );
    }
    fits.then(|| text.to_owned())
}

fn target(view: &View<'_>, object: &Object) -> Option<(String, String, String)> {
    if view.is_absent() {
        return None;
    }
    let text = |name: &str| view.get(name).text().map(str::to_owned);
    Some((
        text("kind").unwrap_or_default(),
        text("namespace").unwrap_or_else(|| object.namespace.clone()),
        text("name").unwrap_or_default(),
    ))
}

/// An Endpoints object, the predecessor of EndpointSlices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Name, namespace, place; the name is that of the Service.
    pub meta: Meta,
    /// Its subsets.
    pub sets: Vec<EndpointSet>,
}

impl Endpoints {
    /// Reads an Endpoints object.
    pub fn read(object: &Object, view: &View<'_>) -> Self {
        let subsets = view.get("subsets").items();
        Self {
            meta: Meta::read(object, view),
            sets: subsets.iter().map(|view| subset(object, view)).collect(),
        }
    }
}

fn subset(object: &Object, view: &View<'_>) -> EndpointSet {
    let path: Arc<str> = object.path().into();
    let addresses = |field: &str, ready: bool| -> Vec<Endpoint> {
        let items = view.get(field).items();
        let one = |view: &View<'_>| {
            let address = view.get("ip");
            Some(Endpoint {
                address: check(&address, Family::Both)?,
                ready: Some(ready),
                terminating: false,
                zone: None,
                node: view.get("nodeName").text().map(str::to_owned),
                target: target(&view.get("targetRef"), object),
                place: Place {
                    file: object.file.clone(),
                    at: address.at(),
                },
                object: path.clone(),
            })
        };
        items.iter().filter_map(one).collect()
    };
    let mut endpoints = addresses("addresses", true);
    endpoints.extend(addresses("notReadyAddresses", false));
    EndpointSet {
        family: Family::Both,
        ports: view.get("ports").items().iter().map(port).collect(),
        endpoints,
    }
}
