//! The command line: every command with its arguments, and nothing of what they do.

#[cfg(feature = "controller")]
mod cluster;
#[cfg(feature = "controller")]
mod controller;
mod input;
mod serving;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
#[cfg(feature = "demo")]
use elbow_model::addresses::Ipv4Net;

#[cfg(feature = "controller")]
pub(crate) use cluster::{ClusterArgs, LookArgs};
#[cfg(feature = "controller")]
pub(crate) use controller::{ControllerArgs, ControllerCommand};
pub(crate) use input::{ChartArgs, InputArgs, ManifestArgs, SurroundingsArgs};
pub(crate) use serving::{
    AccessLogArg, AddressOrOff, DEFAULT_ADMIN, DataPathArg, ServingArgs, TokenArg, TokenPlace,
};

/// What `--version` prints: the version and the profile of the build. Releases are built with `release`.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("ELBOW_PROFILE"), ")");

/// An Elastic Load Balancer you can run anywhere.
///
/// On a laptop, in kind or on bare metal, elbow serves the NLB and ALB that AWS would have built, with
/// AWS's names, health checks, status codes and access logs.
#[derive(Debug, Parser)]
#[command(version = VERSION, propagate_version = true)]
#[command(
    after_help = "Exit codes: 0 success; 1 the input has errors; 2 wrong usage; 3 the environment \
    refuses (port busy, no permission); 4 there are changes (plan --detailed-exitcode)."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run three load balancers, or those of your manifests, in front of S3 pods on this machine.
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Serve a configuration or Kubernetes manifests until SIGTERM or SIGINT; SIGHUP reloads.
    Run(RunArgs),
    /// Serve the load balancers of a live cluster until SIGTERM or SIGINT, and write their status back.
    #[cfg(feature = "controller")]
    Controller(Box<ControllerArgs>),
    /// Find every error in a configuration or in manifests, without serving it.
    Check(CheckArgs),
    /// Show the AWS resources that Kubernetes manifests become, without serving them.
    Plan(PlanArgs),
    /// Show what a running elbow serves.
    Get(GetArgs),
    /// Replace a running elbow by a new process, without refusing or resetting a connection.
    Upgrade(UpgradeArgs),
    /// Show, apply or remove the rules by which targets can see the addresses of clients.
    Netsetup(NetsetupArgs),
    /// Manage the local certificate authority, which serves load balancers without certificates.
    Cert(CertArgs),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page as roff.
    Man,
}

#[cfg(feature = "demo")]
#[derive(Args, Debug)]
#[command(
    group = ArgGroup::new("objects").args(["files", "helm"]).multiple(true),
    group = ArgGroup::new("described").args(["files", "helm"]).multiple(true),
)]
#[command(
    after_help = "With -f or --helm, the load balancers of the manifests are served instead. Services without \
    endpoints get an S3 pod."
)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) manifests: ManifestArgs,
    #[command(flatten)]
    pub(crate) surroundings: SurroundingsArgs,
    /// Run MinIO as pods: `auto` if it is on PATH, `never`, or the path of its binary [default: auto; with
    /// -f never, because MinIO pods accept only TLS].
    #[arg(long, value_name = "auto|never|PATH")]
    pub(crate) minio: Option<String>,
    /// The number of pods.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) pods: u8,
    /// The folder for certificates, configuration and data [default: a temporary folder].
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// The network from which load balancers without an address get one [default: the first of
    /// 127.0.10.0/24 to 127.0.19.0/24 with free addresses].
    #[arg(long, value_name = "CIDR")]
    pub(crate) address_pool: Option<Ipv4Net>,
    /// Also show a login: an Application Load Balancer that authenticates users at an OpenID Connect provider of the demo.
    #[arg(long, conflicts_with_all = ["files", "helm"])]
    pub(crate) login: bool,
    /// The output format; `json` is one line.
    #[arg(short, long, value_enum, default_value_t = TextOrJson::Text)]
    pub(crate) output: TextOrJson,
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) serving: ServingArgs,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// The output format; `json` is an array with an object for each finding.
    #[arg(short, long, value_enum, default_value_t = TextOrJson::Text)]
    pub(crate) output: TextOrJson,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Exit codes: 0 success; 1 the input has errors; 2 wrong usage; 3 an elbow is required and none \
    answers; 4 there are changes (with --detailed-exitcode). docs/plan.md describes the report."
)]
#[cfg_attr(
    feature = "controller",
    command(
        group = ArgGroup::new("objects").args(["files", "helm", "cluster"]).multiple(true).required(true),
        group = ArgGroup::new("described").args(["files", "helm", "cluster"]).multiple(true),
        group = ArgGroup::new("manifests").args(["files", "helm"]).multiple(true).conflicts_with("cluster"),
    )
)]
#[cfg_attr(
    not(feature = "controller"),
    command(
        group = ArgGroup::new("objects").args(["files", "helm"]).multiple(true).required(true),
        group = ArgGroup::new("described").args(["files", "helm"]).multiple(true),
    )
)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) manifests: ManifestArgs,
    #[cfg(feature = "controller")]
    #[command(flatten)]
    pub(crate) look: LookArgs,
    #[command(flatten)]
    pub(crate) surroundings: SurroundingsArgs,
    /// The output format.
    #[arg(short, long, value_enum, default_value_t = PlanOutput::Tree)]
    pub(crate) output: PlanOutput,
    /// The admin address of the elbow to compare with [default: with --cluster the elbow in the cluster, otherwise
    /// 127.0.0.1:9901 if an elbow answers there].
    #[arg(long, value_name = "ADDR|off")]
    pub(crate) admin: Option<AddressOrOff>,
    #[command(flatten)]
    pub(crate) token: TokenArg,
    /// Exit with 4 if the input has no errors and the running elbow would change.
    #[arg(long)]
    pub(crate) detailed_exitcode: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanOutput {
    /// The AWS resources as a tree.
    Tree,
    /// A row for each resource.
    Table,
    /// The report as YAML.
    Yaml,
    /// The report as JSON.
    Json,
    /// The JSON of the AWS Load Balancer Controller's dry run.
    Stack,
}

#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// The kind of resource to show.
    #[arg(value_enum)]
    pub(crate) kind: GetKind,
    /// Show only the resource of this name (for targets and rules: those of the target group or load balancer of
    /// this name).
    pub(crate) name: Option<String>,
    /// The admin address of the running elbow.
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_ADMIN)]
    #[cfg_attr(feature = "controller", arg(conflicts_with = "cluster"))]
    pub(crate) admin: SocketAddr,
    #[command(flatten)]
    pub(crate) token: TokenArg,
    #[cfg(feature = "controller")]
    #[command(flatten)]
    pub(crate) look: LookArgs,
    /// The output format.
    #[arg(short, long, value_enum, default_value_t = GetOutput::Table)]
    pub(crate) output: GetOutput,
}

#[derive(Args, Debug)]
#[command(
    after_help = "The new process has the arguments and the environment of the old one. The old one hands over its sockets \
    once the new one can serve, and ends after its connections. If the new one fails, nothing changes. SIGUSR2 to the \
    running process does the same with the same binary. docs/upgrade.md has the details."
)]
pub(crate) struct UpgradeArgs {
    /// The binary to run [default: the same path; install the new version there first].
    #[arg(long, value_name = "PATH")]
    pub(crate) binary: Option<PathBuf>,
    /// The process id of the running elbow [default: the only one of this user].
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
    /// How long the new process may take to be ready [default: 60s].
    #[arg(long, value_name = "TIME", value_parser = serving::duration)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Args, Debug)]
#[command(after_help = "docs/client-address.md says when targets see the addresses of clients.")]
pub(crate) struct NetsetupArgs {
    /// What to do.
    #[arg(value_enum)]
    pub(crate) action: NetsetupAction,
    /// Apply only the rules for targets behind this machine, not those for targets at its loopback addresses.
    #[arg(long)]
    pub(crate) no_loopback: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetsetupAction {
    /// Print the commands of `apply`.
    Show,
    /// Add the rules, which last until the machine restarts.
    Apply,
    /// Remove them.
    Remove,
}

#[derive(Args, Debug)]
pub(crate) struct CertArgs {
    /// The folder of the authority [default: `elbow` in the user's data folder].
    #[arg(long, value_name = "DIR", env = "ELBOW_CA_DIR", global = true)]
    pub(crate) dir: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: CertCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CertCommand {
    /// Show the authority and the certificates that it has issued.
    List {
        /// The output format.
        #[arg(short, long, value_enum, default_value_t = TableOrJson::Table)]
        output: TableOrJson,
    },
    /// Print the certificate of the authority, for clients to trust.
    Ca {
        /// Print its path instead.
        #[arg(long)]
        path: bool,
    },
    /// Issue a certificate and print the path of the file with the certificate and its key.
    Issue {
        /// DNS names (the first label may be *) and IP addresses.
        #[arg(value_name = "HOST", required = true)]
        hosts: Vec<String>,
        /// Write HOST.pem and HOST.key to this folder.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Issue all certificates again; processes that serve them reload.
    Renew,
    /// Print the command that makes this machine trust the authority, without running it.
    Trust,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableOrJson {
    Table,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextOrJson {
    Text,
    Json,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
