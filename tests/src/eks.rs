//! The folders of `config/eks`: what EKS users write, row by row.

use std::fs;
use std::path::PathBuf;

use crate::tools::repository;

/// The folders of all rows, by name.
pub fn rows() -> Vec<String> {
    let entries = fs::read_dir(repository().join("config/eks")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut rows: Vec<String> = names
        .filter(|name| name.starts_with('s') && name.contains('-'))
        .collect();
    rows.sort();
    rows
}

/// The folder called `name`.
pub fn folder(name: &str) -> PathBuf {
    repository().join("config/eks").join(name)
}

/// The files of a folder that a cluster would take, without the addresses that are examples: name and text.
pub fn manifests(name: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .filter(|(name, _)| name != "endpoints.yaml" && name != "environment.yaml")
        .collect();
    files.sort();
    files
}
