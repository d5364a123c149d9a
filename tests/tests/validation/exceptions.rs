//! Where elbow and the API server differ, each with its reason.

use std::collections::BTreeSet;

use crate::faults::Variant;
use crate::server::Answer;

/// Variants on which elbow and the API server differ.
#[derive(Debug)]
struct Exception {
    /// A part of their names, or of the messages of the API server.
    part: &'static str,
    /// Whether the API server refuses them, and elbow does not.
    refused: bool,
    /// Why.
    _reason: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        part: "odePort = ",
        refused: false,
        _reason: "a dry run does not ask the allocator of node ports: the API server refuses the port when it is applied",
    },
    Exception {
        part: "may not be in the loopback range",
        refused: true,
        _reason: "endpoints of manifests may be pods on the machine of elbow, as in config/eks",
    },
    Exception {
        part: "should be a domain with at least two segments",
        refused: true,
        _reason: "endpoints of manifests may be containers of a local network, as in config/compose",
    },
    Exception {
        part: "labels of type string",
        refused: true,
        _reason: "y and n without quotes in labels are a warning: common programs write them, and no load balancer depends on them",
    },
    Exception {
        part: "spec.pools[0].name removed",
        refused: true,
        _reason: "MinIO's operator 4.5.8, whose Tenants are read as well, names pools itself",
    },
    Exception {
        part: "no matches for kind",
        refused: true,
        _reason: "a kind that elbow does not read may be one of the cluster's own; elbow says that it does not read it",
    },
];

/// The exceptions that were needed.
#[derive(Debug, Default)]
pub(crate) struct Used(BTreeSet<usize>);

impl Used {
    /// Whether a difference is an exception.
    pub(crate) fn covers(&mut self, variant: &Variant, answer: &Answer) -> bool {
        let name = variant.name();
        let message = answer.message();
        let found = EXCEPTIONS.iter().position(|exception| {
            let is_named = name.contains(exception.part) || message.contains(exception.part);
            is_named && exception.refused == answer.is_refusal()
        });
        self.0.extend(found);
        found.is_some()
    }

    /// Every exception was needed.
    pub(crate) fn assert_all_used(&self) {
        let unused = EXCEPTIONS
            .iter()
            .enumerate()
            .filter(|(index, _)| !self.0.contains(index));
        let unused: Vec<_> = unused.map(|(_, exception)| exception).collect();
        assert!(unused.is_empty(), "no longer needed: {unused:?}");
    }
}

/// Whether the API server names a field only for what an exception excuses.
pub(crate) fn is_excused(field: &str, message: &str) -> bool {
    let of_field = message
        .split_once(&format!("{field}: "))
        .map(|(_, rest)| rest);
    let of_field = of_field.and_then(|rest| rest.split(", ").next());
    let says = |part| of_field.is_some_and(|text| text.contains(part));
    says("may not be in the loopback range")
        || field == "spec.pools[0].name" && says("Required value")
}

/// Whether elbow and the API server mean the same field. The API server leaves out indexes and misnames some fields.
pub(crate) fn is_same_field(ours: &str, server: &str) -> bool {
    ours == server || as_server_says(ours) == server
}

fn as_server_says(ours: &str) -> String {
    let class = "metadata.annotations[kubernetes.io/ingress.class]";
    for list in ["metadata.finalizers", "spec.finalizers"] {
        if ours
            .strip_prefix(list)
            .is_some_and(|rest| rest.starts_with('['))
        {
            return list.to_owned();
        }
    }
    if let Some((_, field)) = ours
        .strip_prefix("metadata.ownerReferences[")
        .and_then(|rest| rest.split_once(']'))
    {
        return format!("metadata.ownerReferences{field}");
    }
    ours.replace(
        "spec.loadBalancerSourceRanges",
        "spec.LoadBalancerSourceRanges",
    )
    .replace("spec.taints", "metadata.taints")
    .replace("stringData[", "data[")
    .replace(class, "annotations.kubernetes.io/ingress.class")
}

/// Whether the API server names a field only since another one, which elbow names, is wrong: fields that it fills in itself.
pub(crate) fn is_consequence(ours: &str, server: &str) -> bool {
    let (Some((our_object, our_field)), Some((object, field))) =
        (ours.rsplit_once('.'), server.rsplit_once('.'))
    else {
        return false;
    };
    match field {
        "targetPort" => our_object == object && our_field == "port",
        // Allocated for two ports that are the same.
        "nodePort" => object.starts_with("spec.ports[") && ours.starts_with(object),
        // The label kubernetes.io/metadata.name.
        "labels" => our_object == object && our_field == "name",
        _ => false,
    }
}
