//! `elbow plan`: what AWS would make of manifests.

use std::io::{self, Write};

use elbow_model::diagnostic::Diagnostic;

use crate::Failure;
use crate::cli::PlanArgs;
use crate::source;

/// Prints the stacks to stdout and every finding to stderr. A stack that is refused is left out.
pub(crate) fn plan(args: &PlanArgs) -> Result<(), Failure> {
    let mut found = Vec::new();
    let manifests = args.surroundings.manifests(&args.files);
    let (objects, context) = manifests.read(&mut found);
    let translation = elbow_manifest::plan(&objects, &context);
    found.extend(translation.diagnostics);
    let stacks: Vec<_> = translation
        .stacks
        .iter()
        .map(|stack| stack.to_json())
        .collect();
    print(&stacks)
        .and_then(|()| source::report(&found, &mut io::stderr()))
        .map_err(|e| Failure::environment(e, "is the reader of the output still there?"))?;
    if found.iter().any(Diagnostic::is_error) {
        return Err(Failure::Input);
    }
    Ok(())
}

fn print(stacks: &[serde_json::Value]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, stacks)?;
    writeln!(out)
}
