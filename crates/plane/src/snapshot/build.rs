//! How one snapshot follows another.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use elbow_model::addresses::Addresses;
use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Listener, LoadBalancer, Model, TargetGroup, changed};
use rustc_hash::{FxHashMap, FxHashSet};

use super::certificates::Followed;
use super::listeners::of_listener;
use super::{BalancerState, Changes, GroupState, ListenerState, Parts, Snapshot, forwarded_groups};
use crate::error::Rejection;

/// A snapshot on its way.
struct Next<'a> {
    parts: &'a Parts<'a>,
    snapshot: Snapshot,
    changes: Changes,
    /// Groups whose listeners are to have another value.
    replaced: FxHashSet<Arc<str>>,
    /// Certificates that are other ones.
    renewed: FxHashSet<Arc<str>>,
    rejections: Vec<Rejection>,
}

/// What is to be done about groups, by name.
#[derive(Default)]
struct Orders {
    /// The configuration to make it anew by; `None`: it goes.
    configs: FxHashMap<Arc<str>, Option<Arc<TargetGroup>>>,
    /// Who forwards to it from now on.
    users: FxHashMap<Arc<str>, Vec<Arc<str>>>,
}

type Changed<'a> = elbow_model::Changed<'a, LoadBalancer>;

pub(super) fn follow(
    model: Arc<Model>,
    addresses: &Addresses,
    parts: &Parts<'_>,
) -> Result<(Snapshot, Changes), Vec<Rejection>> {
    let previous = parts.previous;
    let Followed {
        certificates,
        renewed,
    } = previous.certificates.follow(&previous.model, &model)?;
    let mut next = Next::new(parts);
    next.snapshot.certificates = certificates;
    next.renewed = renewed;
    let (old, new) = (&previous.model.target_groups, &model.target_groups);
    let groups = changed(old, new, |group| &group.name);
    let (old, new) = (&previous.model.load_balancers, &model.load_balancers);
    let balancers = changed(old, new, |lb| &lb.name);

    let mut orders = Orders::default();
    let gone = groups.gone.iter();
    let gone = gone.map(|group| (Arc::clone(&group.name), None));
    orders.configs.extend(gone);
    let formed = next.instance_groups(&balancers, &mut orders);
    let set = groups.set.iter();
    let set = set.map(|(_, group)| (Arc::clone(&group.name), Some(Arc::clone(group))));
    orders.configs.extend(set);
    orders.move_users(&balancers, previous);

    next.snapshot.model = Arc::clone(&model);
    next.groups(orders);
    next.balancers(&balancers, formed, addresses);
    next.dependents(&balancers);
    next.finish()
}

pub(super) fn refresh(
    groups: Vec<Arc<str>>,
    parts: &Parts<'_>,
) -> Result<(Snapshot, Changes), Vec<Rejection>> {
    let config = |name: Arc<str>| {
        let state = parts.previous.groups.get(&name)?;
        Some((name, Some(Arc::clone(&state.group.config))))
    };
    let orders = Orders {
        configs: groups.into_iter().filter_map(config).collect(),
        users: FxHashMap::default(),
    };
    let mut next = Next::new(parts);
    next.groups(orders);
    next.dependents(&Changed {
        gone: Vec::new(),
        set: Vec::new(),
    });
    next.finish()
}

impl Orders {
    /// Notes who forwards where when the load balancers are `changed` ones.
    fn move_users(&mut self, changed: &Changed<'_>, previous: &Snapshot) {
        let before = changed.set.iter().filter_map(|(before, _)| *before);
        for balancer in changed.gone.iter().copied().chain(before) {
            for group in forwarded(balancer) {
                self.users_of(group, previous)
                    .retain(|user| *user != balancer.name);
            }
        }
        for (_, balancer) in &changed.set {
            for group in forwarded(balancer) {
                let users = self.users_of(group, previous);
                if let Err(place) = users.binary_search(&balancer.name) {
                    users.insert(place, Arc::clone(&balancer.name));
                }
            }
        }
    }

    fn users_of(&mut self, group: &Arc<str>, previous: &Snapshot) -> &mut Vec<Arc<str>> {
        self.users.entry(Arc::clone(group)).or_insert_with(|| {
            let state = previous.groups.get(group);
            state.map(|state| state.users.clone()).unwrap_or_default()
        })
    }
}

/// The groups that some listener of `balancer` forwards to; one may be there twice.
fn forwarded(balancer: &LoadBalancer) -> impl Iterator<Item = &Arc<str>> {
    balancer.listeners.iter().flat_map(forwarded_groups)
}

impl<'a> Next<'a> {
    /// All that was, for a start.
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
            },
            changes: Changes::default(),
            replaced: FxHashSet::default(),
            renewed: FxHashSet::default(),
            rejections: Vec::new(),
        }
    }

    /// The groups that the instances of changed load balancers form. Those that stay as they were are the same values.
    fn instance_groups(
        &self,
        changed: &Changed<'_>,
        orders: &mut Orders,
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
                    let order = (Arc::clone(&group.name), Some(Arc::clone(&group)));
                    orders.configs.extend([order]);
                    group
                }
            });
            formed.insert(Arc::clone(&balancer.name), groups.collect());
        }
        for name in old.into_keys() {
            orders.configs.insert(Arc::clone(name), None);
        }
        formed
    }

    fn groups(&mut self, orders: Orders) {
        let Orders { configs, mut users } = orders;
        let previous = &self.parts.previous.groups;
        for (name, config) in configs {
            let before = previous.get(&name);
            let users = users.remove(&name);
            let users = users.or_else(|| Some(before?.users.clone()));
            match config {
                Some(config) => {
                    let users = users.unwrap_or_default();
                    let group = GroupState::new(&config, before.map(|b| &**b), users, self.parts);
                    self.replaced.insert(Arc::clone(&name));
                    self.snapshot
                        .groups
                        .insert(Arc::clone(&name), Arc::new(group));
                }
                None => {
                    self.snapshot.groups.remove(&name);
                }
            }
            self.changes.groups.insert(name);
        }
        for (name, users) in users {
            // What nobody declared takes no traffic.
            let Some(before) = previous.get(&name) else {
                continue;
            };
            let group = match !before.in_use() && !users.is_empty() {
                // Its targets begin anew.
                true => {
                    self.replaced.insert(Arc::clone(&name));
                    let config = &before.group.config;
                    GroupState::new(config, Some(before), users, self.parts)
                }
                false => before.with_users(users),
            };
            self.snapshot
                .groups
                .insert(Arc::clone(&name), Arc::new(group));
            self.changes.groups.insert(name);
        }
    }

    /// Load balancers that came, went or are others.
    fn balancers(
        &mut self,
        changed: &Changed<'_>,
        mut formed: FxHashMap<Arc<str>, Vec<Arc<TargetGroup>>>,
        addresses: &Addresses,
    ) {
        let before = changed.set.iter().filter_map(|(before, _)| *before);
        let leaving: Vec<SocketAddr> = changed
            .gone
            .iter()
            .copied()
            .chain(before)
            .filter_map(|balancer| self.parts.previous.balancers.get(&balancer.name))
            .flat_map(|state| state.sockets(self.parts.port_offset))
            .map(|(address, _)| address)
            .collect();
        for address in &leaving {
            self.snapshot.listeners.remove(address);
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
        let is_free = |address: &SocketAddr| !self.snapshot.listeners.contains_key(address);
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
            let before = before.and_then(|state| state.listener(listener.port));
            if let Some(state) = self.listener(balancer, listener, &addresses, before) {
                listeners.push(state);
            }
        }
        let state = BalancerState {
            config: Arc::clone(balancer),
            addresses,
            listeners,
            instance_groups,
        };
        for (address, listener) in state.sockets(self.parts.port_offset) {
            let listeners = &mut self.snapshot.listeners;
            if let Some(other) = listeners.insert(address, Arc::clone(listener)) {
                let taken = taken(balancer, listener.port, address, &other);
                self.rejections.push(taken);
            }
            match self.parts.previous.listeners.get(&address) {
                None => self.changes.opened.push(address),
                Some(before) if !listener.is_like(before) => self.changes.handed_over.push(address),
                Some(_) => {}
            }
        }
        self.put(state);
    }

    /// Load balancers that stayed as they are but for a group or a certificate.
    fn dependents(&mut self, changed: &Changed<'_>) {
        let done: FxHashSet<&Arc<str>> = changed.set.iter().map(|(_, lb)| &lb.name).collect();
        let groups = self.replaced.iter();
        let groups = groups.filter_map(|name| self.snapshot.groups.get(name));
        let users = groups.flat_map(|group| &group.users);
        let mut names: FxHashSet<Arc<str>> = users.cloned().collect();
        if !self.renewed.is_empty() {
            let balancers = self.snapshot.balancers.values();
            let mut presenting = balancers
                .filter(|state| state.config.listeners.iter().any(|l| self.presents(l)))
                .map(|state| Arc::clone(&state.config.name));
            names.extend(&mut presenting);
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
            let is_other =
                groups.any(|group| self.replaced.contains(group)) || self.presents(listener);
            let renewed = match is_other {
                true => self.listener(&state.config, listener, &state.addresses, Some(before)),
                false => Some(Arc::clone(before)),
            };
            listeners.extend(renewed);
        }
        let state = BalancerState {
            config: Arc::clone(&state.config),
            addresses: state.addresses.clone(),
            listeners,
            instance_groups: state.instance_groups.clone(),
        };
        for (address, listener) in state.sockets(self.parts.port_offset) {
            self.snapshot
                .listeners
                .insert(address, Arc::clone(listener));
        }
        self.put(state);
    }

    fn presents(&self, listener: &Listener) -> bool {
        let mut certificates = listener.certificates.iter();
        certificates.any(|certificate| self.renewed.contains(&certificate.name))
    }

    fn listener(
        &mut self,
        balancer: &LoadBalancer,
        listener: &Listener,
        addresses: &[IpAddr],
        before: Option<&Arc<ListenerState>>,
    ) -> Option<Arc<ListenerState>> {
        let before = before.map(|before| &**before);
        let made = self
            .snapshot
            .listener(balancer, listener, addresses, before, self.parts);
        match made {
            Ok(state) => Some(Arc::new(state)),
            Err(rejection) => {
                self.rejections.push(rejection);
                None
            }
        }
    }

    fn put(&mut self, state: BalancerState) {
        let name = Arc::clone(&state.config.name);
        self.changes.balancers.insert(Arc::clone(&name));
        self.snapshot.balancers.insert(name, Arc::new(state));
    }

    fn finish(self) -> Result<(Snapshot, Changes), Vec<Rejection>> {
        match self.rejections.is_empty() {
            true => Ok((self.snapshot, self.changes)),
            false => Err(self.rejections),
        }
    }
}

impl BalancerState {
    fn listener(&self, port: u16) -> Option<&Arc<ListenerState>> {
        self.listeners.iter().find(|listener| listener.port == port)
    }

    /// What is bound for it.
    fn sockets(&self, port_offset: u16) -> impl Iterator<Item = (SocketAddr, &Arc<ListenerState>)> {
        self.listeners.iter().flat_map(move |listener| {
            let port = listener.port.saturating_add(port_offset);
            let addresses = self.addresses.iter();
            addresses.map(move |ip| (SocketAddr::new(*ip, port), listener))
        })
    }
}

/// Two listeners ask for one socket.
fn taken(
    balancer: &LoadBalancer,
    port: u16,
    address: SocketAddr,
    other: &ListenerState,
) -> Rejection {
    let message = format!(
        "listener {port} cannot listen on {address}: load balancer \"{}\" already does",
        other.load_balancer
    );
    let diagnostic = Diagnostic::error("address-in-use", message)
        .hint("give the load balancers different addresses");
    of_listener(balancer, port, diagnostic)
}
