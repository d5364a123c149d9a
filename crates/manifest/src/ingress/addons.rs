//! What protects a load balancer: web ACLs and AWS Shield (`pkg/ingress/model_build_load_balancer_addons.go`).

use elbow_model::stable_id;
use serde::Serialize;
use serde_json::json;

use super::Build;
use super::load_balancer::ID;
use crate::Refusal;
use crate::annotations::{Row, ingress as keys};
use crate::objects::IngressClassParams;
use crate::stack::Reference;

/// The value that removes an association.
const NONE: &str = "none";

impl Build<'_> {
    /// Adds the associations of the load balancer.
    pub(super) fn add_addons(&mut self) -> Result<(), Refusal> {
        if let Some(arn) = self.refused.or_default(self.web_acl()) {
            self.add("AWS::WAFv2::WebACLAssociation", "webACLARN", arn);
        }
        if let Some(id) = self.refused.or_default(self.classic_web_acl()) {
            self.add("AWS::WAFRegional::WebACLAssociation", "webACLID", id);
        }
        let mut protected = Vec::new();
        for member in &self.group.members {
            let row = keys::SHIELD_ADVANCED_PROTECTION;
            let own = member.annotations().boolean(row);
            protected.extend(self.refused.or_default(own));
        }
        if let Some(is_protected) = self
            .group
            .only(keys::SHIELD_ADVANCED_PROTECTION, protected)?
        {
            self.add("AWS::Shield::Protection", "enabled", is_protected);
        }
        Ok(())
    }

    fn add(&mut self, kind: &str, field: &str, value: impl Serialize) {
        let association = json!({"spec": {
            (field): value,
            "resourceARN": Reference::load_balancer(ID),
        }});
        let id = (kind.to_owned(), ID.to_owned());
        self.stack.others.insert(id, association);
    }

    /// The ARN of the web ACL; empty: the association is removed. Names precede ARNs, in the whole group.
    fn web_acl(&self) -> Result<Option<String>, Refusal> {
        let names = self.acl_texts(keys::WAFV2_ACL_NAME, |params| params.waf_acl_name.clone());
        let names = names.into_iter().filter(|name| !name.is_empty());
        if let Some(name) = self.group.only(keys::WAFV2_ACL_NAME, names)? {
            return match &*name {
                NONE => Ok(Some(String::new())),
                name => self.web_acl_called(name).map(Some),
            };
        }
        let arns = self.acl_texts(keys::WAFV2_ACL_ARN, |params| params.waf_acl_arn.clone());
        let arn = self.group.only(keys::WAFV2_ACL_ARN, arns)?;
        Ok(arn.map(|arn| if arn == NONE { String::new() } else { arn }))
    }

    /// What the members' classes say, else their annotations.
    fn acl_texts(
        &self,
        row: &'static Row,
        class: impl Fn(&IngressClassParams) -> Option<String>,
    ) -> Vec<String> {
        let members = self.group.members.iter();
        let class = |params: &_| class(params).filter(|text| !text.is_empty());
        let texts = members.filter_map(|member| member.text(row, class));
        texts.map(|text| text.value).collect()
    }

    fn web_acl_called(&self, name: &str) -> Result<String, Refusal> {
        let resource = format!("regional/webacl/{name}/{}", stable_id(name));
        self.arn_of(name, "wafv2", &resource).ok_or_else(|| {
            let message = format!("there is no web ACL {name}");
            let row = keys::WAFV2_ACL_NAME;
            let refusal = self
                .group
                .refuse_saying(row, name, "unknown-web-acl", message);
            Box::new(refusal.hint("list its ARN under resources in the environment file"))
        })
    }

    /// The ARN of a resource of the account that manifests call by its name: one that the environment lists, else
    /// `resource` of `service`, which stands in for a name that is listed, and for any name where nobody described the
    /// account.
    pub(super) fn arn_of(&self, name: &str, service: &str, resource: &str) -> Option<String> {
        let part = format!("/{name}/");
        let mut known = self.context.resources.iter();
        let is_its_arn = |one: &&String| one.starts_with("arn:") && one.contains(&part);
        if let Some(arn) = known.find(is_its_arn) {
            return Some(arn.clone());
        }
        let is_listed = self.context.resources.contains(name);
        let stands_in = is_listed || self.context.unknown_resources.stand_in();
        let account = self.context.dns_zone().account;
        stands_in.then(|| account.arn(service, resource))
    }

    /// The id of the web ACL of WAF Classic; empty: the association is removed.
    fn classic_web_acl(&self) -> Result<Option<String>, Refusal> {
        let members = self.group.members.iter();
        let ids = members.filter_map(|member| {
            let annotations = member.annotations();
            let id = annotations.text(keys::WAF_ACL_ID);
            let id = id.or_else(|| annotations.text(keys::WEB_ACL_ID))?;
            (!id.is_empty()).then(|| id.to_owned())
        });
        let id = self.group.only(keys::WAF_ACL_ID, ids)?;
        Ok(id.map(|id| if id == NONE { String::new() } else { id }))
    }
}
