//! Inputs that are the same in every run.

/// How many inputs a test makes: `usual`, or what `ELBOW_INPUTS` says.
pub(crate) fn inputs(usual: u64) -> u64 {
    let more = std::env::var("ELBOW_INPUTS").ok();
    more.and_then(|more| more.parse().ok()).unwrap_or(usual)
}

/// Bytes from a seed (splitmix64): some hundred to some thousand.
pub(crate) fn bytes(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let words = 16 + next() % 500;
    (0..words).flat_map(|_| next().to_le_bytes()).collect()
}
