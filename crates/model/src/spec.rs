//! Unchecked descriptions of load balancers: the structures of the ELBv2 API with AWS's names and strings.
//!
//! A reader of a file, of manifests or of an API fills these in field by field; the constructors of the values
//! check them, fill in AWS's defaults and name the field that is at fault. `None` means that the field was not given. The
//! names of fields in a [`FieldPath`](crate::FieldPath) are those of these structures in camelCase, with `type` for
//! `kind`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::attributes::AttributesSpec;
use crate::condition::ConditionSpec;
use crate::environment::Environment;
use crate::private_key::PrivateKey;
use crate::public_key_file::PublicKeyFile;

pub use action::{
    ActionSpec, AdditionalClaimSpec, AuthenticateCognitoSpec, AuthenticateOidcSpec,
    FixedResponseSpec, ForwardSpec, ForwardStickinessSpec, JwtValidationSpec, LoginSpec,
    RedirectSpec, WeightedTargetGroupSpec,
};
pub use transform::{RewriteSpec, RewritesSpec, TransformSpec};

mod action;
mod transform;

/// Everything for one [`Model`](crate::Model).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelSpec {
    /// Names are unique.
    pub load_balancers: Vec<LoadBalancerSpec>,
    /// Names are unique.
    pub target_groups: Vec<TargetGroupSpec>,
    /// Names are unique.
    pub certificates: Vec<CertificateSpec>,
    /// Names are unique.
    pub trust_stores: Vec<TrustStoreSpec>,
    /// What they name that is in no list of this model.
    pub environment: Arc<Environment>,
}

/// For a [`LoadBalancer`](crate::LoadBalancer) (`CreateLoadBalancer`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadBalancerSpec {
    /// Required: 1 to 32 letters, digits and hyphens.
    pub name: Option<String>,
    /// Required, `type`: `application`, `network` or `classic`.
    pub kind: Option<String>,
    /// `internet-facing` (the default) or `internal`.
    pub scheme: Option<String>,
    /// `ipv4` (the default) or `dualstack`.
    pub ip_address_type: Option<String>,
    /// IP addresses to listen on; without any, one of the pool in each zone.
    pub addresses: Vec<String>,
    /// Where its nodes are.
    pub availability_zones: Vec<ZoneSpec>,
    /// Which clients may connect.
    pub security_groups: Vec<SecurityGroupSpec>,
    /// By key.
    pub attributes: AttributesSpec,
    /// Ports are unique.
    pub listeners: Vec<ListenerSpec>,
    /// Classic only.
    pub health_check: Option<ClassicHealthCheckSpec>,
    /// Classic only.
    pub instances: Option<Vec<InstanceSpec>>,
    /// Classic only: names or types of policies by instance port.
    pub backend_server_policies: Option<BTreeMap<String, Vec<String>>>,
    /// Classic only: by instance port.
    pub backend_server_authentication: Option<BTreeMap<String, BackendServerAuthenticationSpec>>,
}

/// For a [`BackendServerAuthentication`](crate::BackendServerAuthentication) (`CreateLoadBalancerPolicy`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendServerAuthenticationSpec {
    /// Required, at least one.
    pub public_key_files: Option<Vec<PublicKeyFile>>,
}

/// For a [`Zone`](crate::Zone) of a load balancer (`AvailabilityZone`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneSpec {
    /// Required, e.g. `us-east-1a`.
    pub zone_name: Option<String>,
    /// E.g. `subnet-1`.
    pub subnet_id: Option<String>,
    /// `IpAddress` of each of `LoadBalancerAddresses`: where the node listens.
    pub load_balancer_addresses: Vec<LoadBalancerAddressSpec>,
}

/// One of `LoadBalancerAddresses` of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadBalancerAddressSpec {
    /// Required: IPv4 or IPv6.
    pub ip_address: Option<String>,
}

/// For a [`SecurityGroup`](crate::SecurityGroup).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityGroupSpec {
    /// Required.
    pub group_name: Option<String>,
    /// `IpPermissions`.
    pub ingress: Vec<PermissionSpec>,
}

/// For a [`Permission`](crate::Permission) (`IpPermission`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionSpec {
    /// Required: `tcp`, `udp`, `icmp`, `icmpv6` or `-1` for all.
    pub ip_protocol: Option<String>,
    /// Required for `tcp` and `udp`.
    pub from_port: Option<u32>,
    /// Required for `tcp` and `udp`.
    pub to_port: Option<u32>,
    /// CIDR blocks of IPv4 (`CidrIp`).
    pub ip_ranges: Vec<Option<String>>,
    /// CIDR blocks of IPv6 (`CidrIpv6`).
    pub ipv6_ranges: Vec<Option<String>>,
}

/// For a [`Listener`](crate::Listener) (`CreateListener`; `CreateLoadBalancerListeners` for a Classic one).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerSpec {
    /// Required: 1 to 65535.
    pub port: Option<u32>,
    /// Required: ALB `HTTP`, `HTTPS`; NLB `TCP`, `TLS`, `UDP`, `TCP_UDP`; Classic `TCP`, `SSL`, `HTTP`, `HTTPS`.
    pub protocol: Option<String>,
    /// TLS only: AWS's name of a predefined policy.
    pub ssl_policy: Option<String>,
    /// TLS listeners of an NLB only.
    pub alpn_policy: Option<String>,
    /// TLS only: names of certificates; the first is the default.
    pub certificates: Option<Vec<String>>,
    /// HTTPS and TLS only: whether clients are asked for certificates.
    pub mutual_authentication: Option<MutualAuthenticationSpec>,
    /// ALB only.
    pub rules: Option<Vec<RuleSpec>>,
    /// Required, exactly one; not for Classic.
    pub default_actions: Option<Vec<ActionSpec>>,
    /// By key; not for Classic.
    pub attributes: Option<AttributesSpec>,
    /// Classic only. Default: `HTTP` or `TCP`, like the protocol to clients.
    pub instance_protocol: Option<String>,
    /// Classic only, required.
    pub instance_port: Option<u32>,
    /// TLS listeners of a Classic load balancer only, instead of `ssl_policy`: the attributes of an `SSLNegotiationPolicyType`.
    pub ssl_negotiation_policy: Option<BTreeMap<String, bool>>,
    /// HTTP and HTTPS listeners of a Classic load balancer only.
    pub lb_cookie_stickiness_policy: Option<LbCookieStickinessPolicySpec>,
    /// HTTP and HTTPS listeners of a Classic load balancer only.
    pub app_cookie_stickiness_policy: Option<AppCookieStickinessPolicySpec>,
}

/// For [`CookieStickiness::LoadBalancer`](crate::CookieStickiness) (`CreateLBCookieStickinessPolicy`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LbCookieStickinessPolicySpec {
    /// In seconds; 0 or none lasts as long as the browser's session.
    pub cookie_expiration_period: Option<u32>,
}

/// For [`CookieStickiness::Application`](crate::CookieStickiness) (`CreateAppCookieStickinessPolicy`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppCookieStickinessPolicySpec {
    /// Required.
    pub cookie_name: Option<String>,
}

/// For a [`MutualAuthentication`](crate::MutualAuthentication) (`MutualAuthenticationAttributes`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MutualAuthenticationSpec {
    /// Required: `off`, `passthrough` or `verify`.
    pub mode: Option<String>,
    /// Required in mode `verify`, and only there: the name of a trust store.
    pub trust_store: Option<String>,
    /// Mode `verify` only; default false.
    pub ignore_client_certificate_expiry: Option<bool>,
    /// Mode `verify` only: `on` or `off` (the default).
    pub advertise_trust_store_ca_names: Option<String>,
    /// Mode `verify` of a Network Load Balancer only; default: every verified client is admitted.
    pub client_certificate_identity_filters: Option<Vec<IdentityFilterSpec>>,
}

/// For an [`IdentityFilter`](crate::IdentityFilter) (`ClientCertificateIdentityFilter`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityFilterSpec {
    /// Required: `subject-cn`, `subject-ou`, `san-dns` or `san-uri`.
    pub field: Option<String>,
    /// Required: `accept`.
    pub action: Option<String>,
    /// Required: `exact` or `prefix`.
    pub match_type: Option<String>,
    /// Required.
    pub value: Option<String>,
}

/// For a [`TrustStore`](crate::TrustStore) (`CreateTrustStore`, `AddTrustStoreRevocations`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustStoreSpec {
    /// Required.
    pub name: Option<String>,
    /// Required: the PEM file of the authorities' certificates.
    pub ca_certificates_bundle_file: Option<PathBuf>,
    /// PEM files of revocation lists.
    pub revocation_files: Option<Vec<PathBuf>>,
    /// Where it is declared, for messages: file, line, column (1-based).
    pub declared: Option<(Arc<str>, u32, u32)>,
}

/// For a [`Rule`](crate::Rule) (`CreateRule`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSpec {
    /// Required: 1 to 50000.
    pub priority: Option<u32>,
    /// Required, at least one.
    pub conditions: Option<Vec<ConditionSpec>>,
    /// Required: one that decides what becomes of the request, after at most one that authenticates it.
    pub actions: Option<Vec<ActionSpec>>,
    /// At most one of each type.
    pub transforms: Vec<TransformSpec>,
}

/// For a [`TargetGroup`](crate::TargetGroup) (`CreateTargetGroup`, `RegisterTargets`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetGroupSpec {
    /// Required: 1 to 32 letters, digits and hyphens.
    pub name: Option<String>,
    /// Required: `TCP`, `TLS`, `UDP`, `TCP_UDP`, `HTTP` or `HTTPS`.
    pub protocol: Option<String>,
    /// HTTP and HTTPS only: `HTTP1` (the default), `HTTP2` or `GRPC`.
    pub protocol_version: Option<String>,
    /// Required: 1 to 65535.
    pub port: Option<u32>,
    /// `instance` (the default), `ip` or `alb`.
    pub target_type: Option<String>,
    /// Port of an agent of the target optimizer; not supported.
    pub target_control_port: Option<u32>,
    /// Active checks.
    pub health_check_config: HealthCheckSpec,
    /// By key.
    pub attributes: AttributesSpec,
    /// Registered targets.
    pub targets: Vec<TargetSpec>,
}

/// For a [`Target`](crate::Target) (`TargetDescription`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetSpec {
    /// Required: IPv4, IPv6 or a host name.
    pub id: Option<String>,
    /// Default: the port of the group.
    pub port: Option<u32>,
    /// E.g. `us-east-1a`.
    pub availability_zone: Option<String>,
    /// Groups of QUIC and TCP_QUIC: `0x` and 16 lower-case hexadecimal digits.
    pub quic_server_id: Option<String>,
}

/// For a [`HealthCheck`](crate::HealthCheck) of a target group (`CreateTargetGroup`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthCheckSpec {
    /// `HTTP`, `HTTPS` or, for groups of an NLB, `TCP`.
    pub protocol: Option<String>,
    /// `traffic-port` (the default) or 1 to 65535.
    pub port: Option<String>,
    /// HTTP and HTTPS only; default `/`.
    pub path: Option<String>,
    /// HTTP and HTTPS only.
    pub matcher: Option<MatcherSpec>,
    /// Seconds, 5 to 300; default 30.
    pub interval_seconds: Option<u32>,
    /// Seconds, 2 to 120.
    pub timeout_seconds: Option<u32>,
    /// 2 to 10; default 5.
    pub healthy_threshold_count: Option<u32>,
    /// 2 to 10; default 2.
    pub unhealthy_threshold_count: Option<u32>,
}

/// For a [`Matcher`](crate::Matcher).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatcherSpec {
    /// Required: e.g. `200`, `200,403` or `200-299`.
    pub http_code: Option<String>,
    /// Not supported.
    pub grpc_code: Option<String>,
}

/// For a [`HealthCheck`](crate::HealthCheck) of a Classic load balancer (`ConfigureHealthCheck`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassicHealthCheckSpec {
    /// Required: `TCP:port`, `SSL:port`, `HTTP:port/path` or `HTTPS:port/path`.
    pub target: Option<String>,
    /// Seconds, 5 to 300; default 30.
    pub interval: Option<u32>,
    /// Seconds, 2 to 60 and less than the interval; default 5.
    pub timeout: Option<u32>,
    /// 2 to 10; default 10.
    pub healthy_threshold: Option<u32>,
    /// 2 to 10; default 2.
    pub unhealthy_threshold: Option<u32>,
}

/// For an [`Instance`](crate::Instance) (`RegisterInstancesWithLoadBalancer`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceSpec {
    /// Required: IPv4, IPv6 or a host name.
    pub id: Option<String>,
    /// E.g. `us-east-1a`.
    pub availability_zone: Option<String>,
    /// Beyond AWS: where an instance port is on this instance, by instance port.
    pub ports: BTreeMap<String, u32>,
}

/// For a [`Certificate`](crate::Certificate): files, texts or the hosts of one that is issued.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateSpec {
    /// Required: 1 to 256 letters, digits and `-_.:/*`.
    pub name: Option<String>,
    /// PEM file of the chain, leaf first.
    pub certificate_file: Option<PathBuf>,
    /// PEM file of the key.
    pub private_key_file: Option<PathBuf>,
    /// The chain in PEM, leaf first.
    pub certificate: Option<String>,
    /// The key in PEM.
    pub private_key: Option<PrivateKey>,
    /// Hosts of a certificate that a local authority issues.
    pub self_signed: Option<Vec<String>>,
    /// Where it is declared, for messages: file, line, column (1-based).
    pub declared: Option<(Arc<str>, u32, u32)>,
}

impl CertificateSpec {
    /// A certificate from PEM files.
    pub fn files(
        name: impl Into<String>,
        certificate: impl Into<PathBuf>,
        private_key: impl Into<PathBuf>,
    ) -> Self {
        Self {
            name: Some(name.into()),
            certificate_file: Some(certificate.into()),
            private_key_file: Some(private_key.into()),
            ..Self::default()
        }
    }

    /// A certificate from PEM texts.
    pub fn pem(
        name: impl Into<String>,
        certificate: impl Into<String>,
        private_key: PrivateKey,
    ) -> Self {
        Self {
            name: Some(name.into()),
            certificate: Some(certificate.into()),
            private_key: Some(private_key),
            ..Self::default()
        }
    }

    /// A certificate that a local authority issues for `hosts`.
    pub fn self_signed<H: Into<String>>(
        name: impl Into<String>,
        hosts: impl IntoIterator<Item = H>,
    ) -> Self {
        Self {
            name: Some(name.into()),
            self_signed: Some(hosts.into_iter().map(Into::into).collect()),
            ..Self::default()
        }
    }
}
