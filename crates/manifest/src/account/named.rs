//! What only AWS looks up: the controllers pass it on as it is written. elbow needs none of it to serve, so it stands in,
//! with a note, unless everything has to be listed.

use std::collections::BTreeSet;

use elbow_model::diagnostic::{Diagnostic, Severity};
use serde_json::Value;

use crate::Context;
use crate::annotations::{Row, ingress, parse_list, parse_map, service};
use crate::context::UnknownResources;
use crate::objects::Meta;

/// How an annotation names a thing of the account.
enum Named {
    /// Names between commas.
    List,
    /// A value of a map.
    Attribute(&'static str),
    /// The fields of this name in JSON.
    Field(&'static str),
}

const BUCKET: Named = Named::Attribute("access_logs.s3.bucket");

const USER_POOL: &str = "user pool";

/// The annotations, how they name a thing, and what it is.
const ANNOTATIONS: &[(&Row, Named, &str)] = &[
    (ingress::WAFV2_ACL_ARN, Named::List, "web ACL"),
    (ingress::WAFV2_ACL_NAME, Named::List, "web ACL"),
    (ingress::WAF_ACL_ID, Named::List, "web ACL"),
    (ingress::WEB_ACL_ID, Named::List, "web ACL"),
    (
        ingress::SECURITY_GROUP_PREFIX_LISTS,
        Named::List,
        "prefix list",
    ),
    (ingress::IPAM_IPV4_POOL_ID, Named::List, "IPAM pool"),
    (
        ingress::CUSTOMER_OWNED_IPV4_POOL,
        Named::List,
        "address pool",
    ),
    (
        ingress::AUTH_IDP_COGNITO,
        Named::Field("userPoolARN"),
        USER_POOL,
    ),
    (ingress::LOAD_BALANCER_ATTRIBUTES, BUCKET, "bucket"),
    (
        ingress::FRONTEND_NLB_EIP_ALLOCATIONS,
        Named::List,
        "Elastic IP address",
    ),
    (service::EIP_ALLOCATIONS, Named::List, "Elastic IP address"),
    (
        service::SECURITY_GROUP_PREFIX_LISTS,
        Named::List,
        "prefix list",
    ),
    (service::ACCESS_LOG_S3_BUCKET_NAME, Named::List, "bucket"),
    (service::ATTRIBUTES, BUCKET, "bucket"),
];
/// The annotations whose keys have a tail.
const ACTIONS: &[&Row] = &[ingress::ACTIONS, service::ACTIONS];

/// The things that the annotations of an object name and the environment does not list: errors if everything has to be
/// listed, notes if nobody described the account.
pub(crate) fn unlisted(meta: &Meta, context: &Context) -> Vec<Diagnostic> {
    let severity = match context.unknown_resources {
        UnknownResources::StandIn => Severity::Note,
        UnknownResources::Controller => return Vec::new(),
        UnknownResources::Fail => Severity::Error,
    };
    let mut found = Vec::new();
    for (key, annotation) in &meta.annotations {
        let row = ANNOTATIONS.iter().find(|(row, ..)| row.key == key);
        let is_action = ACTIONS.iter().any(|row| row.is(key));
        let (names, what) = match row {
            // The model says what is missing to serve it.
            Some((_, _, USER_POOL)) if severity == Severity::Note => continue,
            Some((_, named, what)) => (names(named, &annotation.value), *what),
            None if is_action => {
                let named = Named::Field("targetGroupARN");
                (names(&named, &annotation.value), "target group")
            }
            None => continue,
        };
        let unknown = names
            .into_iter()
            .filter(|one| !is_absent(one) && !context.resources.contains(one));
        let unknown: BTreeSet<String> = unknown.collect();
        for name in unknown.into_iter().take(MOST) {
            let message = match severity {
                Severity::Error => format!("the environment has no {what} {name}"),
                _ => format!("the {what} {name} is taken to exist in the account"),
            };
            let unlisted = Diagnostic::new(severity, "unknown-resource", message);
            let unlisted = unlisted.hint("list it under resources in the environment file");
            found.push(meta.origin_of(key, annotation).place(unlisted));
        }
    }
    found
}

/// So many names of one annotation are told.
const MOST: usize = 16;

/// Whether a value names nothing: with `none`, the controller removes an association.
fn is_absent(name: &str) -> bool {
    matches!(name, "" | "none")
}

fn names(named: &Named, value: &str) -> Vec<String> {
    match named {
        Named::List => parse_list(value),
        Named::Attribute(key) => {
            let attributes = parse_map(value).unwrap_or_default();
            attributes.get(*key).cloned().into_iter().collect()
        }
        Named::Field(field) => match serde_json::from_str(value) {
            Ok(json) => fields(&json, field),
            // The reader of the annotation reports it.
            Err(_) => Vec::new(),
        },
    }
}

/// The texts of all fields called `name`. Annotations are bounded, and so is the depth of JSON.
fn fields(json: &Value, name: &str) -> Vec<String> {
    match json {
        Value::Object(object) => {
            let inner = object.iter().flat_map(|(key, value)| match value {
                Value::String(text) if key == name => vec![text.clone()],
                value => fields(value, name),
            });
            inner.collect()
        }
        Value::Array(items) => items.iter().flat_map(|item| fields(item, name)).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_lists_maps_and_json() {
        let field = Named::Field("targetGroupARN");
        let action = r#"{"forwardConfig": {"targetGroups": [{"targetGroupARN": "a"}, {"targetGroupARN": "b"}]}}"#;
        assert_eq!(names(&field, action), ["a", "b"]);
        assert_eq!(names(&Named::List, "x, y"), ["x", "y"]);
        let attributes = "access_logs.s3.enabled=true,access_logs.s3.bucket=logs";
        assert_eq!(names(&BUCKET, attributes), ["logs"]);
    }
}
