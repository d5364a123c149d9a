//! Kubernetes manifests as they are read from files, folders and stdin.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use elbow_manifest::context::Personality;
use elbow_manifest::{Context, Object};
use elbow_model::diagnostic::Diagnostic;

use crate::text;

/// The longest manifest that is read, in bytes: the dump of a cluster with some 50,000 endpoints.
const MAX_BYTES: usize = 64 * 1024 * 1024;
const TOO_LARGE: &str = "give several files a part of it each";
/// Folders inside one another that are looked into.
const MAX_DEPTH: usize = 32;

/// The name under which a folder of manifests may hold its environment.
const ENVIRONMENT: &str = "environment.yaml";

/// Kubernetes manifests, and what they do not say.
#[derive(Clone, Debug)]
pub(crate) struct Manifests {
    /// Files, folders with all below them, `-` for stdin.
    pub(crate) paths: Vec<PathBuf>,
    /// The environment file; unless given, that of the first folder of `paths` which has one.
    pub(crate) environment: Option<PathBuf>,
    /// Goes before that of the environment file.
    pub(crate) personality: Option<Personality>,
}

impl Manifests {
    /// The objects, and their surroundings.
    pub(crate) fn read(&self, found: &mut Vec<Diagnostic>) -> (Vec<Object>, Context) {
        let file = self.environment_file();
        let mut context = environment(file.as_deref(), found);
        context.personality = self.personality.unwrap_or(context.personality);
        (self.objects(file.as_deref(), found), context)
    }

    /// The objects of all paths, in the order in which they are named.
    fn objects(&self, environment: Option<&Path>, found: &mut Vec<Diagnostic>) -> Vec<Object> {
        let mut objects = Vec::new();
        for path in &self.paths {
            if path.as_os_str() == "-" {
                add("stdin", stdin(), &mut objects, found);
                continue;
            }
            let (files, problems) = files(std::slice::from_ref(path));
            found.extend(problems);
            for file in files {
                let name = file.display().to_string();
                let text = text::read(&file, MAX_BYTES, TOO_LARGE);
                match &text {
                    Ok(text) if is_environment(&file, text) => {
                        if environment != Some(&*file) {
                            found.push(unused_environment(&name));
                        }
                    }
                    _ => add(&name, text, &mut objects, found),
                }
            }
        }
        objects
    }

    fn environment_file(&self) -> Option<PathBuf> {
        let of_folder = |path: &PathBuf| {
            let file = path.join(ENVIRONMENT);
            let text = text::read(&file, MAX_BYTES, TOO_LARGE).ok()?;
            is_environment(&file, &text).then_some(file)
        };
        let given = self.environment.clone();
        given.or_else(|| self.paths.iter().find_map(of_folder))
    }

    /// The files that are there now, with the environment file.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let (mut files, _) = files(&self.paths);
        files.extend(self.environment.clone());
        files
    }

    /// The folders whose entries count.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let folders = self.paths.iter().filter(|path| path.is_dir());
        folders.cloned().collect()
    }
}

/// The files that `paths` lead to, those of a folder by name; `-` is none.
fn files(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<Diagnostic>) {
    let mut files = Vec::new();
    let mut found = Vec::new();
    for path in paths.iter().filter(|path| path.as_os_str() != "-") {
        if let Err(error) = collect(path, 0, &mut files) {
            found.push(text::unreadable(&path.display().to_string(), &error));
        }
    }
    (files, found)
}

/// The environment of the manifests, with the host names of its certificates.
pub(crate) fn environment(path: Option<&Path>, found: &mut Vec<Diagnostic>) -> Context {
    let Some(path) = path else {
        return Context::default();
    };
    let name = path.display().to_string();
    let text = match text::read(path, MAX_BYTES, TOO_LARGE) {
        Ok(text) => text,
        Err(unreadable) => {
            found.push(unreadable);
            return Context::default();
        }
    };
    let (mut context, problems) = Context::parse(&text, &name);
    found.extend(problems);
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    for certificate in &mut context.certificates {
        let files = elbow_model::Certificate {
            name: certificate.arn.as_str().into(),
            source: elbow_model::CertificateSource::Files {
                certificate: folder.join(&certificate.certificate_file),
                private_key: folder.join(&certificate.private_key_file),
            },
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

/// Whether `file` with the content `text` is an environment, and not a manifest that is called like one.
fn is_environment(file: &Path, text: &str) -> bool {
    let is_object = |line: &str| line.starts_with("kind:") || line.starts_with("apiVersion:");
    file.file_name().is_some_and(|name| name == ENVIRONMENT) && !text.lines().any(is_object)
}

fn unused_environment(name: &str) -> Diagnostic {
    let message = "is an environment, and another one is used";
    Diagnostic::warning("unused-environment", message)
        .at(name, 0, 0)
        .hint("name it with --environment, or its folder first")
}

/// What came on stdin, which can be read but once: later readings give the same.
fn stdin() -> Result<String, Diagnostic> {
    static STDIN: OnceLock<Result<String, Diagnostic>> = OnceLock::new();
    STDIN
        .get_or_init(|| text::from(io::stdin().lock(), "stdin", MAX_BYTES, TOO_LARGE))
        .clone()
}

fn add(
    name: &str,
    text: Result<String, Diagnostic>,
    objects: &mut Vec<Object>,
    found: &mut Vec<Diagnostic>,
) {
    match text {
        Ok(text) => {
            let (read, problems) = elbow_manifest::read(&text, name);
            objects.extend(read);
            found.extend(problems);
        }
        Err(unreadable) => found.push(unreadable),
    }
}

/// `path`, or the manifests in it and below when it is a folder, by name.
fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries: io::Result<Vec<_>> = fs::read_dir(path)?.collect();
    let mut entries: Vec<PathBuf> = entries?.iter().map(fs::DirEntry::path).collect();
    entries.sort();
    for entry in entries.iter().filter(|entry| !is_hidden(entry)) {
        // A link to a folder above would never end; links to files are how a ConfigMap is mounted.
        let is_link = fs::symlink_metadata(entry)?.is_symlink();
        let is_folder = entry.is_dir();
        let extension = entry.extension().and_then(|extension| extension.to_str());
        let is_manifest = matches!(extension, Some("yaml" | "yml" | "json"));
        if is_folder && !is_link && depth < MAX_DEPTH || !is_folder && is_manifest {
            collect(entry, depth + 1, files)?;
        }
    }
    Ok(())
}

/// A mounted ConfigMap keeps its files a second time in folders whose names begin with two dots.
fn is_hidden(entry: &Path) -> bool {
    let name = entry.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}
