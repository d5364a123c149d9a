//! The numbers of targets of groups and zones.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use elbow_model::TargetState;

use super::family::{Families, Label};
use super::{TargetRow, Targets};

/// The label of zones.
pub(super) const ZONE: &str = "availability_zone";

/// The numbers of targets of a group, or of those in one zone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hosts {
    pub(super) healthy: u64,
    pub(super) unhealthy: u64,
    pub(super) anomalous: u64,
    pub(super) mitigated: u64,
}

/// The numbers of targets of all groups.
pub(super) struct AllHosts<'r> {
    pub(super) groups: HashMap<&'r str, Hosts>,
    /// By group and zone.
    pub(super) zones: BTreeMap<(&'r str, &'r str), Hosts>,
}

impl Hosts {
    fn count(&mut self, row: &TargetRow) {
        self.anomalous += u64::from(row.is_anomalous);
        self.mitigated += u64::from(row.is_mitigated);
        match row.state {
            TargetState::Healthy => self.healthy += 1,
            TargetState::Unhealthy | TargetState::UnhealthyDraining => self.unhealthy += 1,
            _ => {}
        }
    }
}

impl<'r> AllHosts<'r> {
    /// Counts hosts per group, and per group and zone, in one pass over all targets.
    pub(super) fn of(targets: &'r Targets) -> Self {
        let mut all = Self {
            groups: HashMap::with_capacity(targets.groups.len()),
            zones: BTreeMap::new(),
        };
        for (group, row) in targets.iter() {
            if let Some(zone) = &row.zone {
                all.zones.entry((group, zone)).or_default().count(row);
            }
            all.groups.entry(group).or_default().count(row);
        }
        all
    }
}

/// Writes the numbers of targets by group and zone.
pub(super) fn in_zones(
    zones: &BTreeMap<(&str, &str), Hosts>,
    families: &mut Families<'_>,
) -> fmt::Result {
    for (name, help, count) in [
        (
            "elbow_zone_healthy_hosts",
            "Healthy targets of a group in a zone",
            (|hosts| hosts.healthy) as fn(&Hosts) -> u64,
        ),
        (
            "elbow_zone_unhealthy_hosts",
            "Unhealthy targets of a group in a zone",
            |hosts| hosts.unhealthy,
        ),
    ] {
        let mut family = families.gauge(name, help, None)?;
        for ((group, zone), hosts) in zones {
            let labels = [Label::new("target_group", *group), Label::new(ZONE, *zone)];
            family.series(&labels, count(hosts))?;
        }
    }
    Ok(())
}
