//! Replays the seeds of the fuzz target `proxy`, and runs its check on generated inputs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use elbow_net::proxy::{v1, v2};
use proptest::prelude::*;

#[path = "../../../fuzz/proxy.rs"]
mod proxy;

#[test]
fn seeds_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/proxy");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        proxy::check(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0);
}

proptest! {
    #[test]
    fn changed_headers_pass(
        client in any::<SocketAddr>(),
        server in any::<SocketAddr>(),
        is_text in any::<bool>(),
        change in proptest::option::of((0..100_usize, any::<u8>())),
        rest in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut input = if is_text { v1(client, server) } else { v2(client, server, None) };
        input.extend(rest);
        if let Some((place, byte)) = change
            && let Some(at) = input.get_mut(place)
        {
            *at = byte;
        }
        proxy::check(&input);
    }
}
