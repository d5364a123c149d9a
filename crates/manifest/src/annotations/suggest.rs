//! What a misspelt annotation means, if that is beyond doubt.
//!
//! A wrong suggestion is worse than none: it sends a person away from the cause. So a name must be an alias in the table
//! below, or be the same as the name of one annotation but for case, separators and plurals, or differ from one in a letter
//! or two while all others differ in more.

use std::sync::LazyLock;

use elbow_model::suggest::distance;

use super::{Readers, Row, ingress, rows, service};

/// What to write instead of an annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The whole key of a known annotation.
    pub key: String,
    /// What to write as its value, if the misspelt annotation is a part of it.
    pub value: Option<&'static str>,
}

/// Names under which an annotation is known elsewhere: in earlier releases, in guides, in other annotations of its kind.
type Aliases = (&'static Row, &'static [&'static str]);

/// Of Ingresses, without prefix.
const OF_INGRESS: &[Aliases] = &[
    (
        ingress::CERTIFICATE_ARN,
        &[
            "ssl-cert",
            "ssl-certificate",
            "ssl-certificate-arn",
            "acm-certificate-arn",
        ],
    ),
    (
        ingress::GROUP_NAME,
        &["group", "ingress-group", "ingress-group-name"],
    ),
    (ingress::GROUP_ORDER, &["ingress-group-order"]),
    (
        ingress::HEALTHCHECK_INTERVAL_SECONDS,
        &["healthcheck-interval"],
    ),
    (
        ingress::HEALTHCHECK_TIMEOUT_SECONDS,
        &["healthcheck-timeout"],
    ),
    (
        ingress::HEALTHY_THRESHOLD_COUNT,
        &[
            "healthy-threshold",
            "healthcheck-healthy-threshold",
            "healthcheck-healthy-threshold-count",
        ],
    ),
    (
        ingress::INBOUND_CIDRS,
        &[
            "security-group-inbound-cidrs",
            "load-balancer-source-ranges",
            "source-ranges",
        ],
    ),
    (ingress::LISTEN_PORTS, &["ports", "port"]),
    (ingress::LOAD_BALANCER_ATTRIBUTES, &["attributes"]),
    (ingress::LOAD_BALANCER_NAME, &["name"]),
    (ingress::SCHEME, &["internal", "load-balancer-scheme"]),
    (ingress::SSL_POLICY, &["ssl-negotiation-policy"]),
    (
        ingress::SSL_REDIRECT,
        &[
            "redirect-to-https",
            "redirect-http-to-https",
            "force-ssl-redirect",
            "https-redirect",
        ],
    ),
    (
        ingress::SUCCESS_CODES,
        &[
            "healthcheck-success-codes",
            "healthcheck-matcher",
            "matcher",
        ],
    ),
    (ingress::TAGS, &["additional-resource-tags"]),
    (ingress::TARGET_TYPE, &["nlb-target-type"]),
    (
        ingress::UNHEALTHY_THRESHOLD_COUNT,
        &[
            "unhealthy-threshold",
            "healthcheck-unhealthy-threshold",
            "healthcheck-unhealthy-threshold-count",
        ],
    ),
    (
        ingress::WAFV2_ACL_ARN,
        &["waf-acl-arn", "wafv2-web-acl-arn", "web-acl-arn"],
    ),
];

/// Of Services, without prefix and `aws-load-balancer-`.
const OF_SERVICE: &[Aliases] = &[
    (
        service::ADDITIONAL_RESOURCE_TAGS,
        &["tags", "resource-tags", "additional-tags"],
    ),
    (service::CONNECTION_IDLE_TIMEOUT, &["idle-timeout"]),
    (
        service::CROSS_ZONE_LOAD_BALANCING_ENABLED,
        &["cross-zone-load-balancing", "cross-zone-enabled"],
    ),
    (service::ATTRIBUTES, &["load-balancer-attributes"]),
    (
        service::HEALTHCHECK_HEALTHY_THRESHOLD,
        &[
            "healthy-threshold",
            "healthy-threshold-count",
            "healthcheck-healthy-threshold-count",
        ],
    ),
    (
        service::HEALTHCHECK_INTERVAL,
        &["healthcheck-interval-seconds"],
    ),
    (
        service::HEALTHCHECK_TIMEOUT,
        &["healthcheck-timeout-seconds"],
    ),
    (service::HEALTHCHECK_SUCCESS_CODES, &["success-codes"]),
    (
        service::HEALTHCHECK_UNHEALTHY_THRESHOLD,
        &[
            "unhealthy-threshold",
            "unhealthy-threshold-count",
            "healthcheck-unhealthy-threshold-count",
        ],
    ),
    (service::NAME, &["load-balancer-name"]),
    (service::NLB_TARGET_TYPE, &["target-type"]),
    (
        service::SOURCE_RANGES,
        &["source-ranges", "inbound-cidrs", "source-cidrs"],
    ),
    (
        service::SSL_CERT,
        &[
            "certificate-arn",
            "ssl-certificate",
            "ssl-cert-arn",
            "ssl-certificate-arn",
        ],
    ),
    (service::SSL_NEGOTIATION_POLICY, &["ssl-policy"]),
];

/// Names that are attributes of an Ingress's load balancer or target groups.
const ATTRIBUTES_OF_INGRESS: &[(&str, &Row, &str)] = &[
    (
        "idle-timeout",
        ingress::LOAD_BALANCER_ATTRIBUTES,
        IDLE_TIMEOUT,
    ),
    (
        "idle-timeout-second",
        ingress::LOAD_BALANCER_ATTRIBUTES,
        IDLE_TIMEOUT,
    ),
    (
        "connection-idle-timeout",
        ingress::LOAD_BALANCER_ATTRIBUTES,
        IDLE_TIMEOUT,
    ),
    (
        "deletion-protection",
        ingress::LOAD_BALANCER_ATTRIBUTES,
        "deletion_protection.enabled=true",
    ),
    (
        "stickiness-enabled",
        ingress::TARGET_GROUP_ATTRIBUTES,
        "stickiness.enabled=true,stickiness.type=lb_cookie",
    ),
    (
        "deregistration-delay",
        ingress::TARGET_GROUP_ATTRIBUTES,
        "deregistration_delay.timeout_seconds=N",
    ),
];
const IDLE_TIMEOUT: &str = "idle_timeout.timeout_seconds=N";

const BALANCER: &str = "aws-load-balancer-";

impl Suggestion {
    fn of(row: &'static Row) -> Self {
        Self {
            key: row.key.to_owned(),
            value: None,
        }
    }

    /// The hint, for a misspelt annotation `instead_of`: without the prefix if that is right.
    pub fn hint(&self, instead_of: &str) -> String {
        let prefix = |key: &str| key.rsplit_once('/').map(|(prefix, _)| prefix.to_owned());
        let is_right = prefix(instead_of) == prefix(&self.key);
        let short = self
            .key
            .rsplit_once('/')
            .map_or(&*self.key, |(_, name)| name);
        let key = if is_right { short } else { &*self.key };
        match self.value {
            None => format!("did you mean \"{key}\"?"),
            Some(value) => format!("write {key}: {value}"),
        }
    }
}

/// The annotation that `key`, which is unknown, means on an object whose annotations `readers` read.
pub fn meant(key: &str, readers: Readers) -> Option<Suggestion> {
    // No annotation is that long, and comparing is expensive.
    if key.len() > 200 {
        return None;
    }
    let (_, name) = key.rsplit_once('/').unwrap_or(("", key));
    let valid: Vec<&'static Row> = rows()
        .filter(|row| row.readers.meet(readers) && row.key.contains('/'))
        .filter(|row| row.key.starts_with(ingress::PREFIX) || row.key.starts_with(service::PREFIX))
        .collect();
    tailed(name, &valid)
        .or_else(|| alias(name, readers, &valid))
        .or_else(|| nearest(name, &valid))
}

/// An annotation with a tail, such as `actions.TCP-80`: only what stands before the tail is misspelt.
fn tailed(name: &str, valid: &[&'static Row]) -> Option<Suggestion> {
    let name = core(name);
    let mut rows = valid.iter().filter(|row| row.tail.is_some());
    rows.find_map(|row| {
        let stem = core(row.name());
        let singular = stem.strip_suffix('s').unwrap_or(stem);
        let rest = name
            .strip_prefix(stem)
            .or_else(|| name.strip_prefix(singular))?;
        let tail = rest.strip_prefix(['.', '-', '_'])?;
        (!tail.is_empty() && tail != "s").then(|| Suggestion {
            key: row.of(tail).as_str().to_owned(),
            value: None,
        })
    })
}

fn alias(name: &str, readers: Readers, valid: &[&'static Row]) -> Option<Suggestion> {
    let name = canonical(core(name));
    let on_ingress = readers.meet(Readers::INGRESS.and(Readers::BACKEND));
    let table = if on_ingress { OF_INGRESS } else { OF_SERVICE };
    let is_alias = |(_, aliases): &&Aliases| aliases.iter().any(|one| canonical(one) == name);
    if let Some((row, _)) = table.iter().find(is_alias) {
        return valid.contains(row).then(|| Suggestion::of(row));
    }
    let mut attributes = ATTRIBUTES_OF_INGRESS.iter().filter(|_| on_ingress);
    let (_, row, value) = attributes.find(|(one, ..)| *one == name)?;
    valid.contains(row).then(|| Suggestion {
        value: Some(value),
        ..Suggestion::of(row)
    })
}

/// The names of all annotations without a tail in their canonical form.
static NAMES: LazyLock<Vec<(&'static Row, String)>> = LazyLock::new(|| {
    let plain = rows().filter(|row| row.tail.is_none());
    plain
        .map(|row| (row, canonical(core(row.name()))))
        .collect()
});

/// The row whose name differs least, if it differs in little and every other one in more.
fn nearest(name: &str, valid: &[&'static Row]) -> Option<Suggestion> {
    let name = canonical(core(name));
    let most = match name.len() {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    };
    let names = NAMES
        .iter()
        .filter(|(row, known)| known.len().abs_diff(name.len()) <= most && valid.contains(row));
    let mut near: Vec<(usize, &'static Row)> = names
        .map(|(row, known)| (distance(&name, known), *row))
        .filter(|(distance, _)| *distance <= most)
        .collect();
    near.sort_by_key(|(distance, row)| (*distance, row.key));
    match near[..] {
        [(best, row), (second, _), ..] if best < second => Some(Suggestion::of(row)),
        [(_, row)] => Some(Suggestion::of(row)),
        _ => None,
    }
}

/// A name without what many names start with.
fn core(name: &str) -> &str {
    let starts = [
        BALANCER,
        "aws-loadbalancer-",
        "aws-lb-",
        "aws-nlb-",
        "aws-elb-",
    ];
    let mut stripped = starts.iter().filter_map(|start| name.strip_prefix(start));
    stripped.next().unwrap_or(name)
}

/// A name in lower case with hyphens, without plurals, and with one spelling of words that have two.
fn canonical(name: &str) -> String {
    let mut spaced = String::with_capacity(name.len() + 4);
    let mut after_lower = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && after_lower {
            spaced.push('-');
        }
        after_lower = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        spaced.push(match letter {
            '.' | '_' | ' ' => '-',
            letter => letter.to_ascii_lowercase(),
        });
    }
    let spaced = spaced
        .replace("health-check", "healthcheck")
        .replace("loadbalancer", "load-balancer")
        .replace("listener-port", "listen-port");
    let singular = |word| match str::strip_suffix(word, "s") {
        Some(stem) if stem.len() > 2 && !stem.ends_with('s') => stem,
        _ => word,
    };
    let words: Vec<&str> = spaced.split('-').map(singular).collect();
    words.join("-")
}
