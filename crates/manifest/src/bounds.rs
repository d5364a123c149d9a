//! How large one load balancer may be. The lists of an object multiply: each port of an Ingress has all of its paths,
//! and each path all conditions and tags. Plans are bounded before they are multiplied out, so that no object of one
//! tenant stops a controller that serves others.
//!
//! The bounds are far above the quotas of an AWS account, which [`quota`](crate::quota) reports and elbow does not
//! enforce.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

/// Listeners of one load balancer. AWS: 50.
pub const LISTENERS: usize = 500;
/// Rules of one load balancer. AWS: 100.
pub const RULES: usize = 5_000;
/// Certificates of all listeners of one load balancer. AWS: 25.
pub const CERTIFICATES: usize = 2_500;
/// Permissions of one security group. AWS: 60.
pub const PERMISSIONS: usize = 5_000;
/// Targets of all target groups of one load balancer. AWS: 1,000 for an ALB, 3,000 for an NLB.
pub const TARGETS: usize = 50_000;
/// Bytes of one stack as JSON, plus 8 for each token. A load balancer with every resource that AWS allows, each with
/// fifty tags of the largest size, takes half of it.
pub const BYTES: usize = 12 << 20;
/// Bytes of memory for a token of JSON beside its text: most of a short string is its allocation.
const TOKEN: usize = 8;

/// Why a load balancer is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TooMuch {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: &'static str,
}

/// What is left of [`BYTES`].
#[derive(Debug)]
pub(crate) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(BYTES)
    }
}

impl Budget {
    /// Takes the size of a resource.
    pub(crate) fn take(&mut self, resource: &impl Serialize) -> Result<(), TooMuch> {
        let mut size = Size(0);
        // Fails only for values without a JSON form, which no resource is.
        let _ = serde_json::to_writer(&mut size, resource);
        self.spend(size.0)
    }

    /// Takes the size of something that is not a resource yet.
    pub(crate) fn spend(&mut self, bytes: usize) -> Result<(), TooMuch> {
        self.0 = self.0.checked_sub(bytes).ok_or_else(|| TooMuch {
            code: "too-large",
            message: format!(
                "the listeners, rules and target groups take more than {} MiB together",
                BYTES >> 20
            ),
            hint: "each of them has a copy of the tags, conditions, actions or attributes; shorten these lists or use several \
                   load balancers",
        })?;
        Ok(())
    }
}

/// Counts bytes and tokens as they are written.
struct Size(usize);

impl Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() + TOKEN;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The size of a map, as [`Budget::take`] counts it: quotes, colon and comma are tokens too.
pub(crate) fn of_map(map: &BTreeMap<String, String>) -> usize {
    map.iter()
        .map(|(key, value)| key.len() + value.len() + 6 + 8 * TOKEN)
        .sum()
}

/// The size of a comma-separated list or map once it is parsed.
pub(crate) fn of_list(text: &str) -> usize {
    let items = 1 + text.bytes().filter(|byte| *byte == b',').count();
    text.len() + items * 8 * TOKEN
}

/// Refuses more than [`LISTENERS`].
pub(crate) fn listeners(count: usize) -> Result<(), TooMuch> {
    at_most(count, LISTENERS, "too-many-listeners", "listeners", "50")
}

/// Refuses more than [`RULES`].
pub(crate) fn rules(count: usize) -> Result<(), TooMuch> {
    at_most(count, RULES, "too-many-rules", "rules", "100")
}

/// Refuses more than [`CERTIFICATES`].
pub(crate) fn certificates(count: usize) -> Result<(), TooMuch> {
    at_most(
        count,
        CERTIFICATES,
        "too-many-certificates",
        "certificates",
        "25",
    )
}

/// Refuses more than [`PERMISSIONS`].
pub(crate) fn permissions(count: usize) -> Result<(), TooMuch> {
    at_most(
        count,
        PERMISSIONS,
        "too-many-permissions",
        "inbound rules of its security group",
        "60",
    )
}

/// Refuses more than [`TARGETS`].
pub(crate) fn targets(count: usize) -> Result<(), TooMuch> {
    at_most(
        count,
        TARGETS,
        "too-many-targets",
        "targets",
        "1000 of an ALB, 3000 of an NLB",
    )
}

fn at_most(
    count: usize,
    most: usize,
    code: &'static str,
    what: &str,
    aws: &str,
) -> Result<(), TooMuch> {
    if count <= most {
        return Ok(());
    }
    Err(TooMuch {
        code,
        message: format!(
            "the load balancer would have {count} {what}; elbow makes at most {most} (quota of AWS: {aws})"
        ),
        hint: "use several load balancers",
    })
}
