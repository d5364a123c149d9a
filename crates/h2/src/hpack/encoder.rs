//! Encodes header blocks.

use super::static_table::{self, Match, hash};
use super::table::Table;
use super::{FIELD_OVERHEAD, TABLE_SIZE, huffman, integer};

/// Slots of hashes: as many as the table can have entries.
const SLOTS: usize = TABLE_SIZE / FIELD_OVERHEAD;

/// A field enters the table if it takes at most this share of it.
const SHARE: usize = 4;

/// How far back a field that is not in the table counts as entered: further than any that is in it.
const NOT_ENTERED: u32 = u32::MAX / 2;

/// Encodes header blocks for one peer.
///
/// A field enters the dynamic table when it comes for the second time: values that differ in each message,
/// such as dates and paths, would only push others out. Where a field is in the table, or that it was seen,
/// is kept in a slot by its hash; the last field of a slot wins.
#[derive(Debug)]
pub struct Encoder {
    table: Table,
    /// Empty before the first field.
    slots: Vec<Slot>,
    /// The number of fields that ever entered the table.
    entered: u32,
    /// The size that the peer allows, and the smallest that it allowed since the last block.
    pending: Option<Pending>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    smallest: usize,
    last: usize,
}

/// What is known about the last field, or name, with the hash.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    hash: u32,
    /// [`Encoder::entered`] when it entered the table, itself included; or some other number, so look.
    entered: u32,
}

impl Encoder {
    /// Makes an encoder for a peer of which no settings are known.
    pub fn new() -> Self {
        Self {
            table: Table::new(TABLE_SIZE),
            slots: Vec::new(),
            entered: 0,
            pending: None,
        }
    }

    /// Takes the peer's SETTINGS_HEADER_TABLE_SIZE in bytes. Of a larger table than [`TABLE_SIZE`] only that
    /// is used. The next block tells the change.
    pub fn set_peer_table_size(&mut self, size: usize) {
        let size = size.min(TABLE_SIZE);
        let before = match self.pending {
            Some(pending) => pending.smallest,
            None => self.table.size_max(),
        };
        self.pending = Some(Pending {
            smallest: size.min(before),
            last: size,
        });
    }

    /// Starts a block: appends the table size updates that are due (RFC 7541, 4.2).
    pub fn start_block(&mut self, out: &mut Vec<u8>) {
        let Some(Pending { smallest, last }) = self.pending.take() else {
            return;
        };
        for size in [smallest, last] {
            if size != self.table.size_max() {
                self.table.resize(size);
                integer::put(size, 5, 0x20, out);
            }
        }
    }

    /// Appends a field. A `sensitive` one enters no table, here and at intermediaries (RFC 7541, 7.1.3).
    pub fn encode(&mut self, name: &[u8], value: &[u8], sensitive: bool, out: &mut Vec<u8>) {
        let name_hash = hash(0, name);
        let found = static_table::find(name, name_hash, value);
        if let Match::Field(index) = found
            && !sensitive
        {
            integer::put(index, 7, 0x80, out);
            return;
        }
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, Slot::default());
        }
        let static_name = match found {
            Match::Field(index) | Match::Name(index) => Some(index),
            Match::None => None,
        };
        let size = name.len() + value.len() + FIELD_OVERHEAD;
        if sensitive || size > self.table.size_max() / SHARE {
            let pattern = if sensitive { 0x10 } else { 0 };
            let index = static_name.or_else(|| self.name_index(name, name_hash));
            literal(index, 4, pattern, name, value, out);
            return;
        }
        let field_hash = hash(name_hash | 1, value);
        let slot = self.slots[field_hash as usize % SLOTS];
        let is_known = slot.hash == field_hash;
        if is_known
            && let Some(index) = self.dynamic_index(slot)
            && self.table.has_field(index, name, value)
        {
            integer::put(static_table::LEN + 1 + index, 7, 0x80, out);
            return;
        }
        let index = static_name.or_else(|| self.name_index(name, name_hash));
        if is_known {
            literal(index, 6, 0x40, name, value, out);
            self.table.push(name, value);
            self.entered = self.entered.wrapping_add(1);
            if static_name.is_none() {
                self.remember(name_hash, self.entered);
            }
            self.remember(field_hash, self.entered);
        } else {
            literal(index, 4, 0, name, value, out);
            self.remember(field_hash, self.entered.wrapping_sub(NOT_ENTERED));
        }
    }

    fn remember(&mut self, hash: u32, entered: u32) {
        self.slots[hash as usize % SLOTS] = Slot { hash, entered };
    }

    /// The index in the dynamic table, from 0, of what entered with this number, if that still is in it.
    fn dynamic_index(&self, slot: Slot) -> Option<usize> {
        let index = self.entered.wrapping_sub(slot.entered) as usize;
        (index < self.table.len()).then_some(index)
    }

    /// The index over both tables of an entry of the dynamic table with this name.
    fn name_index(&self, name: &[u8], hash: u32) -> Option<usize> {
        let slot = self.slots[hash as usize % SLOTS];
        let index = self.dynamic_index(slot)?;
        self.table
            .has_name(index, name)
            .then_some(static_table::LEN + 1 + index)
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Appends a literal field. The index of its name has `prefix` bits.
fn literal(
    index: Option<usize>,
    prefix: u32,
    pattern: u8,
    name: &[u8],
    value: &[u8],
    out: &mut Vec<u8>,
) {
    integer::put(index.unwrap_or(0), prefix, pattern, out);
    if index.is_none() {
        string(name, out);
    }
    string(value, out);
}

/// Appends a string, in the shorter of both forms.
fn string(bytes: &[u8], out: &mut Vec<u8>) {
    let len = huffman::encoded_len(bytes);
    if len < bytes.len() {
        integer::put(len, 7, 0x80, out);
        huffman::encode(bytes, out);
    } else {
        integer::put(bytes.len(), 7, 0, out);
        out.extend_from_slice(bytes);
    }
}
