//! Generated objects: the served model renders to a native file that parses again, a cluster yields the same model as
//! files, and memory stays bounded.
#![no_main]

use std::sync::LazyLock;

use elbow_fuzz::{agreement, objects, peak};
use elbow_manifest::Context;
use libfuzzer_sys::fuzz_target;

static CONTEXT: LazyLock<Context> = LazyLock::new(agreement::surroundings);

/// Peak heap of fourteen objects in bytes.
const HEAP: usize = 100 << 20;

fuzz_target!(|input: &[u8]| {
    LazyLock::force(&CONTEXT);
    let objects = objects::objects(input);
    peak::within(HEAP, || agreement::check(&objects, &CONTEXT));
});
