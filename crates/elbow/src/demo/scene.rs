//! Which load balancers a demo has.

use std::path::Path;

use elbow_manifest::{Context, Object};
use elbow_model::Model;
use elbow_model::diagnostic::Diagnostic;
use elbow_pods::Pod;

use super::files::{self, Folder};
use super::stand_in::Lacking;
use crate::cli::DemoArgs;
use crate::source::{self, Source};
use crate::{Failure, cert};

/// Which load balancers a demo has.
pub(super) enum Scene {
    /// Three of its own.
    Own,
    /// Those of somebody's manifests.
    Manifests(Vec<Object>, Box<Context>),
}

impl Scene {
    /// What `args` ask for; manifests are read, all of which have to be readable.
    pub(super) fn new(args: &DemoArgs) -> Result<Self, Failure> {
        if args.files.is_empty() {
            return Ok(Self::Own);
        }
        let mut found = Vec::new();
        let (objects, context) = args.surroundings.manifests(&args.files).read(&mut found);
        tell(&found);
        if found.iter().any(Diagnostic::is_error) {
            return Err(Failure::Input);
        }
        Ok(Self::Manifests(objects, Box::new(context)))
    }

    /// Whether the load balancers are the demo's own.
    pub(super) fn is_own(&self) -> bool {
        matches!(self, Self::Own)
    }

    /// The load balancers, in front of `pods`; certificates are in `folder`.
    pub(super) async fn model(
        self,
        pods: &[Pod],
        folder: &Folder,
        port_offset: u16,
    ) -> Result<Model, Failure> {
        match self {
            Self::Own => {
                let config = files::write(folder, pods, 443 + port_offset).map_err(unwritten)?;
                native(config.as_path())
            }
            Self::Manifests(objects, context) => {
                let lacking = Lacking::find(&objects).await;
                for name in lacking.names() {
                    // A machine reads but one line.
                    tracing::info!(service = name, "pods stand in");
                }
                let objects = lacking.fill(objects, pods);
                translated(&objects, &context, folder)
            }
        }
    }
}

fn native(config: &Path) -> Result<Model, Failure> {
    let loaded = Source::Native(config.to_owned()).load(None);
    tell(&loaded.diagnostics);
    loaded.model.ok_or(Failure::Input)
}

/// What is wrong with one load balancer leaves the others.
fn translated(objects: &[Object], context: &Context, folder: &Folder) -> Result<Model, Failure> {
    let mut serving = elbow_manifest::serve(objects, context);
    serving.check(elbow_plane::check);
    let (model, mut found) = serving.into_model();
    if model.load_balancers.is_empty() && !found.iter().any(Diagnostic::is_error) {
        let nothing = Diagnostic::error(
            "no-load-balancers",
            "the manifests ask for no load balancer",
        );
        found.push(nothing.hint(
            "a Service asks for one by type: LoadBalancer, an Ingress by ingressClassName: alb, a Tenant by \
             exposeServices; see --personality for who answers",
        ));
    }
    tell(&found);
    if model.load_balancers.is_empty() {
        return Err(Failure::Input);
    }
    let home = folder.authority();
    // Clients are told of it whether a listener needs it or not.
    home.open().map_err(unwritten)?;
    home.resolve(model).map_err(|refused| {
        tell(&refused);
        Failure::Input
    })
}

fn unwritten(error: cert::Error) -> Failure {
    let what = format!("cannot write the files of the demo: {error}");
    Failure::environment(what, "name another folder with --dir")
}

fn tell(found: &[Diagnostic]) {
    // Nobody can be told when stderr is gone.
    let _ = source::report(found, &mut elbow_telemetry::stderr());
}
