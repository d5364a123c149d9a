//! Which Ingresses belong to the ALB controller.

use elbow_model::diagnostic::{Diagnostic, Severity};

use super::group::Member;
use crate::annotations::ingress::PREFIX;
use crate::annotations::other::INGRESS_CLASS;
use crate::context::SHARED_CONTROLLER;
use crate::objects::{Ingress, IngressClass, IngressClassParams};
use crate::scope::Scope;
use crate::{Context, Refusal, auto_mode};

/// The API group of its IngressClassParams.
const GROUP: &str = "elbv2.k8s.aws";

/// The Ingress with its class when it belongs to the ALB controller or to EKS Auto Mode; a finding when it belongs to
/// another controller or to none, or when its class is invalid.
pub(super) fn classify<'a>(
    ingress: &'a Ingress,
    scope: Scope<'a>,
    context: &Context,
) -> Result<Member<'a>, Refusal> {
    let mut member = Member {
        ingress,
        params: None,
        is_auto: false,
        stand_ins: Vec::new(),
    };
    if let Some(annotation) = ingress.meta.annotations.get(INGRESS_CLASS.key) {
        return if scope.ownership().owns_ingress_class(&annotation.value) {
            Ok(member)
        } else {
            Err(foreign(ingress, &annotation.value))
        };
    }
    let class = match &ingress.class {
        None => default_class(ingress, scope)?,
        Some(name) => match scope.class(name) {
            Some(class) => class,
            None if scope.ownership().owns_ingress_class(name) => return Ok(member),
            None => {
                member.stand_ins.push(unknown(ingress, name, context)?);
                return Ok(member);
            }
        },
    };
    let names = scope.ownership();
    let is_left = names.neighbours.eks || !auto_mode::is_served(context);
    member.is_auto = class.controller == auto_mode::CONTROLLER && !is_left;
    if !names.owns_controller(&class.controller) && !member.is_auto {
        return Err(foreign(ingress, &class.meta.name));
    }
    let Some((group, kind, name)) = &class.parameters else {
        return Ok(member);
    };
    let expected = if member.is_auto {
        auto_mode::GROUP
    } else {
        GROUP
    };
    if group != expected || kind != "IngressClassParams" {
        let message = format!(
            "the parameters of IngressClass {} are not IngressClassParams of {expected}",
            class.meta.name
        );
        return Err(class.meta.refuse("unknown-parameters", message));
    }
    member.params = scope.params(member.is_auto, name);
    match member.params {
        Some(params) => {
            let stand_in = check_namespace(ingress, params, scope, context)?;
            member.stand_ins.extend(stand_in);
        }
        None => member.stand_ins.push(unknown_params(class, name, context)?),
    }
    Ok(member)
}

/// Refuses an Ingress in a namespace that the parameters of its class exclude. A namespace that is elsewhere is taken to
/// have the labels, with a warning.
fn check_namespace(
    ingress: &Ingress,
    params: &IngressClassParams,
    scope: Scope<'_>,
    context: &Context,
) -> Result<Option<Diagnostic>, Refusal> {
    let Some(selector) = &params.namespace_selector else {
        return Ok(None);
    };
    let namespace = &ingress.meta.namespace;
    let known = scope.namespace(namespace);
    let mut labels = known.cloned().unwrap_or_default();
    // The apiserver gives every namespace this label.
    labels.insert("kubernetes.io/metadata.name".into(), namespace.clone());
    if selector.matches(&labels) {
        return Ok(None);
    }
    if known.is_none() && context.stands_in_for_objects() {
        let message = format!(
            "there is no Namespace {namespace}; one that the namespaceSelector of IngressClassParams {} selects stands in",
            params.meta.name
        );
        let warning = Diagnostic::warning("unknown-namespace", message)
            .hint("add the Namespace with its labels to the manifests");
        return Ok(Some(ingress.meta.found(warning)));
    }
    let message = format!(
        "the namespaceSelector of IngressClassParams {} excludes namespace {namespace}",
        params.meta.name
    );
    Err(ingress.meta.refuse("namespace-not-selected", message))
}

/// The warning that a class of the ALB controller stands in for one that is elsewhere. An Ingress without annotations of
/// that controller may be for any other: nothing stands in, and nobody is alarmed.
fn unknown(ingress: &Ingress, name: &str, context: &Context) -> Result<Diagnostic, Refusal> {
    let code = "unknown-ingress-class";
    let missing = format!("there is no IngressClass {name}");
    let lines = format!(
        "add it: {{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {{name: {name}}}, spec: {{controller: \
         {SHARED_CONTROLLER}}}}}"
    );
    if !context.stands_in_for_objects() {
        let refusal = ingress.meta.refuse(code, missing);
        return Err(Box::new(refusal.hint(lines)));
    }
    let is_for_alb = ingress
        .meta
        .annotations
        .keys()
        .any(|key| key.starts_with(PREFIX));
    let message = if is_for_alb {
        format!("{missing}; one of the AWS Load Balancer Controller without parameters stands in")
    } else {
        format!(
            "{missing}, and no annotation says that the Ingress is for an ALB: it is not served"
        )
    };
    let found = Diagnostic::warning(code, message);
    let found = ingress.meta.found(found).field("spec.ingressClassName");
    let found = found.hint(lines);
    if is_for_alb {
        Ok(found)
    } else {
        Err(Box::new(found))
    }
}

/// The warning that defaults stand in for the parameters of a class, or the error that they are missing.
fn unknown_params(
    class: &IngressClass,
    name: &str,
    context: &Context,
) -> Result<Diagnostic, Refusal> {
    let code = "unknown-parameters";
    let message = format!("there are no IngressClassParams {name}");
    if !context.stands_in_for_objects() {
        return Err(class.meta.refuse(code, message));
    }
    let message = format!("{message}; the class is taken without parameters");
    let found = Diagnostic::warning(code, message).field("spec.parameters.name");
    let hint = "add the IngressClassParams to the manifests: scheme, subnets, certificates and group may be in them";
    Ok(class.meta.found(found).hint(hint))
}

fn default_class<'a>(ingress: &Ingress, scope: Scope<'a>) -> Result<&'a IngressClass, Refusal> {
    let mut defaults = scope.default_classes();
    match (defaults.next(), defaults.next()) {
        (Some(class), None) => Ok(class),
        (Some(a), Some(b)) => {
            let message = format!(
                "two IngressClasses are marked as default: {} and {}",
                a.meta.name, b.meta.name
            );
            let refusal = ingress.meta.refuse("two-default-classes", message);
            Err(Box::new(refusal.hint(
                "set spec.ingressClassName, or keep ingressclass.kubernetes.io/is-default-class on one of them",
            )))
        }
        (None, _) => {
            let found = Diagnostic::warning(
                "no-ingress-class",
                "the Ingress has no class, so no controller serves it",
            )
            .hint("set spec.ingressClassName: alb");
            Err(Box::new(ingress.meta.found(found)))
        }
    }
}

fn foreign(ingress: &Ingress, class: &str) -> Refusal {
    let message = format!("class {class} belongs to another controller");
    let found = Diagnostic::new(Severity::Note, "foreign-ingress-class", message);
    Box::new(ingress.meta.found(found))
}
