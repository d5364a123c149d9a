//! Access to a cluster for commands that only read from it.

use std::io::Write;

use elbow_admin::{CLIENT_HEADER, TOKEN_HEADER, Token};
use elbow_kube::{Error, Listing, client, inside};
use elbow_manifest::Object;
use elbow_manifest::context::Personality;
use elbow_model::diagnostic::{Diagnostic, Severity};
use serde_json::Value;

use crate::args::ClusterArgs;
use crate::process::{Failure, runtime};

/// The objects of a cluster that `personality` reads. Kinds that may not be read become warnings in `found`.
pub(crate) fn objects(
    args: &ClusterArgs,
    personality: Personality,
    found: &mut Vec<Diagnostic>,
) -> Result<Vec<Object>, Failure> {
    let listing = list(args, personality)?;
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

/// Lists the objects of a cluster that `personality` reads.
pub(crate) fn list(args: &ClusterArgs, personality: Personality) -> Result<Listing, Failure> {
    runtime()?
        .block_on(async {
            let server = open(args).await?;
            client::version(&server).await?;
            let auto_mode = personality == Personality::EksAuto;
            elbow_kube::list(&server, args.watch_namespace.as_deref(), auto_mode).await
        })
        .map_err(failure)
}

/// Requests `path` from the elbow in the cluster; returns the name of its pod and the answer, or `None` if no elbow runs
/// there.
pub(crate) fn ask(
    args: &ClusterArgs,
    path: &str,
    token: Option<&Token>,
) -> Result<Option<(String, Value)>, Failure> {
    let mut headers = vec![(CLIENT_HEADER, "elbow")];
    headers.extend(token.map(|token| (TOKEN_HEADER, token.secret())));
    runtime()?
        .block_on(async { inside::ask(&open(args).await?, path, &headers, &TOKEN_HEADER).await })
        .map_err(failure)
}

/// Converts an error of the cluster to the failure with its exit code.
pub(crate) fn failure(error: Error) -> Failure {
    let hint = error.hint().to_owned();
    if error.is_input() {
        // A closed stderr cannot be reported anywhere.
        let _ = writeln!(elbow_telemetry::stderr(), "error: {error}\n  hint: {hint}");
        Failure::Input
    } else {
        Failure::environment(error, &hint)
    }
}

/// Opens the API server that `args` name.
///
/// # Errors
/// The kubeconfig cannot be used.
pub(crate) async fn open(args: &ClusterArgs) -> Result<client::Server, Error> {
    client::open(args.kubeconfig.as_deref(), args.context.as_deref()).await
}
