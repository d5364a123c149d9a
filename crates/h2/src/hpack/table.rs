//! The dynamic table (RFC 7541, 2.3.2 and 4).

use std::collections::VecDeque;

use super::FIELD_OVERHEAD;

/// The first size of a ring.
const RING_MIN: usize = 256;

/// Fields, the newest with the lowest index. Names and values lie behind one another in one ring of
/// bytes, which grows up to the size of the table.
#[derive(Debug)]
pub(super) struct Table {
    /// A power of two, or empty.
    ring: Vec<u8>,
    /// Newest first.
    entries: VecDeque<Entry>,
    /// The sum of the sizes of the entries.
    size: usize,
    /// The most that `size` may be.
    size_max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where in the ring the name starts. The value follows.
    start: u32,
    name: u32,
    value: u32,
}

impl Entry {
    fn len(self) -> usize {
        self.name as usize + self.value as usize
    }
}

impl Table {
    /// Makes an empty table of at most `size_max`.
    pub(super) fn new(size_max: usize) -> Self {
        Self {
            ring: Vec::new(),
            entries: VecDeque::new(),
            size: 0,
            size_max,
        }
    }

    /// Changes the maximum size. Entries above it leave.
    pub(super) fn resize(&mut self, size_max: usize) {
        self.size_max = size_max;
        self.evict(size_max);
    }

    /// Adds a field. Older ones leave; a field larger than the table empties it.
    pub(super) fn push(&mut self, name: &[u8], value: &[u8]) {
        let len = name.len() + value.len();
        let size = len + FIELD_OVERHEAD;
        let Some(left) = self.size_max.checked_sub(size) else {
            self.evict(0);
            return;
        };
        self.evict(left);
        self.grow(self.bytes() + len);
        let start = match self.entries.front() {
            Some(entry) => entry.start as usize + entry.len(),
            None => 0,
        };
        self.write(start, name);
        self.write(start + name.len(), value);
        self.entries.push_front(Entry {
            start: self.place(start) as u32,
            name: name.len() as u32,
            value: value.len() as u32,
        });
        self.size += size;
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the maximum size.
    pub(super) fn size_max(&self) -> usize {
        self.size_max
    }

    /// Returns name and value of the entry at `index`, which starts at 0. `scratch` joins an entry that
    /// goes past the end of the ring.
    pub(super) fn get<'a>(
        &'a self,
        index: usize,
        scratch: &'a mut Vec<u8>,
    ) -> Option<(&'a [u8], &'a [u8])> {
        let entry = *self.entries.get(index)?;
        let (first, second) = self.slices(entry.start as usize, entry.len());
        let bytes = if second.is_empty() {
            first
        } else {
            scratch.clear();
            scratch.extend_from_slice(first);
            scratch.extend_from_slice(second);
            scratch
        };
        Some(bytes.split_at(entry.name as usize))
    }

    /// Whether the entry at `index` has this name.
    pub(super) fn has_name(&self, index: usize, name: &[u8]) -> bool {
        self.entries.get(index).is_some_and(|entry| {
            entry.name as usize == name.len() && self.holds(entry.start as usize, name)
        })
    }

    /// Whether the entry at `index` is this field.
    pub(super) fn has_field(&self, index: usize, name: &[u8], value: &[u8]) -> bool {
        self.entries.get(index).is_some_and(|entry| {
            entry.name as usize == name.len()
                && entry.value as usize == value.len()
                && self.holds(entry.start as usize, name)
                && self.holds(entry.start as usize + name.len(), value)
        })
    }

    fn evict(&mut self, left: usize) {
        while self.size > left
            && let Some(entry) = self.entries.pop_back()
        {
            self.size -= entry.len() + FIELD_OVERHEAD;
        }
    }

    /// The bytes of all entries.
    fn bytes(&self) -> usize {
        self.size - self.entries.len() * FIELD_OVERHEAD
    }

    /// Makes the ring hold `needed` bytes.
    fn grow(&mut self, needed: usize) {
        if needed <= self.ring.len() {
            return;
        }
        let mut ring = Vec::with_capacity(needed.next_power_of_two().max(RING_MIN));
        let mut entries = std::mem::take(&mut self.entries);
        for entry in entries.iter_mut().rev() {
            let start = ring.len() as u32;
            let (first, second) = self.slices(entry.start as usize, entry.len());
            ring.extend_from_slice(first);
            ring.extend_from_slice(second);
            entry.start = start;
        }
        ring.resize(ring.capacity(), 0);
        self.ring = ring;
        self.entries = entries;
    }

    /// The place in the ring of a position that may lie past its end.
    fn place(&self, position: usize) -> usize {
        position & self.ring.len().wrapping_sub(1)
    }

    /// The `len` bytes at `start`, in two parts if they go past the end of the ring.
    fn slices(&self, start: usize, len: usize) -> (&[u8], &[u8]) {
        let start = self.place(start);
        let first = len.min(self.ring.len() - start);
        (&self.ring[start..start + first], &self.ring[..len - first])
    }

    fn holds(&self, start: usize, bytes: &[u8]) -> bool {
        let (first, second) = self.slices(start, bytes.len());
        let (front, back) = bytes.split_at(first.len());
        first == front && second == back
    }

    fn write(&mut self, start: usize, bytes: &[u8]) {
        let start = self.place(start);
        let first = bytes.len().min(self.ring.len() - start);
        let (front, back) = bytes.split_at(first);
        self.ring[start..start + first].copy_from_slice(front);
        self.ring[..back.len()].copy_from_slice(back);
    }
}
