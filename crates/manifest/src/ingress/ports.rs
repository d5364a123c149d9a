//! The ports that a group listens on: those of each member, merged.

use std::collections::{BTreeMap, BTreeSet};

use elbow_model::{At, Origin, stable_id};
use ipnet::IpNet;

use super::Build;
use super::group::Member;
use super::json::{Fields, Wrong};
use super::shape;
use crate::Refusal;
use crate::annotations::ingress as keys;
use crate::bounds;
use crate::lookup::Found;
use crate::stack::MutualAuthentication;

/// What is known about a port.
#[derive(Clone, Debug, Default)]
pub(super) struct PortConfig {
    /// `HTTP` or `HTTPS`.
    pub(super) protocol: &'static str,
    /// IPv4 ranges that may connect.
    pub(super) ipv4: BTreeSet<String>,
    /// IPv6 ranges that may connect.
    pub(super) ipv6: BTreeSet<String>,
    /// Prefix lists that may connect.
    pub(super) prefix_lists: BTreeSet<String>,
    /// Where these ranges are written.
    pub(super) ranges: Origin,
    pub(super) ssl_policy: Option<At<String>>,
    pub(super) certificates: Vec<At<String>>,
    pub(super) mutual_authentication: Option<At<MutualAuthentication>>,
    /// Where the port is written.
    pub(super) origin: Origin,
    /// Indices of the members that listen here.
    pub(super) members: Vec<usize>,
}

impl Build<'_> {
    /// All ports of the group.
    pub(super) fn listen_ports(&self) -> Result<BTreeMap<u16, PortConfig>, Refusal> {
        let mut ports: BTreeMap<u16, PortConfig> = BTreeMap::new();
        for (index, member) in self.group.members.iter().enumerate() {
            let meta = &member.ingress.meta;
            for (port, config) in self.member_ports(member)? {
                let merged = ports.entry(port).or_default();
                let joined = merge(merged, config).map_err(|what| {
                    let others = merged.members.iter();
                    let others = others.filter_map(|&index| self.group.members.get(index));
                    let others: Vec<String> = others.map(Member::key).collect();
                    let message = format!(
                        "port {port}: {what} differs from that of {}",
                        others.join(", ")
                    );
                    meta.refuse("conflict", message)
                });
                self.refused.keep(joined);
                merged.members.push(index);
            }
            let certificates = ports.values().map(|config| config.certificates.len()).sum();
            bounds::listeners(ports.len())
                .and_then(|()| bounds::certificates(certificates))
                .map_err(|bound| meta.too_much(bound))?;
        }
        for config in ports.values_mut() {
            if config.ipv4.is_empty() && config.ipv6.is_empty() && config.prefix_lists.is_empty() {
                config.ipv4.insert("0.0.0.0/0".into());
                config.ipv6.insert("::/0".into());
            }
            if config.protocol == "HTTPS" && config.ssl_policy.is_none() {
                let policy = self.context.defaults.ssl_policy.clone();
                config.ssl_policy = Some(At::new(policy, config.origin.clone()));
            }
        }
        Ok(ports)
    }

    fn member_ports(&self, member: &Member<'_>) -> Result<BTreeMap<u16, PortConfig>, Refusal> {
        let mut explicit = self.explicit_certificates(member);
        if explicit.is_empty() {
            explicit.extend(self.created_arn(member));
        }
        let annotations = member.annotations();
        let ssl_policy = member.text(keys::SSL_POLICY, |params| params.ssl_policy.clone());
        let prefix_lists = match member.params {
            Some(params) if !params.prefix_lists.is_empty() => params.prefix_lists.clone(),
            _ => annotations
                .list(keys::SECURITY_GROUP_PREFIX_LISTS)
                .unwrap_or_default(),
        };
        let refused = &self.refused;
        let (ipv4, ipv6) = refused.or_default(inbound_ranges(member));
        let mut mutual = refused.or_default(mutual_authentication(member));
        for one in mutual.values_mut() {
            refused.keep(self.find_trust_store(member, one));
        }
        let has_certificates = !explicit.is_empty();
        let protocols = refused.keep(listen_protocols(member, has_certificates));
        let protocols = protocols.unwrap_or_else(|| {
            self.assumes_ports.set(true);
            default_port(has_certificates)
        });
        let secure = protocols.values().any(|protocol| *protocol == "HTTPS");
        let certificates = if secure && explicit.is_empty() {
            refused.or_default(self.find_certificates(member))
        } else {
            explicit
        };
        let secure = protocols.values().filter(|protocol| **protocol == "HTTPS");
        let ranges = ipv4.len() + ipv6.len() + prefix_lists.len();
        bounds::certificates(secure.count() * certificates.len())
            .and_then(|()| bounds::permissions(protocols.len() * ranges))
            .map_err(|bound| member.ingress.meta.too_much(bound))?;
        let meta = member.ingress.meta.origin();
        let origin = annotations.origin(keys::LISTEN_PORTS, &meta);
        let ranges = match member.params {
            Some(params) if !params.inbound_cidrs.is_empty() => params.meta.origin(),
            _ => annotations.origin(keys::INBOUND_CIDRS, &meta),
        };
        let config = |(port, protocol): (u16, &'static str)| {
            let mut config = PortConfig {
                protocol,
                origin: origin.clone(),
                ranges: ranges.clone(),
                ipv4: ipv4.clone(),
                ipv6: ipv6.clone(),
                prefix_lists: prefix_lists.iter().cloned().collect(),
                ..PortConfig::default()
            };
            if protocol == "HTTPS" {
                config.ssl_policy.clone_from(&ssl_policy);
                config.certificates.clone_from(&certificates);
                config.mutual_authentication = mutual.get(&port).cloned();
            }
            (port, config)
        };
        Ok(protocols.into_iter().map(config).collect())
    }

    /// Replaces the name of a trust store with its ARN.
    fn find_trust_store(
        &self,
        member: &Member<'_>,
        mutual: &mut At<MutualAuthentication>,
    ) -> Result<(), Refusal> {
        let name = mutual.value.trust_store_arn.as_deref().unwrap_or_default();
        if mutual.value.mode != "verify" || name.starts_with("arn:") {
            return Ok(());
        }
        let resource = format!("truststore/{name}/{}", stable_id(name));
        let Some(arn) = self.arn_of(name, "elasticloadbalancing", &resource) else {
            let message = format!("there is no trust store {name}");
            let code = "unknown-trust-store";
            let refusal = match member.annotations().find(keys::MUTUAL_AUTHENTICATION) {
                Some(found) => found.refuse(code, message),
                None => member.ingress.meta.refuse(code, message),
            };
            return Err(Box::new(
                refusal.hint("list its ARN under resources in the environment file"),
            ));
        };
        mutual.value.trust_store_arn = Some(arn);
        Ok(())
    }

    /// The HTTPS port that HTTP listeners redirect to, if any.
    pub(super) fn ssl_redirect_port(
        &self,
        ports: &BTreeMap<u16, PortConfig>,
    ) -> Result<Option<u16>, Refusal> {
        let mut wanted = BTreeSet::new();
        for member in &self.group.members {
            let class = member
                .params
                .and_then(|params| params.ssl_redirect_port.as_ref());
            let port = match class {
                // With a text that is no number, the controller redirects nothing.
                Some(port) => match port.parse::<i32>() {
                    Ok(port) => Some(port),
                    Err(_) => return Ok(None),
                },
                None => {
                    let own = member.annotations().int32(keys::SSL_REDIRECT);
                    self.refused.or_default(own)
                }
            };
            wanted.extend(port);
        }
        let Some(port) = self.group.only(keys::SSL_REDIRECT, wanted)? else {
            return Ok(None);
        };
        if self.assumes_ports.get() {
            return Ok(None);
        }
        let number = u16::try_from(port).unwrap_or(0);
        match ports.get(&number) {
            Some(config) if config.protocol == "HTTPS" => Ok(Some(number)),
            Some(_) => Err(self.group.refuse(
                "invalid-ssl-redirect",
                format!("ssl-redirect: port {port} is not an HTTPS listener"),
            )),
            None => Err(self.group.refuse(
                "invalid-ssl-redirect",
                format!("ssl-redirect: there is no listener on port {port}"),
            )),
        }
    }
}

/// Merges the configuration of another member; the error says what differs.
fn merge(merged: &mut PortConfig, config: PortConfig) -> Result<(), &'static str> {
    if merged.protocol.is_empty() {
        merged.protocol = config.protocol;
        merged.origin = config.origin;
        merged.ranges = config.ranges.clone();
    } else if merged.protocol != config.protocol {
        return Err("the protocol");
    }
    if !config.ipv4.is_empty() || !config.ipv6.is_empty() {
        if merged.ipv4.is_empty() && merged.ipv6.is_empty() {
            merged.ipv4 = config.ipv4;
            merged.ipv6 = config.ipv6;
            merged.ranges = config.ranges;
        } else if (&merged.ipv4, &merged.ipv6) != (&config.ipv4, &config.ipv6) {
            return Err("inbound-cidrs");
        }
    }
    if !config.prefix_lists.is_empty() {
        if merged.prefix_lists.is_empty() {
            merged.prefix_lists = config.prefix_lists;
        } else if merged.prefix_lists != config.prefix_lists {
            return Err("security-group-prefix-lists");
        }
    }
    join(&mut merged.ssl_policy, config.ssl_policy).ok_or("ssl-policy")?;
    join(
        &mut merged.mutual_authentication,
        config.mutual_authentication,
    )
    .ok_or("mutual-authentication")?;
    // The first of all is the default. As in AWS's controller, only the others are deduplicated, so the default is
    // listed twice when another member names it.
    for certificate in config.certificates {
        let after_default = merged.certificates.get(1..).unwrap_or_default();
        if !after_default.iter().any(|one| **one == *certificate) {
            merged.certificates.push(certificate);
        }
    }
    Ok(())
}

/// Sets a value that is not set yet; `None` when another member has set a different one.
fn join<T: PartialEq>(merged: &mut Option<At<T>>, value: Option<At<T>>) -> Option<()> {
    match (&merged, value) {
        (_, None) => Some(()),
        (None, value) => {
            *merged = value;
            Some(())
        }
        (Some(before), Some(value)) => (**before == *value).then_some(()),
    }
}

/// The port of an Ingress without `listen-ports`.
fn default_port(secure: bool) -> BTreeMap<u16, &'static str> {
    BTreeMap::from([if secure { (443, "HTTPS") } else { (80, "HTTP") }])
}

/// `listen-ports`, or the default port.
fn listen_protocols(
    member: &Member<'_>,
    secure: bool,
) -> Result<BTreeMap<u16, &'static str>, Refusal> {
    let Some((found, value)) = member.annotations().json(keys::LISTEN_PORTS)? else {
        return Ok(default_port(secure));
    };
    let wrong = |message: String| found.refuse("invalid-listen-ports", message);
    let shape = || {
        wrong(format!(
            "listen-ports: expected for example [{{\"HTTP\":80}},{{\"HTTPS\":443}}], found {}",
            found.value
        ))
    };
    let entries = value.as_array().ok_or_else(shape)?;
    if entries.is_empty() {
        return Err(wrong("listen-ports is empty".into()));
    }
    let mut ports = BTreeMap::new();
    // Go reads null as an object without ports.
    for entry in entries.iter().filter(|entry| !entry.is_null()) {
        for (protocol, port) in entry.as_object().ok_or_else(shape)? {
            let port = port.as_i64().ok_or_else(shape)?;
            let number = u16::try_from(port).ok().filter(|&port| port != 0);
            let number = number.ok_or_else(|| {
                wrong(format!(
                    "listen-ports: expected a port from 1 to 65535, found {port}"
                ))
            })?;
            let protocol = match &protocol[..] {
                "HTTP" => "HTTP",
                "HTTPS" => "HTTPS",
                other => {
                    return Err(wrong(format!(
                        "listen-ports: expected HTTP or HTTPS, found {other}"
                    )));
                }
            };
            ports.insert(number, protocol);
        }
    }
    bounds::listeners(ports.len()).map_err(|bound| {
        let refusal = found.refuse(bound.code, bound.message);
        Box::new(refusal.hint(bound.hint))
    })?;
    Ok(ports)
}

/// IPv4 and IPv6 ranges that may connect.
type Ranges = (BTreeSet<String>, BTreeSet<String>);

fn inbound_ranges(member: &Member<'_>) -> Result<Ranges, Refusal> {
    let class = member
        .params
        .filter(|params| !params.inbound_cidrs.is_empty());
    let ranges = match class {
        Some(params) => params.inbound_cidrs.clone(),
        None => member
            .annotations()
            .list(keys::INBOUND_CIDRS)
            .unwrap_or_default(),
    };
    let (mut ipv4, mut ipv6) = Ranges::default();
    for range in ranges {
        if range.parse::<IpNet>().is_err() {
            let message =
                format!("\"{range}\" is not an address range; write for example 10.0.0.0/8");
            return Err(
                match (class, member.annotations().find(keys::INBOUND_CIDRS)) {
                    (Some(params), _) => params.meta.refuse("invalid-cidr", message),
                    (None, Some(found)) => found.refuse("invalid-cidr", message),
                    (None, None) => member.ingress.meta.refuse("invalid-cidr", message),
                },
            );
        }
        if range.contains(':') {
            ipv6.insert(range);
        } else {
            ipv4.insert(range);
        }
    }
    Ok((ipv4, ipv6))
}

fn mutual_authentication(
    member: &Member<'_>,
) -> Result<BTreeMap<u16, At<MutualAuthentication>>, Refusal> {
    let Some((found, value)) = member.annotations().json(keys::MUTUAL_AUTHENTICATION)? else {
        return Ok(BTreeMap::new());
    };
    let refuse =
        |found: &Found<'_>, wrong: Wrong| found.refuse("invalid-mutual-authentication", wrong);
    let checked = shape::MUTUAL_AUTHENTICATION.check(&value);
    checked.map_err(|wrong| refuse(&found, wrong))?;
    let entries = value.as_array().filter(|entries| !entries.is_empty());
    let entries = entries
        .ok_or_else(|| refuse(&found, "expected a list with an entry for each port".into()))?;
    let origin = found.origin();
    let entry = |entry| {
        let (port, mutual) = mutual_entry(entry)?;
        Ok((port, At::new(mutual, origin.clone())))
    };
    let read = entries.iter().map(entry).collect::<Result<_, _>>();
    read.map_err(|wrong| refuse(&found, wrong))
}

fn mutual_entry(entry: &serde_json::Value) -> Result<(u16, MutualAuthentication), Wrong> {
    let fields = Fields::of(entry, "an entry of mutual-authentication")?;
    let port = fields.integer("port")?.unwrap_or(0);
    let port = u16::try_from(port).ok().filter(|&port| port != 0);
    let port = port.ok_or("expected a port from 1 to 65535")?;
    let mode = fields.text("mode")?.unwrap_or_default();
    let store = fields.text("trustStore")?.unwrap_or_default();
    let mut expiry = fields.boolean("ignoreClientCertificateExpiry")?;
    let advertise = fields.text("advertiseTrustStoreCaNames")?;
    match &mode[..] {
        "verify" => {
            if store.is_empty() {
                return Err(format!("port {port}: mode verify needs a trustStore"));
            }
            expiry = expiry.or(Some(false));
        }
        "off" | "passthrough" => {
            if !store.is_empty() || expiry.is_some() || advertise.is_some() {
                return Err(format!(
                    "port {port}: trustStore, ignoreClientCertificateExpiry and advertiseTrustStoreCaNames need mode verify"
                ));
            }
        }
        other => {
            return Err(format!(
                "port {port}: expected mode off, passthrough or verify, found \"{other}\""
            ));
        }
    }
    if let Some(advertise) = &advertise
        && !matches!(&advertise[..], "on" | "off")
    {
        return Err(format!(
            "advertiseTrustStoreCaNames: expected on or off, found \"{advertise}\""
        ));
    }
    let authentication = MutualAuthentication {
        advertise_ca_names: advertise,
        ignore_client_certificate_expiry: expiry,
        mode,
        trust_store_arn: Some(store),
    };
    Ok((port, authentication))
}
