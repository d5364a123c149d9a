//! The predefined security policies of ALB and NLB (ALB guide: security policies).

/// A security policy as AWS defines it; a TLS library may support a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SslPolicy {
    /// AWS's name.
    pub name: &'static str,
    /// From the newest to the oldest.
    pub versions: &'static [TlsVersion],
    /// OpenSSL names in order of preference; the server's order decides.
    pub suites: &'static [&'static str],
    /// Whether hybrid post-quantum key exchange (ML-KEM) is offered in addition to the classical groups.
    pub post_quantum: bool,
}

/// Version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsVersion {
    /// 1.0
    Tls10,
    /// 1.1
    Tls11,
    /// 1.2
    Tls12,
    /// 1.3
    Tls13,
}

/// The policy called `name`, of any type of load balancer.
///
/// ```
/// use elbow_model::{TlsVersion, ssl_policy};
///
/// let policy = ssl_policy("ELBSecurityPolicy-TLS13-1-3-2021-06").unwrap();
/// assert_eq!(policy.versions, [TlsVersion::Tls13]);
/// assert!(ssl_policy("ELBSecurityPolicy-2999-01").is_none());
/// ```
pub fn ssl_policy(name: &str) -> Option<&'static SslPolicy> {
    let known = || POLICIES.iter().chain(CLASSIC_ALONE);
    known().find(|policy| policy.name == name)
}

/// The predefined policies of Classic load balancers, the newest first (CLB guide: SSL policies).
/// `ELBSecurityPolicy-2011-08` and the samples are left out: they have no suite that can be served.
///
/// ```
/// assert_eq!(elbow_model::classic_ssl_policies().next().unwrap().name, "ELBSecurityPolicy-2016-08");
/// ```
pub fn classic_ssl_policies() -> impl Iterator<Item = &'static SslPolicy> {
    CLASSIC.iter().filter_map(|name| ssl_policy(name))
}

/// All policies of ALB and NLB, the strictest of each family first.
pub fn ssl_policies() -> &'static [SslPolicy] {
    POLICIES
}

/// The suites of policies of one's own for Classic load balancers, in AWS's order; without those that no predefined policy has.
pub(crate) fn negotiation_suites() -> &'static [&'static str] {
    ALL_3DES
}

/// The suites below TLS 1.3 that elbow serves.
pub(crate) fn served_suites() -> &'static [&'static str] {
    G
}

use TlsVersion::{Tls10, Tls11, Tls12, Tls13};

const fn policy(
    name: &'static str,
    versions: &'static [TlsVersion],
    suites: &'static [&'static str],
) -> SslPolicy {
    SslPolicy {
        name,
        versions,
        suites,
        post_quantum: false,
    }
}

const fn post_quantum(
    name: &'static str,
    versions: &'static [TlsVersion],
    suites: &'static [&'static str],
) -> SslPolicy {
    SslPolicy {
        post_quantum: true,
        ..policy(name, versions, suites)
    }
}

const FROM_1_2: &[TlsVersion] = &[Tls13, Tls12];
const FROM_1_1: &[TlsVersion] = &[Tls13, Tls12, Tls11];
const FROM_1_0: &[TlsVersion] = &[Tls13, Tls12, Tls11, Tls10];
const OLD_1_0: &[TlsVersion] = &[Tls12, Tls11, Tls10];
const OLD_1_1: &[TlsVersion] = &[Tls12, Tls11];

const POLICIES: &[SslPolicy] = &[
    policy("ELBSecurityPolicy-TLS13-1-3-2021-06", &[Tls13], T13),
    post_quantum("ELBSecurityPolicy-TLS13-1-3-PQ-2025-09", &[Tls13], T13),
    policy("ELBSecurityPolicy-TLS13-1-2-Res-2021-06", FROM_1_2, T13_G),
    post_quantum(
        "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
        FROM_1_2,
        T13_G,
    ),
    policy("ELBSecurityPolicy-TLS13-1-2-2021-06", FROM_1_2, T13_G_C2),
    post_quantum("ELBSecurityPolicy-TLS13-1-2-PQ-2025-09", FROM_1_2, T13_G_C2),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06",
        FROM_1_2,
        T13_G_C2_R2,
    ),
    post_quantum(
        "ELBSecurityPolicy-TLS13-1-2-Ext1-PQ-2025-09",
        FROM_1_2,
        T13_G_C2_R2,
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06",
        FROM_1_2,
        T13_ALL,
    ),
    post_quantum(
        "ELBSecurityPolicy-TLS13-1-2-Ext2-PQ-2025-09",
        FROM_1_2,
        T13_ALL,
    ),
    policy("ELBSecurityPolicy-TLS13-1-1-2021-06", FROM_1_1, T13_ALL),
    policy("ELBSecurityPolicy-TLS13-1-0-2021-06", FROM_1_0, T13_ALL),
    post_quantum("ELBSecurityPolicy-TLS13-1-0-PQ-2025-09", FROM_1_0, T13_ALL),
    policy("ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04", &[Tls13], F13),
    post_quantum("ELBSecurityPolicy-TLS13-1-3-FIPS-PQ-2025-09", &[Tls13], F13),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Res-FIPS-2023-04",
        FROM_1_2,
        F13_G,
    ),
    post_quantum(
        "ELBSecurityPolicy-TLS13-1-2-Res-FIPS-PQ-2025-09",
        FROM_1_2,
        F13_G,
    ),
    policy("ELBSecurityPolicy-TLS13-1-2-FIPS-2023-04", FROM_1_2, F13_G),
    post_quantum(
        "ELBSecurityPolicy-TLS13-1-2-FIPS-PQ-2025-09",
        FROM_1_2,
        F13_G,
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Ext0-FIPS-2023-04",
        FROM_1_2,
        F13_G,
    ),
    post_quantum(
        "ELBSecurityPolicy-TLS13-1-2-Ext0-FIPS-PQ-2025-09",
        FROM_1_2,
        F13_G,
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Ext1-FIPS-2023-04",
        FROM_1_2,
        F13_G,
    ),
    post_quantum(
        "ELBSecurityPolicy-TLS13-1-2-Ext1-FIPS-PQ-2025-09",
        FROM_1_2,
        F13_G,
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Ext2-FIPS-2023-04",
        FROM_1_2,
        F13_G,
    ),
    post_quantum(
        "ELBSecurityPolicy-TLS13-1-2-Ext2-FIPS-PQ-2025-09",
        FROM_1_2,
        F13_G,
    ),
    policy("ELBSecurityPolicy-TLS13-1-1-FIPS-2023-04", FROM_1_1, F13_G),
    policy("ELBSecurityPolicy-TLS13-1-0-FIPS-2023-04", FROM_1_0, F13_G),
    post_quantum(
        "ELBSecurityPolicy-TLS13-1-0-FIPS-PQ-2025-09",
        FROM_1_0,
        F13_G,
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-3-RFC9151-FIPS-2023-07",
        &[Tls13],
        CNSA_13,
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-RFC9151-FIPS-2023-07",
        FROM_1_2,
        CNSA,
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Ext0-RFC9151-FIPS-2023-07",
        FROM_1_2,
        CNSA,
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP1-FIPS-2023-07",
        FROM_1_2,
        F13_G,
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP2-FIPS-2023-07",
        FROM_1_2,
        F13_G,
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP3-FIPS-2023-07",
        FROM_1_2,
        F13_G,
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07",
        FROM_1_2,
        F13_G,
    ),
    policy("ELBSecurityPolicy-FS-1-2-Res-2020-10", &[Tls12], G),
    policy("ELBSecurityPolicy-FS-1-2-Res-2019-08", &[Tls12], G_C2),
    policy("ELBSecurityPolicy-FS-1-2-2019-08", &[Tls12], G_C2_C1),
    policy("ELBSecurityPolicy-FS-1-1-2019-08", OLD_1_1, G_C2_C1),
    policy("ELBSecurityPolicy-FS-2018-06", OLD_1_0, G_C2_C1),
    policy("ELBSecurityPolicy-TLS-1-2-2017-01", &[Tls12], G_C2_R2),
    policy("ELBSecurityPolicy-TLS-1-2-Ext-2018-06", &[Tls12], ALL),
    policy("ELBSecurityPolicy-TLS-1-1-2017-01", OLD_1_1, ALL),
    policy("ELBSecurityPolicy-TLS-1-0-2015-04", OLD_1_0, ALL_3DES),
    policy("ELBSecurityPolicy-2016-08", OLD_1_0, ALL),
    policy("ELBSecurityPolicy-2015-05", OLD_1_0, ALL),
];

const CLASSIC: [&str; 8] = [
    "ELBSecurityPolicy-2016-08",
    "ELBSecurityPolicy-TLS-1-2-2017-01",
    "ELBSecurityPolicy-TLS-1-1-2017-01",
    "ELBSecurityPolicy-2015-05",
    "ELBSecurityPolicy-2015-03",
    "ELBSecurityPolicy-2015-02",
    "ELBSecurityPolicy-2014-10",
    "ELBSecurityPolicy-2014-01",
];

/// Policies that only Classic load balancers have. Their DHE suites are left out: current TLS libraries lack them.
const CLASSIC_ALONE: &[SslPolicy] = &[
    policy("ELBSecurityPolicy-2015-03", OLD_1_0, ALL_3DES),
    policy("ELBSecurityPolicy-2015-02", OLD_1_0, ALL),
    policy("ELBSecurityPolicy-2014-10", OLD_1_0, ALL_3DES),
    policy("ELBSecurityPolicy-2014-01", OLD_1_0, ALL_3DES),
];

// Families of suites: G is AEAD with forward secrecy; C2 and C1 are CBC;
// R2 and R1 exchange keys by RSA alone. Each list is in the server's order.

const T13: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
];

// Of the policies for FIPS and RFC 9151, the suites that can be served.

const F13: &[&str] = &["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"];

const F13_G: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
];

const CNSA_13: &[&str] = &["TLS_AES_256_GCM_SHA384"];

const CNSA: &[&str] = &[
    "TLS_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
];

const T13_G: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
];

const T13_G_C2: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
];

const T13_G_C2_R2: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "AES128-GCM-SHA256",
    "AES128-SHA256",
    "AES256-GCM-SHA384",
    "AES256-SHA256",
];

const T13_ALL: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES128-SHA256",
    "AES128-SHA",
    "AES256-GCM-SHA384",
    "AES256-SHA256",
    "AES256-SHA",
];

const G: &[&str] = &[
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
];

const G_C2: &[&str] = &[
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
];

const G_C2_C1: &[&str] = &[
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-ECDSA-AES256-SHA",
];

const G_C2_R2: &[&str] = &[
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "AES128-GCM-SHA256",
    "AES128-SHA256",
    "AES256-GCM-SHA384",
    "AES256-SHA256",
];

const ALL: &[&str] = &[
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES128-SHA256",
    "AES128-SHA",
    "AES256-GCM-SHA384",
    "AES256-SHA256",
    "AES256-SHA",
];

const ALL_3DES: &[&str] = &[
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES128-SHA256",
    "AES128-SHA",
    "AES256-GCM-SHA384",
    "AES256-SHA256",
    "AES256-SHA",
    "DES-CBC3-SHA",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// ALB guide, security policies: the traps for a TLS library.
    #[test]
    fn no_policy_has_chacha20_below_tls_1_3_nor_tls_1_3_by_accident() {
        for policy in ssl_policies() {
            let tls13 = policy.versions.contains(&Tls13);
            assert_eq!(tls13, policy.name.contains("-TLS13-"), "{}", policy.name);
            for suite in policy.suites {
                let of_tls13 = suite.starts_with("TLS_");
                assert!(tls13 || !of_tls13, "{}: {suite}", policy.name);
                assert!(of_tls13 || !suite.contains("CHACHA20"), "{}", policy.name);
            }
        }
    }

    #[test]
    fn names_and_suites_are_unique() {
        for (i, policy) in POLICIES.iter().enumerate() {
            assert!(POLICIES[i + 1..].iter().all(|p| p.name != policy.name));
            let mut suites = policy.suites.to_vec();
            suites.sort_unstable();
            suites.dedup();
            assert_eq!(suites.len(), policy.suites.len(), "{}", policy.name);
        }
    }

    /// The table of the ALB guide, counted.
    #[test]
    fn policies_have_as_many_suites_as_documented() {
        for (name, suites) in [
            ("TLS13-1-3-2021-06", 3),
            ("TLS13-1-2-Res-2021-06", 7),
            ("TLS13-1-2-2021-06", 11),
            ("TLS13-1-2-Ext1-2021-06", 15),
            ("TLS13-1-2-Ext2-2021-06", 21),
            ("2016-08", 18),
            ("TLS-1-0-2015-04", 19),
            ("TLS-1-2-2017-01", 12),
            ("FS-2018-06", 12),
            ("FS-1-2-Res-2020-10", 4),
        ] {
            let policy = ssl_policy(&format!("ELBSecurityPolicy-{name}")).unwrap();
            assert_eq!(policy.suites.len(), suites, "{name}");
        }
    }
}
