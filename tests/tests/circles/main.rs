//! Modules that stand side by side, in a crate or in one of its folders, form no circles.
//!
//! A path such as `crate::a::B`, `super::a::B` or `a::B` makes a module depend on the module that defines `B`, whichever
//! re-export the path goes through. A module and what is below it may use each other: towards the outside they count
//! as one. Items of the crate's own file (`lib.rs`, `main.rs`) count as a module beside the others.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

mod graph;
mod source;
mod tokens;

use graph::circles;
use source::Crate;

#[test]
fn modules_form_no_circles() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let folders = std::fs::read_dir(crates).unwrap();
    let folders: BTreeSet<PathBuf> = folders.map(|entry| entry.unwrap().path()).collect();
    let mut faults = Vec::new();
    for folder in folders {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let circles = circles(&Crate::read(&folder.join("src")));
        faults.extend(circles.iter().map(|circle| format!("{name}: {circle}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
