//! The ports that a group listens on: each member's wishes, and what they make together.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::Build;
use super::group::Member;
use super::json::{Fields, Wrong};
use crate::Refusal;
use crate::annotations::Found;
use crate::bounds;
use crate::stack::MutualAuthentication;

/// What is known about a port.
#[derive(Clone, Debug, Default)]
pub(super) struct PortConfig {
    /// `HTTP` or `HTTPS`.
    pub(super) protocol: &'static str,
    /// IPv4 ranges that may come in.
    pub(super) ipv4: BTreeSet<String>,
    /// IPv6 ranges that may come in.
    pub(super) ipv6: BTreeSet<String>,
    /// Prefix lists that may come in.
    pub(super) prefix_lists: BTreeSet<String>,
    pub(super) ssl_policy: Option<String>,
    pub(super) certificates: Vec<String>,
    pub(super) mutual_authentication: Option<MutualAuthentication>,
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
                merge(merged, config).map_err(|what| {
                    let others = merged.members.iter();
                    let others = others.filter_map(|&index| self.group.members.get(index));
                    let others: Vec<String> = others.map(Member::key).collect();
                    let message = format!(
                        "port {port}: {what} differs from that of {}",
                        others.join(", ")
                    );
                    meta.refuse("conflict", message)
                })?;
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
                config.ssl_policy = Some(self.context.defaults.ssl_policy.clone());
            }
        }
        Ok(ports)
    }

    fn member_ports(&self, member: &Member<'_>) -> Result<BTreeMap<u16, PortConfig>, Refusal> {
        let explicit = self.explicit_certificates(member);
        let annotations = member.annotations();
        let ssl_policy = match member.params.and_then(|params| params.ssl_policy.clone()) {
            None => annotations.text("ssl-policy").map(str::to_owned),
            policy => policy,
        };
        let prefix_lists = match member.params {
            Some(params) if !params.prefix_lists.is_empty() => params.prefix_lists.clone(),
            _ => annotations
                .list("security-group-prefix-lists")
                .unwrap_or_default(),
        };
        let (ipv4, ipv6) = inbound_ranges(member)?;
        let mutual = mutual_authentication(member)?;
        let protocols = listen_protocols(member, !explicit.is_empty())?;
        let secure = protocols.values().any(|protocol| *protocol == "HTTPS");
        let certificates = if secure && explicit.is_empty() {
            self.find_certificates(member)?
        } else {
            explicit
        };
        let secure = protocols.values().filter(|protocol| **protocol == "HTTPS");
        let ranges = ipv4.len() + ipv6.len() + prefix_lists.len();
        bounds::certificates(secure.count() * certificates.len())
            .and_then(|()| bounds::permissions(protocols.len() * ranges))
            .map_err(|bound| member.ingress.meta.too_much(bound))?;
        let config = |(port, protocol): (u16, &'static str)| {
            let mut config = PortConfig {
                protocol,
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

    /// The HTTPS port that HTTP listeners lead to, when one is named.
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
                Some(port) => Some(port.parse().map_err(|_| {
                    let message =
                        format!("sslRedirectPort is \"{port}\", which is no whole number");
                    member.ingress.meta.refuse("out-of-range", message)
                })?),
                None => member.annotations().integer("ssl-redirect")?,
            };
            wanted.extend(port);
        }
        let Some(port) = self.group.only("ssl-redirect", wanted)? else {
            return Ok(None);
        };
        let number = u16::try_from(port).unwrap_or(0);
        match ports.get(&number) {
            Some(config) if config.protocol == "HTTPS" => Ok(Some(number)),
            Some(_) => Err(self.group.refuse(
                "invalid-ssl-redirect",
                format!("ssl-redirect leads to port {port}, which is no HTTPS listener"),
            )),
            None => Err(self.group.refuse(
                "invalid-ssl-redirect",
                format!("ssl-redirect leads to port {port}, on which nobody listens"),
            )),
        }
    }
}

/// Joins another member's wishes; the error says what differs.
fn merge(merged: &mut PortConfig, config: PortConfig) -> Result<(), &'static str> {
    if merged.protocol.is_empty() {
        merged.protocol = config.protocol;
    } else if merged.protocol != config.protocol {
        return Err("the protocol");
    }
    if !config.ipv4.is_empty() || !config.ipv6.is_empty() {
        if merged.ipv4.is_empty() && merged.ipv6.is_empty() {
            merged.ipv4 = config.ipv4;
            merged.ipv6 = config.ipv6;
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
    // The first of all is the default. Those after it are told apart among themselves only, so that the
    // default stands twice when another member names it.
    for certificate in config.certificates {
        let after_default = merged.certificates.get(1..).unwrap_or_default();
        if !after_default.contains(&certificate) {
            merged.certificates.push(certificate);
        }
    }
    Ok(())
}

fn join<T: PartialEq>(merged: &mut Option<T>, value: Option<T>) -> Option<()> {
    match (&merged, value) {
        (_, None) => Some(()),
        (None, value) => {
            *merged = value;
            Some(())
        }
        (Some(before), Some(value)) => (*before == value).then_some(()),
    }
}

/// `listen-ports`, or the one port that goes without saying.
fn listen_protocols(
    member: &Member<'_>,
    secure: bool,
) -> Result<BTreeMap<u16, &'static str>, Refusal> {
    let Some((found, value)) = member.annotations().json("listen-ports")? else {
        let default = if secure { (443, "HTTPS") } else { (80, "HTTP") };
        return Ok(BTreeMap::from([default]));
    };
    let wrong = |message: String| found.refuse("invalid-listen-ports", message);
    let shape = || {
        wrong(format!(
            "listen-ports is like [{{\"HTTP\":80}},{{\"HTTPS\":443}}], not {}",
            found.value
        ))
    };
    let entries = value.as_array().ok_or_else(shape)?;
    if entries.is_empty() {
        return Err(wrong("listen-ports is empty".into()));
    }
    let mut ports = BTreeMap::new();
    for entry in entries {
        for (protocol, port) in entry.as_object().ok_or_else(shape)? {
            let port = port.as_i64().ok_or_else(shape)?;
            let number = u16::try_from(port).ok().filter(|&port| port != 0);
            let number =
                number.ok_or_else(|| wrong(format!("port {port} is not within 1 to 65535")))?;
            let protocol = match &protocol[..] {
                "HTTP" => "HTTP",
                "HTTPS" => "HTTPS",
                other => {
                    return Err(wrong(format!(
                        "an ALB listens for HTTP or HTTPS, not {other}"
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

/// IPv4 and IPv6 ranges that may come in.
type Ranges = (BTreeSet<String>, BTreeSet<String>);

fn inbound_ranges(member: &Member<'_>) -> Result<Ranges, Refusal> {
    let class = member
        .params
        .filter(|params| !params.inbound_cidrs.is_empty());
    let ranges = match class {
        Some(params) => params.inbound_cidrs.clone(),
        None => member
            .annotations()
            .list("inbound-cidrs")
            .unwrap_or_default(),
    };
    let (mut ipv4, mut ipv6) = Ranges::default();
    for range in ranges {
        if range.parse::<IpNet>().is_err() {
            let message = format!("\"{range}\" is no address range, like 10.0.0.0/8");
            return Err(match (class, member.annotations().find("inbound-cidrs")) {
                (Some(params), _) => params.meta.refuse("invalid-cidr", message),
                (None, Some(found)) => found.refuse("invalid-cidr", message),
                (None, None) => member.ingress.meta.refuse("invalid-cidr", message),
            });
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
) -> Result<BTreeMap<u16, MutualAuthentication>, Refusal> {
    let Some((found, value)) = member.annotations().json("mutual-authentication")? else {
        return Ok(BTreeMap::new());
    };
    let refuse =
        |found: &Found<'_>, wrong: Wrong| found.refuse("invalid-mutual-authentication", wrong);
    let entries = value.as_array().filter(|entries| !entries.is_empty());
    let entries = entries.ok_or_else(|| {
        refuse(
            &found,
            "mutual-authentication is a list with an entry per port".into(),
        )
    })?;
    let read = entries.iter().map(mutual_entry).collect::<Result<_, _>>();
    read.map_err(|wrong| refuse(&found, wrong))
}

fn mutual_entry(entry: &serde_json::Value) -> Result<(u16, MutualAuthentication), Wrong> {
    let fields = Fields::of(entry, "an entry of mutual-authentication")?;
    let port = fields.integer("port")?.unwrap_or(0);
    let port = u16::try_from(port).ok().filter(|&port| port != 0);
    let port = port.ok_or("the port is not within 1 to 65535")?;
    let mode = fields.text("mode")?.unwrap_or_default();
    let store = fields.text("trustStore")?.unwrap_or_default();
    let mut expiry = fields.boolean("ignoreClientCertificateExpiry")?;
    let advertise = fields.text("advertiseTrustStoreCaNames")?;
    match &mode[..] {
        "verify" => {
            if store.is_empty() {
                return Err(format!("mode verify needs a trustStore, port {port}"));
            }
            expiry = expiry.or(Some(false));
        }
        "off" | "passthrough" => {
            if !store.is_empty() || expiry.is_some() || advertise.is_some() {
                return Err(format!(
                    "trustStore, ignoreClientCertificateExpiry and advertiseTrustStoreCaNames are for mode verify, port {port}"
                ));
            }
        }
        other => {
            return Err(format!(
                "mode is off, passthrough or verify, not \"{other}\", port {port}"
            ));
        }
    }
    if let Some(advertise) = &advertise
        && !matches!(&advertise[..], "on" | "off")
    {
        return Err(format!(
            "advertiseTrustStoreCaNames is on or off, not \"{advertise}\""
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
