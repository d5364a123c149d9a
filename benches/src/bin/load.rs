//! The load generator and the servers of the side-by-side run.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use elbow_benches::certificates;
use elbow_benches::engine::Engine;
use elbow_benches::grpc;
use elbow_benches::run::{Spec, Workload};
use elbow_benches::server::Service;
use elbow_benches::steady;

/// Loads a proxy, and runs the servers behind it
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write cert.pem, key.pem and both.pem, and a gRPC message in message.bin
    Certificates {
        /// The folder for the files
        dir: PathBuf,
    },
    /// Run the servers echo, source, sink, http, https, grpc and udp, print their addresses, and execute each line of stdin
    Serve {
        /// The folder that `certificates` wrote
        #[arg(long)]
        certificates: PathBuf,
    },
    /// Send connections and requests on a schedule, and print how many were lost
    Steady {
        /// The address of the proxy
        #[arg(long)]
        target: SocketAddr,
        /// Connections per second, and as many requests per second on kept connections
        #[arg(long, default_value_t = 5000.0)]
        rate: f64,
        /// How long
        #[arg(long, default_value_t = 10.0)]
        seconds: f64,
    },
    /// Run one workload against an address and print the report
    Run {
        /// What the clients do
        #[arg(long)]
        workload: Workload,
        /// The address of the proxy
        #[arg(long)]
        target: SocketAddr,
        /// The number of connections
        #[arg(long, default_value_t = 64)]
        connections: usize,
        /// Length of the measured window in seconds
        #[arg(long, default_value_t = 1.0)]
        seconds: f64,
        /// Requests per second of a paced load; latency counts from the scheduled time
        #[arg(long)]
        rate: Option<f64>,
        /// Count the CPU time of these processes
        #[arg(long)]
        pid: Vec<u32>,
    },
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Certificates { dir } => {
            certificates::write(&dir)?;
            Ok(std::fs::write(dir.join("message.bin"), grpc::message())?)
        }
        Command::Serve { certificates } => {
            let mut engine = Engine::new(Some(certificates::server(&certificates)?))?;
            let mut addresses = serde_json::Map::new();
            let services = [
                ("echo", Service::Echo),
                ("source", Service::Source),
                ("sink", Service::Sink),
                ("http", Service::Http),
                ("https", Service::Https),
                ("grpc", Service::Grpc),
            ];
            for (name, service) in services {
                let address = engine.listen(service)?.to_string();
                addresses.insert(name.to_owned(), address.into());
            }
            let address = engine.listen_udp()?.to_string();
            addresses.insert("udp".to_owned(), address.into());
            print(&addresses)?;
            engine.serve(std::io::stdin().lock(), |report| {
                // When nobody reads the output, the end of input follows.
                let _ = print(&report);
            })
        }
        Command::Steady {
            target,
            rate,
            seconds,
        } => print(&steady::run(target, rate, seconds)?),
        Command::Run {
            workload,
            target,
            connections,
            seconds,
            rate,
            pid,
        } => {
            let spec = Spec {
                workload,
                target,
                connections,
                seconds,
                warm: 0.2,
                rate,
                pids: pid,
            };
            print(&Engine::new(None)?.run(spec)?)
        }
    }
}

fn print(value: &impl serde::Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}
