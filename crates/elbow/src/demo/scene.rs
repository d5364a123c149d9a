//! The load balancers of a demo.

use std::path::Path;

use elbow_manifest::{Context, Object};
use elbow_model::Model;
use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_pods::Pod;

use super::files::{self, Folder};
use super::login::Login;
use super::stand_in::Unanswered;
use crate::args::DemoArgs;
use crate::authority::{self, Authority};
use crate::loaded;
use crate::manifests::Manifests;
use crate::process::Failure;
use crate::source::{NativeFile, Source};

/// The load balancers of a demo.
pub(super) enum Scene {
    /// The three that the demo itself describes.
    Own,
    /// Those of manifests.
    Manifests(Vec<Object>, Box<Context>),
}

impl Scene {
    /// Reads the manifests that `args` name, if any.
    ///
    /// # Errors
    /// A manifest cannot be read.
    pub(super) fn new(args: &DemoArgs) -> Result<Self, Failure> {
        if args.manifests.is_empty() {
            return Ok(Self::Own);
        }
        let mut found = Vec::new();
        let (objects, context) =
            Manifests::new(&args.manifests, &args.surroundings).read(&mut found);
        report(&found);
        if found.iter().any(Diagnostic::is_error) {
            return Err(Failure::Input);
        }
        Ok(Self::Manifests(objects, Box::new(context)))
    }

    /// Whether the load balancers are those of the demo itself.
    pub(super) fn is_own(&self) -> bool {
        matches!(self, Self::Own)
    }

    /// The model of the load balancers in front of `pods`, with certificates in `folder`.
    pub(super) async fn model(
        self,
        pods: &[Pod],
        folder: &Folder,
        port_offset: u16,
        login: Option<&Login>,
    ) -> Result<Model, Failure> {
        match self {
            Self::Own => {
                let config =
                    files::write(folder, pods, 443 + port_offset, login).map_err(write_failure)?;
                native(config.as_path())
            }
            Self::Manifests(objects, context) => {
                let unanswered = Unanswered::find(&objects).await;
                for name in unanswered.names() {
                    // Logged, because stdout may have to be one line of JSON.
                    tracing::info!(service = name, "Service without endpoints gets the pods");
                }
                let objects = unanswered.fill(objects, pods);
                translated(&objects, &context, folder)
            }
        }
    }
}

fn native(config: &Path) -> Result<Model, Failure> {
    let loaded = Source::Native(NativeFile::alone(config)).load();
    report(&loaded.diagnostics);
    loaded.model.ok_or(Failure::Input)
}

/// Translates the manifests; an error in one load balancer leaves out that one.
fn translated(objects: &[Object], context: &Context, folder: &Folder) -> Result<Model, Failure> {
    let (mut model, mut found) = elbow_manifest::translate(objects, context);
    let unusable = elbow_plane::check(&model);
    let is_unusable = |name: &str| {
        let mut objects = unusable.iter().map(|one| &one.object);
        objects.any(|object| object.strip_prefix("certificate/") == Some(name))
    };
    model.load_balancers.retain(|balancer| {
        let listeners = balancer.listeners.iter();
        let mut certificates = listeners.flat_map(|listener| &listener.certificates);
        !certificates.any(|one| is_unusable(&one.name))
    });
    model
        .certificates
        .retain(|certificate| !is_unusable(&certificate.name));
    found.extend(unusable);
    if model.load_balancers.is_empty() && !found.iter().any(Diagnostic::is_error) {
        let nothing = elbow_manifest::seen(objects).nothing_to_serve();
        found.push(Diagnostic {
            severity: Severity::Error,
            code: "no-load-balancers",
            ..nothing
        });
    }
    report(&found);
    if model.load_balancers.is_empty() {
        return Err(Failure::Input);
    }
    let home = folder.authority();
    // The output names the authority's certificate even if no listener needs one.
    Authority::open(&home).map_err(write_failure)?;
    authority::resolve_with(&home, model).map_err(|refused| {
        report(&refused);
        Failure::Input
    })
}

fn write_failure(error: authority::Error) -> Failure {
    let what = format!("cannot write the files of the demo: {error}");
    Failure::environment(what, "name another folder with --dir")
}

fn report(found: &[Diagnostic]) {
    // A closed stderr cannot be reported anywhere.
    let _ = loaded::report(found, &mut elbow_telemetry::stderr());
}
