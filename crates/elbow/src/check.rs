//! `elbow check`.

use std::io::{self, Write};

use elbow_model::diagnostic::Diagnostic;

use crate::Failure;
use crate::cli::{CheckArgs, TextOrJson};
use crate::source;

/// Prints every finding: for a machine to stdout, for a person to stderr.
pub(crate) fn check(args: &CheckArgs) -> Result<(), Failure> {
    let source = args.input.source();
    let loaded = source.load(None);
    let printed = match args.output {
        TextOrJson::Json => print_json(&loaded.diagnostics),
        TextOrJson::Text => source::report(&loaded.diagnostics, &mut io::stderr()),
    };
    printed.map_err(|e| Failure::environment(e, "is the reader of the output still there?"))?;
    let refused = loaded.has_errors();
    let Some(model) = loaded.model.filter(|_| !refused) else {
        return Err(Failure::Input);
    };
    if args.output == TextOrJson::Text {
        let listeners: usize = model
            .load_balancers
            .iter()
            .map(|lb| lb.listeners.len())
            .sum();
        let line = format!(
            "{source}: good: {} load balancer(s), {listeners} listener(s), {} target group(s)",
            model.load_balancers.len(),
            model.target_groups.len()
        );
        // The exit code says the same.
        let _ = writeln!(io::stdout(), "{line}");
    }
    Ok(())
}

fn print_json(diagnostics: &[Diagnostic]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, diagnostics)?;
    writeln!(out)
}
