//! Listeners.

use std::collections::BTreeMap;

use elbow_model::{self as model, ListenerSpec, Protocol, SslNegotiationPolicy};
use schemars::JsonSchema;
use serde::Serialize;

use super::action::{self, Action};
use super::classic::{self, AppCookieStickinessPolicy, LbCookieStickinessPolicy};
use super::item::Item;
use super::mutual_authentication::{self, MutualAuthentication};
use super::rule::{self, Rule};
use super::values::{
    alpn_policies, classic_protocols, listener_attributes, listener_protocols, ssl_policy_names,
};

/// One port of a load balancer.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Listener {
    #[schemars(range(min = 1, max = 65535))]
    pub(super) port: u16,
    /// Application: HTTP, HTTPS. Network: TCP, TLS, UDP, TCP_UDP. Classic: TCP, SSL, HTTP, HTTPS.
    #[schemars(schema_with = "listener_protocols")]
    pub(super) protocol: String,
    /// For HTTPS and TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "ssl_policy_names")]
    pub(super) ssl_policy: Option<String>,
    /// For TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "alpn_policies")]
    pub(super) alpn_policy: Option<String>,
    /// Names of certificates of this file; the first is the default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) certificates: Vec<String>,
    /// For HTTPS and TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub(super) mutual_authentication: Option<MutualAuthentication>,
    /// Application load balancers only; the lowest priority that matches wins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) rules: Vec<Rule>,
    /// What happens when no rule matches; not for classic load balancers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, length(max = 1))]
    pub(super) default_actions: Vec<Action>,
    /// By AWS's keys.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, schema_with = "listener_attributes")]
    pub(super) attributes: BTreeMap<String, String>,
    /// Classic load balancers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "classic_protocols")]
    pub(super) instance_protocol: Option<String>,
    /// Classic load balancers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub(super) instance_port: Option<u16>,
    /// TLS listeners of classic load balancers only, instead of sslPolicy: versions (Protocol-TLSv1.2), cipher suites and
    /// Server-Defined-Cipher-Order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ssl_negotiation_policy: Option<BTreeMap<String, bool>>,
    /// HTTP and HTTPS listeners of classic load balancers only: clients stay with an instance by the load balancer's cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lb_cookie_stickiness_policy: Option<LbCookieStickinessPolicy>,
    /// HTTP and HTTPS listeners of classic load balancers only: clients stay with an instance as long as the application's cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app_cookie_stickiness_policy: Option<AppCookieStickinessPolicy>,
}

/// What a file says of a listener.
pub(super) fn read(item: &Item<'_>) -> ListenerSpec {
    item.mapping(|fields| ListenerSpec {
        port: fields.number("port"),
        protocol: fields.text("protocol"),
        ssl_policy: fields.text("sslPolicy"),
        alpn_policy: fields.text("alpnPolicy"),
        certificates: fields.texts("certificates"),
        mutual_authentication: fields
            .get("mutualAuthentication")
            .map(|item| mutual_authentication::read(&item)),
        rules: fields.list("rules", rule::read),
        default_actions: fields.list("defaultActions", action::read),
        attributes: fields.attributes(),
        instance_protocol: fields.text("instanceProtocol"),
        instance_port: fields.number("instancePort"),
        ssl_negotiation_policy: fields
            .get("sslNegotiationPolicy")
            .map(|item| classic::read_flags(&item)),
        lb_cookie_stickiness_policy: fields
            .get("lbCookieStickinessPolicy")
            .map(|item| classic::read_lb_cookie(&item)),
        app_cookie_stickiness_policy: fields
            .get("appCookieStickinessPolicy")
            .map(|item| classic::read_app_cookie(&item)),
    })
}

/// A listener as a file has it.
pub(super) fn render(from: &model::Listener) -> Listener {
    let alpn = from.alpn_policy.as_str().to_owned();
    Listener {
        port: from.port,
        protocol: from.protocol.as_str().to_owned(),
        ssl_policy: from.ssl_policy.as_deref().map(str::to_owned),
        alpn_policy: (from.protocol == Protocol::Tls).then_some(alpn),
        certificates: from
            .certificates
            .iter()
            .map(|c| c.name.to_string())
            .collect(),
        mutual_authentication: mutual_authentication::render(&from.mutual_authentication),
        rules: from
            .rules
            .iter()
            .map(|rule| rule::render(rule, from.protocol))
            .collect(),
        default_actions: match from.instance {
            // Derived from the instance port and protocol.
            Some(_) => Vec::new(),
            None => from.default_actions.iter().map(action::render).collect(),
        },
        attributes: from.attributes.raw.clone(),
        instance_protocol: from.instance.map(|i| i.protocol.as_str().to_owned()),
        instance_port: from.instance.map(|i| i.port),
        ssl_negotiation_policy: from
            .ssl_negotiation_policy
            .as_ref()
            .map(SslNegotiationPolicy::attributes),
        lb_cookie_stickiness_policy: classic::render_lb_cookie(from.cookie_stickiness.as_ref()),
        app_cookie_stickiness_policy: classic::render_app_cookie(from.cookie_stickiness.as_ref()),
    }
}
