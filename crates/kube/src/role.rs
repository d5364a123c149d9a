//! The rules of the controller's role.

/// The hint that says which rule to add to which role.
pub(crate) fn rule(group: &str, resource: &str, verbs: &str, namespace: Option<&str>) -> String {
    let role = match namespace {
        Some(namespace) => format!("the Role in {namespace}"),
        None => "the ClusterRole".to_owned(),
    };
    format!(
        "add to {role}: {{apiGroups: [\"{group}\"], resources: [{resource}], verbs: [{verbs}]}}"
    )
}
