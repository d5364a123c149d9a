//! Kubernetes manifests as they are read from files, folders and stdin.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use elbow_manifest::context::Personality;
use elbow_manifest::{Context, Object};
use elbow_model::diagnostic::Diagnostic;

use crate::pipes;
use crate::text;

/// The longest manifest that is read, in bytes: the dump of a cluster with some 50,000 endpoints.
pub(crate) const MAX_BYTES: usize = pipes::MAX_BYTES;
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
            let (inputs, problems) = inputs(std::slice::from_ref(path));
            found.extend(problems);
            for file in inputs.files {
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

    /// The files that are there now, with the environment file, and the folders whose entries count.
    pub(crate) fn inputs(&self) -> Inputs {
        let (mut inputs, _) = inputs(&self.paths);
        inputs.files.extend(self.environment.clone());
        inputs
    }
}

/// What is read.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    /// Those that are there now.
    pub(crate) files: Vec<PathBuf>,
    /// Those whose manifests are read, also when they come later.
    pub(crate) folders: Vec<PathBuf>,
}

/// The files below `paths`, those of a folder sorted by name. `-` is not a file.
fn inputs(paths: &[PathBuf]) -> (Inputs, Vec<Diagnostic>) {
    let mut inputs = Inputs::default();
    let mut found = Vec::new();
    for path in paths.iter().filter(|path| path.as_os_str() != "-") {
        let collected = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => inputs.collect(path, 0),
            Ok(_) => {
                inputs.files.push(path.clone());
                Ok(())
            }
            Err(error) => Err(error),
        };
        if let Err(error) = collected {
            found.push(text::unreadable(&path.display().to_string(), &error));
        }
    }
    (inputs, found)
}

impl Inputs {
    /// Adds the manifests in `folder` and below, by name.
    fn collect(&mut self, folder: &Path, depth: usize) -> io::Result<()> {
        self.folders.push(folder.to_owned());
        let entries: io::Result<Vec<_>> = fs::read_dir(folder)?.collect();
        let mut entries = entries?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let kind = entry.file_type()?;
            let path = entry.path();
            // A link to a folder above would never end; links to files are how a ConfigMap is mounted.
            let is_folder = kind.is_dir() || kind.is_symlink() && path.is_dir();
            if !is_wanted(&path, is_folder) {
                continue;
            }
            if !is_folder {
                self.files.push(path);
            } else if kind.is_dir() && depth < MAX_DEPTH {
                self.collect(&path, depth + 1)?;
            }
        }
        Ok(())
    }
}

/// Whether an entry of a folder is a manifest by its name, or a folder to look into.
pub(crate) fn is_wanted(entry: &Path, is_folder: bool) -> bool {
    let extension = entry.extension().and_then(|extension| extension.to_str());
    let is_manifest = matches!(extension, Some("yaml" | "yml" | "json"));
    (is_folder || is_manifest) && !is_hidden(entry)
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

/// A mounted ConfigMap keeps its files a second time in folders whose names begin with two dots.
fn is_hidden(entry: &Path) -> bool {
    let name = entry.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}
