//! Tells the binary which profile it is built with, for `elbow --version`.

use std::env;
use std::path::{Component, Path};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=ELBOW_PROFILE={}", profile());
}

/// The name of the profile, and the optimization level where a setting of the environment has changed that of `release`.
fn profile() -> String {
    let variable = |name| env::var(name).unwrap_or_default();
    let name = folder(Path::new(&variable("OUT_DIR"))).unwrap_or_else(|| variable("PROFILE"));
    match (&*name, &*variable("OPT_LEVEL")) {
        ("debug", _) => "dev".to_owned(),
        ("release", level) if level != "3" => format!("release, opt-level {level}"),
        _ => name,
    }
}

/// Cargo tells a build script no more than `debug` or `release`, but its output is in `target/PROFILE/build/…`.
fn folder(out: &Path) -> Option<String> {
    let parts: Vec<Component<'_>> = out.components().collect();
    let build = parts.iter().rposition(|part| part.as_os_str() == "build")?;
    let name = parts.get(build.checked_sub(1)?)?.as_os_str().to_str()?;
    Some(name.to_owned())
}
