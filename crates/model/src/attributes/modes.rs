//! Attributes of load balancers that name one of some modes.

/// `routing.http.desync_mitigation_mode` (ALB guide: edit attributes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DesyncMitigationMode {
    /// Pass every request that can be parsed.
    Monitor,
    /// Block severe requests, close the connection after ambiguous ones.
    #[default]
    Defensive,
    /// Block requests that are not compliant with the RFCs.
    Strictest,
}

/// `routing.http.xff_header_processing.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XffHeaderProcessingMode {
    /// Add the client's address.
    #[default]
    Append,
    /// Leave as it is.
    Preserve,
    /// Drop it.
    Remove,
}

/// `dns_record.client_routing_policy` (NLB guide: load balancers): whether clients learn the addresses of their own zone
/// alone, as long as it is in DNS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientRoutingPolicy {
    /// All zones.
    #[default]
    AnyAvailabilityZone,
    /// Their own in 85 % of the answers.
    PartialAvailabilityZoneAffinity,
    /// Their own in every answer.
    AvailabilityZoneAffinity,
}
