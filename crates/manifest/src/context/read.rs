//! The fields of an environment file.

use std::collections::BTreeMap;

use elbow_model::Origin;
use elbow_model::diagnostic::Diagnostic;

use super::gates::check_gate;
use super::{
    Context, Defaults, ExistingLoadBalancer, KnownCertificate, KnownTrustStore, Locale, NamedGroup,
    Personality, Subnet, UnknownCertificates, UnknownResources, Vpc,
};
use super::{log_bucket, user_pool};
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
    "trustStores",
    "logBuckets",
    "userPools",
    "unknownCertificates",
    "unknownResources",
    "resources",
    "ignoreExcludedNodes",
    "dnsSuffix",
];

impl Context {
    /// Reads an environment file over the built-in environment.
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
            if let Err((message, hint)) = check_gate(&gate.name) {
                let found = Diagnostic::error("unknown-feature-gate", message).hint(hint);
                value.key_found(gate, found);
            } else if let Some(is_on) = value.boolean() {
                context.set_gate(&gate.name, is_on);
            }
        }
        let existing = view.get("existingLoadBalancers").items();
        context.existing_load_balancers = existing.iter().map(read_existing).collect();
        let certificates = view.get("certificates").items();
        context.certificates = certificates.iter().map(read_certificate).collect();
        let stores = view.get("trustStores").items();
        context.trust_stores = stores.iter().filter_map(read_trust_store).collect();
        context.log_buckets = log_bucket::read_all(&view.get("logBuckets"));
        context.user_pools = user_pool::read_all(&view.get("userPools"));
        read_unknown(
            &mut context.unknown_certificates,
            &view.get("unknownCertificates"),
        );
        let lists = [view.get("subnets"), view.get("securityGroups")];
        if lists.iter().any(|list| !list.is_absent()) {
            context.unknown_resources = UnknownResources::Controller;
        }
        read_unknown_resources(
            &mut context.unknown_resources,
            &view.get("unknownResources"),
        );
        context.describes_subnets = !view.get("subnets").is_absent();
        context.resources = view.get("resources").texts().into_iter().collect();
        let buckets = context.log_buckets.iter().map(|one| &one.name);
        let listed = buckets.chain(context.user_pools.iter().map(|one| &one.arn));
        let listed = listed.chain(context.trust_stores.iter().map(|one| &one.arn));
        context.resources.extend(listed.cloned());
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
    let entry = |(key, value): (&elbow_yaml::Key, View<'_>)| {
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
    if !view.get("ipv6CidrBlocks").is_absent() {
        vpc.ipv6_cidr_blocks = view.get("ipv6CidrBlocks").texts();
    }
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
        "availableIpAddressCount",
        "outpostArn",
        "zoneType",
    ]);
    Subnet {
        id: text(view, "id"),
        availability_zone: text(view, "availabilityZone"),
        cidr_block: text(view, "cidrBlock"),
        ipv6_cidr_block: view.get("ipv6CidrBlock").text().map(str::to_owned),
        scheme: text(view, "scheme"),
        name: text(view, "name"),
        tags: texts(&view.get("tags")),
        free_addresses: view.get("availableIpAddressCount").number(),
        outpost_arn: view.get("outpostArn").text().map(str::to_owned),
        zone_type: read_zone_type(&view.get("zoneType")),
        is_stand_in: false,
    }
}

fn read_zone_type(view: &View<'_>) -> Locale {
    match view.text() {
        None | Some("availability-zone") => Locale::AvailabilityZone,
        Some("local-zone") => Locale::LocalZone,
        Some("wavelength-zone") => Locale::WavelengthZone,
        Some(other) => {
            let message = format!(
                "zoneType: expected availability-zone, local-zone or wavelength-zone, found {other}"
            );
            view.error("unknown-value", message);
            Locale::AvailabilityZone
        }
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
        // A finding is about the load balancer that names the group.
        origin: Origin::default(),
    }
}

fn read_ranges(view: &View<'_>, name: &str, field: &str) -> Vec<String> {
    let cidr = |range: View<'_>| {
        range.only(&[field]);
        let cidr = range.get(field);
        let text = cidr.text().unwrap_or_default().to_owned();
        if text.parse::<ipnet::IpNet>().is_err() {
            cidr.error(
                "invalid-cidr",
                format!("expected an address range such as 10.0.0.0/8, found {text:?}"),
            );
        }
        text
    };
    view.get(name).items().into_iter().map(cidr).collect()
}

/// The longest DNS suffix in characters: with it, the longest name of a load balancer fits into 253 (RFC 1035).
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
            "invalid DNS suffix \"{text}\": use labels of a-z, 0-9 and '-' with at most {MAX_SUFFIX} characters, for example elb.test"
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
        Some("eks-auto") => Personality::EksAuto,
        Some(other) => {
            let message = format!(
                "personality: expected intree, lbc, lbc-default or eks-auto, found {other}"
            );
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
            let message =
                format!("unknownCertificates: expected self-signed or fail, found {other}");
            return view.error("unknown-value", message);
        }
    };
}

fn read_unknown_resources(unknown: &mut UnknownResources, view: &View<'_>) {
    *unknown = match view.text() {
        None => return,
        Some("stand-in") => UnknownResources::StandIn,
        Some("controller") => UnknownResources::Controller,
        Some("fail") => UnknownResources::Fail,
        Some(other) => {
            let message =
                format!("unknownResources: expected stand-in, controller or fail, found {other}");
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
        "controllerName",
        "quicEnvironmentVariableName",
        "tags",
    ]);
    set(&mut defaults.ssl_policy, &view.get("sslPolicy"));
    set(&mut defaults.target_type, &view.get("targetType"));
    set(
        &mut defaults.load_balancer_scheme,
        &view.get("loadBalancerScheme"),
    );
    let names = &mut defaults.ownership;
    set(
        &mut names.load_balancer_class,
        &view.get("loadBalancerClass"),
    );
    set(&mut names.ingress_class, &view.get("ingressClass"));
    set(&mut names.controller_name, &view.get("controllerName"));
    set(
        &mut defaults.quic_environment_variable_name,
        &view.get("quicEnvironmentVariableName"),
    );
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

fn read_trust_store(view: &View<'_>) -> Option<KnownTrustStore> {
    view.only(&["arn", "caCertificatesBundleFile", "revocationFiles"]);
    let bundle = view.get("caCertificatesBundleFile");
    if bundle.is_absent() {
        let message = "a trust store of trustStores needs caCertificatesBundleFile";
        view.error("missing-field", message);
        return None;
    }
    let at = view.at();
    Some(KnownTrustStore {
        arn: text(view, "arn"),
        ca_certificates_bundle_file: bundle.text()?.to_owned(),
        revocation_files: view.get("revocationFiles").texts(),
        line: at.line,
        column: at.column,
    })
}
