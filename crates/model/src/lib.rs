//! The resources of Elastic Load Balancing as valid values, in AWS's terms.
//!
//! A [`Model`] describes the load balancers of one process. This crate does no I/O and reads no clock. Names
//! and defaults follow the ELBv2 API reference (`CreateLoadBalancer`, `CreateListener`, `CreateTargetGroup`, ...).
//!
//! Constructors build all values from unchecked descriptions ([`ModelSpec`] and its parts): they fill in
//! AWS's defaults and refuse what AWS refuses. They report all faults at once, each with its field ([`Invalid`]), so that
//! a reader can point at the place that the field came from. A setting that AWS accepts and elbow does not serve is a
//! warning, or an error with the code `not-supported` if serving it wrongly could grant access.
//!
//! ```
//! use elbow_model::{ActionSpec, ListenerSpec, LoadBalancerSpec, Model, ModelSpec, TargetGroupSpec};
//!
//! let listener = ListenerSpec {
//!     port: Some(80),
//!     protocol: Some("HTTP".into()),
//!     default_actions: Some(vec![ActionSpec::forward("pods")]),
//!     ..ListenerSpec::default()
//! };
//! let balancer = LoadBalancerSpec {
//!     name: Some("web".into()),
//!     kind: Some("application".into()),
//!     listeners: vec![listener],
//!     ..LoadBalancerSpec::default()
//! };
//! let group = TargetGroupSpec {
//!     name: Some("pods".into()),
//!     protocol: Some("HTTP".into()),
//!     port: Some(8080),
//!     ..TargetGroupSpec::default()
//! };
//! let mut spec = ModelSpec {
//!     load_balancers: vec![balancer],
//!     target_groups: vec![group],
//!     ..ModelSpec::default()
//! };
//! let model = Model::new(&spec).value.unwrap();
//! assert_eq!(model.target_groups[0].health_check.interval.as_secs(), 30);
//!
//! spec.load_balancers[0].listeners[0].port = Some(0);
//! spec.target_groups[0].attributes.insert("slow_start.duration_seconds".into(), "10".into());
//! let faults = Model::new(&spec).value.unwrap_err();
//! let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
//! assert_eq!(faults, [
//!     "targetGroups[0].attributes[slow_start.duration_seconds]: 10 is not from 30 to 900",
//!     "loadBalancers[0].listeners[0].port: 0 is not from 1 to 65535",
//! ]);
//! ```

pub mod addresses;
pub mod diagnostic;
pub mod personality;
pub mod suggest;

mod action;
mod attributes;
mod backend_server_authentication;
mod certificate;
mod changed;
mod client_secret;
mod condition;
mod cookie_stickiness;
mod environment;
mod expression;
mod health_check;
mod hidden;
mod identity;
mod identity_filter;
mod instance;
mod instance_end;
mod invalid;
mod kinds;
mod listener;
mod load_balancer;
mod model;
mod mutual_authentication;
mod origin;
mod private_key;
mod public_key_file;
mod quic;
mod read;
mod rule;
mod scope;
mod security_group;
mod seen;
mod sources;
mod spec;
mod ssl_negotiation_policy;
mod ssl_policy;
mod target_group;
mod trust_store;
mod zone;

pub use action::{
    Action, AdditionalClaim, AuthenticateCognito, AuthenticateOidc, ClaimFormat, FixedResponse,
    Forward, JwtValidation, OnUnauthenticated, Redirect, WeightedTargetGroup, is_provider_url,
};
pub use attributes::{
    ATTRIBUTES, Attribute, AttributesSpec, AuthenticationSettings, ClientCertificateHeaders,
    ClientRoutingPolicy, DesyncMitigationMode, ListenerAttributes, LoadBalancerAttributes,
    LogDelivery, MAX_HEADER_NAME, MAX_HEADER_VALUE, MinimumHealthy, ProxyHeaderPlacement,
    ProxyProtocol, Requirement, Resource, Stickiness, TargetGroupAttributes, Values,
    XffHeaderProcessingMode,
};
pub use backend_server_authentication::BackendServerAuthentication;
pub use certificate::{Certificate, CertificateSource, MAX_CERTIFICATE_HOSTS, is_certificate_host};
pub use changed::{Changed, changed};
pub use client_secret::ClientSecret;
pub use condition::{
    Condition, ConditionSpec, HttpHeaderSpec, Patterns, PatternsSpec, QueryPair, QueryPairSpec,
    QueryStringSpec, SourceIpSpec, ValuesSpec,
};
pub use cookie_stickiness::CookieStickiness;
pub use environment::{Environment, UserPoolClient, UserPoolEndpoints};
pub use expression::Expression;
pub use health_check::{HealthCheck, HealthCheckPort, Matcher};
pub use hidden::hidden;
pub use identity::{Account, DnsZone, dns_name, stable_id};
pub use identity_filter::{IdentityField, IdentityFilter, MatchType};
pub use instance::{Classic, Instance};
pub use instance_end::InstanceEnd;
pub use invalid::{Checked, FieldPath, Invalid, Step};
pub use kinds::{
    Algorithm, AlpnPolicy, BackendServerPolicy, ContentType, HealthCheckProtocol, IpAddressType,
    IpProtocol, LoadBalancerType, Protocol, ProtocolVersion, RedirectStatus, Scheme, TargetType,
    Transport,
};
pub use listener::Listener;
pub use load_balancer::LoadBalancer;
pub use model::Model;
pub use mutual_authentication::{MutualAuthentication, Verification};
pub use origin::{At, Origin};
pub use personality::{HttpPersonality, Personality};
pub use private_key::PrivateKey;
pub use public_key_file::PublicKeyFile;
pub use quic::QuicServerId;
pub use rule::{Rewrite, Rule, Transforms};
pub use scope::Scope;
pub use security_group::{Permission, SecurityGroup};
pub use sources::Sources;
pub use spec::*;
pub use ssl_negotiation_policy::SslNegotiationPolicy;
pub use ssl_policy::{SslPolicy, TlsVersion, classic_ssl_policies, ssl_policies, ssl_policy};
pub use target_group::{Target, TargetGroup, TargetId, TargetState};
pub use trust_store::TrustStore;
pub use zone::{Zone, ZoneName};
