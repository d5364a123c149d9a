//! The static table (RFC 7541, appendix A).

/// The number of entries. Their indices start at 1.
pub(super) const LEN: usize = ENTRIES.len();

/// Names with their values, in the order of their indices.
#[rustfmt::skip]
const ENTRIES: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// Slots of [`BY_NAME`].
const SLOTS: usize = 128;

/// The first index of each name, at the place of its hash or, if that is taken, behind it.
static BY_NAME: [u8; SLOTS] = {
    let mut slots = [0; SLOTS];
    let mut index = 1;
    while index <= LEN {
        let name = ENTRIES[index - 1].0.as_bytes();
        if index == 1 || !equal(name, ENTRIES[index - 2].0.as_bytes()) {
            let mut slot = hash(0, name) as usize % SLOTS;
            while slots[slot] != 0 {
                slot = (slot + 1) % SLOTS;
            }
            slots[slot] = index as u8;
        }
        index += 1;
    }
    slots
};

const fn equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// A quick hash of `bytes` behind those of `seed`. A caller compares what it finds, and a collision
/// costs compression only.
pub(super) const fn hash(seed: u32, bytes: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut sum = (seed as u64 ^ (bytes.len() as u64) << 32).wrapping_mul(FACTOR);
    let mut left = bytes;
    while let Some((word, rest)) = left.split_first_chunk::<8>() {
        sum = (sum.rotate_left(29) ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
        left = rest;
    }
    let mut word = 0;
    while let Some((&byte, rest)) = left.split_first() {
        word = word << 8 | byte as u64;
        left = rest;
    }
    sum = (sum.rotate_left(29) ^ word).wrapping_mul(FACTOR);
    (sum >> 32) as u32
}

/// Returns the entry of an index from 1 to [`LEN`].
pub(super) fn get(index: usize) -> Option<(&'static [u8], &'static [u8])> {
    let (name, value) = ENTRIES.get(index.checked_sub(1)?)?;
    Some((name.as_bytes(), value.as_bytes()))
}

/// What the table has of a field.
pub(super) enum Match {
    /// The index of an entry with its name and its value.
    Field(usize),
    /// The index of an entry with its name.
    Name(usize),
    /// Nothing.
    None,
}

/// Looks for a field. `hash` is that of the name behind 0.
pub(super) fn find(name: &[u8], hash: u32, value: &[u8]) -> Match {
    let mut slot = hash as usize % SLOTS;
    loop {
        let first = usize::from(BY_NAME[slot]);
        if first == 0 {
            return Match::None;
        }
        if ENTRIES[first - 1].0.as_bytes() == name {
            let named = ENTRIES[first - 1..].iter();
            let found = named
                .take_while(|entry| entry.0.as_bytes() == name)
                .position(|entry| entry.1.as_bytes() == value);
            return match found {
                Some(offset) => Match::Field(first + offset),
                None => Match::Name(first),
            };
        }
        slot = (slot + 1) % SLOTS;
    }
}
