//! `elbow plan`: what AWS would make of manifests, and what that changes at a running elbow.

mod changes;
mod defaults;
mod describe;
mod report;
mod running;
mod screen;
mod table;
mod tree;
mod words;

use std::collections::HashMap;
use std::io::{self, Write};

use elbow_manifest::{Context, Object, Stack, advice, quota};
use elbow_model::Model;
use elbow_model::diagnostic::Diagnostic;

use crate::cli::{PlanArgs, PlanOutput};
use crate::{Failure, source};

use changes::Changes;
use report::{Found, Report, Summary};
use screen::Screen;

/// Prints what AWS would make to stdout, and what people should know to stderr. A stack that is refused is left
/// out.
pub(crate) fn plan(args: &PlanArgs) -> Result<(), Failure> {
    let mut found = Vec::new();
    let (objects, context) = args.surroundings.manifests(&args.files).read(&mut found);
    // Of files that cannot be read whole an elbow would take nothing.
    let readable = !found.iter().any(Diagnostic::is_error);
    let translation = elbow_manifest::plan(&objects, &context);
    let asked = args.output != PlanOutput::Stack || args.detailed_exitcode;
    let (model, served) = if asked {
        elbow_manifest::translate(&objects, &context)
    } else {
        Default::default()
    };
    let running = if asked { running::ask(args)? } else { None };
    let changes = running
        .filter(|_| readable)
        .map(|running| running.compare(&model));
    let changed = changes
        .as_ref()
        .is_some_and(|changes| !changes.items.is_empty());
    let stacks = &translation.stacks;
    found.extend(translation.diagnostics);
    let written = if args.output == PlanOutput::Stack {
        print_json(&stacks.iter().map(Stack::to_json).collect::<Vec<_>>())
            .and_then(|()| source::report(&found, &mut io::stderr()))
    } else {
        add(served, &objects, &mut found);
        let report = report(stacks, &context, &model, &mut found, changes);
        print(&report, &found, args.output)
    };
    written.map_err(|e| Failure::environment(e, "is the reader of the output still there?"))?;
    if found.iter().any(Diagnostic::is_error) {
        return Err(Failure::Input);
    }
    if changed && args.detailed_exitcode {
        return Err(Failure::Changes);
    }
    Ok(())
}

/// Adds what serving finds besides; of what is the same on AWS it is told but once.
fn add(served: Vec<Diagnostic>, objects: &[Object], found: &mut Vec<Diagnostic>) {
    for one in served {
        if concerns_plan(&one, objects) && !found.contains(&one) {
            found.push(one);
        }
    }
    found.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
}

/// A plan needs no targets, so that nothing is wrong when the manifests say nothing about any.
fn concerns_plan(found: &Diagnostic, objects: &[Object]) -> bool {
    let tells_targets = |object: &Object| {
        matches!(
            &*object.kind,
            "Node" | "Pod" | "EndpointSlice" | "Endpoints"
        )
    };
    !matches!(found.code, "no-endpoints" | "no-nodes") || objects.iter().any(tells_targets)
}

/// The whole report; what it warns of goes to `found` too.
fn report(
    stacks: &[Stack],
    context: &Context,
    model: &Model,
    found: &mut Vec<Diagnostic>,
    changes: Option<Changes>,
) -> Report {
    let groups = model.target_groups.iter();
    let targets: quota::Targets = groups
        .map(|group| (group.name.to_string(), group.targets.len()))
        .collect();
    let region = quota::of_region(stacks, &context.region);
    for stack in stacks {
        let used = quota::of_stack(stack, &targets);
        let exceeded = used.iter().filter_map(quota::Usage::warning);
        let about = advice::unverified(stack).into_iter().chain(exceeded);
        found.extend(about.filter_map(|one| at_origin(one, stack)));
    }
    found.extend(region.iter().filter_map(quota::Usage::warning));
    let described: Vec<_> = stacks
        .iter()
        .map(|stack| describe::stack(stack, &targets, context))
        .collect();
    let owners = owners(stacks);
    let found_in = |diagnostic: &Diagnostic| Found {
        stack: owners.get(&diagnostic.object).map(|id| (*id).to_owned()),
        diagnostic: diagnostic.clone(),
    };
    Report {
        summary: Summary::of(&described, found),
        stacks: described,
        quotas: region,
        diagnostics: found.iter().map(found_in).collect(),
        changes,
    }
}

/// A finding about a stack at the first object that the stack is made of.
fn at_origin(found: Diagnostic, stack: &Stack) -> Option<Diagnostic> {
    let origin = stack.origins.first()?;
    let at = origin.place.at;
    Some(
        found
            .at(&*origin.place.file, at.line, at.column)
            .object(&*origin.object),
    )
}

/// Which stack an object belongs to: the one that it is made into, else the first that it serves.
fn owners(stacks: &[Stack]) -> HashMap<String, &str> {
    let mut owners = HashMap::new();
    for stack in stacks {
        for origin in &stack.origins {
            owners.insert(origin.object.clone(), &*stack.id);
        }
    }
    for stack in stacks {
        for binding in stack.bindings.values() {
            let service = format!(
                "Service/{}/{}",
                binding.namespace, binding.spec.service_ref.name
            );
            owners.entry(service).or_insert(&*stack.id);
        }
    }
    owners
}

fn print(report: &Report, found: &[Diagnostic], output: PlanOutput) -> io::Result<()> {
    match output {
        PlanOutput::Json => print_json(report),
        PlanOutput::Yaml => {
            let text = serde_saphyr::to_string(report).map_err(io::Error::other)?;
            writeln!(io::stdout(), "{}", text.trim_end())
        }
        PlanOutput::Table => {
            writeln!(io::stdout(), "{}", table::tables(report))?;
            source::report(found, &mut io::stderr())
        }
        PlanOutput::Tree | PlanOutput::Stack => print_tree(report),
    }
}

fn print_json(value: &impl serde::Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)
}

/// Each stack to stdout, and what is found in it to stderr below it.
fn print_tree(report: &Report) -> io::Result<()> {
    let screen = Screen::stdout();
    let mut out = io::BufWriter::new(io::stdout().lock());
    for stack in &report.stacks {
        tree::stack(stack).write(screen, &mut out)?;
        out.flush()?;
        tell(report, Some(&stack.id))?;
        writeln!(out)?;
    }
    if let Some(region) = tree::region(&report.quotas) {
        region.write(screen, &mut out)?;
        writeln!(out)?;
    }
    if let Some(changes) = &report.changes {
        tree::changes(changes).write(screen, &mut out)?;
        writeln!(out)?;
    }
    writeln!(out, "{}", tree::summary(&report.summary))?;
    out.flush()?;
    tell(report, None)?;
    match report.summary.errors {
        0 => Ok(()),
        1 => writeln!(io::stderr(), "1 error"),
        errors => writeln!(io::stderr(), "{errors} errors"),
    }
}

fn tell(report: &Report, stack: Option<&str>) -> io::Result<()> {
    let of_stack = report
        .diagnostics
        .iter()
        .filter(|found| found.stack.as_deref() == stack);
    let mut err = io::stderr().lock();
    for found in of_stack {
        writeln!(err, "{}", found.diagnostic)?;
    }
    Ok(())
}
