//! What can be typed.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use elbow_manifest::context::Personality;
use elbow_model::addresses::Ipv4Net;

use crate::manifests::Manifests;
use crate::pipes;
use crate::source::Source;
use crate::token::TokenArg;

/// What `--version` prints: which elbow, and the profile it is built with. The one that ships is `release`.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("ELBOW_PROFILE"), ")");

/// An Elastic Load Balancer you can run anywhere.
///
/// elbow gives on a laptop, in kind or on bare metal the NLB and ALB that AWS would have built, with
/// AWS's names, health checks, status codes and access logs.
#[derive(Debug, Parser)]
#[command(version = VERSION, propagate_version = true)]
#[command(
    after_help = "Exit codes: 0 good; 1 the input has errors; 2 wrong usage; 3 the environment \
    refuses (port busy, no permission); 4 there are changes (plan --detailed-exitcode)."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Three load balancers, or those of your manifests, in front of S3 pods, on this machine.
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Serve a configuration or Kubernetes manifests until SIGTERM or SIGINT; SIGHUP reloads.
    Run(RunArgs),
    /// Serve what a live cluster asks for until SIGTERM or SIGINT, and write its status back.
    #[cfg(feature = "controller")]
    Controller(Box<crate::controller::ControllerArgs>),
    /// Find every error in a configuration or in manifests, without serving it.
    Check(CheckArgs),
    /// Show what AWS would make of Kubernetes manifests, without serving it.
    Plan(PlanArgs),
    /// Show what a running elbow serves.
    Get(GetArgs),
    /// A local certificate authority for load balancers without certificates.
    Cert(CertArgs),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, in roff.
    Man,
}

#[cfg(feature = "demo")]
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("objects").args(["files"]))]
pub(crate) struct DemoArgs {
    /// Kubernetes manifests whose load balancers to serve instead: files, folders with all below them,
    /// or - for stdin. Services that nothing answers behind get the pods.
    #[arg(short = 'f', long = "filename", value_name = "PATH", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) surroundings: SurroundingsArgs,
    /// Real MinIO as pods: when it is on PATH, never, or this binary [default: auto; with -f never,
    /// since MinIO's pods speak TLS alone].
    #[arg(long, value_name = "auto|never|PATH")]
    pub(crate) minio: Option<String>,
    /// How many pods.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) pods: u8,
    /// Where certificates, configuration and data are put; a temporary folder unless given.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Where load balancers without an address get one [default: the first of 127.0.10.0/24 to
    /// 127.0.19.0/24 whose addresses are free].
    #[arg(long, value_name = "CIDR")]
    pub(crate) address_pool: Option<Ipv4Net>,
    /// For a person, or one line for a machine.
    #[arg(short, long, value_enum, default_value_t = TextOrJson::Text)]
    pub(crate) output: TextOrJson,
}

/// Where the load balancers are described: one of the two.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("objects").args(["files"]))]
#[group(id = "input", required = true, multiple = false, args = ["config", "files"])]
pub(crate) struct InputArgs {
    /// The native file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["environment", "personality"])]
    config: Option<PathBuf>,
    /// Kubernetes manifests: files, folders with all below them, or - for stdin.
    #[arg(short = 'f', long = "filename", value_name = "PATH", num_args = 1..)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    surroundings: SurroundingsArgs,
}

impl InputArgs {
    /// What they name. A pipe is read for it.
    pub(crate) fn source(&self) -> Source {
        pipes::keep(self.config.as_deref());
        match &self.config {
            Some(config) => Source::Native(config.clone()),
            None => Source::Manifests(self.surroundings.manifests(&self.files)),
        }
    }
}

/// What manifests do not say.
#[derive(Args, Debug)]
pub(crate) struct SurroundingsArgs {
    /// What AWS and the cluster know and manifests do not say.
    #[arg(long, value_name = "FILE", requires = "objects")]
    environment: Option<PathBuf>,
    /// Which controllers make load balancers of Services [default: what the environment says, else
    /// lbc-default].
    #[arg(long, value_enum, requires = "objects")]
    personality: Option<PersonalityArg>,
}

impl SurroundingsArgs {
    /// The manifests at `paths`, in these surroundings. Pipes are read for it.
    pub(crate) fn manifests(&self, paths: &[PathBuf]) -> Manifests {
        let named = paths.iter().chain(&self.environment);
        pipes::keep(named.map(PathBuf::as_path));
        Manifests {
            paths: paths.to_vec(),
            environment: self.environment.clone(),
            personality: self.personality.map(Personality::from),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PersonalityArg {
    /// The in-tree provider alone: Classic load balancers.
    #[value(name = "intree")]
    InTree,
    /// The AWS Load Balancer Controller without its Service webhook.
    #[value(name = "lbc")]
    Lbc,
    /// The AWS Load Balancer Controller as its chart installs it.
    #[value(name = "lbc-default")]
    LbcDefault,
}

impl From<PersonalityArg> for Personality {
    fn from(arg: PersonalityArg) -> Self {
        match arg {
            PersonalityArg::InTree => Self::InTree,
            PersonalityArg::Lbc => Self::Lbc,
            PersonalityArg::LbcDefault => Self::LbcDefault,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) serving: ServingArgs,
}

/// How a process serves.
#[derive(Args, Debug)]
pub(crate) struct ServingArgs {
    /// Worker threads [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,
    /// Where /metrics, /health, /targets and /config are served.
    #[arg(long, value_name = "ADDR|off", default_value = DEFAULT_ADMIN)]
    pub(crate) admin: AddressOrOff,
    /// Where /live, /ready, /health and /metrics are served besides, for kubelets and Prometheus; other pages there need the
    /// admin token.
    #[arg(long, value_name = "ADDR|off", default_value = "off")]
    pub(crate) probes: AddressOrOff,
    /// A name by which browsers and others may ask the admin address, beside IP addresses and localhost; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) admin_host: Vec<String>,
    #[command(flatten)]
    pub(crate) token: TokenArg,
    /// Where the DNS names of load balancers are answered for (UDP).
    #[arg(long, value_name = "ADDR|off", default_value = "off")]
    pub(crate) dns: AddressOrOff,
    /// Where load balancers without an address get one.
    #[arg(long, value_name = "CIDR", default_value = "127.0.10.0/24")]
    pub(crate) address_pool: Ipv4Net,
    /// Added to every port, for users who may not bind below 1024.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) port_offset: u16,
    /// Client connections that may be open at a time; more are reset [default: half of the open files that are not
    /// kept for other things].
    #[arg(long, value_name = "N")]
    pub(crate) max_connections: Option<NonZero<u64>>,
    /// How long connections may take to finish after SIGTERM, and a peer to read what came before a reset.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) drain_timeout: Duration,
    /// Which system calls carry bytes.
    #[arg(long, value_enum, default_value_t = DataPathArg::Auto)]
    pub(crate) data_path: DataPathArg,
    /// The ALBs' access log, in AWS's form.
    #[arg(long, value_name = "stdout|FILE|off", default_value = "off")]
    pub(crate) access_log: AccessLogArg,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// For a person, or one object a finding for a machine.
    #[arg(short, long, value_enum, default_value_t = TextOrJson::Text)]
    pub(crate) output: TextOrJson,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Exit codes: 0 good; 1 the input has errors; 2 wrong usage; 3 no elbow answers where one is \
    needed; 4 with --detailed-exitcode: there are changes. docs/plan.md describes the report."
)]
#[cfg_attr(
    feature = "controller",
    command(group = ArgGroup::new("objects").args(["files", "cluster"]).required(true))
)]
#[cfg_attr(
    not(feature = "controller"),
    command(group = ArgGroup::new("objects").args(["files"]).required(true))
)]
pub(crate) struct PlanArgs {
    /// Manifests: files, folders with all below them, or - for stdin.
    #[arg(short = 'f', long = "filename", value_name = "PATH", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    #[cfg(feature = "controller")]
    #[command(flatten)]
    pub(crate) look: crate::cluster::LookArgs,
    #[command(flatten)]
    pub(crate) surroundings: SurroundingsArgs,
    /// How.
    #[arg(short, long, value_enum, default_value_t = PlanOutput::Tree)]
    pub(crate) output: PlanOutput,
    /// The elbow to compare with [default: with --cluster the one that runs in it, else the one on 127.0.0.1:9901, if
    /// one is there].
    #[arg(long, value_name = "ADDR|off")]
    pub(crate) admin: Option<AddressOrOff>,
    #[command(flatten)]
    pub(crate) token: TokenArg,
    /// Exit with 4 when the input is good and something would change at the running elbow.
    #[arg(long)]
    pub(crate) detailed_exitcode: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanOutput {
    /// The AWS resources for a person.
    Tree,
    /// A row for each resource.
    Table,
    /// The report for machines.
    Yaml,
    /// The report for machines.
    Json,
    /// The JSON of AWS Load Balancer Controller's dry run.
    Stack,
}

#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// What to show.
    #[arg(value_enum)]
    pub(crate) kind: GetKind,
    /// Only the one called so (targets and rules: of the group or load balancer called so).
    pub(crate) name: Option<String>,
    /// The admin address of the running elbow.
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_ADMIN)]
    #[cfg_attr(feature = "controller", arg(conflicts_with = "cluster"))]
    pub(crate) admin: SocketAddr,
    #[command(flatten)]
    pub(crate) token: TokenArg,
    #[cfg(feature = "controller")]
    #[command(flatten)]
    pub(crate) look: crate::cluster::LookArgs,
    /// How.
    #[arg(short, long, value_enum, default_value_t = GetOutput::Table)]
    pub(crate) output: GetOutput,
}

#[derive(Args, Debug)]
pub(crate) struct CertArgs {
    /// Where the authority is kept [default: elbow in the user's data folder].
    #[arg(long, value_name = "DIR", env = "ELBOW_CA_DIR", global = true)]
    pub(crate) dir: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: CertCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CertCommand {
    /// Show the authority and what it has issued.
    List {
        /// How.
        #[arg(short, long, value_enum, default_value_t = TableOrJson::Table)]
        output: TableOrJson,
    },
    /// Print the authority's own certificate, for clients.
    Ca {
        /// Its path instead.
        #[arg(long)]
        path: bool,
    },
    /// Issue a certificate and print the file that has it and its key.
    Issue {
        /// DNS names (the first label may be *) and IP addresses.
        #[arg(value_name = "HOST", required = true)]
        hosts: Vec<String>,
        /// Write HOST.pem and HOST.key there.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Issue everything again; what serves it reloads.
    Renew,
    /// Print the line that makes this machine trust the authority; it is not run.
    Trust,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableOrJson {
    Table,
    Json,
}

pub(crate) const DEFAULT_ADMIN: &str = "127.0.0.1:9901";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextOrJson {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DataPathArg {
    /// The fastest that the kernel has.
    Auto,
    /// Read and write alone.
    Portable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GetKind {
    LoadBalancers,
    Listeners,
    Rules,
    TargetGroups,
    Targets,
    Certificates,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GetOutput {
    Table,
    Wide,
    Json,
    Yaml,
}

/// `--admin`, `--dns`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddressOrOff(pub(crate) Option<SocketAddr>);

impl std::str::FromStr for AddressOrOff {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "off" => Ok(Self(None)),
            _ => s.parse().map(|a| Self(Some(a))).map_err(|_| {
                format!(
                    "\"{s}\" is neither an address with a port, like {DEFAULT_ADMIN}, nor \"off\""
                )
            }),
        }
    }
}

/// `--access-log`.
#[derive(Clone, Debug)]
pub(crate) enum AccessLogArg {
    Off,
    Stdout,
    File(PathBuf),
}

impl std::str::FromStr for AccessLogArg {
    type Err = std::convert::Infallible;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Ok(match s {
            "off" => Self::Off,
            "stdout" => Self::Stdout,
            file => Self::File(file.into()),
        })
    }
}

/// `30s`, `500ms`, `2m`, or a number of seconds.
fn duration(s: &str) -> Result<Duration, String> {
    let digits = s.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &s[digits.len()..] {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("the unit is one of ms, s, m, h".into()),
    };
    let number: f64 = digits
        .parse()
        .map_err(|_| "write it like 30s or 2m".to_owned())?;
    Duration::try_from_secs_f64(number * factor).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        for bad in ["", "s", "3 parsecs", "-1s", "1e400s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_admin_address_may_be_off() {
        assert!("off".parse::<AddressOrOff>().unwrap().0.is_none());
        assert_eq!(
            "127.0.0.1:1".parse::<AddressOrOff>().unwrap().0,
            Some(SocketAddr::from(([127, 0, 0, 1], 1)))
        );
        assert!("9901".parse::<AddressOrOff>().is_err());
    }
}
