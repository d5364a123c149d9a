//! CRDs of EKS Auto Mode (`eks.amazonaws.com`), for clusters outside of EKS. AWS does not publish its own: these are those
//! of AWS Load Balancer Controller with the differences that
//! [AWS's guide](https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html) names.

use serde_json::{Value, json};

const GROUP: &str = "eks.amazonaws.com";
const VERSION: &str = "v1";

/// The definition of the same kind in EKS Auto Mode.
pub(super) fn of(mut definition: Value) -> Value {
    let plural = definition["spec"]["names"]["plural"].clone();
    let plural = plural.as_str().unwrap_or_default();
    definition["metadata"]["name"] = format!("{plural}.{GROUP}").into();
    let spec = &mut definition["spec"];
    spec["group"] = GROUP.into();
    if let Some(versions) = spec["versions"].as_array_mut() {
        versions.truncate(1);
    }
    let version = &mut spec["versions"][0];
    version["name"] = VERSION.into();
    let schema = &mut version["schema"]["openAPIV3Schema"]["properties"]["spec"];
    if plural == "ingressclassparams" {
        change_params(&mut schema["properties"]);
    } else if let Some(required) = schema["required"].as_array_mut() {
        required.push("targetType".into());
    }
    definition
}

fn change_params(fields: &mut Value) {
    let mut certificates = fields["certificateArn"].take();
    certificates["description"] = "The ARNs of the certificates; the first is the default.".into();
    fields["certificateARNs"] = certificates;
    fields["subnets"] = json!({
        "type": "object",
        "description": "The subnets of the load balancer.",
        "properties": {
            "ids": fields["subnets"]["properties"]["ids"].take(),
            "matchTags": {
                "type": "array",
                "description": "Tags with their accepted values.",
                "items": {
                    "type": "object",
                    "description": "A tag with its accepted values.",
                    "required": ["key", "values"],
                    "properties": {
                        "key": {"type": "string", "description": "The key."},
                        "values": {
                            "type": "array",
                            "description": "The accepted values.",
                            "items": {"type": "string"},
                        },
                    },
                },
            },
        },
        "x-kubernetes-validations": [{
            "rule": "has(self.ids) != has(self.matchTags)",
            "message": "set either ids or matchTags of subnets",
        }],
    });
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("certificateArn");
    }
}
