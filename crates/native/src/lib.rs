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
//! let (model, diagnostics) = elbow_native::parse(text, "web.yaml");
//! assert!(diagnostics.is_empty());
//! assert_eq!(model.unwrap().target_groups[0].targets[0].port, 8080);
//!
//! let (model, diagnostics) = elbow_native::parse(&text.replace(": pods}", ": pots}"), "web.yaml");
//! assert!(model.is_none());
//! assert_eq!(
//!     diagnostics[0].to_string(),
//!     "error[unknown-target-group] web.yaml:10:52: listener 80 forwards to \"pots\", which no target \
//!      group is called\n  hint: did you mean \"pods\"?",
//! );
//! ```

mod action;
mod authenticate;
mod certificate;
mod classic;
mod condition;
mod diff;
mod file;
mod finding;
mod item;
mod listener;
mod load_balancer;
mod mutual_authentication;
mod rule;
mod security_group;
mod target_group;
mod trust_store;
mod values;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Environment, Model};

use item::{Item, Log};

pub use diff::{Change, ChangeAction, diff, diff_rendered, summary};
pub use elbow_model::Origin;
pub use file::{render, schema};

/// The longest text that is read, in bytes; some 20,000 targets or rules fit. Whoever reads a file
/// refuses a longer one before reading it.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Reads the native file `file` with the content `text`.
///
/// The model is there when no diagnostic is an error; warnings and notes may come with it.
/// Diagnostics are in the order of the text. Paths of certificates are joined to the folder of `file`.
pub fn parse(text: &str, file: &str) -> (Option<Model>, Vec<Diagnostic>) {
    parse_in(text, file, Environment::default())
}

/// Like [`parse`], in an environment that has the buckets of logs and the user pools that the file names.
pub fn parse_in(
    text: &str,
    file: &str,
    environment: Environment,
) -> (Option<Model>, Vec<Diagnostic>) {
    let log = Log::new(file);
    let model = read(text, file, environment, &log);
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
        .hint("split it, and let several processes serve the parts")
    })
}

fn read(text: &str, file: &str, environment: Environment, log: &Log) -> Option<Model> {
    if let Some(refusal) = too_large(text.len() as u64, file) {
        log.push(refusal);
        return None;
    }
    let (root, problems) = elbow_yaml::parse(text, elbow_yaml::Limits::FILE);
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
    if Item::root(&root, log).is_null() {
        log.push(empty(file));
        return None;
    }
    file::read(&root, environment, log)
}

fn empty(file: &str) -> Diagnostic {
    Diagnostic::error("empty-file", "the file is empty")
        .at(file, 1, 1)
        .hint("a file holds loadBalancers, targetGroups, certificates and trustStores")
}

#[cfg(test)]
mod tests;
