//! The manifests at and below the paths that a user names.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use elbow_model::diagnostic::Diagnostic;

use super::chart;
use super::entry::Entry;
use super::kustomize::{self, Kustomizations};
use crate::text;

/// The maximal depth of nested folders.
const MAX_DEPTH: usize = 32;

/// The manifests at and below some paths.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// In the order of the paths; sorted by name in each folder.
    pub(super) entries: Vec<Entry>,
    /// The folders whose manifests are read, including those that are created later.
    pub(super) folders: Vec<PathBuf>,
    /// What was found on the way.
    pub(super) found: Vec<Diagnostic>,
}

impl Walk {
    /// Reads `paths`; `-` stands for stdin.
    pub(super) fn along(paths: &[PathBuf]) -> Self {
        let mut walk = Self::default();
        let mut kustomizations = Kustomizations::default();
        for path in paths {
            if path.as_os_str() == "-" {
                walk.entries.push(Entry::stdin());
                continue;
            }
            let walked = match fs::metadata(path) {
                Ok(metadata) if metadata.is_dir() => walk.enter(path, 0, &mut kustomizations),
                Ok(_) => {
                    walk.entries.push(Entry::file(path.clone()));
                    Ok(())
                }
                Err(error) => Err(error),
            };
            if let Err(error) = walked {
                let name = path.display().to_string();
                walk.found.push(text::unreadable(&name, &error));
            }
        }
        let parts = kustomizations.parts();
        walk.entries.retain(|entry| {
            let folder = entry.kustomization_folder();
            folder.is_none_or(|folder| !parts.contains(folder))
        });
        walk
    }

    /// Adds the manifests in `folder` and below.
    fn enter(
        &mut self,
        folder: &Path,
        depth: usize,
        kustomizations: &mut Kustomizations,
    ) -> io::Result<()> {
        self.folders.push(folder.to_owned());
        let mut passed_over = HashSet::new();
        if let Some(file) = kustomize::file_in(folder) {
            if kustomize::has_tool() {
                let sources = kustomizations.add(folder, &file, depth == 0);
                self.entries
                    .push(Entry::kustomization(folder.to_owned(), file, sources));
                return Ok(());
            }
            self.found.push(kustomize::not_built(folder, &file));
            passed_over = kustomize::other_files(folder, &file);
        } else if let Some(file) = chart::file_in(folder) {
            self.found
                .push(chart::not_rendered(folder, &file, depth == 0));
            return Ok(());
        }
        let entries: io::Result<Vec<_>> = fs::read_dir(folder)?.collect();
        let mut entries = entries?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let kind = entry.file_type()?;
            let path = entry.path();
            // Links to folders could be circular. Links to files are followed: a mounted ConfigMap has them.
            let is_folder = kind.is_dir() || kind.is_symlink() && path.is_dir();
            if !is_wanted(&path, is_folder) || passed_over.contains(&path) {
                continue;
            }
            if !is_folder {
                self.entries.push(Entry::file(path));
            } else if kind.is_dir() && depth < MAX_DEPTH {
                self.enter(&path, depth + 1, kustomizations)?;
            }
        }
        Ok(())
    }
}

/// Whether an entry of a folder is a manifest by its name, or a folder to search.
pub(crate) fn is_wanted(entry: &Path, is_folder: bool) -> bool {
    let extension = entry.extension().and_then(|extension| extension.to_str());
    let is_manifest = matches!(extension, Some("yaml" | "yml" | "json"));
    (is_folder || is_manifest) && !is_hidden(entry)
}

/// Whether the name starts with a dot. A mounted ConfigMap keeps copies of its files in folders that start with two.
fn is_hidden(entry: &Path) -> bool {
    let name = entry.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}
