//! Tags: of a group, of an Ingress, of a target group.

use super::Build;
use super::PREFIX;
use super::group::Member;
use crate::Refusal;
use crate::annotations::Lookup;
use crate::objects::Service;
use crate::stack::Tags;

impl Build<'_> {
    /// Tags of what a group shares; two values for one key refuse the stack.
    pub(super) fn group_tags(&self, members: &[&Member<'_>]) -> Result<Tags, Refusal> {
        let mut tags = Tags::new();
        for member in members {
            for (key, value) in ingress_tags(member)? {
                if let Some(before) = tags.get(&key)
                    && *before != value
                {
                    let message =
                        format!("the group gives tag {key} two values: {before} and {value}");
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

    /// Tags of a target group: the Service's before the Ingress's, those of the class before both.
    pub(super) fn target_group_tags(
        &self,
        member: &Member<'_>,
        service: &Service,
    ) -> Result<Tags, Refusal> {
        let service = Lookup::new(PREFIX, vec![&service.meta]).map("tags")?;
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

fn ingress_tags(member: &Member<'_>) -> Result<Tags, Refusal> {
    let mut tags = member.annotations().map("tags")?.unwrap_or_default();
    tags.extend(class_tags(member));
    Ok(tags)
}

fn class_tags(member: &Member<'_>) -> Tags {
    member
        .params
        .map(|params| params.tags.clone())
        .unwrap_or_default()
}
