//! Tools of the benches: a load generator and the servers that it loads through a proxy, lean enough
//! that the proxy between them is what is measured.
//!
//! Everything runs on one thread behind one epoll, so that load and servers together cost one core no
//! wake-ups between them, and so that a paced load may spin without starving its own servers.

use std::path::Path;

pub mod certificates;
pub mod client;
pub mod cpu;
pub mod engine;
pub mod io;
pub mod run;
pub mod server;
pub mod wire;

/// The `main` of a program of criterion benches, with a group of them.
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

/// Ends the program where it is to measure in another profile than the one that ships. That each bench still runs
/// (`cargo test`, or `cargo bench -- --test`) can be seen in any.
pub fn require_release() {
    let given = |name: &str| std::env::args().any(|argument| argument == name);
    if !given("--bench") || given("--test") {
        return;
    }
    // The program is target/PROFILE/deps/NAME.
    let program = std::env::current_exe().unwrap_or_default();
    let profile = program.ancestors().nth(2).and_then(Path::file_name);
    if profile.is_none_or(|name| name != "release") {
        eprintln!(
            "benches measure the profile that ships, release; this is {}: leave out --profile, or say `-- --test`",
            profile.unwrap_or_default().display()
        );
        std::process::exit(2);
    }
}
