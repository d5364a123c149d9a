//! Arguments that name a cluster.

use std::path::PathBuf;

use clap::Args;

/// Which cluster.
#[derive(Args, Debug)]
pub(crate) struct ClusterArgs {
    /// The kubeconfig that names the cluster.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig to use instead of the current one.
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) context: Option<String>,
    /// Consider the Services, Ingresses and pods of this namespace only [default: all namespaces].
    #[arg(long, value_name = "NAMESPACE", global = true)]
    pub(crate) watch_namespace: Option<String>,
}

/// The choice to read from a cluster, for commands that also work without one.
#[derive(Args, Debug)]
pub(crate) struct LookArgs {
    /// Use the objects in the cluster, and the elbow that runs in it (asked through the API server).
    #[arg(long)]
    pub(crate) cluster: bool,
    #[command(flatten)]
    pub(crate) which: ClusterArgs,
}
