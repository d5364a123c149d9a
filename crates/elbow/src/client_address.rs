//! What the machine lacks for targets to see the addresses of clients.

use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::{Model, TargetGroup};
use elbow_plane::{Lack, bypassing, lacks};

use crate::netsetup::{self, LOCAL_RULES};
use crate::process::{self, Failure};

/// What each target group that asks for the addresses of clients lacks on this machine, or which clients it cannot have.
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
            let lacks = lacks(group).await;
            found.extend(lacks.iter().map(|lack| unavailable(group, *lack)));
            if lacks.is_empty() {
                found.extend(past_this_machine(group));
            }
        }
        Ok(found)
    })
}

fn unavailable(group: &TargetGroup, lack: Lack) -> Diagnostic {
    let (what, hint) = match lack {
        Lack::Capability => (
            "this process needs CAP_NET_RAW".to_owned(),
            "run elbow as root, or `setcap cap_net_raw,cap_net_bind_service=+ep` its binary"
                .to_owned(),
        ),
        Lack::LoopbackRules => (
            "answers of targets at loopback addresses do not come back".to_owned(),
            format!(
                "run `elbow netsetup apply` as root, or: {}",
                LOCAL_RULES.join("; ")
            ),
        ),
        Lack::ReturnPath(target) => (
            format!(
                "{target} answers this machine, but its answers to other addresses do not come back"
            ),
            format!(
                "make this machine the default gateway of the target, and run `elbow netsetup apply` as root, or: {}",
                netsetup::remote_rules(target.is_ipv4()).join("; ")
            ),
        ),
    };
    let name = &group.name;
    let message =
        format!("target group \"{name}\": preserve_client_ip.enabled has no effect here: {what}");
    Diagnostic::warning("client-address-unavailable", message).hint(hint)
}

/// Notes which clients cannot reach the targets.
fn past_this_machine(group: &TargetGroup) -> Option<Diagnostic> {
    let (target, network) = bypassing(group)?;
    let name = &group.name;
    let message = format!(
        "target group \"{name}\": clients in {network}, the network of {target}, time out, and so do clients on a target: \
         answers to them pass this machine by"
    );
    let found = Diagnostic::new(Severity::Note, "hairpin", message);
    Some(found.hint(
        "let them connect to the targets themselves, or set preserve_client_ip.enabled to false",
    ))
}
