//! What the commands that only look at a cluster need of it.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use elbow_admin::{CLIENT_HEADER, TOKEN_HEADER, Token};
use elbow_kube::{Error, Listing, client, inside};
use elbow_manifest::Object;
use elbow_model::diagnostic::{Diagnostic, Severity};
use serde_json::Value;

use crate::{Failure, runtime};

/// Which cluster.
#[derive(Args, Debug)]
pub(crate) struct ClusterArgs {
    /// What says where the cluster is.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Its context, instead of the current one.
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) context: Option<String>,
    /// The only namespace whose Services, Ingresses and pods count [default: all].
    #[arg(long, value_name = "NAMESPACE", global = true)]
    pub(crate) watch_namespace: Option<String>,
}

/// A look at a cluster, for commands that can do without.
#[derive(Args, Debug)]
pub(crate) struct LookArgs {
    /// What is in the cluster, and the elbow that runs in it (asked through the API server).
    #[arg(long)]
    pub(crate) cluster: bool,
    #[command(flatten)]
    pub(crate) which: ClusterArgs,
}

/// The objects of a cluster. What may not be read is told as a warning.
pub(crate) fn objects(
    args: &ClusterArgs,
    found: &mut Vec<Diagnostic>,
) -> Result<Vec<Object>, Failure> {
    let listing = list(args)?;
    let missing = |line: &String| Diagnostic::new(Severity::Warning, "no-permission", line.clone());
    found.extend(listing.missing.iter().map(missing));
    let mut objects = Vec::new();
    for object in listing.objects {
        match Object::from_json(object) {
            Ok(object) => objects.push(object),
            Err(problem) => found.push(problem),
        }
    }
    Ok(objects)
}

/// What is in a cluster.
pub(crate) fn list(args: &ClusterArgs) -> Result<Listing, Failure> {
    runtime()?
        .block_on(async {
            let server = args.open().await?;
            client::version(&server).await?;
            elbow_kube::list(&server, args.watch_namespace.as_deref()).await
        })
        .map_err(failure)
}

/// What the elbow in the cluster answers on its admin address, and the pod that it is; none where there is none.
pub(crate) fn ask(
    args: &ClusterArgs,
    path: &str,
    token: Option<&Token>,
) -> Result<Option<(String, Value)>, Failure> {
    let mut headers = vec![(CLIENT_HEADER, "elbow")];
    headers.extend(token.map(|token| (TOKEN_HEADER, token.secret())));
    runtime()?
        .block_on(async { inside::ask(&args.open().await?, path, &headers, &TOKEN_HEADER).await })
        .map_err(failure)
}

/// Why a cluster cannot be had, as the exit code has it.
pub(crate) fn failure(error: Error) -> Failure {
    let hint = error.hint().to_owned();
    match error.is_input() {
        true => {
            // Nobody can be told when stderr is gone.
            let _ = writeln!(elbow_telemetry::stderr(), "error: {error}\n  hint: {hint}");
            Failure::Input
        }
        false => Failure::environment(error, &hint),
    }
}

impl ClusterArgs {
    /// The API server that they name.
    ///
    /// # Errors
    /// The kubeconfig cannot be used.
    pub(crate) async fn open(&self) -> Result<client::Server, Error> {
        client::open(self.kubeconfig.as_deref(), self.context.as_deref()).await
    }
}
