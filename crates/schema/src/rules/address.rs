//! IP addresses and ranges: `k8s.io/apimachinery/pkg/util/validation/ip.go`, with `StrictIPCIDRValidation`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::name::Problems;

/// `ParseIPSloppy`: as the standard library, and leading zeros are allowed in IPv4 addresses.
fn sloppy(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return sloppy_v6(text);
    }
    sloppy_v4(text).map(IpAddr::V4)
}

fn sloppy_v4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        *octet = part.parse().ok().filter(|_| digits)?;
    }
    parts.next().is_none().then(|| octets.into())
}

fn sloppy_v6(text: &str) -> Option<IpAddr> {
    // An IPv4 address at the end may have leading zeros, too.
    let text = match text.rsplit_once(':') {
        Some((head, last)) if last.contains('.') => format!("{head}:{}", sloppy_v4(last)?),
        _ => text.to_owned(),
    };
    text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

/// The address that a text means, if it is one: an IPv4-mapped address is an IPv4 address.
pub(crate) fn parse(text: &str) -> Option<IpAddr> {
    sloppy(text).map(|address| address.to_canonical())
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}

/// `IsValidIPForLegacyField`.
pub(crate) fn ip(text: &str) -> Problems {
    match (sloppy(text), text.parse()) {
        (None, _) => {
            vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".into()]
        }
        (_, Err(_)) => vec!["must not have leading 0s".into()],
        (_, Ok(address)) if is_mapped(address) => {
            vec!["must not be an IPv4-mapped IPv6 address".into()]
        }
        _ => Problems::new(),
    }
}

/// `IsValidIP`: in canonical form, too.
pub(crate) fn canonical_ip(text: &str) -> Problems {
    let problems = ip(text);
    let canonical = parse(text).map(|address| address.to_string());
    match canonical {
        Some(canonical) if problems.is_empty() && canonical != text => {
            vec![format!("must be in canonical form (\"{canonical}\")").into()]
        }
        _ => problems,
    }
}

/// `ValidateEndpointIP`, of a text that is an address.
pub(crate) fn endpoint_ip(text: &str) -> Problems {
    let mut problems = pod_ip(text);
    if parse(text).is_some_and(|address| address.is_loopback()) {
        problems.push("may not be in the loopback range (127.0.0.0/8, ::1/128)".into());
    }
    problems
}

/// As [`endpoint_ip`], and loopback addresses are allowed: pods may run on the machine of elbow.
pub(crate) fn pod_ip(text: &str) -> Problems {
    let Some(address) = parse(text) else {
        return Problems::new();
    };
    let mut problems = Problems::new();
    if address.is_unspecified() {
        problems.push(format!("may not be unspecified ({text})").into());
    }
    let (unicast, multicast) = match address {
        IpAddr::V4(address) => (
            address.is_link_local(),
            address.octets()[..3] == [224, 0, 0],
        ),
        IpAddr::V6(address) => (
            address.is_unicast_link_local(),
            address.segments()[0] & 0xff0f == 0xff02,
        ),
    };
    if unicast {
        problems.push("may not be in the link-local range (169.254.0.0/16, fe80::/10)".into());
    }
    if multicast {
        problems
            .push("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".into());
    }
    problems
}

/// `IsValidCIDRForLegacyField`.
pub(crate) fn cidr(text: &str) -> Problems {
    let wrong = || vec!["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)".into()];
    let Some((address, length)) = text.split_once('/') else {
        return wrong();
    };
    let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let (Some(sloppy), Some(bits)) = (sloppy(address), length.parse().ok().filter(|_| digits))
    else {
        return wrong();
    };
    let most: u32 = if sloppy.is_ipv4() { 32 } else { 128 };
    if bits > most {
        return wrong();
    }
    let Ok(address) = address.parse::<IpAddr>() else {
        return vec!["must not have leading 0s in IP or prefix length".into()];
    };
    if length.len() > 1 && length.starts_with('0') {
        return vec!["must not have leading 0s in IP or prefix length".into()];
    }
    if is_mapped(address) {
        return vec!["must not have an IPv4-mapped IPv6 address".into()];
    }
    if has_host_bits(address, bits) {
        return vec!["must not have bits set beyond the prefix length".into()];
    }
    Problems::new()
}

/// `IsValidCIDR` of a webhook that uses Go's parser: the range without bits beyond its prefix.
pub(crate) fn webhook_cidr(text: &str) -> Problems {
    let parts = text.split_once('/');
    let parsed = parts.and_then(|(address, length)| {
        let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let address: IpAddr = address.parse().ok()?;
        let bits: u32 = length.parse().ok().filter(|_| digits)?;
        (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, bits))
    });
    match parsed {
        None => vec!["Could not be parsed as a CIDR".into()],
        Some((address, bits)) if has_host_bits(address, bits) => {
            vec!["Network contains bits outside prefix".into()]
        }
        Some(_) => Problems::new(),
    }
}

fn has_host_bits(address: IpAddr, bits: u32) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.to_bits() & u32::MAX.checked_shr(bits).unwrap_or_default() != 0
        }
        IpAddr::V6(address) => {
            address.to_bits() & u128::MAX.checked_shr(bits).unwrap_or_default() != 0
        }
    }
}

/// Whether two texts, which are ranges or addresses, are of the two families.
pub(crate) fn is_dual_stack(texts: &[&str]) -> bool {
    let v6 = texts.iter().filter(|text| text.contains(':')).count();
    v6 > 0 && v6 < texts.len()
}
