//! The environment of the manifests: facts about the AWS account and the cluster that manifests do not contain.

mod gates;
mod log_bucket;
mod ownership;
mod read;
mod subnet;
mod user_pool;

use std::collections::{BTreeMap, BTreeSet};

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Account, DnsZone, Environment, UserPoolClient, ZoneName};
use elbow_yaml::{Limits, Node, Position, Value, parse};
use ipnet::IpNet;

use crate::objects::QUIC_SERVER_ID;
use crate::stack::Permission;
use crate::view::{Log, View};

use gates::IP_TARGETS;
pub use gates::{GATES, check_gate};
pub use log_bucket::{Credentials, LogBucket, LogBucketEndpoint, LogBucketPlace, Secret};
pub use ownership::{
    Neighbours, OWN_CONTROLLER, OWN_LOAD_BALANCER_CLASS, Ownership, SHARED_CONTROLLER,
};
pub use subnet::{Locale, Subnet};

/// The environment of the manifests, from the environment file or built in.
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
    /// The shared security group that targets let in.
    pub backend_security_group: BackendSecurityGroup,
    /// Which controllers run.
    pub personality: Personality,
    /// The controller's flags.
    pub defaults: Defaults,
    /// Whether pods may be targets.
    pub enable_ip_target_type: bool,
    /// The feature gates that are set.
    pub feature_gates: BTreeMap<String, bool>,
    /// Load balancers that already exist.
    pub existing_load_balancers: Vec<ExistingLoadBalancer>,
    /// Certificates by ARN.
    pub certificates: Vec<KnownCertificate>,
    /// Trust stores by ARN.
    pub trust_stores: Vec<KnownTrustStore>,
    /// Where the buckets of logs are.
    pub log_buckets: Vec<LogBucket>,
    /// Where the users of user pools log in.
    pub user_pools: Vec<UserPoolClient>,
    /// How strictly objects of files are read.
    pub reading: Reading,
    /// What to do about unknown certificate ARNs.
    pub unknown_certificates: UnknownCertificates,
    /// What to do about other names of things that nobody listed.
    pub unknown_resources: UnknownResources,
    /// Ids, names and ARNs of what else the account has.
    pub resources: BTreeSet<String>,
    /// Whether the objects are all of a cluster's, so that what is not among them does not exist.
    pub has_all_objects: bool,
    /// Whether the file lists the subnets, so that it is known where the nodes of load balancers are.
    pub describes_subnets: bool,
    /// Whether to ignore the label `node.kubernetes.io/exclude-from-external-load-balancers`, which the only node of a
    /// small cluster often has.
    pub ignore_excluded_nodes: bool,
    /// The suffix of DNS names, in place of `amazonaws.com`.
    pub dns_suffix: String,
    /// The environment file, to which paths are relative; empty for the built-in environment.
    pub file: String,
}

/// How strictly objects of files are read. Those of a live cluster have passed its API server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// What an API server refuses is an error.
    #[default]
    Strict,
    /// What an API server refuses is a warning, and the object is read as far as it can be: for dumps of old clusters.
    Lenient,
}

/// What to do about the ARN of an unknown certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownCertificates {
    /// Serve a self-signed certificate for the hosts of the listener, and warn.
    SelfSigned,
    /// Refuse the load balancer, as AWS does.
    Fail,
}

/// What to do about a name of something in the AWS account or the cluster that is listed nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownResources {
    /// Something stands in, with a warning: nobody described the account.
    StandIn,
    /// What the controllers look up is refused, as they refuse it: the environment describes the account.
    Controller,
    /// Also refuse what only AWS looks up.
    Fail,
}

impl UnknownResources {
    /// Whether something stands in for what the controllers look up.
    pub const fn stand_in(self) -> bool {
        matches!(self, Self::StandIn)
    }
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

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedGroup {
    /// Its id.
    pub id: String,
    /// Its Name tag.
    pub name: String,
    /// Its inbound permissions; `None` when they are unknown.
    pub ingress: Option<Vec<Permission>>,
}

/// The shared security group that targets let in.
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
    /// EKS Auto Mode, whose controllers AWS runs.
    EksAuto,
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
    /// By which names objects ask for a load balancer.
    pub ownership: Ownership,
    /// `--default-tags`.
    pub tags: BTreeMap<String, String>,
    /// `--quic-environment-variable-name`: the environment variable of containers with their QUIC server ID.
    pub quic_environment_variable_name: String,
}

/// A load balancer that already exists.
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
    /// The host names that it covers; filled in by the reader of the files.
    pub names: Vec<String>,
}

/// A trust store by ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownTrustStore {
    /// Its ARN.
    pub arn: String,
    /// The PEM file of its certificates, relative to the environment file.
    pub ca_certificates_bundle_file: String,
    /// The PEM files of its revocation lists, relative to the environment file.
    pub revocation_files: Vec<String>,
    /// Where it is listed, from 1.
    pub line: u32,
    /// Where it is listed, from 1.
    pub column: u32,
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
                ipv6_cidr_block: Some(format!("2001:db8:1234:1a0{index}::/64")),
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
                ipv6_cidr_blocks: vec!["2001:db8:1234:1a00::/56".into()],
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
                ownership: Ownership::default(),
                tags: BTreeMap::new(),
                quic_environment_variable_name: QUIC_SERVER_ID.into(),
            },
            enable_ip_target_type: true,
            feature_gates: BTreeMap::new(),
            existing_load_balancers: Vec::new(),
            certificates: Vec::new(),
            trust_stores: Vec::new(),
            log_buckets: Vec::new(),
            user_pools: Vec::new(),
            unknown_certificates: UnknownCertificates::SelfSigned,
            unknown_resources: UnknownResources::StandIn,
            resources: BTreeSet::new(),
            has_all_objects: false,
            describes_subnets: false,
            ignore_excluded_nodes: false,
            dns_suffix: DnsZone::default().suffix,
            reading: Reading::Strict,
            file: String::new(),
        }
    }
}

impl Context {
    /// Reads an environment file. What it omits is as in the built-in environment.
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

    /// What the DNS names and the ARNs of load balancers have in common.
    pub fn dns_zone(&self) -> DnsZone {
        DnsZone {
            account: Account {
                region: self.region.clone(),
                id: self.account_id.clone(),
            },
            suffix: self.dns_suffix.clone(),
            networks: self.networks(),
        }
    }

    /// The ranges of the subnets, if the file says where they are.
    fn networks(&self) -> Vec<(IpNet, ZoneName)> {
        let subnets = self.subnets.iter().filter(|_| self.describes_subnets);
        let networks = subnets.flat_map(|subnet| {
            let zone = ZoneName::new(&subnet.availability_zone).value.ok();
            let ranges = [Some(&subnet.cidr_block), subnet.ipv6_cidr_block.as_ref()];
            let ranges = ranges.into_iter().flatten();
            ranges.filter_map(move |range| Some((range.parse().ok()?, zone.clone()?)))
        });
        networks.collect()
    }

    /// What load balancers may name of it.
    pub fn environment(&self) -> Environment {
        let buckets = self.log_buckets.iter();
        Environment {
            log_buckets: buckets.map(|one| one.name.clone()).collect(),
            user_pools: self.user_pools.clone(),
        }
    }

    /// Whether something stands in for an object that may be in another folder.
    pub(crate) fn stands_in_for_objects(&self) -> bool {
        self.unknown_resources.stand_in() && !self.has_all_objects
    }

    /// Has everything that is not listed refused, certificates too.
    pub fn be_strict(&mut self) {
        self.unknown_resources = UnknownResources::Fail;
        self.unknown_certificates = UnknownCertificates::Fail;
    }

    /// Turns a feature gate on or off; [`check_gate`] says whether it exists.
    pub fn set_gate(&mut self, name: &str, is_on: bool) {
        if name == IP_TARGETS {
            self.enable_ip_target_type = is_on;
        }
        self.feature_gates.insert(name.to_owned(), is_on);
    }

    /// Whether a feature gate is on; `default` is that of the controller.
    pub fn gate(&self, name: &str, default: bool) -> bool {
        self.feature_gates.get(name).copied().unwrap_or(default)
    }
}
