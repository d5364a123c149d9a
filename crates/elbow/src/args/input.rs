//! Arguments that name configurations and manifests.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use elbow_manifest::context::Personality;

/// The description of the load balancers: a native file or manifests.
#[derive(Args, Debug)]
#[command(
    group = ArgGroup::new("objects").args(["files", "helm"]).multiple(true),
    group = ArgGroup::new("described").args(["config", "files", "helm"]).multiple(true),
)]
#[group(id = "input", required = true, multiple = true, args = ["config", "files", "helm"])]
pub(crate) struct InputArgs {
    /// The native configuration file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "helm", "personality", "strict", "lenient"])]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) manifests: ManifestArgs,
    #[command(flatten)]
    pub(crate) surroundings: SurroundingsArgs,
}

/// Kubernetes manifests.
#[derive(Args, Debug)]
pub(crate) struct ManifestArgs {
    /// Kubernetes manifests: files, folders (searched recursively; one with a kustomization.yaml is built with
    /// kubectl), or - for stdin.
    #[arg(short = 'f', long = "filename", value_name = "PATH", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) chart: ChartArgs,
}

/// A Helm chart to render.
#[derive(Args, Debug)]
pub(crate) struct ChartArgs {
    /// A Helm chart, which helm renders: a folder, an archive, or another name that `helm template` takes.
    #[arg(long, value_name = "CHART")]
    pub(crate) helm: Option<String>,
    /// Values for the chart: files, as for `helm template --values`.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "helm")]
    pub(crate) values: Vec<PathBuf>,
    /// A value for the chart, as for `helm template --set`.
    #[arg(long, value_name = "KEY=VALUE", requires = "helm")]
    pub(crate) set: Vec<String>,
    /// The name of the chart's release [default: release-name, as for `helm template`].
    #[arg(long, value_name = "NAME", requires = "helm")]
    pub(crate) release: Option<String>,
    /// The namespace of the chart's release [default: default].
    #[arg(long, value_name = "NAMESPACE", requires = "helm")]
    pub(crate) namespace: Option<String>,
}

impl ManifestArgs {
    /// Whether they name nothing.
    #[cfg(feature = "demo")]
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.chart.helm.is_none()
    }
}

/// The facts about AWS and the cluster that manifests do not contain.
#[derive(Args, Debug)]
pub(crate) struct SurroundingsArgs {
    /// A file with the facts about AWS and the cluster that manifests do not contain. For a native configuration file:
    /// the account, the region and the buckets of logs.
    #[arg(long, value_name = "FILE", requires = "described")]
    pub(crate) environment: Option<PathBuf>,
    /// Which controllers create load balancers for Services [default: the personality of the environment file,
    /// otherwise lbc-default].
    #[arg(long, value_enum, requires = "objects")]
    pub(crate) personality: Option<PersonalityArg>,
    /// Refuse names of things that neither the environment file nor the manifests contain: subnets, security groups,
    /// certificates, IngressClasses and others. By default something stands in for them, with a warning.
    #[arg(long, requires = "objects")]
    pub(crate) strict: bool,
    /// Warn about what an API server refuses, and read on: for dumps of old clusters.
    #[arg(long, requires = "objects")]
    pub(crate) lenient: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PersonalityArg {
    /// Only the in-tree provider: Classic Load Balancers.
    #[value(name = "intree")]
    InTree,
    /// The AWS Load Balancer Controller without its Service webhook.
    #[value(name = "lbc")]
    Lbc,
    /// The AWS Load Balancer Controller as its Helm chart installs it.
    #[value(name = "lbc-default")]
    LbcDefault,
    /// EKS Auto Mode.
    #[value(name = "eks-auto")]
    EksAuto,
}

impl From<PersonalityArg> for Personality {
    fn from(arg: PersonalityArg) -> Self {
        match arg {
            PersonalityArg::InTree => Self::InTree,
            PersonalityArg::Lbc => Self::Lbc,
            PersonalityArg::LbcDefault => Self::LbcDefault,
            PersonalityArg::EksAuto => Self::EksAuto,
        }
    }
}
