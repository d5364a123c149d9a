//! The annotation with what AWS would build: `alb.ingress.kubernetes.io/dry-run-plan`.

use elbow_manifest::Stack;
use elbow_manifest::annotations::ingress::DRY_RUN_PLAN;

use super::facts::digest;

/// The annotation, on the first member of a group.
pub(super) const ANNOTATION: &str = DRY_RUN_PLAN.key;

/// The longest plan in bytes. All annotations of an object together may have 256 KiB, and users need some.
pub(super) const LONGEST: usize = 240 * 1024;

/// A stack as the text of the annotation.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) text: String,
    pub(super) digest: u64,
}

impl Plan {
    pub(super) fn of(stack: &Stack) -> Self {
        let text = stack.to_json().to_string();
        let digest = digest(&text);
        Self { text, digest }
    }
}
