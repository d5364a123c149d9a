//! The command line of elbow.

mod admin;
mod args;
mod atomic_file;
mod authority;
mod cert;
mod check;
mod client_address;
#[cfg(feature = "controller")]
mod cluster;
#[cfg(feature = "controller")]
mod controller;
#[cfg(feature = "demo")]
mod demo;
mod deploy;
mod dns;
mod dualstack;
mod explained;
mod get;
mod handover;
mod loaded;
mod log_buckets;
mod look;
mod manifests;
mod netsetup;
mod pipes;
mod placed;
mod plan;
mod plugin;
mod process;
mod reload;
mod run;
mod sockets;
mod source;
mod systemd;
mod table;
mod text;
mod ticket_keys;
mod token;
mod unix_time;
mod upgrade;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;

use crate::args::{Cli, Command};
use crate::process::{Failure, LAST_WORDS};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before anything is opened. Commands that serve log the result.
    let _ = elbow_plane::open_files::raise();
    process::raise_permitted_capability();
    let result = match plugin::parse().command {
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::demo(args),
        Command::Run(args) => run::run(args),
        #[cfg(feature = "controller")]
        Command::Controller(args) => controller::controller(*args),
        Command::Check(args) => check::check(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Get(args) => get::get(&args),
        Command::Upgrade(args) => upgrade::upgrade(args),
        Command::Netsetup(args) => netsetup::netsetup(&args),
        Command::Cert(args) => cert::cert(&args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "elbow", &mut io::stdout());
            Ok(())
        }
        Command::Man => clap_mangen::Man::new(Cli::command())
            .render(&mut io::stdout())
            .map_err(|e| Failure::environment(e, "check the reader of the output")),
    };
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Input) => ExitCode::from(1),
        Err(Failure::Changes) => ExitCode::from(4),
        Err(failure @ Failure::Environment { .. }) => {
            // A closed stderr cannot be reported anywhere.
            let _ = writeln!(elbow_telemetry::stderr(), "error: {failure}");
            ExitCode::from(3)
        }
    };
    elbow_telemetry::flush_stderr(LAST_WORDS);
    code
}
