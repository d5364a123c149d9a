//! What AWS and the cluster know and manifests do not say.

mod read;

use std::collections::BTreeMap;

use elbow_model::DnsZone;
use elbow_model::diagnostic::Diagnostic;
use elbow_model::suggest::did_you_mean;
use elbow_model::yaml::{Limits, Node, Position, Value, parse};

use crate::stack::Permission;
use crate::view::{Log, View};

/// The surroundings of the manifests: the environment file, or the built-in ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The name of the cluster, part of every hashed name.
    pub cluster_name: String,
    /// The AWS region.
    pub region: String,
    /// The AWS account.
    pub account_id: String,
    /// The VPC.
    pub vpc: Vpc,
    /// Its subnets.
    pub subnets: Vec<Subnet>,
    /// Its security groups: id and name.
    pub security_groups: Vec<NamedGroup>,
    /// The group that targets let in.
    pub backend_security_group: BackendSecurityGroup,
    /// Which controllers run.
    pub personality: Personality,
    /// The controller's flags.
    pub defaults: Defaults,
    /// Whether pods may be targets.
    pub enable_ip_target_type: bool,
    /// The controller's feature gates that are set.
    pub feature_gates: BTreeMap<String, bool>,
    /// Load balancers that exist already.
    pub existing_load_balancers: Vec<ExistingLoadBalancer>,
    /// Certificates by ARN.
    pub certificates: Vec<KnownCertificate>,
    /// What stands behind an ARN that nobody knows.
    pub unknown_certificates: UnknownCertificates,
    /// Whether nodes take traffic although they carry the label
    /// `node.kubernetes.io/exclude-from-external-load-balancers`, as those of a small cluster do.
    pub ignore_excluded_nodes: bool,
    /// What stands for `amazonaws.com` at the end of DNS names.
    pub dns_suffix: String,
    /// The environment file, which paths are relative to; empty for the built-in one.
    pub file: String,
}

/// What stands behind the ARN of a certificate that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownCertificates {
    /// A self-signed certificate for the hosts of the listener, with a warning.
    SelfSigned,
    /// Nothing: the load balancer is refused, as AWS does it.
    Fail,
}

/// A VPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vpc {
    /// Its id.
    pub id: String,
    /// Its IPv4 ranges.
    pub cidr_blocks: Vec<String>,
    /// Its IPv6 ranges.
    pub ipv6_cidr_blocks: Vec<String>,
}

/// A subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subnet {
    /// Its id.
    pub id: String,
    /// Its zone.
    pub availability_zone: String,
    /// Its IPv4 range.
    pub cidr_block: String,
    /// Its IPv6 range.
    pub ipv6_cidr_block: Option<String>,
    /// `internet-facing` or `internal`: which load balancers find it.
    pub scheme: String,
    /// Its Name tag.
    pub name: String,
    /// Its other tags.
    pub tags: BTreeMap<String, String>,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedGroup {
    /// Its id.
    pub id: String,
    /// Its Name tag.
    pub name: String,
    /// Whom it lets in; `None`: nobody says.
    pub ingress: Option<Vec<Permission>>,
}

/// The shared group in front of the targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendSecurityGroup {
    /// Whether the controller uses one.
    pub enabled: bool,
    /// Its id.
    pub id: String,
}

/// Which controllers run in the cluster, and so who owns a Service of type LoadBalancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Personality {
    /// The in-tree provider alone.
    InTree,
    /// The AWS Load Balancer Controller without its Service webhook.
    Lbc,
    /// The AWS Load Balancer Controller as its chart installs it.
    LbcDefault,
}

/// The controller's flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// `--default-ssl-policy`.
    pub ssl_policy: String,
    /// `--default-target-type`.
    pub target_type: String,
    /// `--default-load-balancer-scheme`.
    pub load_balancer_scheme: String,
    /// `--load-balancer-class`.
    pub load_balancer_class: String,
    /// `--ingress-class`; empty: that of the controller's chart.
    pub ingress_class: String,
    /// `--default-tags`.
    pub tags: BTreeMap<String, String>,
}

/// A load balancer that exists already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExistingLoadBalancer {
    /// Its ARN.
    pub arn: String,
    /// Its scheme.
    pub scheme: String,
    /// Ids of its subnets.
    pub subnets: Vec<String>,
    /// Ids of its security groups.
    pub security_groups: Vec<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A certificate by ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownCertificate {
    /// Its ARN.
    pub arn: String,
    /// The PEM file, relative to the environment file.
    pub certificate_file: String,
    /// The key's PEM file, relative to the environment file.
    pub private_key_file: String,
    /// The host names that it holds for; whoever reads the files fills them in.
    pub names: Vec<String>,
}

impl Default for Context {
    fn default() -> Self {
        let subnet = |(index, (zone, public)): (usize, (&str, bool))| {
            let kind = if public { "public" } else { "private" };
            let scheme = if public {
                "internet-facing"
            } else {
                "internal"
            };
            Subnet {
                id: format!("subnet-{kind}-{zone}"),
                availability_zone: format!("us-east-1{zone}"),
                cidr_block: format!("192.168.{}.0/19", index * 32),
                scheme: scheme.to_owned(),
                name: format!("{kind}-{zone}"),
                ..Subnet::default()
            }
        };
        let zones = ["a", "b", "c"].into_iter();
        let zones = zones.flat_map(|zone| [(zone, true), (zone, false)]);
        Self {
            cluster_name: "elbow".into(),
            region: "us-east-1".into(),
            account_id: "000000000000".into(),
            vpc: Vpc {
                id: "vpc-elbow".into(),
                cidr_blocks: vec!["192.168.0.0/16".into()],
                ipv6_cidr_blocks: Vec::new(),
            },
            subnets: zones.enumerate().map(subnet).collect(),
            security_groups: Vec::new(),
            backend_security_group: BackendSecurityGroup {
                enabled: true,
                id: "sg-auto".into(),
            },
            personality: Personality::LbcDefault,
            defaults: Defaults {
                ssl_policy: "ELBSecurityPolicy-2016-08".into(),
                target_type: "instance".into(),
                load_balancer_scheme: "internal".into(),
                load_balancer_class: "service.k8s.aws/nlb".into(),
                ingress_class: String::new(),
                tags: BTreeMap::new(),
            },
            enable_ip_target_type: true,
            feature_gates: BTreeMap::new(),
            existing_load_balancers: Vec::new(),
            certificates: Vec::new(),
            unknown_certificates: UnknownCertificates::SelfSigned,
            ignore_excluded_nodes: false,
            dns_suffix: DnsZone::default().suffix,
            file: String::new(),
        }
    }
}

/// What to do about a security group that there is not.
pub(crate) const UNKNOWN_GROUP: &str =
    "list its id, its name and its rules under securityGroups in the environment file";

impl Context {
    /// Reads an environment file; what it does not say is as in the built-in one.
    ///
    /// ```
    /// use elbow_manifest::Context;
    ///
    /// let (context, found) = Context::parse("region: eu-west-1\n", "env.yaml");
    /// assert!(found.is_empty());
    /// assert_eq!(context.region, "eu-west-1");
    /// assert_eq!(context.cluster_name, "elbow");
    /// assert_eq!(context.dns_zone().suffix, "localhost");
    ///
    /// let (_, found) = Context::parse("dnsSuffix: .test\n", "env.yaml");
    /// assert_eq!(found[0].code, "invalid-name");
    /// ```
    pub fn parse(text: &str, file: &str) -> (Self, Vec<Diagnostic>) {
        let log = Log::new(file.into(), "");
        let (node, problems) = parse(text, Limits::FILE);
        for problem in problems {
            log.push(problem.at, problem.diagnostic(file));
        }
        let node = node.unwrap_or(Node {
            at: Position { line: 1, column: 1 },
            plain: true,
            value: Value::Null,
        });
        let mut context = Self::read(&View::root(&node, &log));
        file.clone_into(&mut context.file);
        (context, log.into_found())
    }

    /// What the DNS names of load balancers end in.
    pub fn dns_zone(&self) -> DnsZone {
        DnsZone {
            region: self.region.clone(),
            suffix: self.dns_suffix.clone(),
        }
    }

    /// The id of the security group that has `wanted` as its id or its name, if there is one.
    pub(crate) fn security_group(&self, wanted: &str) -> Option<&str> {
        let backend = &self.backend_security_group;
        if backend.enabled && backend.id == wanted {
            return Some(&backend.id);
        }
        let mut groups = self.security_groups.iter();
        let known = groups.find(|group| group.id == wanted || group.name == wanted);
        known.map(|group| &*group.id)
    }

    /// What to do about a subnet that there is not.
    pub(crate) fn subnet_hint(&self, wanted: &str) -> String {
        let subnets = self.subnets.iter();
        let known = subnets.flat_map(|subnet| [subnet.id.as_str(), subnet.name.as_str()]);
        did_you_mean(wanted, known)
            .unwrap_or_else(|| "list it under subnets in the environment file".to_owned())
    }

    /// Whether a feature gate is on; `default` is the controller's own.
    pub fn gate(&self, name: &str, default: bool) -> bool {
        self.feature_gates.get(name).copied().unwrap_or(default)
    }
}
