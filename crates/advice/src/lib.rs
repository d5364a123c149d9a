//! The catalogue of advice: for each code of a diagnostic, what causes it, what follows, what to do and where to read more.
//!
//! `elbow check -o json`, `elbow plan -o json`, the events of a live cluster and `docs/advice.md` all read it here.
//!
//! To add a code, emit it with [`Diagnostic`](elbow_model::diagnostic::Diagnostic), and add:
//!
//! 1. A row to the file in `src/rows` that fits. A test of this crate finds codes that are emitted and not in a row, and the other
//!    way round.
//! 2. `examples/CODE.yaml`, an input as short as it can be. Its first line is a comment with the command, such as
//!    `# elbow check -f CODE.yaml`; the line at fault ends in `# <- here`. `tests/examples.rs` expects this code, at this line, and
//!    no other but those after `# beside:` in the second line. A diagnostic about a whole object needs no mark.
//!    If no short file can show it, the row says why: [`Example::None`].
//! 3. `docs/advice.md`, with `UPDATE_SNAPSHOTS=1 cargo test -p elbow-advice`.
//!
//! ```
//! let advice = elbow_advice::find("unknown-subnet").unwrap();
//! assert!(advice.url().unwrap().contains("annotations/#subnets"));
//! assert!(elbow_advice::find("no-such-code").is_none());
//! ```

mod entry;
mod markdown;
mod rows;

pub use entry::{Advice, Example, Topic};
pub use markdown::markdown;

/// The whole catalogue, in the order of the documentation.
pub const TOPICS: &[Topic] = rows::TOPICS;

/// Every row.
pub fn all() -> impl Iterator<Item = &'static Advice> {
    TOPICS.iter().flat_map(|topic| topic.rows)
}

/// The row of a code.
pub fn find(code: &str) -> Option<&'static Advice> {
    all().find(|advice| advice.code == code)
}
