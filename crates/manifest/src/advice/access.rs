//! Access that other controllers would restrict and AWS's load balancers do not.

use elbow_model::diagnostic::Diagnostic;

use super::about;
use crate::annotations::foreign::{Foreign, INGRESS, Restricts, SERVICE};
use crate::annotations::{Row, ingress as alb, service as nlb};
use crate::objects::Meta;
use crate::stack::Stack;

/// `kubernetes.io/ingress.allow-http`, which the controllers of GCE and Azure read.
const ALLOW_HTTP: &str = "kubernetes.io/ingress.allow-http";

/// Warns of annotations of an Ingress that restrict access elsewhere, unless its own annotations do so here.
pub(crate) fn of_ingress(meta: &Meta, stack: &Stack) -> Vec<Diagnostic> {
    let has = |row: &'static Row| meta.annotations.contains_key(row.key);
    let balancers = stack.load_balancers.values();
    let is_public = balancers
        .map(|one| &*one.scheme.value)
        .any(|scheme| scheme != "internal");
    let is_replaced = |restricts| match restricts {
        Restricts::Addresses => {
            has(alb::INBOUND_CIDRS)
                || has(alb::SECURITY_GROUPS)
                || has(alb::SECURITY_GROUP_PREFIX_LISTS)
        }
        Restricts::Logins => {
            has(alb::AUTH_TYPE) || has(alb::JWT_VALIDATION) || has(alb::MUTUAL_AUTHENTICATION)
        }
        Restricts::Certificates => has(alb::MUTUAL_AUTHENTICATION),
        Restricts::Requests => {
            has(alb::WAFV2_ACL_ARN)
                || has(alb::WAFV2_ACL_NAME)
                || has(alb::WAF_ACL_ID)
                || has(alb::WEB_ACL_ID)
        }
        Restricts::Network => !is_public,
    };
    let instead = |restricts| match restricts {
        Restricts::Addresses => format!(
            "write {} with the ranges that may come in",
            alb::INBOUND_CIDRS.key
        ),
        Restricts::Logins => format!(
            "write {}: cognito or oidc, or keep the check in the application",
            alb::AUTH_TYPE.key
        ),
        Restricts::Certificates => format!("write {}", alb::MUTUAL_AUTHENTICATION.key),
        Restricts::Requests => format!("write {}; elbow serves no web ACL", alb::WAFV2_ACL_ARN.key),
        Restricts::Network => format!("write {}: internal", alb::SCHEME.key),
    };
    let mut found = report(meta, INGRESS, &is_replaced, &instead);
    found.extend(plain_http(meta, stack));
    found
}

/// Warns of annotations of a Service that restrict access elsewhere.
pub(crate) fn of_service(meta: &Meta, source_ranges: &[String], stack: &Stack) -> Vec<Diagnostic> {
    let has = |row: &'static Row| meta.annotations.contains_key(row.key);
    let balancers = stack.load_balancers.values().map(|one| &*one.scheme.value);
    let classic = stack.classic.iter().map(|one| &*one.scheme.value);
    let is_public = balancers.chain(classic).any(|scheme| scheme != "internal");
    let is_replaced = |restricts| match restricts {
        Restricts::Network => !is_public,
        _ => !source_ranges.is_empty() || has(nlb::SOURCE_RANGES) || has(nlb::SECURITY_GROUPS),
    };
    let is_lbc = stack.classic.is_none();
    let instead = |restricts| match restricts {
        Restricts::Network if is_lbc => format!("write {}: internal", nlb::SCHEME.key),
        Restricts::Network => format!("write {}: \"true\"", nlb::INTERNAL.key),
        _ => "write spec.loadBalancerSourceRanges".to_owned(),
    };
    report(meta, SERVICE, &is_replaced, &instead)
}

fn report(
    meta: &Meta,
    table: &[Foreign],
    is_replaced: &dyn Fn(Restricts) -> bool,
    instead: &dyn Fn(Restricts) -> String,
) -> Vec<Diagnostic> {
    let rows = table.iter().filter_map(|row| {
        let annotation = meta.annotations.get(row.key)?;
        let is_open = row.restricts_with(&annotation.value) && !is_replaced(row.restricts);
        is_open.then(|| open(meta, row.key, row.restricts, instead(row.restricts)))
    });
    rows.collect()
}

fn open(meta: &Meta, key: &str, restricts: Restricts, hint: String) -> Diagnostic {
    let who = match restricts {
        Restricts::Addresses => "clients of every address get in",
        Restricts::Logins => "clients get in without a login",
        Restricts::Certificates => "clients get in without a certificate",
        Restricts::Requests => "no firewall looks at requests",
        Restricts::Network => "clients of the internet get in",
    };
    let message =
        format!("{key} is for another controller, and no load balancer of AWS reads it: {who}");
    about(meta, key, Diagnostic::warning("open-access", message)).hint(hint)
}

/// `kubernetes.io/ingress.allow-http: "false"` beside a listener of HTTP that does more than redirect.
fn plain_http(meta: &Meta, stack: &Stack) -> Option<Diagnostic> {
    let annotation = meta.annotations.get(ALLOW_HTTP)?;
    let serves = |id: &str| {
        stack
            .rules
            .keys()
            .any(|rule| rule.split(':').next() == Some(id))
    };
    let mut plain = stack
        .listeners
        .iter()
        .filter(|(id, one)| *one.protocol == "HTTP" && serves(id));
    let (_, listener) = plain.next().filter(|_| annotation.value == "false")?;
    let message = format!(
        "{ALLOW_HTTP} is for another controller: listener HTTP:{} serves without TLS",
        *listener.port
    );
    let hint = format!(
        "write {}: '[{{\"HTTPS\": 443}}]' with {}, or {}: \"443\"",
        alb::LISTEN_PORTS.key,
        alb::CERTIFICATE_ARN.key,
        alb::SSL_REDIRECT.key
    );
    Some(
        about(
            meta,
            ALLOW_HTTP,
            Diagnostic::warning("open-access", message),
        )
        .hint(hint),
    )
}
