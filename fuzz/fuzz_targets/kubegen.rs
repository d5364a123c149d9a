//! Generated objects: what is served can be shown as a native file and read again, a cluster makes of them what files
//! make, and all of it holds little memory.
#![no_main]

use std::sync::LazyLock;

use elbow_fuzz::{agreement, objects, peak};
use elbow_manifest::Context;
use libfuzzer_sys::fuzz_target;

static CONTEXT: LazyLock<Context> = LazyLock::new(agreement::surroundings);

/// Heap in bytes that fourteen objects may take at once.
const HEAP: usize = 100 << 20;

fuzz_target!(|input: &[u8]| {
    LazyLock::force(&CONTEXT);
    let objects = objects::objects(input);
    peak::within(HEAP, || agreement::check(&objects, &CONTEXT));
});
