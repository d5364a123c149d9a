use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::HandshakeFailure;
use crate::testkit::raw_hello::{
    KEY_SHARE, RawHello, SIGNATURE_ALGORITHMS, SUPPORTED_GROUPS, SUPPORTED_VERSIONS,
};
use crate::testkit::{Key, LONG, acceptor, loaded, sockets};

const BOTH: &str = "ELBSecurityPolicy-TLS13-1-2-2021-06";
const TLS13: &str = "ELBSecurityPolicy-TLS13-1-3-2021-06";
const TLS12: &str = "ELBSecurityPolicy-2016-08";

/// What a client gets that sends `bytes` first, until the connection is closed.
async fn answer(policy: &str, bytes: &[u8]) -> (Vec<u8>, HandshakeFailure) {
    let acceptor = acceptor(policy, vec![loaded("a", &["a.example"], Key::P256)]);
    let (accepted, mut peer) = sockets().await;
    peer.write_all(bytes).await.unwrap();
    let refused = acceptor.accept(accepted, LONG, Instant::now()).await;
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).await.unwrap();
    (answer, refused.unwrap_err().kind)
}

/// RFC 8446, sections 4.1.2, 5, 5.1, 6.2, 9.2.
#[tokio::test]
async fn refused_client_hello_gets_the_alert_of_the_rfc() {
    use HandshakeFailure as F;
    let hello = RawHello::tls13;
    let compressed = RawHello {
        compressions: vec![1, 0],
        ..hello()
    };
    let unknown_suite = RawHello {
        suites: vec![0x1304],
        ..hello()
    };
    let static_rsa = RawHello {
        suites: vec![0x009c],
        ..RawHello::tls12()
    };
    let tls11 = RawHello {
        version: 0x0302,
        suites: vec![0xc013],
        ..RawHello::tls12().without(SIGNATURE_ALGORITHMS)
    };
    let p521 = [0, 2, 0, 0x19];
    let psk = [&[0, 7, 0, 1, 5, 0, 0, 0, 0, 0, 33, 32][..], &[0; 32]].concat();
    let other_group = hello().without(SUPPORTED_GROUPS).without(KEY_SHARE);
    let other_group = other_group
        .with(SUPPORTED_GROUPS, &p521)
        .with(KEY_SHARE, &[0, 0]);
    let mut cut = hello().record();
    cut.truncate(cut.len() - 1);
    // The lengths of the record and of the message are one less.
    cut[4] -= 1;
    cut[8] -= 1;
    let table: Vec<(&str, &str, Vec<u8>, u8, F)> = vec![
        (
            "application data",
            BOTH,
            vec![0x17, 3, 3, 0, 1, 0],
            10,
            F::Protocol,
        ),
        (
            "Finished",
            BOTH,
            vec![0x16, 3, 3, 0, 4, 0x14, 0, 0, 0],
            10,
            F::Protocol,
        ),
        (
            "ChangeCipherSpec",
            BOTH,
            vec![0x14, 3, 3, 0, 1, 1],
            10,
            F::Protocol,
        ),
        ("heartbeat", BOTH, vec![0x18, 3, 3, 0, 1, 1], 10, F::NotTls),
        (
            "large record",
            BOTH,
            vec![0x16, 3, 3, 0x48, 1],
            22,
            F::Protocol,
        ),
        ("cut", BOTH, cut, 50, F::Protocol),
        (
            "extension twice",
            BOTH,
            hello().with(SUPPORTED_GROUPS, &p521).record(),
            47,
            F::Protocol,
        ),
        ("compression", BOTH, compressed.record(), 47, F::Protocol),
        (
            "early PSK",
            BOTH,
            hello()
                .without(KEY_SHARE)
                .with(41, &psk)
                .with(KEY_SHARE, &[0, 0])
                .record(),
            47,
            F::Protocol,
        ),
        (
            "no groups",
            BOTH,
            hello().without(SUPPORTED_GROUPS).record(),
            109,
            F::NoSharedSuite,
        ),
        (
            "no algorithms",
            BOTH,
            hello().without(SIGNATURE_ALGORITHMS).record(),
            109,
            F::NoSharedSuite,
        ),
        (
            "no shares",
            BOTH,
            hello().without(KEY_SHARE).record(),
            109,
            F::NoSharedSuite,
        ),
        (
            "unknown suite",
            BOTH,
            unknown_suite.record(),
            40,
            F::NoSharedSuite,
        ),
        (
            "static RSA",
            BOTH,
            static_rsa.record(),
            40,
            F::NoSharedSuite,
        ),
        (
            "unknown group",
            BOTH,
            other_group.record(),
            40,
            F::NoSharedSuite,
        ),
        (
            "TLS 1.2",
            TLS13,
            RawHello::tls12().record(),
            70,
            F::NoSharedVersion,
        ),
        ("TLS 1.3", TLS12, hello().record(), 70, F::NoSharedVersion),
        ("TLS 1.1", BOTH, tls11.record(), 70, F::NoSharedVersion),
        (
            "TLS 1.1 as an extension",
            BOTH,
            hello()
                .without(SUPPORTED_VERSIONS)
                .with(SUPPORTED_VERSIONS, &[2, 3, 2])
                .record(),
            70,
            F::NoSharedVersion,
        ),
    ];
    for (what, policy, bytes, alert, failure) in table {
        let (answer, kind) = answer(policy, &bytes).await;
        assert_eq!(answer, [0x15, 3, 3, 0, 2, 2, alert], "{what}");
        assert_eq!(kind, failure, "{what}");
    }
}
