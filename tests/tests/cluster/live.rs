//! `elbow controller` beside the cluster.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use elbow_tests::cluster::Cluster;
use elbow_tests::elbow::{Place, rows};
use elbow_tests::{Elbow, wait};
use serde_json::Value;

/// A cluster with its load balancer controller.
pub(crate) struct Live<'a> {
    pub(crate) cluster: &'a Cluster,
    place: Place,
    pub(crate) elbow: Elbow,
}

impl<'a> Live<'a> {
    pub(crate) fn start(cluster: &'a Cluster, args: &[&str]) -> Self {
        let place = Place::new(cluster.kubeconfig());
        Self {
            elbow: control(&place, args),
            cluster,
            place,
        }
    }

    /// Restarts elbow with the same addresses.
    pub(crate) fn restart(&mut self) {
        self.elbow = control(&self.place, &[]);
    }

    /// An object; null if there is none.
    pub(crate) fn object(&self, kind: &str, namespace: &str, name: &str) -> Value {
        let args = [
            "get",
            kind,
            "-n",
            namespace,
            name,
            "--ignore-not-found",
            "-o",
            "json",
        ];
        serde_json::from_str(&self.cluster.ask(&args)).unwrap_or_default()
    }

    /// Waits until `field` of an object, a JSON pointer, is `value`.
    pub(crate) fn wait_for_field(&self, object: (&str, &str, &str), field: &str, value: &Value) {
        let (kind, namespace, name) = object;
        wait::until(&format!("{field} of {kind} {name} to be {value}"), || {
            let object = self.object(kind, namespace, name);
            (object.pointer(field).unwrap_or(&Value::Null) == value).then_some(())
        });
    }

    /// The finalizers of an object.
    pub(crate) fn finalizers(&self, kind: &str, namespace: &str, name: &str) -> Value {
        self.object(kind, namespace, name)["metadata"]["finalizers"].clone()
    }

    /// The host name in the status of a Service or an Ingress.
    pub(crate) fn hostname(&self, kind: &str, namespace: &str, name: &str) -> Option<String> {
        let object = self.object(kind, namespace, name);
        let status = &object["status"]["loadBalancer"]["ingress"];
        Some(status[0]["hostname"].as_str()?.to_owned())
    }

    /// The address of the load balancer of a Service or an Ingress, by its status.
    pub(crate) fn address(&self, kind: &str, namespace: &str, name: &str) -> Ipv4Addr {
        wait::until(&format!("an address of {kind} {namespace}/{name}"), || {
            self.address_of(&self.hostname(kind, namespace, name)?)
        })
    }

    /// The address of the load balancer with this host name.
    pub(crate) fn address_of(&self, hostname: &str) -> Option<Ipv4Addr> {
        let status = self.elbow.json("/status");
        let balancers = status["loadBalancers"].as_array().unwrap();
        let balancer = balancers.iter().find(|b| b["dnsName"] == hostname)?;
        balancer["address"].as_str()?.parse().ok()
    }

    /// The names of the target groups of a Service.
    pub(crate) fn groups(&self, namespace: &str, service: &str) -> Vec<String> {
        // As AWS's controller shortens names.
        let short = |name: &str| name.replace('-', "").chars().take(8).collect::<String>();
        let start = format!("k8s-{}-{}-", short(namespace), short(service));
        let config = self.elbow.json("/config");
        let groups = config["targetGroups"].as_array().into_iter().flatten();
        groups
            .filter_map(|group| group["name"].as_str())
            .filter(|name| name.starts_with(&start))
            .map(ToOwned::to_owned)
            .collect()
    }

    /// The addresses of the healthy targets of a group.
    pub(crate) fn healthy(&self, group: &str) -> BTreeSet<String> {
        rows(&self.elbow.json("/targets"))
            .iter()
            .filter(|row| row["targetGroup"] == group && row["state"] == "healthy")
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until a group has exactly `count` targets, all healthy.
    pub(crate) fn wait_for_targets(&self, group: &str, count: usize) {
        wait::until(&format!("{count} healthy targets of {group}"), || {
            let rows = rows(&self.elbow.json("/targets"));
            let of = rows.iter().filter(|row| row["targetGroup"] == group);
            (of.count() == count && self.healthy(group).len() == count).then_some(())
        });
    }

    /// The reasons of the events about an object.
    pub(crate) fn events(&self, kind: &str, namespace: &str, name: &str) -> BTreeSet<String> {
        let of = format!("involvedObject.kind={kind},involvedObject.name={name}");
        let events = self
            .cluster
            .get(&["events", "-n", namespace, "--field-selector", &of]);
        let events = events["items"].as_array().unwrap().iter();
        events
            .map(|event| event["reason"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn control(place: &Place, args: &[&str]) -> Elbow {
    Elbow::control(place, &[&["--leader-elect=false"], args].concat())
}

/// Port 80 of an address.
pub(crate) fn http(address: Ipv4Addr) -> SocketAddr {
    (address, 80).into()
}
