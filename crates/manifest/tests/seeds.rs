//! Replays the seeds of the fuzz targets `kubegen` and `environment`, and some random inputs, on the stable toolchain.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that cannot go on fails, and the fuzz targets have these modules in a library"
)]

use std::fs;
use std::path::Path;

use elbow_manifest::Context;

#[path = "../../../fuzz/src/agreement.rs"]
mod agreement;
#[path = "../../../fuzz/src/feed.rs"]
mod feed;
#[path = "../../../fuzz/src/objects.rs"]
mod objects;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    let files = fs::read_dir(folder.join(target)).unwrap();
    let seeds: Vec<Vec<u8>> = files
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(!seeds.is_empty());
    seeds
}

#[test]
fn seeds_of_objects_never_panic() {
    let context = agreement::surroundings();
    let mut state = 1_u64;
    let mut byte = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let random = (0..100).map(|_| (0..600).map(|_| byte()).collect());
    let mut load_balancers = 0;
    for input in seeds("kubegen")
        .into_iter()
        .chain(random.collect::<Vec<_>>())
    {
        let objects = objects::objects(&input);
        agreement::check(&objects, &context);
        load_balancers += elbow_manifest::translate(&objects, &context)
            .0
            .load_balancers
            .len();
    }
    assert!(load_balancers > 20, "{load_balancers} load balancers serve");
}

#[test]
fn seeds_of_environment_files_never_panic() {
    for seed in seeds("environment") {
        let text = String::from_utf8(seed).unwrap();
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            Context::parse(&text[..end], "environment.yaml");
        }
        assert_eq!(Context::parse(&text, "environment.yaml").1, []);
    }
}
