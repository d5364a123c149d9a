//! Integers with a prefix of some bits (RFC 7541, 5.1).

use super::Error;

/// The most bytes behind the prefix of an integer: values up to 2^28.
pub(super) const CONTINUATIONS_MAX: u32 = 4;

/// Reads an integer, the first byte of which has `prefix` bits for it (1 to 7), off the front of
/// `input`.
pub(super) fn take(input: &mut &[u8], prefix: u32) -> Result<usize, Error> {
    let (&first, mut rest) = input.split_first().ok_or(Error::Truncated)?;
    let full = (1 << prefix) - 1;
    let mut value = usize::from(first) & full;
    if value == full {
        let mut shift = 0;
        loop {
            if shift == 7 * CONTINUATIONS_MAX {
                return Err(Error::Integer);
            }
            let (&byte, after) = rest.split_first().ok_or(Error::Truncated)?;
            rest = after;
            value += usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
    }
    *input = rest;
    Ok(value)
}

/// Appends `value`. `first` holds the bits above the prefix.
pub(super) fn put(value: usize, prefix: u32, first: u8, out: &mut Vec<u8>) {
    let full = (1 << prefix) - 1;
    if value < full {
        out.push(first | value as u8);
        return;
    }
    out.push(first | full as u8);
    let mut left = value - full;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}
