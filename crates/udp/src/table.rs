//! The flows of a worker: a bounded table that knows which flow has been quiet for longest.

use std::hash::{BuildHasher, Hash, RandomState};

use hashbrown::HashTable;
use slab::Slab;

#[cfg(test)]
mod tests;

/// Marks the end of the list.
const NONE: u32 = u32::MAX;

/// Flows for which an empty table keeps the memory; that of more, for example after a flood, is freed.
const KEPT: usize = 1024;

/// Values of flows by their keys, at most as many as its capacity.
///
/// A list connects the flows in the order of their last datagrams. Time is a number that the caller gives and that never
/// decreases.
#[derive(Debug)]
pub struct Table<K, V> {
    entries: Slab<Entry<K, V>>,
    /// The entries by the hashes of their keys, which the entries alone hold.
    index: HashTable<u32>,
    /// Has a random key, because clients choose parts of `K`.
    hasher: RandomState,
    capacity: usize,
    /// The ends of the list.
    oldest: u32,
    newest: u32,
}

#[derive(Debug)]
struct Entry<K, V> {
    key: K,
    value: V,
    /// When its last datagram passed.
    active: u64,
    older: u32,
    newer: u32,
}

impl<K: Eq + Hash, V> Table<K, V> {
    /// An empty table for at most `capacity` flows.
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: Slab::new(),
            index: HashTable::new(),
            hasher: RandomState::new(),
            capacity: capacity.clamp(1, NONE as usize),
            oldest: NONE,
            newest: NONE,
        }
    }

    /// Number of flows.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no flow.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the next new flow takes the place of the oldest one.
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    /// The flow of `key`.
    pub fn find(&self, key: &K) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        let is_same = |id: &u32| self.get(*id).is_some_and(|(own, _)| own == key);
        self.index.find(hash, is_same).copied()
    }

    /// Key and value of flow `id`.
    pub fn get(&self, id: u32) -> Option<(&K, &V)> {
        let entry = self.entries.get(id as usize)?;
        Some((&entry.key, &entry.value))
    }

    /// Notes that a datagram of flow `id` passes.
    pub fn touch(&mut self, id: u32, now: u64) {
        // The list stays sorted by time, but not within one instant, which saves most of the moves.
        match self.entries.get_mut(id as usize) {
            Some(entry) if entry.active < now => entry.active = now,
            _ => return,
        }
        if self.newest != id {
            self.unlink(id);
            self.link(id);
        }
    }

    /// Adds the flow of `key`. Returns its ID and what was removed: the flow of the same key, or the oldest one of a full
    /// table.
    pub fn insert(&mut self, key: K, value: V, now: u64) -> (u32, Option<(K, V)>) {
        let removed = match self.find(&key) {
            Some(same) => self.remove(same),
            None if self.is_full() => self.remove(self.oldest),
            None => None,
        };
        let hash = self.hasher.hash_one(&key);
        let entry = self.entries.vacant_entry();
        // The capacity is less than 2^32.
        let id = entry.key() as u32;
        entry.insert(Entry {
            key,
            value,
            active: now,
            older: NONE,
            newer: NONE,
        });
        let (entries, hasher) = (&self.entries, &self.hasher);
        // Every number in the index has an entry.
        let rehash = |id: &u32| {
            let entry = entries.get(*id as usize);
            entry.map_or(0, |entry| hasher.hash_one(&entry.key))
        };
        self.index.insert_unique(hash, id, rehash);
        self.link(id);
        (id, removed)
    }

    /// Removes flow `id`.
    pub fn remove(&mut self, id: u32) -> Option<(K, V)> {
        let hash = self.hasher.hash_one(&self.entries.get(id as usize)?.key);
        if let Ok(indexed) = self.index.find_entry(hash, |other| *other == id) {
            indexed.remove();
        }
        self.unlink(id);
        let Entry { key, value, .. } = self.entries.remove(id as usize);
        if self.is_empty() && self.entries.capacity() > KEPT {
            self.entries.shrink_to_fit();
            self.index = HashTable::new();
        }
        Some((key, value))
    }

    /// Removes the flow that has been quiet for longest.
    pub fn remove_oldest(&mut self) -> Option<(K, V)> {
        self.remove(self.oldest)
    }

    /// Removes a flow that has been quiet for `timeout` at `now`, if there is one.
    pub fn remove_idle(&mut self, now: u64, timeout: u64) -> Option<(K, V)> {
        let deadline = self.next_deadline(timeout)?;
        (deadline <= now).then(|| self.remove_oldest())?
    }

    /// When the next flow will have been quiet for `timeout`.
    pub fn next_deadline(&self, timeout: u64) -> Option<u64> {
        let oldest = self.entries.get(self.oldest as usize)?;
        Some(oldest.active.saturating_add(timeout))
    }

    /// Removes the flows for which `ends` is true, and calls `on` with each.
    pub fn remove_if(&mut self, ends: impl Fn(&K, &V) -> bool, mut on: impl FnMut(K, V)) {
        let mut next = self.oldest;
        while let Some(entry) = self.entries.get(next as usize) {
            let id = next;
            next = entry.newer;
            if ends(&entry.key, &entry.value)
                && let Some((key, value)) = self.remove(id)
            {
                on(key, value);
            }
        }
    }

    fn unlink(&mut self, id: u32) {
        let Some(entry) = self.entries.get_mut(id as usize) else {
            return;
        };
        let (older, newer) = (entry.older, entry.newer);
        match self.entries.get_mut(older as usize) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
        match self.entries.get_mut(newer as usize) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
    }

    /// Links flow `id` as the newest one.
    fn link(&mut self, id: u32) {
        let newest = self.newest;
        match self.entries.get_mut(newest as usize) {
            Some(entry) => entry.newer = id,
            None => self.oldest = id,
        }
        if let Some(entry) = self.entries.get_mut(id as usize) {
            entry.older = newest;
            entry.newer = NONE;
        }
        self.newest = id;
    }
}
