//! Health checks that cannot pass, and target groups that a listener cannot use.

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{At, Origin};

use crate::objects::{Port, Service, ServicePort};
use crate::scope::Scope;
use crate::stack::{Action, Reference, Stack, TargetGroup, TargetGroupBinding};

/// Warns of target groups whose health checks cannot pass, and of GRPC and HTTP2 groups behind listeners of HTTP.
pub(crate) fn report(stack: &Stack, scope: Scope<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (id, group) in &stack.target_groups {
        let binding = stack.bindings.get(id);
        let service = binding
            .and_then(|binding| scope.service(&binding.namespace, &binding.spec.service_ref.name));
        found.extend(service.and_then(|service| closed_port(group, service)));
        found.extend(service.and_then(|service| only_udp(group, binding?, service)));
        found.extend(other_protocol(group));
        found.extend(grpc(stack, id, group));
    }
    found
}

fn failing(origin: &Origin, message: String) -> Diagnostic {
    origin.place(Diagnostic::warning("failing-health-check", message))
}

/// Instance targets are checked on a port of the node, where only node ports are open.
fn closed_port(group: &TargetGroup, service: &Service) -> Option<Diagnostic> {
    let check = &group.health_check_config;
    let port = u16::try_from(check.port.as_u64()?).ok()?;
    let is_open = service.ports.iter().any(|one| one.node_port == port)
        || service.health_check_node_port == port;
    if group.target_type != "instance" || is_open {
        return None;
    }
    let mut ports = service.ports.iter();
    let is_pods = ports.any(|one| one.target_port == Port::Number(port) || one.port == port);
    let of_pods = if is_pods {
        ", but a port of the pods"
    } else {
        ""
    };
    let message = format!(
        "health checks of {} go to port {port} of the nodes, which is no node port of Service {}{of_pods}: they fail unless \
         something else listens there",
        group.name,
        service.meta.key()
    );
    let hint =
        "remove the annotation, so that the traffic port is checked, or use targets of type ip";
    Some(failing(&check.port.origin, message).hint(hint))
}

/// A Network Load Balancer checks UDP targets over TCP.
fn only_udp(
    group: &TargetGroup,
    binding: &TargetGroupBinding,
    service: &Service,
) -> Option<Diagnostic> {
    let check = &group.health_check_config;
    let of = service_port(binding, service)?;
    let answers = service.ports.iter().any(|one| {
        one.protocol == "TCP" && (one.port == of.port || one.target_port == of.target_port)
    });
    let is_traffic = check.port.as_str() == Some("traffic-port");
    if *group.protocol != "UDP" || !is_traffic || answers {
        return None;
    }
    let message = format!(
        "health checks of {} speak {} to port {} of Service {}, which only has UDP there",
        group.name,
        *check.protocol,
        of.port,
        service.meta.key()
    );
    let hint = "let the pods answer TCP on another port, and name it with aws-load-balancer-healthcheck-port";
    Some(failing(&group.origin, message).hint(hint))
}

/// One port speaks one protocol: HTTP to a port that speaks TLS, or the other way round.
fn other_protocol(group: &TargetGroup) -> Option<Diagnostic> {
    let check = &group.health_check_config;
    let (spoken, checked) = (&*group.protocol.value, &*check.protocol.value);
    let differs = matches!(
        (spoken, checked),
        ("HTTP", "HTTPS") | ("HTTPS" | "TLS", "HTTP")
    );
    if !differs || check.port.as_str() != Some("traffic-port") {
        return None;
    }
    // A TLS server may answer plain HTTP with 400, and the matcher may take that.
    if checked == "HTTP" && takes(group, 400) {
        return None;
    }
    let message = format!(
        "health checks of {} speak {checked} to the traffic port, where the targets speak {spoken}",
        group.name
    );
    let hint = format!(
        "use {} for health checks, too",
        if spoken == "TLS" {
            "HTTPS or TCP"
        } else {
            spoken
        }
    );
    Some(failing(&check.protocol.origin, message).hint(hint))
}

/// Whether the success codes include `code`.
fn takes(group: &TargetGroup, code: u16) -> bool {
    use crate::stack::Matcher;
    let Some(At {
        value: Matcher::HttpCode(codes),
        ..
    }) = &group.health_check_config.matcher
    else {
        return false;
    };
    codes.split(',').any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.trim().parse::<u16>().ok();
        number(first)
            .zip(number(last))
            .is_some_and(|(first, last)| (first..=last).contains(&code))
    })
}

fn service_port<'a>(binding: &TargetGroupBinding, service: &'a Service) -> Option<&'a ServicePort> {
    let port = &binding.spec.service_ref.port;
    let port = match port.as_str() {
        Some(name) => Port::parse(name),
        None => Port::Number(u16::try_from(port.as_u64()?).ok()?),
    };
    service.port(&port)
}

/// Groups of gRPC and HTTP/2 need clients that speak HTTP/2, which they only do to listeners of HTTPS.
fn grpc(stack: &Stack, id: &str, group: &TargetGroup) -> Option<Diagnostic> {
    let version = group.protocol_version.as_ref()?;
    let protocol = match &***version {
        "GRPC" => "gRPC",
        "HTTP2" => "HTTP/2",
        _ => return None,
    };
    let leads = |actions: &[At<Action>]| {
        actions.iter().any(|action| match &action.value {
            Action::Forward(forward) => forward
                .target_groups
                .iter()
                .any(|to| to.target_group.leads_to(id)),
            Action::Other { .. } => false,
        })
    };
    let uses = |port: &str| {
        let listener = Reference::listener(port);
        let mut rules = stack.rules.values();
        rules.any(|rule| rule.listener == listener && leads(&rule.actions))
    };
    let mut listeners = stack.listeners.iter();
    let (_, listener) = listeners.find(|(port, one)| {
        *one.protocol == "HTTP" && (leads(&one.default_actions) || uses(port))
    })?;
    let message = format!(
        "target group {} speaks {protocol}, and listener HTTP:{} forwards to it: AWS refuses this",
        group.name, *listener.port
    );
    let found = Diagnostic::warning("grpc-over-http", message);
    let hint = format!(
        "{protocol} needs a listener of HTTPS: write listen-ports: '[{{\"HTTPS\": 443}}]' and certificate-arn, or ssl-redirect"
    );
    Some(version.origin.place(found).hint(hint))
}
