//! What the machine lacks for targets to see the addresses of clients.

use elbow_model::Model;
use elbow_model::diagnostic::Diagnostic;
use elbow_plane::{Lack, lacks};

use crate::netsetup::LOCAL_RULES;
use crate::process::{self, Failure};

/// A warning for each target group that asks for the addresses of clients and cannot have them on this machine.
///
/// # Errors
/// The system refuses a runtime.
pub(crate) fn findings(model: &Model) -> Result<Vec<Diagnostic>, Failure> {
    let groups = model.target_groups.iter();
    let asking = groups.filter(|group| group.attributes.preserve_client_ip == Some(true));
    let asking: Vec<_> = asking
        .filter(|group| group.preserves_client_address())
        .collect();
    if asking.is_empty() {
        return Ok(Vec::new());
    }
    process::runtime()?.block_on(async {
        let mut found = Vec::new();
        for group in asking {
            let Some(lack) = lacks(group).await else {
                continue;
            };
            let (what, hint) = match lack {
                Lack::Capability => (
                    "this process needs CAP_NET_RAW",
                    "run elbow as root, or `setcap cap_net_raw,cap_net_bind_service=+ep` its binary".to_owned(),
                ),
                Lack::LoopbackRules => (
                    "answers of targets at loopback addresses do not come back",
                    format!("run `elbow netsetup apply` as root, or: {}", LOCAL_RULES.join("; ")),
                ),
            };
            let name = &group.name;
            let message = format!("target group \"{name}\": preserve_client_ip.enabled has no effect here: {what}");
            found.push(Diagnostic::warning("client-address-unavailable", message).hint(hint));
        }
        Ok(found)
    })
}
