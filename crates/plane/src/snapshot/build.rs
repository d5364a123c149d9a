//! Builds the next snapshot.

use std::net::IpAddr;
use std::sync::Arc;

use elbow_model::addresses::Addresses;
use elbow_model::diagnostic::Diagnostic;
use elbow_model::{
    Listener, LoadBalancer, Model, Personality, TargetGroup, TargetId, ZoneName, changed,
};
use rustc_hash::{FxHashMap, FxHashSet};

use super::addresses::{application_addresses, moved};
use super::certificates::Renewal;
use super::group::{GroupSpec, GroupState, Places};
use super::group_changes::{Changed, GroupChanges, forwarded};
use super::listener::{ListenerState, forwarded_groups};
use super::make_listener::ListenerSpec;
use super::parts::Parts;
use super::pem_files::RenewedFiles;
use super::state::{BalancerState, Changes, Snapshot};
use crate::error::{Failure, ListenerId};
use crate::listener_key::ListenerKey;

/// A new snapshot. It has no effect until [`Snapshot::activate`].
pub(crate) struct Built {
    pub(crate) snapshot: Snapshot,
    pub(crate) changes: Changes,
    /// What cannot be served and is missing from the snapshot. Publish the snapshot only if this is empty.
    pub(crate) failures: Vec<Failure>,
}

/// A snapshot that is being built.
struct Next<'a> {
    parts: &'a Parts<'a>,
    snapshot: Snapshot,
    changes: Changes,
    /// Groups with a new value; the listeners that use them must be rebuilt.
    replaced: FxHashSet<Arc<str>>,
    /// The address of each Application Load Balancer.
    addresses: FxHashMap<Arc<str>, IpAddr>,
    /// New or changed certificates.
    renewed: FxHashSet<Arc<str>>,
    /// Certificates that cannot be loaded.
    broken: FxHashSet<Arc<str>>,
    /// Its trust stores and public keys.
    pem_files: RenewedFiles,
    failures: Vec<Failure>,
}

/// Builds the snapshot that replaces `parts.previous` when `model` is applied. `addresses` are for load balancers that
/// have none yet.
///
/// Targets that stay keep their state and counters. Removed targets of groups that stay are draining.
pub(crate) fn build(model: Arc<Model>, addresses: &Addresses, parts: &Parts<'_>) -> Built {
    let previous = parts.previous;
    let Renewal {
        certificates,
        renewed,
        broken,
        failures,
    } = previous
        .certificates
        .renew(&previous.model, &model, &parts.dns.account);
    let mut next = Next::new(parts);
    next.snapshot.certificates = certificates;
    next.renewed = renewed;
    next.broken = broken;
    next.failures = failures;
    let (old, new) = (&previous.model.target_groups, &model.target_groups);
    let groups = changed(old, new, |group| &group.name);
    let (old, new) = (&previous.model.load_balancers, &model.load_balancers);
    let mut balancers = changed(old, new, |lb| &lb.name);
    let moved = moved(&balancers, old, new, addresses, previous);
    balancers.set.extend(moved);
    let wanted: Vec<_> = balancers.set.iter().map(|(_, lb)| *lb).collect();
    let snapshot = &mut next.snapshot;
    next.pem_files = RenewedFiles::load(
        &mut snapshot.trust_stores,
        &mut snapshot.public_keys,
        &model,
        &wanted,
        &mut next.failures,
    );

    let mut changes = GroupChanges::default();
    let gone = groups.gone.iter();
    let gone = gone.map(|group| (Arc::clone(&group.name), None));
    changes.specs.extend(gone);
    let formed = next.instance_groups(&balancers, &mut changes);
    next.addresses = application_addresses(&model, addresses, previous);
    let moved = next.moved_groups(&model);
    changes.specs.extend(moved);
    let set = groups.set.iter();
    let set = set.map(|(_, group)| (Arc::clone(&group.name), Some(GroupSpec::declared(group))));
    changes.specs.extend(set);
    changes.move_users(&balancers, previous);

    next.snapshot.model = Arc::clone(&model);
    next.groups(changes);
    next.balancers(&balancers, formed, addresses);
    next.dependents(&balancers);
    next.finish()
}

/// Rebuilds the groups named `groups` of `parts.previous`, after host names resolved or a delay ended.
pub(crate) fn refresh(groups: Vec<Arc<str>>, parts: &Parts<'_>) -> Built {
    let spec = |name: Arc<str>| {
        let state = parts.previous.groups.get(&name)?;
        Some((name, Some(GroupSpec::of(&state.group))))
    };
    let changes = GroupChanges {
        specs: groups.into_iter().filter_map(spec).collect(),
        users: FxHashMap::default(),
    };
    let mut next = Next::new(parts);
    let model = Arc::clone(&parts.previous.model);
    next.addresses = application_addresses(&model, &Addresses::default(), parts.previous);
    next.groups(changes);
    next.dependents(&Changed {
        gone: Vec::new(),
        set: Vec::new(),
    });
    next.finish()
}

impl<'a> Next<'a> {
    /// Starts with a copy of the previous snapshot.
    fn new(parts: &'a Parts<'a>) -> Self {
        let previous = parts.previous;
        Self {
            parts,
            snapshot: Snapshot {
                generation: previous.generation + 1,
                model: Arc::clone(&previous.model),
                balancers: previous.balancers.clone(),
                groups: previous.groups.clone(),
                listeners: previous.listeners.clone(),
                certificates: Arc::clone(&previous.certificates),
                trust_stores: Arc::clone(&previous.trust_stores),
                public_keys: Arc::clone(&previous.public_keys),
            },
            changes: Changes::default(),
            replaced: FxHashSet::default(),
            addresses: FxHashMap::default(),
            renewed: FxHashSet::default(),
            broken: FxHashSet::default(),
            pem_files: RenewedFiles::default(),
            failures: Vec::new(),
        }
    }

    /// The groups whose Application Load Balancer has another address than before.
    fn moved_groups(&self, model: &Model) -> Vec<(Arc<str>, Option<GroupSpec>)> {
        let previous = self.parts.previous;
        let before = application_addresses(&previous.model, &Addresses::default(), previous);
        let is_moved = |group: &&Arc<TargetGroup>| {
            group.targets.iter().any(|target| match &target.id {
                TargetId::Alb(name) => self.addresses.get(name) != before.get(name),
                TargetId::Ip(_) | TargetId::Host(_) => false,
            })
        };
        let moved = model.target_groups.iter().filter(is_moved);
        moved
            .map(|group| (Arc::clone(&group.name), Some(GroupSpec::declared(group))))
            .collect()
    }

    /// The groups formed by the instances of changed load balancers. Unchanged groups are shared.
    fn instance_groups(
        &self,
        changed: &Changed<'_>,
        changes: &mut GroupChanges,
    ) -> FxHashMap<Arc<str>, Vec<Arc<TargetGroup>>> {
        let mut formed = FxHashMap::default();
        let before = changed.set.iter().filter_map(|(before, _)| *before);
        let mut old: FxHashMap<&Arc<str>, &Arc<TargetGroup>> = FxHashMap::default();
        for balancer in changed.gone.iter().copied().chain(before) {
            let state = self.parts.previous.balancers.get(&balancer.name);
            let groups = state.into_iter().flat_map(|state| &state.instance_groups);
            old.extend(groups.map(|group| (&group.name, group)));
        }
        for (_, balancer) in &changed.set {
            let groups = balancer.instance_groups().into_iter();
            let groups = groups.map(|group| match old.remove(&group.name) {
                Some(same) if **same == group => Arc::clone(same),
                _ => {
                    let group = Arc::new(group);
                    let spec = GroupSpec {
                        config: Arc::clone(&group),
                        personality: &Personality::CLASSIC,
                    };
                    changes.specs.insert(Arc::clone(&group.name), Some(spec));
                    group
                }
            });
            formed.insert(Arc::clone(&balancer.name), groups.collect());
        }
        for name in old.into_keys() {
            changes.specs.insert(Arc::clone(name), None);
        }
        formed
    }

    fn groups(&mut self, changes: GroupChanges) {
        let GroupChanges { specs, mut users } = changes;
        for (name, spec) in specs {
            let before = self.parts.previous.groups.get(&name);
            let users = users.remove(&name);
            let users = users.or_else(|| Some(before?.users.clone()));
            match spec {
                Some(spec) => self.make_group(name, &spec, users.unwrap_or_default()),
                None => {
                    self.snapshot.groups.remove(&name);
                    self.changes.groups.insert(name);
                }
            }
        }
        for (name, users) in users {
            // An undeclared group gets no traffic.
            let Some(before) = self.parts.previous.groups.get(&name) else {
                continue;
            };
            if !before.in_use() && !users.is_empty() {
                // Its targets start as new ones.
                self.make_group(name, &GroupSpec::of(&before.group), users);
            } else {
                let group = Arc::new(before.with_users(users));
                self.snapshot.groups.insert(Arc::clone(&name), group);
                self.changes.groups.insert(name);
            }
        }
    }

    fn make_group(&mut self, name: Arc<str>, spec: &GroupSpec, users: Vec<Arc<str>>) {
        let Parts {
            previous,
            resolved,
            workers,
            port_offset,
            ..
        } = *self.parts;
        let places = Places {
            resolved,
            balancers: &self.addresses,
            port_offset,
        };
        let before = previous.groups.get(&name).map(|before| &**before);
        let group = Arc::new(GroupState::new(spec, before, users, &places, workers));
        self.snapshot.groups.insert(Arc::clone(&name), group);
        self.replaced.insert(Arc::clone(&name));
        self.changes.groups.insert(name);
    }

    /// Applies the added, removed and changed load balancers.
    fn balancers(
        &mut self,
        changed: &Changed<'_>,
        mut formed: FxHashMap<Arc<str>, Vec<Arc<TargetGroup>>>,
        addresses: &Addresses,
    ) {
        let before = changed.set.iter().filter_map(|(before, _)| *before);
        let leaving: Vec<ListenerKey> = changed
            .gone
            .iter()
            .copied()
            .chain(before)
            .filter_map(|balancer| self.parts.previous.balancers.get(&balancer.name))
            .flat_map(|state| state.sockets(self.parts.port_offset))
            .map(|(key, _)| key)
            .collect();
        for key in &leaving {
            self.snapshot.listeners.remove(key);
        }
        for balancer in &changed.gone {
            self.snapshot.balancers.remove(&balancer.name);
            self.changes.balancers.insert(Arc::clone(&balancer.name));
        }
        for (_, balancer) in &changed.set {
            let before = self.parts.previous.balancers.get(&balancer.name);
            let addresses = addresses.get(&balancer.name);
            let addresses = addresses.or_else(|| Some(&before?.addresses));
            let groups = formed.remove(&balancer.name).unwrap_or_default();
            self.balancer(balancer, addresses.cloned().unwrap_or_default(), groups);
        }
        let is_free = |key: &ListenerKey| !self.snapshot.listeners.contains_key(key);
        self.changes.closed = leaving.into_iter().filter(is_free).collect();
    }

    fn balancer(
        &mut self,
        balancer: &Arc<LoadBalancer>,
        addresses: Vec<IpAddr>,
        instance_groups: Vec<Arc<TargetGroup>>,
    ) {
        let before = self.parts.previous.balancers.get(&balancer.name);
        let mut listeners = Vec::with_capacity(balancer.listeners.len());
        for listener in &balancer.listeners {
            let transports = listener.protocol.transports();
            let before = before.and_then(|state| state.listener(listener.port, transports));
            listeners.extend(self.listener(balancer, listener, &addresses, (None, before)));
        }
        let mut state = BalancerState {
            config: Arc::clone(balancer),
            addresses,
            listeners,
            zonal: Vec::new(),
            instance_groups,
        };
        state.zonal = self.zonal(&state);
        for (key, listener) in state.sockets(self.parts.port_offset) {
            let listeners = &mut self.snapshot.listeners;
            if let Some(other) = listeners.insert(key, Arc::clone(listener)) {
                self.failures.push(taken(listener, key, &other));
            }
            let before = self.parts.previous.listeners.get(&key);
            let cut = before.map(|before| before.cut_by(listener));
            self.changes.cut.extend(cut.into_iter().flatten());
            match before {
                None => self.changes.opened.push(key),
                Some(before) if !listener.is_like(before) => self.changes.handed_over.push(key),
                Some(_) => {}
            }
        }
        self.put(state);
    }

    /// Rebuilds load balancers that are unchanged but use a changed group or certificate.
    fn dependents(&mut self, changed: &Changed<'_>) {
        let done: FxHashSet<&Arc<str>> = changed.set.iter().map(|(_, lb)| &lb.name).collect();
        let groups = self.replaced.iter();
        let groups = groups.filter_map(|name| self.snapshot.groups.get(name));
        let users = groups.flat_map(|group| &group.users);
        let mut names: FxHashSet<Arc<str>> = users.cloned().collect();
        if !self.renewed.is_empty() || !self.pem_files.are_same() {
            let balancers = self.snapshot.balancers.values();
            let mut affected = balancers
                .map(|state| &state.config)
                .filter(|lb| lb.listeners.iter().any(|l| self.is_renewed(lb, l)))
                .map(|lb| Arc::clone(&lb.name));
            names.extend(&mut affected);
        }
        for name in names.into_iter().filter(|name| !done.contains(name)) {
            if let Some(state) = self.snapshot.balancers.get(&name).cloned() {
                self.renew(&state);
            }
        }
    }

    fn renew(&mut self, state: &BalancerState) {
        let mut listeners = Vec::with_capacity(state.listeners.len());
        for (listener, before) in state.config.listeners.iter().zip(&state.listeners) {
            let mut groups = forwarded_groups(listener);
            let is_affected = groups.any(|group| self.replaced.contains(group))
                || self.is_renewed(&state.config, listener);
            if is_affected {
                let before = (None, Some(before));
                let renewed = self.listener(&state.config, listener, &state.addresses, before);
                listeners.extend(renewed);
            } else {
                listeners.push(Arc::clone(before));
            }
        }
        let mut state = BalancerState {
            config: Arc::clone(&state.config),
            addresses: state.addresses.clone(),
            listeners,
            zonal: Vec::new(),
            instance_groups: state.instance_groups.clone(),
        };
        state.zonal = self.zonal(&state);
        for (key, listener) in state.sockets(self.parts.port_offset) {
            self.snapshot.listeners.insert(key, Arc::clone(listener));
        }
        self.put(state);
    }

    /// The listeners of nodes that use the targets of their zone alone.
    fn zonal(&mut self, state: &BalancerState) -> Vec<(ZoneName, Vec<Arc<ListenerState>>)> {
        let balancer = &state.config;
        let keeps_to_zone = |name: &Arc<str>| {
            let group = self.snapshot.groups.get(name);
            group.is_some_and(|group| !balancer.crosses_zones(&group.group.config))
        };
        if balancer.zones.is_empty() || !forwarded(balancer).any(keeps_to_zone) {
            return Vec::new();
        }
        let zones = state.addresses.iter();
        let zones = zones.filter_map(|ip| balancer.zone_at(*ip, &state.addresses));
        let mut zonal: Vec<(ZoneName, Vec<Arc<ListenerState>>)> = Vec::new();
        for zone in zones {
            if zonal.iter().any(|(name, _)| *name == zone.name) {
                continue;
            }
            let mut listeners = Vec::with_capacity(balancer.listeners.len());
            for listener in &balancer.listeners {
                // One that failed is reported already.
                let like = state.listener(listener.port, listener.protocol.transports());
                if let Some(like) = like {
                    let of = (Some(&zone.name), Some(like));
                    listeners.extend(self.listener(balancer, listener, &state.addresses, of));
                }
            }
            zonal.push((zone.name.clone(), listeners));
        }
        zonal
    }

    /// Makes a listener, of the node in a zone if one is given; what did not change is taken from the listener
    /// `before`.
    fn listener(
        &mut self,
        balancer: &LoadBalancer,
        listener: &Listener,
        addresses: &[IpAddr],
        (zone, before): (Option<&ZoneName>, Option<&Arc<ListenerState>>),
    ) -> Option<Arc<ListenerState>> {
        // The failure of the certificate or the other files is reported already.
        if uses_any(listener, &self.broken) || self.pem_files.break_listener(balancer, listener) {
            return None;
        }
        let spec = ListenerSpec {
            balancer,
            listener,
            addresses,
            zone,
            before: before.map(|before| &**before),
        };
        match spec.make(&self.snapshot, self.parts) {
            Ok(state) => Some(Arc::new(state)),
            Err(failure) => {
                self.failures.push(failure);
                None
            }
        }
    }

    /// Whether `listener` of `balancer` uses a certificate, trust store or public key that is new or changed.
    fn is_renewed(&self, balancer: &LoadBalancer, listener: &Listener) -> bool {
        uses_any(listener, &self.renewed) || self.pem_files.affect(balancer, listener)
    }

    fn put(&mut self, state: BalancerState) {
        let name = Arc::clone(&state.config.name);
        self.changes.balancers.insert(Arc::clone(&name));
        self.snapshot.balancers.insert(name, Arc::new(state));
    }

    fn finish(self) -> Built {
        Built {
            snapshot: self.snapshot,
            changes: self.changes,
            failures: self.failures,
        }
    }
}

/// Whether `listener` uses one of the `certificates`.
fn uses_any(listener: &Listener, certificates: &FxHashSet<Arc<str>>) -> bool {
    let mut presented = listener.certificates.iter();
    presented.any(|certificate| certificates.contains(&certificate.name))
}

/// The failure of `listener`, whose socket `other` already uses.
fn taken(listener: &ListenerState, key: ListenerKey, other: &ListenerState) -> Failure {
    let message = format!(
        "listener {} cannot listen on {key}: load balancer \"{}\" already does",
        listener.port, other.load_balancer
    );
    let diagnostic = Diagnostic::error("address-in-use", message)
        .hint("give the load balancers different addresses");
    let id = ListenerId {
        port: listener.port,
        transport: key.transport,
    };
    Failure::invalid_listener(&listener.load_balancer, id, diagnostic)
}
