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

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use elbow_manifest::{Context, Object, Stack, Translation, advice, quota};
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
    let (objects, context) = read(args, &mut found)?;
    let Translation {
        stacks,
        diagnostics,
        ..
    } = elbow_manifest::plan(&objects, &context);
    found.extend(diagnostics);
    let is_report = args.output != PlanOutput::Stack;
    let mut model = Model::default();
    let mut running = None;
    if is_report || args.detailed_exitcode {
        let (served, more) = elbow_manifest::translate(&objects, &context);
        model = served;
        running = running::ask(args)?;
        if is_report {
            add(more, &objects, &mut found);
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
            .and_then(|()| source::report(&found, &mut io::stderr()))
    };
    written.map_err(|e| Failure::environment(e, "is the reader of the output still there?"))?;
    if has_errors {
        return Err(Failure::Input);
    }
    if changed && args.detailed_exitcode {
        return Err(Failure::Changes);
    }
    Ok(())
}

/// What is planned for, and its surroundings.
fn read(args: &PlanArgs, found: &mut Vec<Diagnostic>) -> Result<(Vec<Object>, Context), Failure> {
    #[cfg_attr(not(feature = "controller"), expect(unused_mut))]
    let (mut objects, context) = args.surroundings.manifests(&args.files).read(found);
    #[cfg(feature = "controller")]
    if args.look.cluster {
        objects = crate::cluster::objects(&args.look.which, found)?;
    }
    Ok((objects, context))
}

/// Adds what serving finds besides; of what is the same on AWS it is told but once.
fn add(served: Vec<Diagnostic>, objects: &[Object], found: &mut Vec<Diagnostic>) {
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
    let tells_targets = tells_targets(objects);
    let besides = served.into_iter().filter(|one| {
        // A plan needs no targets: nothing is wrong when the manifests say nothing about any.
        let concerns = tells_targets || !matches!(one.code, "no-endpoints" | "no-nodes");
        concerns && !known.contains(&place(one))
    });
    found.extend(besides);
    found.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
}

fn tells_targets(objects: &[Object]) -> bool {
    let kinds = ["Node", "Pod", "EndpointSlice", "Endpoints"];
    objects.iter().any(|object| kinds.contains(&&*object.kind))
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
    let mut found: HashMap<Option<&str>, Vec<&Diagnostic>> = HashMap::new();
    for one in &report.diagnostics {
        let of_stack = found.entry(one.stack.as_deref()).or_default();
        of_stack.push(&one.diagnostic);
    }
    for stack in &report.stacks {
        tree::stack(stack).write(screen, &mut out)?;
        if let Some(found) = found.remove(&Some(&*stack.id)) {
            out.flush()?;
            tell(&found)?;
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
    tell(&found.remove(&None).unwrap_or_default())?;
    match report.summary.errors {
        0 => Ok(()),
        1 => writeln!(io::stderr(), "1 error"),
        errors => writeln!(io::stderr(), "{errors} errors"),
    }
}

fn tell(found: &[&Diagnostic]) -> io::Result<()> {
    let mut err = io::stderr().lock();
    for one in found {
        writeln!(err, "{one}")?;
    }
    Ok(())
}
