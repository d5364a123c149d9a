//! Folders with a kustomization, which kubectl or kustomize builds.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use elbow_manifest::kustomization::{Kustomization, NAMES};
use elbow_model::diagnostic::Diagnostic;

use super::tool::{self, Failure};
use crate::{pipes, text};

/// The longest kustomization, in bytes.
const MAX_BYTES: usize = 1024 * 1024;
const TOO_LARGE: &str = "split it";
/// How many files one kustomization may be made of.
const MAX_SOURCES: usize = 10_000;

/// A program that builds kustomizations.
struct Tool {
    program: PathBuf,
    /// `kustomize` for kubectl, `build` for kustomize.
    command: &'static str,
}

/// The tool on `PATH`, looked up once.
fn tool() -> Option<&'static Tool> {
    static TOOL: OnceLock<Option<Tool>> = OnceLock::new();
    let find = || {
        let named = [("kubectl", "kustomize"), ("kustomize", "build")];
        named.into_iter().find_map(|(name, command)| {
            let program = tool::find(name)?;
            Some(Tool { program, command })
        })
    };
    TOOL.get_or_init(find).as_ref()
}

/// Whether kustomizations can be built here.
pub(super) fn has_tool() -> bool {
    tool().is_some()
}

/// The kustomization of a folder.
pub(super) fn file_in(folder: &Path) -> Option<PathBuf> {
    let mut files = NAMES.iter().map(|name| folder.join(name));
    files.find(|file| file.is_file())
}

/// Whether a file is a kustomization by its name.
pub(super) fn is_named(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| NAMES.contains(&name))
}

/// The objects that Kustomize makes of `folder`, as YAML.
///
/// # Errors
/// A diagnostic with the message of the tool.
pub(super) fn build(folder: &Path, file: &Path) -> Result<String, Diagnostic> {
    let name = file.display().to_string();
    let Some(tool) = tool() else {
        return Err(not_built(folder, file));
    };
    // A path that starts with a dash is not an option.
    let arguments = [
        OsStr::new(tool.command),
        OsStr::new("--"),
        folder.as_os_str(),
    ];
    tool::run(&tool.program, arguments, pipes::MAX_BYTES).map_err(|failure| {
        let program = tool.program.file_name().unwrap_or_default();
        let program = program.to_string_lossy();
        let what = match &failure {
            Failure::Failed(_) => failure.to_string(),
            failure => format!("{program} {} {failure}", tool.command),
        };
        let message = format!("cannot build the kustomization: {what}");
        Diagnostic::error("kustomization-failed", message)
            .at(name, 0, 0)
            .hint(format!(
                "try {program} {} {}",
                tool.command,
                folder.display()
            ))
    })
}

/// The warning that the kustomization of `folder` is not built, because no tool is here.
pub(super) fn not_built(folder: &Path, file: &Path) -> Diagnostic {
    let message = "the folder is a kustomization, and neither kubectl nor kustomize is on PATH to build it; its plain \
                   manifests are read as they are";
    Diagnostic::warning("kustomization-not-built", message)
        .at(file.display().to_string(), 0, 0)
        .hint(how(folder))
}

/// The warning about a kustomization that is named like a manifest.
pub(super) fn not_a_manifest(file: &Path) -> Diagnostic {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let message = "a kustomization is not a manifest; name its folder, and elbow builds it";
    Diagnostic::warning("kustomization-not-built", message)
        .at(file.display().to_string(), 0, 0)
        .hint(format!("-f {}, or {}", folder.display(), how(folder)))
}

/// The warning that a kustomization is left out because an `earlier` one builds the same `object`.
pub(super) fn alternative(file: &Path, folder: &Path, earlier: &Path, object: &str) -> Diagnostic {
    let message = format!(
        "left out: it builds {object} as {} does, and one of the two can be served",
        earlier.display()
    );
    Diagnostic::warning("alternative-kustomization", message)
        .at(file.display().to_string(), 0, 0)
        .hint(format!(
            "name the folder that you mean: -f {}",
            folder.display()
        ))
}

fn how(folder: &Path) -> String {
    format!("kubectl kustomize {} | elbow check -f -", folder.display())
}

/// The files that a kustomization names and that are no manifests, such as patches.
pub(super) fn other_files(folder: &Path, file: &Path) -> HashSet<PathBuf> {
    let mut files: HashSet<PathBuf> = NAMES.iter().map(|name| folder.join(name)).collect();
    let references = read(file).references.into_iter();
    let others = references.filter(|one| !one.is_resource);
    files.extend(others.map(|one| joined(folder, &one.path)));
    files
}

/// The kustomizations below the paths of a user.
#[derive(Debug, Default)]
pub(super) struct Kustomizations {
    /// By folder.
    all: BTreeMap<PathBuf, Known>,
}

#[derive(Debug)]
struct Known {
    is_component: bool,
    /// Whether the user named the folder.
    is_named: bool,
    /// The folders that it is made of, resolved.
    uses: BTreeSet<PathBuf>,
    /// Its own folder, resolved.
    resolved: PathBuf,
}

impl Kustomizations {
    /// Adds the kustomization `file` of `folder`, and returns the files that it is made of.
    pub(super) fn add(&mut self, folder: &Path, file: &Path, is_named: bool) -> Vec<PathBuf> {
        let mut parts = Parts::default();
        let is_component = parts.add(folder, file);
        let resolved = resolve(folder);
        parts.folders.remove(&resolved);
        let known = Known {
            is_component,
            is_named,
            uses: parts.folders,
            resolved,
        };
        self.all.insert(folder.to_owned(), known);
        parts.files
    }

    /// The folders that are only built as parts of others: components, and those that another one uses.
    pub(super) fn parts(&self) -> HashSet<PathBuf> {
        let is_part = |one: &Known| {
            let is_used = || {
                let mut others = self.all.values();
                // Of a circle, Kustomize says what is wrong.
                others.any(|other| {
                    other.uses.contains(&one.resolved) && !one.uses.contains(&other.resolved)
                })
            };
            !one.is_named && (one.is_component || is_used())
        };
        let parts = self.all.iter().filter(|(_, one)| is_part(one));
        parts.map(|(folder, _)| folder.clone()).collect()
    }
}

/// The files and folders that a kustomization is made of.
#[derive(Default)]
struct Parts {
    files: Vec<PathBuf>,
    folders: BTreeSet<PathBuf>,
}

impl Parts {
    /// Adds a kustomization with everything that it uses. Returns whether it is a component.
    fn add(&mut self, folder: &Path, file: &Path) -> bool {
        if self.files.len() >= MAX_SOURCES || !self.folders.insert(resolve(folder)) {
            return false;
        }
        self.files.push(file.to_owned());
        let kustomization = read(file);
        for one in kustomization.references {
            let path = joined(folder, &one.path);
            if self.files.len() >= MAX_SOURCES {
                break;
            }
            if path.is_file() {
                if !self.files.contains(&path) {
                    self.files.push(path);
                }
            } else if let Some(file) = file_in(&path) {
                self.add(&path, &file);
            }
        }
        kustomization.is_component
    }
}

fn read(file: &Path) -> Kustomization {
    // An error is reported when the kustomization is built.
    let text = text::read(file, MAX_BYTES, TOO_LARGE).unwrap_or_default();
    Kustomization::read(&text)
}

/// `path` from `folder`, without `.` and without the `..` of folders that it names.
fn joined(folder: &Path, path: &str) -> PathBuf {
    let mut joined = folder.to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if joined.file_name().is_some() && !joined.ends_with("..") => {
                joined.pop();
                if joined.as_os_str().is_empty() {
                    joined.push(".");
                }
            }
            part => joined.push(part),
        }
    }
    joined
}

fn resolve(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_without_detours() {
        let joined = |folder: &str, path| joined(Path::new(folder), path).display().to_string();
        assert_eq!(joined("a/b", "../c/./d.yaml"), "a/c/d.yaml");
        assert_eq!(joined("b", "../c"), "./c");
        assert_eq!(joined(".", "../c"), "./../c");
        assert_eq!(joined("../b", "../../c"), "../../c");
    }
}
