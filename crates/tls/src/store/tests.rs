use super::*;
use crate::testkit::{Key, loaded, loaded_until};

/// 2026-01-01.
const NOW: i64 = 1_767_225_600;

const MODERN: &[SignatureScheme] = &[
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA256,
];
const SUITES: &[CipherSuite] = &[
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];

fn hello(sni: Option<&str>) -> Hello<'_> {
    Hello {
        sni,
        schemes: MODERN,
        suites: SUITES,
        tls13: true,
        now: NOW,
    }
}

fn chosen(store: &Store, hello: &Hello<'_>) -> (String, bool) {
    let choice = store.choose(hello);
    let arn = store.certificates()[choice.index].arn();
    (
        arn.rsplit('/').next().unwrap().to_owned(),
        choice.sni_matched,
    )
}

/// Parity 2.2: exact names, and wildcards for exactly one label; the default without SNI or match.
#[test]
fn sni_selects_the_certificate() {
    let store = Store::new(
        vec![
            loaded("default", &["default.example"], Key::P256),
            loaded("wild", &["*.example.com"], Key::P256),
            loaded("exact", &["www.example.org"], Key::P256),
        ],
        true,
    );
    let table = [
        (None, "default", false),
        (Some("default.example"), "default", true),
        (Some("elsewhere.test"), "default", false),
        (Some("a.example.com"), "wild", true),
        (Some("A.EXAMPLE.com"), "wild", true),
        (Some("a.b.example.com"), "default", false),
        (Some("example.com"), "default", false),
        (Some(".example.com"), "default", false),
        (Some("*.example.com"), "wild", true),
        (Some("www.example.org"), "exact", true),
        (Some("ww.example.org"), "default", false),
        (Some("com"), "default", false),
        (Some(""), "default", false),
    ];
    for (sni, name, matched) in table {
        assert_eq!(
            chosen(&store, &hello(sni)),
            (name.to_owned(), matched),
            "{sni:?}"
        );
    }
}

/// Parity 2.2: among several matches ECDSA before RSA, not expired, stronger digest, longer key, later
/// expiry; the first of two equal ones.
#[test]
fn best_of_several_matches_is_served() {
    let host = &["a.example.com"][..];
    let ranked = [
        loaded_until("p384", host, Key::P384, 2090),
        loaded_until("p256-long", host, Key::P256, 2098),
        loaded_until("p256", host, Key::P256, 2090),
        loaded_until("p256-again", host, Key::P256, 2090),
        loaded_until("p384-expired", host, Key::P384, 2020),
        loaded_until("rsa-3072", host, Key::Rsa3072, 2080),
        loaded_until("rsa-2048", host, Key::Rsa2048, 2090),
        loaded_until("rsa-3072-expired", host, Key::Rsa3072, 2020),
    ];
    for first in 0..ranked.len() {
        let mut list = vec![loaded("default", &["default.example"], Key::P256)];
        // Worst first, except for the two equal ones, which keep the order of the listener.
        let mut rest = ranked[first..].to_vec();
        rest.reverse();
        if let (Some(a), Some(b)) = (
            rest.iter().position(|c| c.arn().ends_with("/p256")),
            rest.iter().position(|c| c.arn().ends_with("/p256-again")),
        ) {
            rest.swap(a, b);
        }
        list.append(&mut rest);
        let store = Store::new(list, true);
        let want = ranked[first].arn().rsplit('/').next().unwrap().to_owned();
        assert_eq!(chosen(&store, &hello(Some("a.example.com"))), (want, true));
    }
}

/// Parity 2.2: only an ALB prefers unexpired certificates.
#[test]
fn network_load_balancer_ignores_expiry() {
    let host = &["a.example.com"][..];
    let certificates = vec![
        loaded_until("p256", host, Key::P256, 2090),
        loaded_until("p384-expired", host, Key::P384, 2020),
    ];
    let hello = hello(Some("a.example.com"));
    let alb = Store::new(certificates.clone(), true);
    assert_eq!(chosen(&alb, &hello), ("p256".to_owned(), true));
    let nlb = Store::new(certificates, false);
    assert_eq!(chosen(&nlb, &hello), ("p384-expired".to_owned(), true));
}

/// Parity 2.2: the best certificate that the client supports.
#[test]
fn client_without_ecdsa_gets_rsa() {
    let host = &["a.example.com"][..];
    let store = Store::new(
        vec![
            loaded("ecdsa", host, Key::P256),
            loaded("rsa", host, Key::Rsa2048),
        ],
        true,
    );
    let ecdsa = ("ecdsa".to_owned(), true);
    let rsa = ("rsa".to_owned(), true);
    let modern = hello(Some("a.example.com"));
    assert_eq!(chosen(&store, &modern), ecdsa);

    let by_scheme = Hello {
        schemes: &[SignatureScheme::RSA_PSS_SHA256],
        ..modern
    };
    assert_eq!(chosen(&store, &by_scheme), rsa);

    let by_suite = Hello {
        suites: &[CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384],
        ..modern
    };
    assert_eq!(chosen(&store, &by_suite), rsa);

    // A TLS 1.3 suite does not help if the policy has only TLS 1.2.
    let old_policy = Hello {
        suites: &[
            CipherSuite::TLS13_AES_128_GCM_SHA256,
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ],
        tls13: false,
        ..modern
    };
    assert_eq!(chosen(&store, &old_policy), rsa);
}
