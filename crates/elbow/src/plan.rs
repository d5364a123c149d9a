//! `elbow plan`: what AWS would make of manifests.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use elbow_manifest::{Context, Object};
use elbow_model::diagnostic::Diagnostic;

use crate::Failure;
use crate::cli::PlanArgs;
use crate::source;

/// Prints the stacks to stdout and every finding to stderr. A stack that is refused is left out.
pub(crate) fn plan(args: &PlanArgs) -> Result<(), Failure> {
    let mut found = Vec::new();
    let context = environment(args.environment.as_deref(), &mut found);
    let objects = read_all(&args.files, &mut found);
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

/// The environment of the manifests, with the host names of its certificates.
fn environment(path: Option<&Path>, found: &mut Vec<Diagnostic>) -> Context {
    let Some(path) = path else {
        return Context::default();
    };
    let name = path.display().to_string();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            found.push(unreadable(&name, &error));
            return Context::default();
        }
    };
    let (mut context, problems) = Context::parse(&text, &name);
    found.extend(problems);
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    for certificate in &mut context.certificates {
        let files = elbow_model::Certificate {
            name: certificate.arn.as_str().into(),
            certificate_file: folder.join(&certificate.certificate_file),
            private_key_file: folder.join(&certificate.private_key_file),
            declared: None,
        };
        match elbow_tls::load(&files) {
            Ok(loaded) => certificate
                .names
                .extend(loaded.names().iter().map(|name| name.to_string())),
            Err(error) => {
                let message = format!("certificate {}: {error}", certificate.arn);
                found.push(Diagnostic::error("unusable-certificate", message).at(&name, 0, 0));
            }
        }
    }
    context
}

/// The objects of all files, folders and of stdin, in the order in which they are named.
fn read_all(paths: &[PathBuf], found: &mut Vec<Diagnostic>) -> Vec<Object> {
    let mut objects = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut text = String::new();
            let read = io::stdin().read_to_string(&mut text).map(|_| text);
            add("stdin", read, &mut objects, found);
            continue;
        }
        let mut files = Vec::new();
        if let Err(error) = collect(path, &mut files) {
            found.push(unreadable(&path.display().to_string(), &error));
        }
        for file in files {
            add(
                &file.display().to_string(),
                fs::read_to_string(&file),
                &mut objects,
                found,
            );
        }
    }
    objects
}

fn add(
    name: &str,
    text: io::Result<String>,
    objects: &mut Vec<Object>,
    found: &mut Vec<Diagnostic>,
) {
    match text {
        Ok(text) => {
            let (read, problems) = elbow_manifest::read(&text, name);
            objects.extend(read);
            found.extend(problems);
        }
        Err(error) => found.push(unreadable(name, &error)),
    }
}

/// `path`, or the manifests in it and below when it is a folder, by name.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries: io::Result<Vec<_>> = fs::read_dir(path)?.collect();
    let mut entries: Vec<PathBuf> = entries?.iter().map(fs::DirEntry::path).collect();
    entries.sort();
    for entry in entries {
        // A link to a folder above would never end; links to files are how a ConfigMap is mounted.
        let is_link = fs::symlink_metadata(&entry)?.is_symlink();
        let is_folder = entry.is_dir();
        let extension = entry.extension().and_then(|extension| extension.to_str());
        if is_folder && !is_link || !is_folder && matches!(extension, Some("yaml" | "yml" | "json"))
        {
            collect(&entry, files)?;
        }
    }
    Ok(())
}

fn unreadable(name: &str, error: &io::Error) -> Diagnostic {
    Diagnostic::error("unreadable-file", format!("cannot be read: {error}"))
        .at(name, 0, 0)
        .hint("check the path and who may read it")
}
