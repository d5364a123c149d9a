//! Buckets of logs in an environment file.

use super::{LogBucket, LogBucketPlace};
use crate::view::View;

/// Reads `logBuckets`.
pub(super) fn read_all(view: &View<'_>) -> Vec<LogBucket> {
    let mut buckets: Vec<LogBucket> = Vec::new();
    for item in view.items() {
        item.only(&["name", "folder"]);
        let Some(name) = required(&item, "name") else {
            continue;
        };
        if buckets.iter().any(|known| known.name == name) {
            let message = format!("the bucket \"{name}\" is listed twice");
            item.get("name").error("duplicate-name", message);
            continue;
        }
        let place = required(&item, "folder").map(LogBucketPlace::Folder);
        buckets.extend(place.map(|place| LogBucket { name, place }));
    }
    buckets
}

/// A text that is not empty.
fn required(item: &View<'_>, name: &str) -> Option<String> {
    let field = item.get(name);
    let text = field.text().filter(|text| !text.is_empty());
    if text.is_none() {
        field.error("missing-field", format!("{name} is missing in logBuckets"));
    }
    text.map(str::to_owned)
}
