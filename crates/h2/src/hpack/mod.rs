//! Header compression (RFC 7541).
//!
//! Both directions allocate nothing per field. The dynamic table is one ring of bytes that grows up to
//! the size of the table; the decoder hands out names and values where they lie.

mod decoder;
mod encoder;
pub mod huffman;
mod integer;
mod static_table;
mod table;

#[cfg(test)]
mod tests;

pub use decoder::{DecodedSize, Decoder};
pub use encoder::Encoder;

/// The size of the dynamic table before the peers agree on another (RFC 9113, 6.5.2).
pub const TABLE_SIZE: usize = 4096;

/// What a field costs beside its name and its value (RFC 7541, 4.1; RFC 9113, 6.5.2).
pub const FIELD_OVERHEAD: usize = 32;

/// Why a header block is malformed. The table is no longer in step with the peer's, so the connection
/// ends with COMPRESSION_ERROR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The block ends inside of a field.
    #[error("header block ends inside of a field")]
    Truncated,
    /// An integer of more than 4 continuation bytes.
    #[error("HPACK integer too large")]
    Integer,
    /// An index of zero or past the end of the table.
    #[error("no HPACK table entry with this index")]
    Index,
    /// A code that does not exist, or padding that is too long or not the start of EOS.
    #[error("malformed Huffman code")]
    Huffman,
    /// A table size update above the maximum, or behind a field.
    #[error("HPACK table size update too large or out of place")]
    TableSize,
}
