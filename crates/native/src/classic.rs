//! What only classic load balancers have: their health check, their instances and the policies of instance ports.

use std::collections::BTreeMap;
use std::time::Duration;

use elbow_model::{
    self as model, AppCookieStickinessPolicySpec, BackendServerAuthenticationSpec,
    BackendServerPolicy, ClassicHealthCheckSpec, CookieStickiness, HealthCheck, InstanceSpec,
    LbCookieStickinessPolicySpec, PublicKeyFile,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::item::Item;
use super::values::instance_ports;

/// One instance of a classic load balancer.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Instance {
    /// IPv4, IPv6 or a host name.
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) availability_zone: Option<String>,
    /// Instance ports that have another number on this instance; AWS does not have this.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, schema_with = "instance_ports")]
    pub(super) ports: BTreeMap<String, u16>,
}

/// How a classic load balancer checks its instances.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct ClassicHealthCheck {
    /// `TCP:port`, `SSL:port`, `HTTP:port/path` or `HTTPS:port/path`.
    pub(super) target: String,
    #[schemars(range(min = 5, max = 300))]
    pub(super) interval: Option<u32>,
    #[schemars(range(min = 2, max = 60))]
    pub(super) timeout: Option<u32>,
    #[schemars(range(min = 2, max = 10))]
    pub(super) healthy_threshold: Option<u32>,
    #[schemars(range(min = 2, max = 10))]
    pub(super) unhealthy_threshold: Option<u32>,
}

/// How clients stay with an instance by the load balancer's cookie.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct LbCookieStickinessPolicy {
    /// In seconds. 0, the default, is as long as the browser's session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cookie_expiration_period: Option<u32>,
}

/// How clients stay with an instance by a cookie of the application.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct AppCookieStickinessPolicy {
    /// The name of the application's cookie.
    pub(super) cookie_name: String,
}

/// The public keys of the instances on one instance port.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct BackendServerAuthentication {
    /// Certificates or public keys in PEM, relative to the folder of this file. An instance has one of these keys.
    #[schemars(length(min = 1))]
    pub(super) public_key_files: Vec<String>,
}

pub(super) fn backend_server_authentication(generator: &mut SchemaGenerator) -> Schema {
    let policy = generator.subschema_for::<BackendServerAuthentication>();
    json_schema!({
        "type": "object",
        "patternProperties": {"^[0-9]+$": policy},
        "additionalProperties": false,
    })
}

/// `{attribute: whether}`.
pub(super) fn read_flags(item: &Item<'_>) -> BTreeMap<String, bool> {
    let entries = item.entries().into_iter();
    entries
        .filter_map(|(name, item)| Some((name.to_owned(), item.flag()?)))
        .collect()
}

/// What a file says of stickiness by the load balancer's cookie.
pub(super) fn read_lb_cookie(item: &Item<'_>) -> LbCookieStickinessPolicySpec {
    item.mapping(|fields| LbCookieStickinessPolicySpec {
        cookie_expiration_period: fields.number("cookieExpirationPeriod"),
    })
}

/// What a file says of stickiness by the application's cookie.
pub(super) fn read_app_cookie(item: &Item<'_>) -> AppCookieStickinessPolicySpec {
    item.mapping(|fields| AppCookieStickinessPolicySpec {
        cookie_name: fields.text("cookieName"),
    })
}

/// Stickiness by the load balancer's cookie as a file has it.
pub(super) fn render_lb_cookie(
    from: Option<&CookieStickiness>,
) -> Option<LbCookieStickinessPolicy> {
    let Some(CookieStickiness::LoadBalancer { expiration }) = from else {
        return None;
    };
    // Periods of the model always fit.
    let seconds = expiration.and_then(|time| u32::try_from(time.as_secs()).ok());
    Some(LbCookieStickinessPolicy {
        cookie_expiration_period: seconds,
    })
}

/// Stickiness by the application's cookie as a file has it.
pub(super) fn render_app_cookie(
    from: Option<&CookieStickiness>,
) -> Option<AppCookieStickinessPolicy> {
    let Some(CookieStickiness::Application { name }) = from else {
        return None;
    };
    Some(AppCookieStickinessPolicy {
        cookie_name: name.to_string(),
    })
}

/// What a file says of a health check.
pub(super) fn read_check(item: &Item<'_>) -> ClassicHealthCheckSpec {
    item.mapping(|fields| ClassicHealthCheckSpec {
        target: fields.text("target"),
        interval: fields.number("interval"),
        timeout: fields.number("timeout"),
        healthy_threshold: fields.number("healthyThreshold"),
        unhealthy_threshold: fields.number("unhealthyThreshold"),
    })
}

/// What a file says of an instance.
pub(super) fn read_instance(item: &Item<'_>) -> InstanceSpec {
    let port = |(key, item): (&str, Item<'_>)| Some((key.to_owned(), item.number()?));
    item.mapping(|fields| InstanceSpec {
        id: fields.text("id"),
        availability_zone: fields.text("availabilityZone"),
        ports: fields
            .get("ports")
            .map(|item| item.entries().into_iter().filter_map(port).collect())
            .unwrap_or_default(),
    })
}

/// `{instance port: [names of policies]}`.
pub(super) fn read_policies(item: &Item<'_>) -> BTreeMap<String, Vec<String>> {
    let names = |item: Item<'_>| -> Vec<String> {
        let names = item.items().into_iter();
        let names = names.map(|item| item.text().unwrap_or_default().to_owned());
        names.collect()
    };
    let entries = item.entries().into_iter();
    entries
        .map(|(port, item)| (port.to_owned(), names(item)))
        .collect()
}

/// `{instance port: {publicKeyFiles: [files]}}`.
pub(super) fn read_authentication(
    item: &Item<'_>,
) -> BTreeMap<String, BackendServerAuthenticationSpec> {
    let key = |item: &Item<'_>| PublicKeyFile {
        file: item.beside(item.text().unwrap_or_default()),
        declared: Some(item.place()),
    };
    let policy = |item: Item<'_>| {
        item.mapping(|fields| BackendServerAuthenticationSpec {
            public_key_files: fields.list("publicKeyFiles", key),
        })
    };
    let entries = item.entries().into_iter();
    entries
        .map(|(port, item)| (port.to_owned(), policy(item)))
        .collect()
}

/// A health check as a file has it.
pub(super) fn render_check(from: &HealthCheck) -> ClassicHealthCheck {
    // Times of the model always fit.
    let seconds = |time: Duration| u32::try_from(time.as_secs()).ok();
    ClassicHealthCheck {
        target: from.classic_target(),
        interval: seconds(from.interval),
        timeout: seconds(from.timeout),
        healthy_threshold: Some(from.healthy_threshold),
        unhealthy_threshold: Some(from.unhealthy_threshold),
    }
}

/// An instance as a file has it.
pub(super) fn render_instance(from: &model::Instance) -> Instance {
    let ports = from.ports.iter();
    Instance {
        id: from.id.to_string(),
        availability_zone: from.availability_zone.as_deref().map(str::to_owned),
        ports: ports.map(|(port, is)| (port.to_string(), *is)).collect(),
    }
}

/// The public keys of an instance port as a file has them.
pub(super) fn render_authentication(
    from: &model::BackendServerAuthentication,
) -> BackendServerAuthentication {
    let files = from.public_keys.iter();
    BackendServerAuthentication {
        public_key_files: files.map(|key| key.file.display().to_string()).collect(),
    }
}

/// The names of the policies of an instance port.
pub(super) fn names(policies: &[BackendServerPolicy]) -> Vec<String> {
    let name = |policy: &BackendServerPolicy| policy.as_str().to_owned();
    policies.iter().map(name).collect()
}
