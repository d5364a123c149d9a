//! Tools of the benches: a load generator and the servers behind the proxy under test. Both are so
//! cheap that a run measures the proxy.
//!
//! Everything runs on one thread with one epoll. Clients and servers do not wake each other, and a
//! paced load can spin without starving its servers.

use std::path::Path;

pub mod certificates;
pub mod client;
pub mod cpu;
pub mod datagrams;
pub mod engine;
pub mod grpc;
pub mod io;
pub mod run;
pub mod server;
pub mod steady;
pub mod wire;

/// Defines the `main` of a bench program that runs one criterion group.
#[macro_export]
macro_rules! main {
    ($group:path) => {
        fn main() {
            $crate::require_release();
            $group();
            criterion::Criterion::default()
                .configure_from_args()
                .final_summary();
        }
    };
}

/// Exits with an error when a bench would measure any other profile than `release`, which ships. Test runs
/// (`cargo test`, or `cargo bench -- --test`) accept every profile.
pub fn require_release() {
    let given = |name: &str| std::env::args().any(|argument| argument == name);
    if !given("--bench") || given("--test") {
        return;
    }
    // The path of the program is target/PROFILE/deps/NAME.
    let program = std::env::current_exe().unwrap_or_default();
    let profile = program.ancestors().nth(2).and_then(Path::file_name);
    if profile.is_none_or(|name| name != "release") {
        eprintln!(
            "benches measure only the release profile, this one is {}: omit --profile, or pass `-- --test`",
            profile.unwrap_or_default().display()
        );
        std::process::exit(2);
    }
}
