//! A stack as a native document.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::rc::Rc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::file::{Document, Origin};
use elbow_model::yaml::{Node as Tree, Position};

use super::Surroundings;
use super::certificates::{self, Certificates};
use super::draft::{self, Cuts, Draft, Role};
use super::groups::{Group, Groups, write_attributes};
use super::rules::{unavailable, unknown};
use super::trail::Trail;
use crate::Refusal;
use crate::stack::{Attribute, Listener, LoadBalancer, Stack};

/// Writes the document of a stack.
pub(super) struct Writer<'a> {
    pub(super) stack: &'a Stack,
    pub(super) surroundings: &'a Surroundings<'a>,
    pub(super) cuts: Cuts,
    pub(super) trail: Trail<'a>,
    pub(super) draft: Draft,
    /// The target groups that are forwarded to.
    pub(super) groups: Vec<Rc<Group<'a>>>,
    pub(super) known: &'a Groups<'a>,
    certificates: Vec<(String, Origin)>,
    /// Their names.
    named: BTreeSet<String>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        stack: &'a Stack,
        known: &'a Groups<'a>,
        surroundings: &'a Surroundings<'a>,
        cuts: Cuts,
    ) -> Self {
        Self {
            stack,
            surroundings,
            cuts,
            trail: Trail::of_stack(stack, surroundings.scope),
            draft: Draft::default(),
            groups: Vec::new(),
            known,
            certificates: Vec::new(),
            named: BTreeSet::new(),
        }
    }

    /// Where the load balancer comes from.
    pub(super) fn origin(&self) -> Origin {
        self.trail.object()
    }

    /// The document, and the role of each of its origins; `None`: the stack has no load balancer.
    pub(super) fn document(
        mut self,
        found: &mut Vec<Diagnostic>,
    ) -> Result<Option<(Document, Vec<Role>)>, Refusal> {
        let at = self.draft.spot(self.trail.object(), Role::Fixed);
        let balancer = match (
            self.stack.load_balancers.values().next(),
            &self.stack.classic,
        ) {
            (Some(spec), _) => self.load_balancer(spec, found),
            (None, Some(classic)) => {
                let service = self.stack.id.split_once('/');
                let scope = self.surroundings.scope;
                let service = service.and_then(|(namespace, name)| scope.service(namespace, name));
                let Some(service) = service else {
                    return Ok(None);
                };
                self.classic(classic, service, found)
            }
            (None, None) => return Ok(None),
        };
        let surroundings = self.surroundings;
        let mut groups: Vec<Rc<Group<'_>>> = self.known.own().cloned().collect();
        groups.append(&mut self.groups);
        let mut seen = BTreeSet::new();
        groups.retain(|group| seen.insert(Rc::as_ptr(group)));
        groups.retain(|group| !self.cuts.contains(&Role::Group(group.name().to_owned())));
        let groups = groups.into_iter();
        let groups = groups
            .map(|group| group.write(&mut self.draft, &self.cuts, found))
            .collect();
        let mut written = Vec::new();
        for (arn, origin) in std::mem::take(&mut self.certificates) {
            let known = Certificates::new(surroundings);
            written.push(known.write(&arn, &origin, &mut self.draft, found)?);
        }
        let root = draft::map(
            at,
            vec![
                ("loadBalancers", draft::list(at, vec![balancer])),
                ("targetGroups", draft::list(at, groups)),
                ("certificates", draft::list(at, written)),
            ],
        );
        Ok(Some(self.draft.finish(root)))
    }

    pub(super) fn spot(&mut self, suffixes: &[&str], role: Role) -> Position {
        let origin = self.trail.annotation(suffixes);
        self.draft.spot(origin, role)
    }

    fn load_balancer(&mut self, spec: &LoadBalancer, found: &mut Vec<Diagnostic>) -> Tree {
        let at = self.draft.spot(self.trail.object(), Role::Fixed);
        let name = self.spot(
            &["load-balancer-name", "aws-load-balancer-name"],
            Role::Fixed,
        );
        let scheme = self.spot(
            &[
                "scheme",
                "aws-load-balancer-scheme",
                "aws-load-balancer-internal",
            ],
            Role::Fixed,
        );
        let family = self.spot(
            &["ip-address-type", "aws-load-balancer-ip-address-type"],
            Role::Fixed,
        );
        let dualstack = spec.ip_address_type.starts_with("dualstack");
        let keys = [
            "load-balancer-attributes",
            "aws-load-balancer-attributes",
            "aws-load-balancer-cross-zone-load-balancing-enabled",
            "aws-load-balancer-access-log-enabled",
        ];
        let origin = |key: &str| self.trail.containing(&keys, key);
        let attributes = write_attributes(
            "load balancer",
            &spec.load_balancer_attributes,
            &origin,
            &mut self.draft,
            &self.cuts,
        );
        let addresses = own_addresses(self.stack).map(|addresses| {
            let key = "aws-load-balancer-private-ipv4-addresses";
            let at = self.spot(&[key], Role::Fixed);
            let addresses = addresses.iter();
            let addresses = addresses.map(|address| draft::text(at, address));
            ("addresses", draft::list(at, addresses.collect()))
        });
        let mut listeners: Vec<&'a Listener> = self.stack.listeners.values().collect();
        listeners.sort_by_key(|listener| listener.port);
        let listeners: Vec<Tree> = listeners
            .into_iter()
            .filter_map(|listener| self.listener(listener, spec.kind, found))
            .collect();
        let mut fields = vec![
            ("name", draft::text(name, &spec.name)),
            ("type", draft::text(at, spec.kind)),
            ("scheme", draft::text(scheme, &spec.scheme)),
            (
                "ipAddressType",
                draft::text(family, if dualstack { "dualstack" } else { "ipv4" }),
            ),
            ("attributes", attributes),
            ("listeners", draft::list(at, listeners)),
        ];
        fields.extend(addresses);
        fields.extend(self.security_groups());
        draft::map(at, fields)
    }

    fn listener(
        &mut self,
        listener: &'a Listener,
        kind: &str,
        found: &mut Vec<Diagnostic>,
    ) -> Option<Tree> {
        let id = listener.port.to_string();
        let whole = Role::Listener(id.clone());
        if self.cuts.contains(&whole) {
            return None;
        }
        let at = self.spot(&["listen-ports"], whole.clone());
        let role = match kind {
            "network" => whole.clone(),
            _ => Role::Default(id.clone()),
        };
        let acts = self.spot(&["listen-ports"], role.clone());
        let trail = self.trail.clone();
        let default = match self.actions(&listener.default_actions, kind, role, (acts, &trail)) {
            Ok(actions) => actions,
            Err(why) => {
                let origin = self.trail.object();
                let lost = match kind {
                    "network" => "the listener is left out",
                    _ => "what no other rule takes is answered 503",
                };
                found.extend(unknown(why, &origin, lost));
                match kind {
                    "network" => return None,
                    _ => unavailable(at),
                }
            }
        };
        let mut fields = vec![
            ("port", draft::text(at, listener.port)),
            ("protocol", draft::text(at, &listener.protocol)),
        ];
        if let Some(policy) = &listener.ssl_policy {
            let at = self.spot(
                &["ssl-policy", "aws-load-balancer-ssl-negotiation-policy"],
                Role::Fixed,
            );
            fields.push(("sslPolicy", draft::text(at, policy)));
        }
        if let Some(policy) = listener.alpn_policy.first() {
            let at = self.spot(&["aws-load-balancer-alpn-policy"], Role::Fixed);
            fields.push(("alpnPolicy", draft::text(at, policy)));
        }
        if let Some(certificates) = self.certificates(listener) {
            fields.push(("certificates", certificates));
        }
        fields.extend(self.mutual_authentication(listener, whole));
        fields.extend(self.listener_attributes(listener, &id));
        let rules = self.rules(&id, kind, found);
        if !rules.is_empty() {
            fields.push(("rules", draft::list(at, rules)));
        }
        fields.push(("defaultActions", default));
        Some(draft::map(at, fields))
    }

    fn certificates(&mut self, listener: &Listener) -> Option<Tree> {
        let arns = certificates::of_listener(self.stack, listener);
        let mut names = Vec::with_capacity(arns.len());
        for arn in arns {
            let suffixes = ["certificate-arn", "aws-load-balancer-ssl-cert"];
            let origin = self.trail.containing(&suffixes, &arn);
            let at = self.draft.spot(origin.clone(), Role::Fixed);
            let name = certificates::name(&arn);
            names.push(draft::text(at, &name));
            self.want(arn, origin);
        }
        let first = names.first()?.at;
        Some(draft::list(first, names))
    }

    /// Adds a certificate to the document, once.
    pub(super) fn want(&mut self, arn: String, origin: Origin) {
        if self.named.insert(certificates::name(&arn)) {
            self.certificates.push((arn, origin));
        }
    }

    /// Nobody who would have been asked for a certificate gets in without: where it is not
    /// served, the listener is left out.
    fn mutual_authentication(
        &mut self,
        listener: &Listener,
        whole: Role,
    ) -> Option<(&'static str, Tree)> {
        let mutual = listener.mutual_authentication.as_ref();
        let mutual = mutual.filter(|mutual| mutual.mode != "off")?;
        let role = match &mutual.mode[..] {
            "verify" => whole,
            _ => Role::Field(listener.port.to_string(), "mutualAuthentication".into()),
        };
        if self.cuts.contains(&role) {
            return None;
        }
        let at = self.spot(&["mutual-authentication"], role);
        let value = serde_json::to_value(mutual).ok()?;
        Some(("mutualAuthentication", draft::json(at, &value)))
    }

    fn listener_attributes(
        &mut self,
        listener: &Listener,
        id: &str,
    ) -> Option<(&'static str, Tree)> {
        let attributes = listener.listener_attributes.iter();
        let attributes: Vec<Attribute> = attributes
            .map(|one| Attribute {
                key: one.key.clone(),
                value: one.value.clone(),
            })
            .collect();
        let owner = format!("listener {id}");
        let whole = Role::Field(owner.clone(), "attributes".into());
        if attributes.is_empty() || self.cuts.contains(&whole) {
            return None;
        }
        let name = format!("{}-{id}", listener.protocol);
        let keys = [
            format!("listener-attributes.{name}"),
            format!("aws-load-balancer-listener-attributes.{name}"),
        ];
        let keys = keys.each_ref().map(String::as_str);
        let origin = |key: &str| self.trail.containing(&keys, key);
        let written = write_attributes(&owner, &attributes, &origin, &mut self.draft, &self.cuts);
        Some(("attributes", written))
    }
}

/// The addresses that a load balancer is to have, where they are addresses of this machine: the way to a fixed one.
pub(super) fn own_addresses(stack: &Stack) -> Option<Vec<Ipv4Addr>> {
    let balancer = stack.load_balancers.values().next()?;
    let addresses = balancer.subnet_mapping.iter();
    let addresses = addresses.map(|mapping| {
        let address = mapping.private_ipv4_address.as_ref()?;
        address.parse().ok().filter(Ipv4Addr::is_loopback)
    });
    addresses.collect()
}
