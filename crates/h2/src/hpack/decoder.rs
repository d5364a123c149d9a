//! Decodes header blocks.

use super::table::Table;
use super::{Error, FIELD_OVERHEAD, huffman, integer, static_table};

/// A buffer that grew above this is given back after its block.
const SCRATCH_KEPT: usize = 1024;

/// The size of a decoded block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodedSize {
    /// Fields in the block.
    pub fields: usize,
    /// The size of the field section in bytes as SETTINGS_MAX_HEADER_LIST_SIZE counts it: names, values and
    /// [`FIELD_OVERHEAD`] for each field (RFC 9113, 6.5.2).
    pub list: usize,
    /// Whether `list` is above the maximum, so that fields were left out.
    pub is_too_large: bool,
}

/// Decodes the header blocks of one peer, in their order.
///
/// Memory: the dynamic table, and two buffers for what Huffman decoding yields. A block of `n` bytes takes at
/// most 1.6 `n` of each, which a large one gives back at its end.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    /// The most that a table size update may ask for.
    table_size_max: usize,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    /// Makes a decoder for a peer that was told this SETTINGS_HEADER_TABLE_SIZE in bytes. Until the peer
    /// acknowledges, it may use [`TABLE_SIZE`](super::TABLE_SIZE), so a smaller value is only safe if it was
    /// acknowledged.
    pub fn new(table_size_max: usize) -> Self {
        Self {
            table: Table::new(table_size_max),
            table_size_max,
            name: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Decodes a whole block and gives `sink` the name and the value of each field, in order, and whether it
    /// must enter no table on its way (RFC 7541, 6.2.3). Once the size
    /// of the section is above `list_max`, `sink` gets nothing more, but decoding goes on, so that later
    /// blocks can be read.
    ///
    /// Names and values are any bytes.
    ///
    /// # Errors
    ///
    /// An [`Error`] if the block is malformed. The decoder must not be used again.
    pub fn decode(
        &mut self,
        block: &[u8],
        list_max: usize,
        sink: &mut impl FnMut(&[u8], &[u8], bool),
    ) -> Result<DecodedSize, Error> {
        let mut size = DecodedSize::default();
        let mut input = block;
        while let Some(&first) = input.first() {
            let mut take = |name: &[u8], value: &[u8], never_indexed: bool| {
                size.fields += 1;
                size.list += name.len() + value.len() + FIELD_OVERHEAD;
                size.is_too_large = size.list > list_max;
                if !size.is_too_large {
                    sink(name, value, never_indexed);
                }
            };
            match first {
                0x80.. => {
                    let index = integer::take(&mut input, 7)?;
                    let (name, value) = entry(&self.table, index, &mut self.value)?;
                    take(name, value, false);
                }
                0x40..0x80 => {
                    let (table, buffers) = (&self.table, (&mut self.name, &mut self.value));
                    let (name, value) = literal(&mut input, 6, table, buffers)?;
                    take(name, value, false);
                    self.table.push(name, value);
                }
                0x20..0x40 => {
                    let table_size = integer::take(&mut input, 5)?;
                    if size.fields > 0 || table_size > self.table_size_max {
                        return Err(Error::TableSize);
                    }
                    self.table.resize(table_size);
                }
                ..0x20 => {
                    let (table, buffers) = (&self.table, (&mut self.name, &mut self.value));
                    let (name, value) = literal(&mut input, 4, table, buffers)?;
                    take(name, value, first >= 0x10);
                }
            }
        }
        for scratch in [&mut self.name, &mut self.value] {
            if scratch.capacity() > SCRATCH_KEPT {
                *scratch = Vec::new();
            }
        }
        Ok(size)
    }

    /// The buffers that strings are decoded into.
    #[cfg(test)]
    pub(super) fn scratch(&self) -> [&Vec<u8>; 2] {
        [&self.name, &self.value]
    }
}

/// Returns the entry of an index over both tables (RFC 7541, 2.3.3).
fn entry<'a>(
    table: &'a Table,
    index: usize,
    scratch: &'a mut Vec<u8>,
) -> Result<(&'a [u8], &'a [u8]), Error> {
    let found = match index.checked_sub(static_table::LEN + 1) {
        Some(dynamic) => table.get(dynamic, scratch),
        None => static_table::get(index),
    };
    found.ok_or(Error::Index)
}

/// Reads a literal field, the name of which has an index with a prefix of `prefix` bits or follows as a string.
fn literal<'a, 'b: 'a>(
    input: &mut &'b [u8],
    prefix: u32,
    table: &Table,
    (name, value): (&'a mut Vec<u8>, &'a mut Vec<u8>),
) -> Result<(&'a [u8], &'a [u8]), Error> {
    let name = match integer::take(input, prefix)? {
        0 => string(input, name)?,
        index if index <= static_table::LEN => static_table::get(index).ok_or(Error::Index)?.0,
        index => {
            // Copied, since the name may leave the table when the field enters it.
            let (found, _) = entry(table, index, value)?;
            name.clear();
            name.extend_from_slice(found);
            name
        }
    };
    Ok((name, string(input, value)?))
}

/// Reads a string (RFC 7541, 5.2).
fn string<'a, 'b: 'a>(input: &mut &'b [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], Error> {
    let is_huffman = input.first().is_some_and(|&first| first >= 0x80);
    let len = integer::take(input, 7)?;
    let (bytes, rest) = input.split_at_checked(len).ok_or(Error::Truncated)?;
    *input = rest;
    if !is_huffman {
        return Ok(bytes);
    }
    scratch.clear();
    huffman::decode(bytes, scratch)?;
    Ok(scratch)
}
