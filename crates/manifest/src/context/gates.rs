//! The feature gates of the AWS Load Balancer Controller.

use elbow_model::suggest::did_you_mean;

/// The gate that decides whether pods may be targets.
pub(super) const IP_TARGETS: &str = "EnableIPTargetType";

/// Every gate of the controller (v3.5.0, `pkg/config/feature_gates.go`). Most of them change what the controller asks of
/// AWS and nothing that elbow serves.
pub const GATES: &[&str] = &[
    "ALBGatewayAPI",
    "ALBSingleSubnet",
    "ALBTargetControlAgent",
    "EnableCertificateManagement",
    "EnableDefaultTagsLowPriority",
    IP_TARGETS,
    "EnableRGTAPI",
    "EnableServiceController",
    "EnableTCPUDPListener",
    "EndpointsFailOpen",
    "EnhancedDefaultBehavior",
    "GatewayListenerSet",
    "GlobalAcceleratorController",
    "IngressPlanAnnotation",
    "LBCapacityReservation",
    "ListenerRulesTagging",
    "NLBGatewayAPI",
    "NLBHealthCheckAdvancedConfig",
    "NLBSecurityGroup",
    "ServiceTypeLoadBalancerOnly",
    "SubnetDiscoveryByReachability",
    "SubnetsClusterTagCheck",
    "WeightedTargetGroups",
];

/// Checks that a feature gate exists.
///
/// ```
/// use elbow_manifest::context::check_gate;
///
/// assert!(check_gate("NLBSecurityGroup").is_ok());
/// let (message, hint) = check_gate("NLBSecurityGroups").unwrap_err();
/// assert_eq!(message, "unknown feature gate NLBSecurityGroups");
/// assert_eq!(hint, "did you mean \"NLBSecurityGroup\"?");
/// ```
///
/// # Errors
/// The message and the hint: the nearest gate, or all of them.
pub fn check_gate(name: &str) -> Result<(), (String, String)> {
    if GATES.contains(&name) {
        return Ok(());
    }
    let hint = did_you_mean(name, GATES.iter().copied())
        .unwrap_or_else(|| format!("the feature gates are {}", GATES.join(", ")));
    Err((format!("unknown feature gate {name}"), hint))
}

#[cfg(test)]
mod tests {
    use crate::Context;

    #[test]
    fn environment_refuses_unknown_gates_at_their_place() {
        let text =
            "featureGates:\n  NLBSecurityGroup: false\n  EnableIPTarget: false\n  Fancy: true\n";
        let (context, found) = Context::parse(text, "env.yaml");
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].starts_with("error[unknown-feature-gate] env.yaml:3:3: "),
            "{found:?}"
        );
        assert!(found[0].contains("unknown feature gate EnableIPTarget"));
        assert!(found[0].contains("did you mean \"EnableIPTargetType\"?"));
        assert!(found[1].contains("the feature gates are ALBGatewayAPI, ALBSingleSubnet"));
        assert!(!context.gate("NLBSecurityGroup", true));
        assert!(context.enable_ip_target_type);
        let (context, _) = Context::parse("featureGates: {EnableIPTargetType: false}", "env.yaml");
        assert!(!context.enable_ip_target_type);
    }
}
