//! The Huffman code (RFC 7541, 5.2 and appendix B).
//!
//! The code is canonical: codes of the same length follow one another in the order of their symbols,
//! and a longer code is larger. Its lengths give every table, at compile time.

use super::Error;

/// Bits of the code of each byte, then of EOS.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// The longest code.
const LENGTH_MAX: usize = 30;
/// The symbol behind the bytes. It must not occur.
const EOS: u16 = 256;
/// Codes of at most so many bits are found with one look: all of letters, digits and common signs.
const SHORT: usize = 10;

/// The code of each symbol, in its lowest bits.
const CODES: [u32; 257] = {
    let mut codes = [0; 257];
    let mut next = 0;
    let mut length = 1;
    while length <= LENGTH_MAX {
        next <<= 1;
        let mut symbol = 0;
        while symbol < 257 {
            if LENGTHS[symbol] as usize == length {
                codes[symbol] = next;
                next += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    codes
};

/// The symbol and the length of the code that starts with these bits; a length of 0 for longer codes.
static FIRST: [(u8, u8); 1 << SHORT] = {
    let mut first = [(0, 0); 1 << SHORT];
    let mut symbol = 0;
    while symbol < 256 {
        let length = LENGTHS[symbol] as usize;
        if length <= SHORT {
            let free = SHORT - length;
            let from = (CODES[symbol] as usize) << free;
            let mut low = 0;
            while low < 1 << free {
                first[from + low] = (symbol as u8, length as u8);
                low += 1;
            }
        }
        symbol += 1;
    }
    first
};

/// The codes of one length.
#[derive(Clone, Copy)]
struct Length {
    /// The end of these codes, as the first of 32 bits.
    end: u64,
    /// The first of them.
    code: u32,
    /// The place of its symbol in [`SYMBOLS`].
    symbol: usize,
}

/// The symbols in the order of their codes.
static SYMBOLS: [u16; 257] = {
    let mut symbols = [0; 257];
    let mut at = 0;
    let mut length = 1;
    while length <= LENGTH_MAX {
        let mut symbol = 0;
        while symbol < 257 {
            if LENGTHS[symbol] as usize == length {
                symbols[at] = symbol as u16;
                at += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    symbols
};

/// By length.
static BY_LENGTH: [Length; LENGTH_MAX + 1] = {
    let mut all = [Length {
        end: 0,
        code: 0,
        symbol: 0,
    }; LENGTH_MAX + 1];
    let mut at = 0;
    let mut length = 1;
    while length <= LENGTH_MAX {
        let mut count = 0;
        while at + count < 257 && LENGTHS[SYMBOLS[at + count] as usize] as usize == length {
            count += 1;
        }
        if count > 0 {
            let code = CODES[SYMBOLS[at] as usize];
            let end = (code as u64 + count as u64) << (32 - length);
            all[length] = Length {
                end,
                code,
                symbol: at,
            };
            at += count;
        }
        length += 1;
    }
    all
};

/// Returns the symbol and the length of the code at the start of `window`. Every sequence of bits
/// starts with one.
fn long_code(window: u64) -> (u16, u32) {
    let window = window >> 32;
    let mut length = SHORT + 1;
    while window >= BY_LENGTH[length].end {
        length += 1;
    }
    let codes = &BY_LENGTH[length];
    let offset = (window >> (32 - length)) as usize - codes.code as usize;
    (SYMBOLS[codes.symbol + offset], length as u32)
}

/// Appends the decoded bytes of `input` to `out`: at most 8 for each 5 bytes.
///
/// # Errors
///
/// [`Error::Huffman`] for EOS, and for padding of more than 7 bits or other bits than ones. `out` then
/// holds a part.
pub fn decode(input: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    out.reserve(input.len() * 8 / 5);
    let mut input = input;
    // The next bits, highest first, and how many there are: ones follow them.
    let mut bits = 0_u64;
    let mut count = 0_u32;
    loop {
        while count < 56
            && let Some((&byte, rest)) = input.split_first()
        {
            bits |= u64::from(byte) << (56 - count);
            count += 8;
            input = rest;
        }
        let window = bits | (u64::MAX >> count);
        let (symbol, length) = match FIRST[(window >> (64 - SHORT)) as usize] {
            (_, 0) => long_code(window),
            (symbol, length) => (u16::from(symbol), u32::from(length)),
        };
        if length > count {
            // All input is read; what is left is padding.
            let padded = count < 8 && window == u64::MAX;
            return if padded { Ok(()) } else { Err(Error::Huffman) };
        }
        if symbol == EOS {
            return Err(Error::Huffman);
        }
        out.push(symbol as u8);
        bits <<= length;
        count -= length;
    }
}

/// Returns the number of bytes that [`encode`] appends.
pub fn encoded_len(input: &[u8]) -> usize {
    let bits: usize = input
        .iter()
        .map(|&byte| usize::from(LENGTHS[usize::from(byte)]))
        .sum();
    bits.div_ceil(8)
}

/// Appends the code of `input`.
pub fn encode(input: &[u8], out: &mut Vec<u8>) {
    // The last bits, lowest last, and how many are not yet in `out`: at most 31 between symbols.
    let mut bits = 0_u64;
    let mut count = 0_u32;
    for &byte in input {
        let length = u32::from(LENGTHS[usize::from(byte)]);
        bits = bits << length | u64::from(CODES[usize::from(byte)]);
        count += length;
        if count >= 32 {
            count -= 32;
            out.extend_from_slice(&((bits >> count) as u32).to_be_bytes());
        }
    }
    if count > 0 {
        let padded = bits << (32 - count) | (0xffff_ffff >> count);
        let bytes = (padded as u32).to_be_bytes();
        out.extend_from_slice(&bytes[..count.div_ceil(8) as usize]);
    }
}
