//! TargetGroupBindings.

use super::class::{AUTO_MODE, Selector};
use super::{Meta, Port};
use crate::object::Object;
use crate::view::View;

/// A TargetGroupBinding: a Service whose endpoints are targets of a target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Name, namespace, place.
    pub meta: Meta,
    /// Whether it is one of EKS Auto Mode.
    pub is_auto: bool,
    /// `spec.targetGroupName`, or the name in `spec.targetGroupARN`.
    pub group: String,
    /// `spec.serviceRef.name`.
    pub service: String,
    /// `spec.serviceRef.port`.
    pub port: Port,
    /// `spec.targetType`; `None`: that of the target group.
    pub target_type: Option<String>,
    /// `spec.nodeSelector`.
    pub node_selector: Option<Selector>,
    /// `spec.ipAddressType: ipv6`.
    pub ipv6: bool,
}

impl Binding {
    /// Reads a TargetGroupBinding.
    pub fn read(object: &Object, view: &View<'_>) -> Self {
        let spec = view.get("spec");
        let text = |name: &str| spec.get(name).text().filter(|text| !text.is_empty());
        let group = match (text("targetGroupName"), text("targetGroupARN")) {
            (Some(name), _) => name,
            (None, Some(arn)) => group_name(arn).unwrap_or(arn),
            (None, None) => {
                let message = "a TargetGroupBinding needs targetGroupName or targetGroupARN";
                spec.error("missing-field", message);
                ""
            }
        };
        let is_auto = object.group() == AUTO_MODE;
        if is_auto && text("targetType").is_none() {
            let message = "a TargetGroupBinding of EKS Auto Mode needs targetType: ip or instance";
            spec.error("missing-field", message);
        }
        let service = spec.get("serviceRef");
        let port = service.get("port").text().map(Port::parse);
        let selector = spec.get("nodeSelector");
        Self {
            meta: Meta::read(object, view),
            is_auto,
            group: group.to_owned(),
            service: service.get("name").text().unwrap_or_default().to_owned(),
            port: port.unwrap_or(Port::Number(0)),
            target_type: text("targetType").map(str::to_owned),
            node_selector: (!selector.is_absent()).then(|| Selector::read(&selector)),
            ipv6: text("ipAddressType") == Some("ipv6"),
        }
    }

    /// Whether the controller made it, for an Ingress or a Service.
    pub fn is_made(&self) -> bool {
        let made = |key: &String| {
            let owner = key.split_once("/stack").map(|(owner, _)| owner);
            matches!(
                owner,
                Some(
                    "ingress.k8s.aws"
                        | "service.k8s.aws"
                        | "ingress.eks.amazonaws.com"
                        | "service.eks.amazonaws.com"
                )
            )
        };
        self.meta.labels.keys().any(made)
    }
}

/// The name in the ARN of a target group.
///
/// ```
/// use elbow_manifest::objects::group_name;
///
/// let arn = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web/50dc6c495c0c9188";
/// assert_eq!(group_name(arn), Some("web"));
/// assert_eq!(group_name("web"), None);
/// ```
pub fn group_name(arn: &str) -> Option<&str> {
    let (_, rest) = arn.split_once(":targetgroup/")?;
    rest.split('/').next()
}
