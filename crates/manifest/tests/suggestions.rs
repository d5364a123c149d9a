//! Suggestions for misspelt annotations: a list of misspellings from public manifests, guides and issues, each with what was
//! meant, and properties that hold for every suggestion.

use elbow_manifest::annotations::{Readers, Row, Suggestion, meant, rows};

const A: &str = "alb.ingress.kubernetes.io/";
const S: &str = "service.beta.kubernetes.io/";

/// What a misspelt key of an Ingress means; empty: no suggestion. `LBC#N` is issue or pull request N of
/// kubernetes-sigs/aws-load-balancer-controller; the others stand in public repositories.
const OF_INGRESS: &[(&str, &str)] = &[
    // Singular, plural and separators.
    (
        "alb.ingress.kubernetes.io/listen-port",
        "alb.ingress.kubernetes.io/listen-ports",
    ), // LBC#71
    (
        "alb.ingress.kubernetes.io/group-name",
        "alb.ingress.kubernetes.io/group.name",
    ), // LBC#2564
    (
        "alb.ingress.kubernetes.io/certificate-arns",
        "alb.ingress.kubernetes.io/certificate-arn",
    ),
    (
        "alb.ingress.kubernetes.io/security-group",
        "alb.ingress.kubernetes.io/security-groups",
    ),
    (
        "alb.ingress.kubernetes.io/subnet",
        "alb.ingress.kubernetes.io/subnets",
    ),
    (
        "alb.ingress.kubernetes.io/target_type",
        "alb.ingress.kubernetes.io/target-type",
    ),
    (
        "alb.ingress.kubernetes.io/loadbalancer-name",
        "alb.ingress.kubernetes.io/load-balancer-name",
    ),
    (
        "alb.ingress.kubernetes.io/health-check-path",
        "alb.ingress.kubernetes.io/healthcheck-path",
    ),
    (
        "alb.ingress.kubernetes.io/actions-ssl-redirect",
        "alb.ingress.kubernetes.io/actions.ssl-redirect",
    ),
    // Names of earlier releases.
    (
        "alb.ingress.kubernetes.io/successCodes",
        "alb.ingress.kubernetes.io/success-codes",
    ),
    (
        "alb.ingress.kubernetes.io/attributes",
        "alb.ingress.kubernetes.io/load-balancer-attributes",
    ),
    (
        "alb.ingress.kubernetes.io/security-group-inbound-cidrs",
        "alb.ingress.kubernetes.io/inbound-cidrs",
    ),
    // Names of other annotations.
    (
        "alb.ingress.kubernetes.io/healthcheck-interval",
        "alb.ingress.kubernetes.io/healthcheck-interval-seconds",
    ),
    (
        "alb.ingress.kubernetes.io/healthcheck-timeout",
        "alb.ingress.kubernetes.io/healthcheck-timeout-seconds",
    ),
    (
        "alb.ingress.kubernetes.io/healthcheck-success-codes",
        "alb.ingress.kubernetes.io/success-codes",
    ),
    (
        "alb.ingress.kubernetes.io/healthcheck-healthy-threshold",
        "alb.ingress.kubernetes.io/healthy-threshold-count",
    ),
    (
        "alb.ingress.kubernetes.io/healthcheck-healthy-threshold-count",
        "alb.ingress.kubernetes.io/healthy-threshold-count",
    ),
    (
        "alb.ingress.kubernetes.io/ssl-cert",
        "alb.ingress.kubernetes.io/certificate-arn",
    ),
    (
        "alb.ingress.kubernetes.io/ssl-certificate",
        "alb.ingress.kubernetes.io/certificate-arn",
    ),
    (
        "alb.ingress.kubernetes.io/waf-acl-arn",
        "alb.ingress.kubernetes.io/wafv2-acl-arn",
    ),
    (
        "alb.ingress.kubernetes.io/redirect-to-https",
        "alb.ingress.kubernetes.io/ssl-redirect",
    ),
    (
        "alb.ingress.kubernetes.io/redirect-http-to-https",
        "alb.ingress.kubernetes.io/ssl-redirect",
    ),
    (
        "alb.ingress.kubernetes.io/force-ssl-redirect",
        "alb.ingress.kubernetes.io/ssl-redirect",
    ),
    (
        "alb.ingress.kubernetes.io/group",
        "alb.ingress.kubernetes.io/group.name",
    ),
    (
        "alb.ingress.kubernetes.io/idle-timeout",
        "alb.ingress.kubernetes.io/load-balancer-attributes",
    ),
    (
        "alb.ingress.kubernetes.io/idle-timeout-seconds",
        "alb.ingress.kubernetes.io/load-balancer-attributes",
    ),
    (
        "alb.ingress.kubernetes.io/connection-idle-timeout",
        "alb.ingress.kubernetes.io/load-balancer-attributes",
    ),
    (
        "alb.ingress.kubernetes.io/stickiness-enabled",
        "alb.ingress.kubernetes.io/target-group-attributes",
    ),
    (
        "alb.ingress.kubernetes.io/stickiness.enabled",
        "alb.ingress.kubernetes.io/target-group-attributes",
    ),
    // Annotations of Services, and other prefixes.
    (
        "service.beta.kubernetes.io/aws-load-balancer-ssl-cert",
        "alb.ingress.kubernetes.io/certificate-arn",
    ),
    (
        "service.beta.kubernetes.io/aws-load-balancer-internal",
        "alb.ingress.kubernetes.io/scheme",
    ),
    (
        "service.beta.kubernetes.io/load-balancer-source-ranges",
        "alb.ingress.kubernetes.io/inbound-cidrs",
    ),
    (
        "nlb.ingress.kubernetes.io/scheme",
        "alb.ingress.kubernetes.io/scheme",
    ),
    (
        "alb.ingress.k8s.aws/target-type",
        "alb.ingress.kubernetes.io/target-type",
    ),
    // Other clouds use the same prefix, and some names say nothing certain.
    ("alb.ingress.kubernetes.io/ssl-certificate-no", ""),
    ("alb.ingress.kubernetes.io/ssl-certificate-id", ""),
    ("alb.ingress.kubernetes.io/load-balancer-type", ""),
    ("alb.ingress.kubernetes.io/vswitch-ids", ""),
    ("alb.ingress.kubernetes.io/aws-load-balancer-ssl-ports", ""),
    ("alb.ingress.kubernetes.io/ssl-ports", ""),
    ("alb.ingress.kubernetes.io/health-check-enabled", ""),
    (
        "alb.ingress.kubernetes.io/healthcheck-success-threshold",
        "",
    ),
    ("alb.ingress.kubernetes.io/keepalive-timeout", ""),
    ("alb.ingress.kubernetes.io/redirect-config", ""),
];

/// The same for a Service of the AWS Load Balancer Controller.
const OF_SERVICE: &[(&str, &str)] = &[
    (
        "service.beta.kubernetes.io/aws-load-balancer-actions.TCP-80",
        "service.beta.kubernetes.io/actions.TCP-80",
    ), // LBC#4784
    (
        "service.beta.kubernetes.io/load-balancer-name",
        "service.beta.kubernetes.io/aws-load-balancer-name",
    ), // LBC#2096
    (
        "service.beta.kubernetes.io/aws-load-balancer-target-type",
        "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type",
    ),
    (
        "service.beta.kubernetes.io/aws-loadbalancer-type",
        "service.beta.kubernetes.io/aws-load-balancer-type",
    ),
    (
        "service.beta.kubernetes.io/aws-loadbalancer-internal",
        "service.beta.kubernetes.io/aws-load-balancer-internal",
    ),
    (
        "service.beta.kubernetes.io/aws-loadbalancer-ssl-ports",
        "service.beta.kubernetes.io/aws-load-balancer-ssl-ports",
    ),
    (
        "service.kubernetes.io/aws-load-balancer-backend-protocol",
        "service.beta.kubernetes.io/aws-load-balancer-backend-protocol",
    ),
    (
        "service.alpha.kubernetes.io/aws-load-balancer-type",
        "service.beta.kubernetes.io/aws-load-balancer-type",
    ),
    (
        "service.beta.kubernetes.io/aws-load-balancer-health-check-path",
        "service.beta.kubernetes.io/aws-load-balancer-healthcheck-path",
    ),
    (
        "service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval-seconds",
        "service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval",
    ),
    (
        "service.beta.kubernetes.io/aws-load-balancer-cross-zone-load-balancing",
        "service.beta.kubernetes.io/aws-load-balancer-cross-zone-load-balancing-enabled",
    ),
    (
        "service.beta.kubernetes.io/aws-load-balancer-tags",
        "service.beta.kubernetes.io/aws-load-balancer-additional-resource-tags",
    ),
    (
        "service.beta.kubernetes.io/aws-load-balancer-certificate-arn",
        "service.beta.kubernetes.io/aws-load-balancer-ssl-cert",
    ),
    (
        "service.beta.kubernetes.io/aws-load-balancer-ssl-policy",
        "service.beta.kubernetes.io/aws-load-balancer-ssl-negotiation-policy",
    ),
    (
        "service.beta.kubernetes.io/aws-load-balancer-source-ranges",
        "service.beta.kubernetes.io/load-balancer-source-ranges",
    ),
    (
        "service.beta.kubernetes.io/aws-load-balancer-security-group",
        "service.beta.kubernetes.io/aws-load-balancer-security-groups",
    ),
    (
        "service.beta.kubernetes.io/aws-load-balancer-subnet",
        "service.beta.kubernetes.io/aws-load-balancer-subnets",
    ),
    (
        "service.beta.kubernetes.io/aws-load-balancer-access-logs-enabled",
        "service.beta.kubernetes.io/aws-load-balancer-access-log-enabled",
    ), // kubernetes/website#52707
    ("service.beta.kubernetes.io/aws-load-balancer-arn", ""),
    (
        "service.beta.kubernetes.io/aws-load-balancer-idle-timeout",
        "",
    ),
    (
        "service.beta.kubernetes.io/aws-load-balancer-healthcheck-threshold",
        "",
    ),
    (
        "service.beta.kubernetes.io/aws-load-balancer-proxy-protocol-v2-enabled",
        "",
    ),
    (
        "service.beta.kubernetes.io/azure-load-balancer-internal",
        "",
    ),
    ("service.beta.kubernetes.io/do-loadbalancer-name", ""),
];

/// The same for a Service of a Classic load balancer.
const OF_CLASSIC: &[(&str, &str)] = &[
    (
        "service.beta.kubernetes.io/aws-load-balancer-idle-timeout",
        "service.beta.kubernetes.io/aws-load-balancer-connection-idle-timeout",
    ),
    ("service.beta.kubernetes.io/aws-load-balancer-schema", ""),
];

const OBJECTS: &[(Readers, &[(&str, &str)])] = &[
    (Readers::INGRESS, OF_INGRESS),
    (Readers::LBC, OF_SERVICE),
    (Readers::CLASSIC, OF_CLASSIC),
];

fn key(suggestion: Option<Suggestion>) -> String {
    suggestion.map(|one| one.key).unwrap_or_default()
}

#[test]
fn misspellings_of_the_public_lead_to_what_was_meant_or_nowhere() {
    let mut wrong = Vec::new();
    for (readers, misspellings) in OBJECTS {
        for (misspelt, expected) in *misspellings {
            let found = key(meant(misspelt, *readers));
            if found != *expected {
                wrong.push(format!(
                    "{misspelt}: expected {expected:?}, found {found:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The row of a suggestion, if there is one that is read on the object.
fn row_of(suggestion: &Suggestion, readers: Readers) -> Option<&'static Row> {
    rows().find(|row| row.is(&suggestion.key) && row.readers.meet(readers))
}

/// Every key with one letter missing or doubled, at some places, under each prefix.
fn variants() -> impl Iterator<Item = String> {
    let keys = rows().filter(|row| row.tail.is_none()).map(Row::name);
    keys.flat_map(|name| {
        let cut = (0..name.len())
            .step_by(3)
            .map(move |at| format!("{}{}", &name[..at], &name[at + 1..]));
        let double = (0..name.len())
            .step_by(5)
            .map(move |at| format!("{}{}", &name[..=at], &name[at..]));
        cut.chain(double)
    })
    .flat_map(|name| [format!("{A}{name}"), format!("{S}{name}"), name])
}

#[test]
fn every_suggestion_is_a_known_annotation_of_the_object() {
    let objects = [
        Readers::INGRESS,
        Readers::BACKEND,
        Readers::LBC,
        Readers::CLASSIC,
        Readers::PROVIDER,
    ];
    let listed = OBJECTS
        .iter()
        .flat_map(|(_, list)| *list)
        .map(|(key, _)| (*key).to_owned());
    let mut count = 0;
    for misspelt in variants().chain(listed) {
        for readers in objects {
            if let Some(suggestion) = meant(&misspelt, readers) {
                count += 1;
                assert!(
                    row_of(&suggestion, readers).is_some(),
                    "{misspelt}: {suggestion:?}"
                );
            }
        }
    }
    assert!(count > 1_000, "{count}");
}

/// A misspelling of one letter that is no other annotation leads to the annotation, or nowhere.
#[test]
fn one_wrong_letter_never_leads_to_another_annotation() {
    for row in rows().filter(|row| row.tail.is_none()) {
        let prefix = &row.key[..row.key.len() - row.name().len()];
        for at in 0..row.name().len() {
            let name = row.name();
            let misspelt = format!("{prefix}{}{}", &name[..at], &name[at + 1..]);
            if rows().any(|other| other.key == misspelt) {
                continue;
            }
            for readers in [Readers::INGRESS, Readers::LBC, Readers::CLASSIC] {
                let found = key(meant(&misspelt, readers));
                if row.readers.meet(readers) && !found.is_empty() {
                    assert_eq!(found, row.key, "{misspelt}");
                }
            }
        }
    }
}
