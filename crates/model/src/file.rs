//! The native file: the model itself as YAML, in the vocabulary of the ELBv2 API in camelCase.
//!
//! [`parse`] reads a text and reports everything that is wrong with it at once; [`render`] is the way
//! back. The shape is published as a JSON schema ([`schema`]), which editors understand.
//!
//! ```
//! let text = "
//! loadBalancers:
//! - name: web
//!   type: application
//!   listeners:
//!   - port: 80
//!     protocol: HTTP
//!     defaultActions:
//!     - type: forward
//!       forwardConfig: {targetGroups: [{targetGroup: pods}]}
//! targetGroups:
//! - name: pods
//!   protocol: HTTP
//!   port: 8080
//!   targets:
//!   - {id: 127.0.0.1}
//! ";
//! let (model, diagnostics) = elbow_model::file::parse(text, "web.yaml");
//! assert!(diagnostics.is_empty());
//! assert_eq!(model.unwrap().target_groups[0].targets[0].port, 8080);
//!
//! let (model, diagnostics) = elbow_model::file::parse(&text.replace(": pods}", ": pots}"), "web.yaml");
//! assert!(model.is_none());
//! assert_eq!(
//!     diagnostics[0].to_string(),
//!     "error[unknown-target-group] web.yaml:10:52: listener 80 forwards to \"pots\", which no target \
//!      group is called\n  hint: did you mean \"pods\"?",
//! );
//! ```

mod action;
mod attribute;
mod certificate;
mod classic;
mod condition;
mod document;
mod health_check;
mod item;
mod listener;
mod load_balancer;
mod render;
mod rule;
mod security_group;
mod shape;
mod target_group;
mod transform;

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::{Certificate, Model, Protocol, TargetGroup};

use item::{Item, Log, Seen};

pub use certificate::MAX_HOSTS as MAX_CERTIFICATE_HOSTS;
pub use document::{Document, Finding, Origin, read_document};
pub use render::render;
pub use shape::schema;

/// The longest text that is read, in bytes; some 20,000 targets or rules fit. Whoever reads a file
/// refuses a longer one before reading it.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Reads the native file `file` with the content `text`.
///
/// The model is there when no diagnostic is an error; warnings and notes may come with it.
/// Diagnostics are in the order of the text. Paths of certificates are joined to the folder of `file`.
pub fn parse(text: &str, file: &str) -> (Option<Model>, Vec<Diagnostic>) {
    let log = Log::new(file);
    let model = read(text, file, &log);
    let diagnostics = log.into_diagnostics();
    let refused = diagnostics.iter().any(Diagnostic::is_error);
    (model.filter(|_| !refused), diagnostics)
}

/// The refusal of a file of `bytes` bytes when it is longer than [`MAX_BYTES`].
fn too_large(bytes: u64, file: &str) -> Option<Diagnostic> {
    (bytes > MAX_BYTES as u64).then(|| {
        Diagnostic::error(
            "too-large",
            format!("the file has {bytes} bytes; {MAX_BYTES} are allowed"),
        )
        .at(file, 0, 0)
        .hint("give several processes a part of it each")
    })
}

/// Fields of the file itself.
pub(crate) const FIELDS: &[&str] = &["loadBalancers", "targetGroups", "certificates"];

fn read(text: &str, file: &str, log: &Log) -> Option<Model> {
    if let Some(refusal) = too_large(text.len() as u64, file) {
        log.push(refusal);
        return None;
    }
    let (root, problems) = crate::yaml::parse(text, crate::yaml::Limits::FILE);
    let broken = root.is_none();
    for problem in problems {
        log.push(problem.diagnostic(file));
    }
    let Some(root) = root else {
        if !broken || log.is_empty() {
            log.push(empty(file));
        }
        return None;
    };
    let root = Item::root(&root, log);
    if root.is_null() {
        log.push(empty(file));
        return None;
    }
    read_root(&root)
}

fn read_root(root: &Item<'_>) -> Option<Model> {
    let fields = root.fields(FIELDS)?;
    let mut names = Seen::new("target group");
    let target_groups: Vec<Declared<TargetGroup>> = fields
        .items("targetGroups")
        .iter()
        .filter_map(|item| target_group::read(item, &mut names))
        .collect();
    let mut names = Seen::new("certificate");
    let certificates: Vec<Declared<Certificate>> = fields
        .items("certificates")
        .iter()
        .filter_map(|item| certificate::read(item, &mut names))
        .collect();
    let scope = Scope {
        target_groups: &target_groups,
        certificates: &certificates,
    };
    let load_balancers = load_balancer::read_all(&fields.items("loadBalancers"), &scope);
    Some(Model {
        load_balancers,
        target_groups: target_groups.into_iter().map(|d| d.value).collect(),
        certificates: certificates.into_iter().map(|d| d.value).collect(),
    })
}

fn empty(file: &str) -> Diagnostic {
    Diagnostic::error("empty-file", "there is nothing in it")
        .at(file, 1, 1)
        .hint("a file holds loadBalancers, targetGroups and certificates")
}

/// A named object of the file. What was wrong with it has been reported, and stands in as a default.
struct Declared<T> {
    name: Arc<str>,
    /// Of a target group that says so.
    protocol: Option<Protocol>,
    value: Arc<T>,
}

/// What listeners may name.
struct Scope<'a> {
    target_groups: &'a [Declared<TargetGroup>],
    certificates: &'a [Declared<Certificate>],
}

fn find<'a, T>(declared: &'a [Declared<T>], name: &str) -> Option<&'a Declared<T>> {
    declared.iter().find(|d| &*d.name == name)
}

#[cfg(test)]
mod tests;
