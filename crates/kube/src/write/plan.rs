//! The annotation that shows what AWS would make: `alb.ingress.kubernetes.io/dry-run-plan`.

use elbow_manifest::Stack;

use super::facts::digest;

/// Of the first member of a group.
pub(super) const ANNOTATION: &str = "alb.ingress.kubernetes.io/dry-run-plan";

/// Bytes that a plan may have: all annotations of an object together may have 256 KiB, and users need some.
pub(super) const LONGEST: usize = 240 * 1024;

/// A stack as the annotation has it.
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
