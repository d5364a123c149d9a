use rustls::{CipherSuite as S, NamedGroup as G, ProtocolVersion as V};

use super::*;

const T13: [S; 3] = [
    S::TLS13_AES_128_GCM_SHA256,
    S::TLS13_AES_256_GCM_SHA384,
    S::TLS13_CHACHA20_POLY1305_SHA256,
];
const GCM: [S; 4] = [
    S::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    S::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    S::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    S::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
];
const CLASSICAL: [G; 3] = [G::X25519, G::secp256r1, G::secp384r1];
const HYBRID: [G; 3] = [G::X25519MLKEM768, G::secp256r1MLKEM768, G::Unknown(0x11ed)];

fn suites(policy: &Policy) -> Vec<S> {
    policy
        .provider
        .cipher_suites
        .iter()
        .map(|s| s.suite())
        .collect()
}

fn groups(policy: &Policy) -> Vec<G> {
    policy.provider.kx_groups.iter().map(|g| g.name()).collect()
}

fn versions(policy: &Policy) -> Vec<V> {
    policy.versions.iter().map(|v| v.version).collect()
}

/// Parity 2.1: the table of policies, as far as rustls supports them.
#[test]
fn policy_has_its_suites_groups_and_versions() {
    let both = [&T13[..], &GCM[..]].concat();
    let hybrid = [&HYBRID[..], &CLASSICAL[..]].concat();
    type Row<'a> = (&'a str, &'a [S], &'a [G], &'a [V]);
    let (fips, fips_both) = (&T13[..2], [&T13[..2], &GCM].concat());
    let (cnsa, cnsa_both) = (&T13[1..2], [T13[1], GCM[2], GCM[3]]);
    let table: [Row<'_>; 12] = [
        ("TLS13-1-3-FIPS-2023-04", fips, &CLASSICAL, &[V::TLSv1_3]),
        (
            "TLS13-1-2-Ext2-FIPS-PQ-2025-09",
            &fips_both,
            &hybrid,
            &[V::TLSv1_3, V::TLSv1_2],
        ),
        (
            "TLS13-1-3-RFC9151-FIPS-2023-07",
            cnsa,
            &CLASSICAL,
            &[V::TLSv1_3],
        ),
        (
            "TLS13-1-2-RFC9151-FIPS-2023-07",
            &cnsa_both,
            &CLASSICAL,
            &[V::TLSv1_3, V::TLSv1_2],
        ),
        ("TLS13-1-3-2021-06", &T13, &CLASSICAL, &[V::TLSv1_3]),
        (
            "TLS13-1-2-Res-2021-06",
            &both,
            &CLASSICAL,
            &[V::TLSv1_3, V::TLSv1_2],
        ),
        (
            "TLS13-1-2-2021-06",
            &both,
            &CLASSICAL,
            &[V::TLSv1_3, V::TLSv1_2],
        ),
        (
            "TLS13-1-0-2021-06",
            &both,
            &CLASSICAL,
            &[V::TLSv1_3, V::TLSv1_2],
        ),
        (
            "TLS13-1-2-Res-PQ-2025-09",
            &both,
            &hybrid,
            &[V::TLSv1_3, V::TLSv1_2],
        ),
        ("2016-08", &GCM, &CLASSICAL, &[V::TLSv1_2]),
        ("TLS-1-2-2017-01", &GCM, &CLASSICAL, &[V::TLSv1_2]),
        ("FS-1-2-Res-2020-10", &GCM, &CLASSICAL, &[V::TLSv1_2]),
    ];
    for (name, want_suites, want_groups, want_versions) in table {
        let policy = policy(&format!("ELBSecurityPolicy-{name}")).unwrap();
        assert!(policy.name().ends_with(name));
        assert_eq!(suites(&policy), want_suites, "{name}");
        assert_eq!(groups(&policy), want_groups, "{name}");
        assert_eq!(versions(&policy), want_versions, "{name}");
    }
}

/// Parity 2.1: ChaCha20 exists only with TLS 1.3; TLS 1.3 and post-quantum groups exist only in policies
/// named after them.
#[test]
fn policy_has_no_more_than_its_name_says() {
    for row in ssl_policies() {
        let name = row.name;
        let policy = policy(name).unwrap();
        let chacha12 = [
            S::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            S::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ];
        assert!(
            !suites(&policy).iter().any(|s| chacha12.contains(s)),
            "{name}"
        );
        assert_eq!(policy.tls13(), name.contains("TLS13-"), "{name}");
        assert_eq!(
            groups(&policy).contains(&G::X25519MLKEM768),
            name.contains("PQ"),
            "{name}"
        );
    }
}

#[test]
fn unknown_policy_lists_the_known_ones() {
    for unknown in ["ELBSecurityPolicy-2099-01", "2016-08", ""] {
        let message = policy(unknown).unwrap_err().to_string();
        assert!(
            message.starts_with(&format!(
                "unknown security policy \"{unknown}\"; use one of "
            )),
            "{message}"
        );
        assert!(
            message.contains("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"),
            "{message}"
        );
    }
}

/// The table of legacy clients in docs/tls.md, counted.
#[test]
fn documented_numbers_of_suites_are_true() {
    let page = include_str!("../../../../docs/tls.md");
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let &[names, all, served, versions] = &cells[..] else {
            return None;
        };
        let numbers = (all.parse::<usize>().ok()?, served.parse::<usize>().ok()?);
        Some((names, numbers, versions))
    });
    let mut documented = Vec::new();
    for (names, numbers, versions_served) in rows {
        for name in names.split('`').skip(1).step_by(2) {
            let name = format!("ELBSecurityPolicy-{name}");
            let known = ssl_policy(&name).unwrap();
            let policy = policy(&name).unwrap();
            let found = (known.suites.len(), suites(&policy).len());
            assert_eq!(found, numbers, "{name}");
            let found = versions(&policy).into_iter().map(|version| match version {
                V::TLSv1_3 => "1.3",
                _ => "1.2",
            });
            assert_eq!(
                found.collect::<Vec<_>>().join(", "),
                versions_served,
                "{name}"
            );
            documented.push(name);
        }
    }
    let is_missing = |policy: &&SslPolicy| {
        let of_others = ["-FIPS-", "-PQ-", "-2015-05"];
        let has_row = documented.iter().any(|name| name == policy.name);
        !has_row && !of_others.iter().any(|part| policy.name.contains(part))
    };
    assert_eq!(ssl_policies().iter().find(is_missing), None);
}
