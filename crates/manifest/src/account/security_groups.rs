//! Security groups by id or by Name tag, as the controller resolves them (LBC v3.5.0
//! `pkg/networking/security_group_resolver.go`).

use super::{Finding, Resolved};
use crate::context::Context;

const CODE: &str = "unknown-security-group";
const HINT: &str =
    "list its id, its name and its rules under securityGroups in the environment file";

/// The ids of the security groups that `wanted` names: those named by id come first. EC2 lists either in an order of its
/// own, which is that of the environment here. A Name tag may stand for several groups.
pub(crate) fn security_groups(
    context: &Context,
    wanted: &[String],
) -> Result<Resolved<String>, Finding> {
    let (ids, mut names): (Vec<&String>, Vec<&String>) =
        wanted.iter().partition(|name| name.starts_with("sg-"));
    if let Some(twice) = ids.iter().enumerate().find_map(|(at, id)| {
        let before = ids.get(..at).unwrap_or_default();
        before.contains(id).then_some(*id)
    }) {
        let message = format!("the security group {twice} is named twice");
        return Err(Finding::new(CODE, message).about(twice));
    }
    names.sort();
    names.dedup();
    let mut resolved = Resolved::default();
    for wanted in [ids, names] {
        let mut batch = Vec::with_capacity(wanted.len());
        for name in wanted {
            let known = known(context, name);
            if known.is_empty() {
                let stand_in = unknown_group(context, name)?;
                resolved.stand_ins.push(stand_in);
                batch.push((usize::MAX, name.clone()));
            }
            batch.extend(known);
        }
        // A stand-in has no place in the account: it comes after the groups that have one.
        batch.sort_by_key(|(place, _)| *place);
        resolved.found.extend(batch.into_iter().map(|(_, id)| id));
    }
    Ok(resolved)
}

/// The groups of the account with this id or Name tag: the place of each in the environment, and its id.
fn known(context: &Context, wanted: &str) -> Vec<(usize, String)> {
    let backend = &context.backend_security_group;
    if backend.enabled && backend.id == wanted {
        return vec![(0, wanted.to_owned())];
    }
    let groups = context.security_groups.iter().enumerate();
    groups
        .filter(|(_, group)| group.id == wanted || group.name == wanted)
        .map(|(place, group)| (place, group.id.clone()))
        .collect()
}

/// The warning that something stands in for the group, or the error that the account does not have it.
pub(crate) fn unknown_group(context: &Context, name: &str) -> Result<Finding, Finding> {
    let missing = |message| Finding::new(CODE, message).hint(HINT).about(name);
    if context.unknown_resources.stand_in() {
        let message = format!(
            "security group {name} is not in the environment; it stands in for itself, with unknown rules"
        );
        return Ok(missing(message));
    }
    Err(missing(format!("there is no security group {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(environment: &str, wanted: &[&str]) -> Result<Resolved<String>, Finding> {
        let (context, found) = Context::parse(environment, "environment.yaml");
        assert_eq!(found, []);
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        security_groups(&context, &wanted)
    }

    const ACCOUNT: &str =
        "securityGroups: [{id: sg-2, name: web}, {id: sg-1, name: extra}, {id: sg-3, name: web}]\n";

    #[test]
    fn ids_come_before_names_each_as_the_account_lists_them() {
        for (wanted, ids) in [
            (&["extra", "sg-2"][..], &["sg-2", "sg-1"][..]),
            (&["sg-1", "sg-2"], &["sg-2", "sg-1"]),
            (&["extra", "web"], &["sg-2", "sg-1", "sg-3"]),
            (&["web", "sg-auto", "web"], &["sg-auto", "sg-2", "sg-3"]),
        ] {
            let resolved = resolve(ACCOUNT, wanted).unwrap();
            assert_eq!(resolved.found, ids, "{wanted:?}");
            assert_eq!(resolved.stand_ins, []);
        }
    }

    #[test]
    fn a_described_account_has_no_other_groups() {
        for wanted in ["sg-9", "other"] {
            let refused = resolve(ACCOUNT, &["web", wanted]).unwrap_err();
            assert_eq!(refused.code, "unknown-security-group");
            assert_eq!(
                refused.message,
                format!("there is no security group {wanted}")
            );
        }
        let refused = resolve(ACCOUNT, &["sg-1", "web", "sg-1"]).unwrap_err();
        assert_eq!(refused.message, "the security group sg-1 is named twice");
    }

    #[test]
    fn unknown_groups_stand_in_when_nobody_described_the_account() {
        let resolved = resolve("region: eu-west-1\n", &["web", "sg-9"]).unwrap();
        assert_eq!(resolved.found, ["sg-9", "web"]);
        let told: Vec<&str> = resolved.stand_ins.iter().map(|one| &*one.name).collect();
        assert_eq!(told, ["sg-9", "web"]);
    }
}
