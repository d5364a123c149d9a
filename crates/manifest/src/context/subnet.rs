//! A subnet of the environment.

use std::collections::BTreeMap;

/// A subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subnet {
    /// Its id.
    pub id: String,
    /// Its zone.
    pub availability_zone: String,
    /// Its IPv4 range.
    pub cidr_block: String,
    /// Its IPv6 range.
    pub ipv6_cidr_block: Option<String>,
    /// `internet-facing` or `internal`: the scheme of the load balancers that discover it, if no subnet has a role by its
    /// tags.
    pub scheme: String,
    /// Its Name tag.
    pub name: String,
    /// Its other tags.
    pub tags: BTreeMap<String, String>,
    /// How many addresses are free in it; `None`: enough.
    pub free_addresses: Option<u32>,
    /// Its Outpost, if it is on one.
    pub outpost_arn: Option<String>,
    /// The type of its zone.
    pub zone_type: Locale,
    /// Whether nothing is known of it but its name: it stands in for a subnet of the account.
    pub is_stand_in: bool,
}

/// Where a subnet is. All subnets of a load balancer are at the same kind of place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Locale {
    /// In a zone of the region.
    #[default]
    AvailabilityZone,
    /// In a Local Zone.
    LocalZone,
    /// On an Outpost.
    Outpost,
    /// In a Wavelength Zone.
    WavelengthZone,
}

impl Locale {
    /// Its name at EC2 and in the controller's errors.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AvailabilityZone => "availability-zone",
            Self::LocalZone => "local-zone",
            Self::Outpost => "outpost",
            Self::WavelengthZone => "wavelength-zone",
        }
    }
}

impl Subnet {
    /// Where it is.
    pub fn locale(&self) -> Locale {
        match &self.outpost_arn {
            Some(arn) if !arn.is_empty() => Locale::Outpost,
            _ => self.zone_type,
        }
    }

    /// Whether its tags give it the role of subnets for load balancers of the scheme.
    pub fn has_role(&self, scheme: &str) -> bool {
        let role = match scheme {
            "internet-facing" => "kubernetes.io/role/elb",
            _ => "kubernetes.io/role/internal-elb",
        };
        let role = self.tags.get(role);
        role.is_some_and(|value| matches!(value.as_str(), "" | "1"))
    }
}
