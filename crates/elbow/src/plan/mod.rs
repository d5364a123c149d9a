//! `elbow plan`: the AWS resources that manifests become, and how they differ from a running elbow.

mod changes;
mod defaults;
mod describe;
mod report;
mod running;
mod screen;
mod table;
mod tree;
mod words;

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use elbow_manifest::{Context, Object, Stack, Translation, advice, quota};
use elbow_model::Model;
use elbow_model::diagnostic::Diagnostic;

use crate::args::{PlanArgs, PlanOutput};
use crate::loaded;
use crate::manifests::Manifests;
use crate::process::Failure;

use changes::Changes;
use report::{Found, Report, Summary};
use screen::Screen;

/// Prints the planned resources to stdout and diagnostics to stderr. Refused stacks are left out.
///
/// # Errors
/// The input has errors, a running elbow is required and does not answer, or there are changes and the exit code is to
/// say so.
pub(crate) fn plan(args: &PlanArgs) -> Result<(), Failure> {
    let mut found = Vec::new();
    let (objects, context) = read(args, &mut found)?;
    let Translation {
        stacks,
        diagnostics,
        ..
    } = elbow_manifest::plan(&objects, &context);
    found.extend(diagnostics);
    let has_balancer = |one: &Stack| one.classic.is_some() || !one.load_balancers.is_empty();
    if !found.iter().any(Diagnostic::is_error) && !stacks.iter().any(has_balancer) {
        found.push(elbow_manifest::seen(&objects).nothing_to_serve());
    }
    let is_report = args.output != PlanOutput::Stack;
    let mut model = Model::default();
    let mut running = None;
    if is_report || args.detailed_exitcode {
        let (served, more) = elbow_manifest::translate(&objects, &context);
        model = served;
        running = running::ask(args)?;
        if is_report {
            add_new(more, &objects, &mut found);
        }
    }
    let has_errors = found.iter().any(Diagnostic::is_error);
    if has_errors && let Some(running) = running.take() {
        found.push(running.not_compared());
    }
    let changes = running.map(|running| running.compare(&model));
    let changed = changes
        .as_ref()
        .is_some_and(|changes| !changes.items.is_empty());
    let written = if is_report {
        let report = report(&stacks, &context, &model, &mut found, changes);
        print(&report, &found, args.output)
    } else {
        print_json(&stacks.iter().map(Stack::to_json).collect::<Vec<_>>())
            .and_then(|()| loaded::report(&found, &mut io::stderr()))
    };
    written.map_err(|e| Failure::environment(e, "check the reader of the output"))?;
    if has_errors {
        return Err(Failure::Input);
    }
    if changed && args.detailed_exitcode {
        return Err(Failure::Changes);
    }
    Ok(())
}

/// The objects to plan for, and their context.
fn read(args: &PlanArgs, found: &mut Vec<Diagnostic>) -> Result<(Vec<Object>, Context), Failure> {
    #[cfg_attr(not(feature = "controller"), expect(unused_mut))]
    let (mut objects, context) = Manifests::new(&args.manifests, &args.surroundings).read(found);
    #[cfg(feature = "controller")]
    if args.look.cluster {
        objects = crate::cluster::objects(&args.look.which, context.personality, found)?;
    }
    Ok((objects, context))
}

/// Adds the diagnostics of serving that the plan does not have yet.
fn add_new(served: Vec<Diagnostic>, objects: &[Object], found: &mut Vec<Diagnostic>) {
    type Place = (String, u32, u32, &'static str, String);
    let place = |one: &Diagnostic| -> Place {
        let Diagnostic {
            file,
            line,
            column,
            code,
            message,
            ..
        } = one;
        (file.clone(), *line, *column, code, message.clone())
    };
    let known: HashSet<Place> = found.iter().map(place).collect();
    let has_targets = has_targets(objects);
    let new = served.into_iter().filter(|one| {
        // A plan needs no targets: manifests without any objects that describe targets are complete.
        let is_relevant = has_targets || !matches!(one.code, "no-endpoints" | "no-nodes");
        is_relevant && !known.contains(&place(one))
    });
    found.extend(new);
    found.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
}

/// Whether any object describes targets.
fn has_targets(objects: &[Object]) -> bool {
    let kinds = ["Node", "Pod", "EndpointSlice", "Endpoints"];
    objects.iter().any(|object| kinds.contains(&&*object.kind))
}

/// Builds the report; its warnings are added to `found`.
fn report(
    stacks: &[Stack],
    context: &Context,
    model: &Model,
    found: &mut Vec<Diagnostic>,
    changes: Option<Changes>,
) -> Report {
    let groups = model.target_groups.iter();
    let groups = groups.map(|group| (group.name.to_string(), group.targets.len()));
    let classics = model.load_balancers.iter().filter_map(|balancer| {
        let classic = balancer.classic.as_ref()?;
        Some((balancer.name.to_string(), classic.instances.len()))
    });
    let targets: quota::Targets = groups.chain(classics).collect();
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
    let found_in = |diagnostic: &Diagnostic| {
        let index = owners.get(&diagnostic.object).copied();
        Found {
            stack: index.map(|index| stacks[index].id.clone()),
            index,
            explained: diagnostic.into(),
        }
    };
    Report {
        summary: Summary::of(&described, found),
        stacks: described,
        quotas: region,
        diagnostics: found.iter().map(found_in).collect(),
        changes,
    }
}

/// Places a diagnostic about a stack at the stack's first object.
fn at_origin(found: Diagnostic, stack: &Stack) -> Option<Diagnostic> {
    Some(stack.origins.first()?.place(found))
}

/// The index of the stack of each object: the one that it becomes, otherwise the first that routes to it. A Tenant, a
/// Service and an Ingress of one name have stacks with one id.
fn owners(stacks: &[Stack]) -> HashMap<String, usize> {
    let mut owners = HashMap::new();
    for (index, stack) in stacks.iter().enumerate() {
        for origin in &stack.origins {
            owners.insert(origin.object.to_string(), index);
        }
    }
    for (index, stack) in stacks.iter().enumerate() {
        for binding in stack.bindings.values() {
            let service = format!(
                "Service/{}/{}",
                binding.namespace, binding.spec.service_ref.name
            );
            owners.entry(service).or_insert(index);
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
            loaded::report(found, &mut io::stderr())
        }
        PlanOutput::Tree | PlanOutput::Stack => print_tree(report),
    }
}

fn print_json(value: &impl serde::Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)
}

/// Prints each stack to stdout, followed by its diagnostics on stderr.
fn print_tree(report: &Report) -> io::Result<()> {
    let screen = Screen::stdout();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut found: HashMap<Option<usize>, Vec<&Diagnostic>> = HashMap::new();
    for one in &report.diagnostics {
        let of_stack = found.entry(one.index).or_default();
        of_stack.push(&one.explained.diagnostic);
    }
    for (index, stack) in report.stacks.iter().enumerate() {
        tree::stack(stack).write(screen, &mut out)?;
        if let Some(found) = found.remove(&Some(index)) {
            out.flush()?;
            print_diagnostics(&found)?;
        }
        writeln!(out)?;
    }
    let region = tree::region(&report.quotas);
    let changes = report.changes.as_ref().map(tree::changes);
    for branch in region.into_iter().chain(changes) {
        branch.write(screen, &mut out)?;
        writeln!(out)?;
    }
    writeln!(out, "{}", tree::summary(&report.summary))?;
    out.flush()?;
    print_diagnostics(&found.remove(&None).unwrap_or_default())?;
    match report.summary.errors {
        0 => Ok(()),
        1 => writeln!(io::stderr(), "1 error"),
        errors => writeln!(io::stderr(), "{errors} errors"),
    }
}

fn print_diagnostics(found: &[&Diagnostic]) -> io::Result<()> {
    let mut err = io::stderr().lock();
    for one in found {
        writeln!(err, "{one}")?;
    }
    Ok(())
}
