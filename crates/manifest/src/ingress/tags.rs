//! The tags of a group, of a rule and of a target group.

use super::Build;
use super::group::Member;
use crate::Refusal;
use crate::annotations::ingress as keys;
use crate::lookup::Lookup;
use crate::objects::Service;
use crate::stack::Tags;

impl Build<'_> {
    /// The tags of shared resources; two values for one key refuse the stack.
    pub(super) fn group_tags(&self, members: &[&Member<'_>]) -> Result<Tags, Refusal> {
        let mut tags = Tags::new();
        for member in members {
            for (key, value) in ingress_tags(member)? {
                if let Some(before) = tags.get(&key)
                    && *before != value
                {
                    let message = format!(
                        "the members of the group set different values for the tag {key}: {before} and {value}"
                    );
                    return Err(member.ingress.meta.refuse("conflict", message));
                }
                tags.insert(key, value);
            }
        }
        Ok(self.with_defaults(tags))
    }

    /// Tags of a rule.
    pub(super) fn rule_tags(&self, member: &Member<'_>) -> Result<Tags, Refusal> {
        Ok(self.with_defaults(ingress_tags(member)?))
    }

    /// The tags of a target group: the Service's precede the Ingress's, those of the class precede both.
    pub(super) fn target_group_tags(
        &self,
        member: &Member<'_>,
        service: &Service,
    ) -> Result<Tags, Refusal> {
        let service = Lookup::new(vec![&service.meta]).map(keys::TAGS)?;
        let mut tags = ingress_tags(member)?;
        tags.extend(service.unwrap_or_default());
        tags.extend(class_tags(member));
        Ok(self.with_defaults(tags))
    }

    fn with_defaults(&self, mut tags: Tags) -> Tags {
        let defaults = self.context.defaults.tags.clone();
        if self.context.gate("EnableDefaultTagsLowPriority", false) {
            let mut low = defaults;
            low.extend(tags);
            return low;
        }
        tags.extend(defaults);
        tags
    }
}

/// The tags of an Ingress and its class, without the defaults.
pub(super) fn ingress_tags(member: &Member<'_>) -> Result<Tags, Refusal> {
    let mut tags = member.annotations().map(keys::TAGS)?.unwrap_or_default();
    tags.extend(class_tags(member));
    Ok(tags)
}

fn class_tags(member: &Member<'_>) -> Tags {
    member
        .params
        .map(|params| params.tags.clone())
        .unwrap_or_default()
}
