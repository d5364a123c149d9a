//! `elbow check`: all errors of the input.

use std::io::{self, Write};

use elbow_model::diagnostic::Diagnostic;

use crate::args::{CheckArgs, TextOrJson};
use crate::explained::Explained;
use crate::process::Failure;
use crate::source::Source;
use crate::{client_address, loaded};

/// Prints all diagnostics: JSON to stdout, text to stderr.
///
/// # Errors
/// The input has errors.
pub(crate) fn check(args: &CheckArgs) -> Result<(), Failure> {
    let source = Source::new(&args.input);
    let mut loaded = source.load();
    if let (Source::Native(native), Some(model)) = (&source, &loaded.model)
        && model.load_balancers.is_empty()
        && !loaded.has_errors()
    {
        let nothing = "nothing to serve: the file has no load balancers";
        let nothing = Diagnostic::warning("nothing-to-serve", nothing);
        loaded
            .diagnostics
            .push(nothing.at(native.path.display().to_string(), 0, 0));
    }
    if let Some(model) = &loaded.model {
        loaded.diagnostics.extend(client_address::findings(model)?);
    }
    let printed = match args.output {
        TextOrJson::Json => print_json(&loaded.diagnostics),
        TextOrJson::Text => loaded::report(&loaded.diagnostics, &mut io::stderr()),
    };
    printed.map_err(|e| Failure::environment(e, "check the reader of the output"))?;
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
        let balancers = model.load_balancers.len();
        let line = match balancers {
            0 => format!("{source}: nothing to serve"),
            _ => format!(
                "{source}: good: {balancers} load balancer(s), {listeners} listener(s), {} target group(s)",
                model.target_groups.len()
            ),
        };
        // The exit code has the same information.
        let _ = writeln!(io::stdout(), "{line}");
    }
    Ok(())
}

fn print_json(diagnostics: &[Diagnostic]) -> io::Result<()> {
    let explained: Vec<Explained> = diagnostics.iter().map(Explained::from).collect();
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &explained)?;
    writeln!(out)
}
