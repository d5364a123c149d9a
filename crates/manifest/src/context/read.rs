//! The fields of an environment file.

use std::collections::BTreeMap;

use super::{
    Context, Defaults, ExistingLoadBalancer, KnownCertificate, NamedGroup, Personality, Subnet,
    UnknownCertificates, Vpc,
};
use crate::stack::{IpRange, Ipv6Range, Permission};
use crate::view::View;

const FIELDS: &[&str] = &[
    "clusterName",
    "region",
    "accountId",
    "vpc",
    "subnets",
    "securityGroups",
    "backendSecurityGroup",
    "personality",
    "defaults",
    "enableIpTargetType",
    "featureGates",
    "existingLoadBalancers",
    "certificates",
    "unknownCertificates",
    "ignoreExcludedNodes",
    "dnsSuffix",
];

impl Context {
    /// What an environment file says; the rest is as in the built-in one.
    pub(super) fn read(view: &View<'_>) -> Self {
        view.only(FIELDS);
        let mut context = Self::default();
        set(&mut context.cluster_name, &view.get("clusterName"));
        set(&mut context.region, &view.get("region"));
        set(&mut context.account_id, &view.get("accountId"));
        read_vpc(&mut context.vpc, &view.get("vpc"));
        let subnets = view.get("subnets");
        if !subnets.is_absent() {
            context.subnets = subnets.items().iter().map(read_subnet).collect();
        }
        let groups = view.get("securityGroups").items();
        context.security_groups = groups.iter().map(read_group).collect();
        let backend = view.get("backendSecurityGroup");
        backend.only(&["enabled", "id"]);
        set(&mut context.backend_security_group.id, &backend.get("id"));
        if let Some(enabled) = backend.get("enabled").boolean() {
            context.backend_security_group.enabled = enabled;
        }
        read_personality(&mut context.personality, &view.get("personality"));
        read_defaults(&mut context.defaults, &view.get("defaults"));
        if let Some(enabled) = view.get("enableIpTargetType").boolean() {
            context.enable_ip_target_type = enabled;
        }
        for (gate, value) in view.get("featureGates").fields() {
            if let Some(value) = value.boolean() {
                context.feature_gates.insert(gate.name.clone(), value);
            }
        }
        let existing = view.get("existingLoadBalancers").items();
        context.existing_load_balancers = existing.iter().map(read_existing).collect();
        let certificates = view.get("certificates").items();
        context.certificates = certificates.iter().map(read_certificate).collect();
        read_unknown(
            &mut context.unknown_certificates,
            &view.get("unknownCertificates"),
        );
        if let Some(ignore) = view.get("ignoreExcludedNodes").boolean() {
            context.ignore_excluded_nodes = ignore;
        }
        read_suffix(&mut context.dns_suffix, &view.get("dnsSuffix"));
        context
    }
}

fn set(field: &mut String, view: &View<'_>) {
    if let Some(text) = view.text() {
        text.clone_into(field);
    }
}

fn text(view: &View<'_>, name: &str) -> String {
    view.get(name).text().unwrap_or_default().to_owned()
}

fn texts(view: &View<'_>) -> BTreeMap<String, String> {
    let entry = |(key, value): (&elbow_model::yaml::Key, View<'_>)| {
        Some((key.name.clone(), value.text()?.to_owned()))
    };
    view.fields().into_iter().filter_map(entry).collect()
}

fn read_vpc(vpc: &mut Vpc, view: &View<'_>) {
    view.only(&["id", "cidrBlocks", "ipv6CidrBlocks"]);
    set(&mut vpc.id, &view.get("id"));
    if !view.get("cidrBlocks").is_absent() {
        vpc.cidr_blocks = view.get("cidrBlocks").texts();
    }
    vpc.ipv6_cidr_blocks = view.get("ipv6CidrBlocks").texts();
}

fn read_subnet(view: &View<'_>) -> Subnet {
    view.only(&[
        "id",
        "availabilityZone",
        "cidrBlock",
        "ipv6CidrBlock",
        "scheme",
        "name",
        "tags",
    ]);
    Subnet {
        id: text(view, "id"),
        availability_zone: text(view, "availabilityZone"),
        cidr_block: text(view, "cidrBlock"),
        ipv6_cidr_block: view.get("ipv6CidrBlock").text().map(str::to_owned),
        scheme: text(view, "scheme"),
        name: text(view, "name"),
        tags: texts(&view.get("tags")),
    }
}

fn read_group(view: &View<'_>) -> NamedGroup {
    view.only(&["id", "name", "ingress"]);
    let ingress = view.get("ingress");
    NamedGroup {
        id: text(view, "id"),
        name: text(view, "name"),
        ingress: (!ingress.is_absent()).then(|| {
            let permissions = ingress.items();
            permissions.iter().map(read_permission).collect()
        }),
    }
}

fn read_permission(view: &View<'_>) -> Permission {
    view.only(&["ipProtocol", "fromPort", "toPort", "ipRanges", "ipv6Ranges"]);
    Permission {
        from_port: view.get("fromPort").number(),
        ip_protocol: text(view, "ipProtocol"),
        ip_ranges: read_ranges(view, "ipRanges", "cidrIP")
            .into_iter()
            .map(|cidr| IpRange { cidr })
            .collect(),
        ipv6_ranges: read_ranges(view, "ipv6Ranges", "cidrIPv6")
            .into_iter()
            .map(|cidr| Ipv6Range { cidr })
            .collect(),
        prefix_lists: Vec::new(),
        to_port: view.get("toPort").number(),
    }
}

fn read_ranges(view: &View<'_>, name: &str, field: &str) -> Vec<String> {
    let cidr = |range: View<'_>| {
        range.only(&[field]);
        let cidr = range.get(field);
        let text = cidr.text().unwrap_or_default().to_owned();
        if text.parse::<ipnet::IpNet>().is_err() {
            cidr.error("invalid-cidr", format!("{text:?} is no CIDR block"));
        }
        text
    };
    view.get(name).items().into_iter().map(cidr).collect()
}

/// Letters that a DNS suffix may have, so that the longest name of a load balancer fits into 253 (RFC 1035).
const MAX_SUFFIX: usize = 120;

fn read_suffix(suffix: &mut String, view: &View<'_>) {
    let Some(text) = view.text() else { return };
    let is_label = |label: &str| {
        let mut letters = label.bytes();
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if text.len() > MAX_SUFFIX || !text.split('.').all(is_label) {
        let message = format!(
            "\"{text}\" is no end of DNS names: labels of a-z, 0-9 and '-', {MAX_SUFFIX} letters together, like elb.test"
        );
        return view.error("invalid-name", message);
    }
    text.clone_into(suffix);
}

fn read_personality(personality: &mut Personality, view: &View<'_>) {
    *personality = match view.text() {
        None => return,
        Some("intree") => Personality::InTree,
        Some("lbc") => Personality::Lbc,
        Some("lbc-default") => Personality::LbcDefault,
        Some(other) => {
            let message = format!("personality is intree, lbc or lbc-default, not {other}");
            return view.error("unknown-value", message);
        }
    };
}

fn read_unknown(unknown: &mut UnknownCertificates, view: &View<'_>) {
    *unknown = match view.text() {
        None => return,
        Some("self-signed") => UnknownCertificates::SelfSigned,
        Some("fail") => UnknownCertificates::Fail,
        Some(other) => {
            let message = format!("unknownCertificates is self-signed or fail, not {other}");
            return view.error("unknown-value", message);
        }
    };
}

fn read_defaults(defaults: &mut Defaults, view: &View<'_>) {
    view.only(&[
        "sslPolicy",
        "targetType",
        "loadBalancerScheme",
        "loadBalancerClass",
        "ingressClass",
        "tags",
    ]);
    set(&mut defaults.ssl_policy, &view.get("sslPolicy"));
    set(&mut defaults.target_type, &view.get("targetType"));
    set(
        &mut defaults.load_balancer_scheme,
        &view.get("loadBalancerScheme"),
    );
    set(
        &mut defaults.load_balancer_class,
        &view.get("loadBalancerClass"),
    );
    set(&mut defaults.ingress_class, &view.get("ingressClass"));
    defaults.tags = texts(&view.get("tags"));
}

fn read_existing(view: &View<'_>) -> ExistingLoadBalancer {
    view.only(&["arn", "scheme", "subnets", "securityGroups", "tags"]);
    ExistingLoadBalancer {
        arn: text(view, "arn"),
        scheme: text(view, "scheme"),
        subnets: view.get("subnets").texts(),
        security_groups: view.get("securityGroups").texts(),
        tags: texts(&view.get("tags")),
    }
}

fn read_certificate(view: &View<'_>) -> KnownCertificate {
    view.only(&["arn", "certificateFile", "privateKeyFile", "names"]);
    KnownCertificate {
        arn: text(view, "arn"),
        certificate_file: text(view, "certificateFile"),
        private_key_file: text(view, "privateKeyFile"),
        names: view.get("names").texts(),
    }
}
