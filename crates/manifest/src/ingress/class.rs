//! Which Ingresses are ours.

use elbow_model::diagnostic::{Diagnostic, Severity};

use super::group::Member;
use crate::Refusal;
use crate::objects::{Ingress, IngressClass};
use crate::scope::Scope;

const CONTROLLER: &str = "ingress.k8s.aws/alb";

/// The Ingress with its class when it is ours; a finding when it is of nobody, or when its class is broken.
pub(super) fn classify<'a>(ingress: &'a Ingress, scope: Scope<'a>) -> Result<Member<'a>, Refusal> {
    let member = |params| Member { ingress, params };
    if let Some(annotation) = ingress.meta.annotations.get("kubernetes.io/ingress.class") {
        return match annotation.value == scope.own_class() {
            true => Ok(member(None)),
            false => Err(foreign(ingress, &annotation.value)),
        };
    }
    let class = match &ingress.class {
        None => default_class(ingress, scope)?,
        Some(name) => match scope.class(name) {
            Some(class) => class,
            None if name == scope.own_class() => return Ok(member(None)),
            None => {
                let message = format!("there is no IngressClass {name}");
                return Err(ingress.meta.refuse("unknown-ingress-class", message));
            }
        },
    };
    if class.controller != CONTROLLER {
        return Err(foreign(ingress, &class.meta.name));
    }
    let Some((group, kind, name)) = &class.parameters else {
        return Ok(member(None));
    };
    if group != "elbv2.k8s.aws" || kind != "IngressClassParams" {
        let message = format!(
            "IngressClass {} names parameters that are no IngressClassParams",
            class.meta.name
        );
        return Err(class.meta.refuse("unknown-parameters", message));
    }
    let Some(params) = scope.params(name) else {
        let message = format!("there are no IngressClassParams {name}");
        return Err(class.meta.refuse("unknown-parameters", message));
    };
    if let Some(selector) = &params.namespace_selector {
        let namespace = &ingress.meta.namespace;
        let mut labels = scope.namespace(namespace).cloned().unwrap_or_default();
        // The apiserver gives every namespace this label.
        labels.insert("kubernetes.io/metadata.name".into(), namespace.clone());
        if !selector.matches(&labels) {
            let message = format!("IngressClassParams {name} are not for namespace {namespace}");
            return Err(ingress.meta.refuse("namespace-not-selected", message));
        }
    }
    Ok(member(Some(params)))
}

fn default_class<'a>(ingress: &Ingress, scope: Scope<'a>) -> Result<&'a IngressClass, Refusal> {
    let mut defaults = scope.default_classes();
    match (defaults.next(), defaults.next()) {
        (Some(class), None) => Ok(class),
        (Some(a), Some(b)) => {
            let message = format!(
                "two IngressClasses are the default: {} and {}",
                a.meta.name, b.meta.name
            );
            let refusal = ingress.meta.refuse("two-default-classes", message);
            Err(Box::new(refusal.hint(
                "name one by spec.ingressClassName, or leave ingressclass.kubernetes.io/is-default-class to one",
            )))
        }
        (None, _) => {
            let found = Diagnostic::warning(
                "no-ingress-class",
                "this Ingress names no class, so no controller takes it",
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
