//! Attributes of a load balancer or a listener, which the members of a group set together.

use std::collections::BTreeMap;

use elbow_model::At;
use elbow_model::diagnostic::Diagnostic;

use super::Build;
use super::group::Member;
use crate::Refusal;
use crate::annotations::{Key, ingress as keys};
use crate::lookup::at_origin;
use crate::objects::IngressClassParams;
use crate::stack::{Attributes, MinimumCapacity};

/// What the class of the first member sets.
type OfClass = BTreeMap<String, String>;

impl Build<'_> {
    /// The attributes of the load balancer.
    pub(super) fn load_balancer_attributes(&self) -> Result<Attributes, Refusal> {
        merged(
            keys::LOAD_BALANCER_ATTRIBUTES,
            &self.group.members,
            |params| Some(params.load_balancer_attributes.clone()),
        )
    }

    /// The reserved capacity: that of the first member's class, else of the annotations.
    pub(super) fn capacity(&self) -> Result<Option<MinimumCapacity>, Refusal> {
        if !self.context.gate("LBCapacityReservation", true) {
            return Ok(None);
        }
        let class = self.group.members.first().and_then(|member| member.params);
        if let Some(units) = class.and_then(|params| params.minimum_capacity) {
            let capacity_units = i32::try_from(units).unwrap_or(i32::MAX);
            return Ok(Some(MinimumCapacity { capacity_units }));
        }
        let row = keys::MINIMUM_LOAD_BALANCER_CAPACITY;
        let units = merged(row, &self.group.members, |_| None)?;
        let refuse = |units: &At<String>, message: String| {
            let error = Diagnostic::error("invalid-annotation", message);
            let error = error.hint("write for example CapacityUnits=1000");
            Box::new(units.origin.place(error))
        };
        let mut capacity = None;
        for (key, units) in units {
            if key != "CapacityUnits" {
                let message = format!("{row}: expected CapacityUnits, found {key}");
                return Err(refuse(&units, message));
            }
            let capacity_units = units.parse().map_err(|_| {
                let message = format!("{row}: expected a whole number, found \"{}\"", *units);
                refuse(&units, message)
            })?;
            capacity = Some(MinimumCapacity { capacity_units });
        }
        Ok(capacity)
    }

    /// The IPAM pool: that of the first member's class, else of the annotations.
    pub(super) fn ipam_pool(&self) -> Result<Option<String>, Refusal> {
        let class = self.group.members.first().and_then(|member| member.params);
        if let Some(pool) = class.and_then(|params| params.ipam_pool.clone()) {
            return Ok(Some(pool));
        }
        let members = self.group.members.iter();
        let pools = members.filter_map(|member| {
            let pool = member.annotations().text(keys::IPAM_IPV4_POOL_ID)?;
            (!pool.is_empty()).then(|| pool.to_owned())
        });
        self.group.only(keys::IPAM_IPV4_POOL_ID, pools)
    }
}

/// A map that members set together: different values for one key are refused, unless the class of the first member
/// sets it.
pub(super) fn merged(
    key: impl Into<Key>,
    members: &[Member<'_>],
    class: impl Fn(&IngressClassParams) -> Option<OfClass>,
) -> Result<Attributes, Refusal> {
    let key = key.into();
    let params = members.first().and_then(|member| member.params);
    let of_class = params.and_then(|params| Some(at_origin(class(params)?, &params.meta.origin())));
    let of_class = of_class.unwrap_or_default();
    let mut merged = Attributes::new();
    for member in members {
        let own = member.annotations().attributes(&key)?;
        for (attribute, value) in own.unwrap_or_default() {
            if let Some(before) = merged.get(&attribute)
                && **before != *value
                && !of_class.contains_key(&attribute)
            {
                let message = format!(
                    "{key}: the members of the group set different values for {attribute}: {} and {}",
                    **before, *value
                );
                return Err(match member.annotations().find(&key) {
                    Some(found) => found.refuse("conflict", message),
                    None => member.ingress.meta.refuse("conflict", message),
                });
            }
            merged.entry(attribute).or_insert(value);
        }
    }
    merged.extend(of_class);
    Ok(merged)
}
