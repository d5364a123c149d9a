//! Certificates.

use elbow_model::*;

use crate::kit::{faults, texts};

#[test]
fn certificates_have_one_source() {
    let spec = |name: &str| CertificateSpec {
        name: Some(name.to_owned()),
        ..CertificateSpec::default()
    };
    let files = |certificate: Option<&str>, key: Option<&str>| CertificateSpec {
        certificate_file: certificate.map(Into::into),
        private_key_file: key.map(Into::into),
        ..spec("a")
    };
    let texts_of = |certificate: Option<&str>, key: Option<&str>| CertificateSpec {
        certificate: certificate.map(Into::into),
        private_key: key.map(PrivateKey::new),
        ..spec("a")
    };
    let hosts = |hosts: Vec<String>| CertificateSpec {
        self_signed: Some(hosts),
        ..spec("a")
    };
    let source = |spec: CertificateSpec| Certificate::new(&spec).value.unwrap().source;
    assert_eq!(
        source(files(Some("c"), Some("k"))),
        CertificateSource::Files {
            certificate: "c".into(),
            private_key: "k".into()
        }
    );
    assert_eq!(
        source(texts_of(Some("C"), Some("K"))),
        CertificateSource::Pem {
            certificate: "C".into(),
            private_key: PrivateKey::new("K")
        }
    );
    let built = source(hosts(texts(&["A.example", "*.b", "::1", "a.example"])));
    assert_eq!(
        built,
        CertificateSource::SelfSigned {
            hosts: vec!["a.example".into(), "*.b".into(), "::1".into()]
        }
    );

    let many = |count: usize| (0..count).map(|i| format!("h{i}")).collect::<Vec<_>>();
    assert!(
        Certificate::new(&hosts(many(MAX_CERTIFICATE_HOSTS)))
            .value
            .is_ok()
    );
    for (spec, expected) in [
        (spec("a"), "certificateFile missing-field"),
        (files(Some("c"), None), "privateKeyFile missing-field"),
        (files(None, Some("k")), "certificateFile missing-field"),
        (files(Some(""), Some("k")), "certificateFile missing-field"),
        (texts_of(Some("c"), None), "privateKey missing-field"),
        (texts_of(None, Some("k")), "certificate missing-field"),
        (hosts(Vec::new()), "selfSigned out-of-range"),
        (
            hosts(many(MAX_CERTIFICATE_HOSTS + 1)),
            "selfSigned out-of-range",
        ),
        (hosts(texts(&["a", "b:443"])), "selfSigned[1] invalid-host"),
        (
            CertificateSpec {
                private_key: Some(PrivateKey::new("k")),
                ..files(Some("c"), Some("k"))
            },
            "privateKey invalid-combination",
        ),
        (
            CertificateSpec {
                self_signed: Some(texts(&["a"])),
                ..texts_of(Some("c"), Some("k"))
            },
            "selfSigned invalid-combination",
        ),
        (
            CertificateSpec {
                name: None,
                ..hosts(texts(&["a"]))
            },
            "name missing-field",
        ),
    ] {
        assert_eq!(faults(Certificate::new(&spec)), [expected], "{spec:?}");
    }
    let long = "a".repeat(257);
    for name in ["", "a b", "\u{e9}", &long] {
        let spec = CertificateSpec {
            name: Some(name.to_owned()),
            ..hosts(texts(&["a"]))
        };
        assert_eq!(faults(Certificate::new(&spec)), ["name invalid-name"]);
    }
    let spec = CertificateSpec {
        name: Some(long[..256].to_owned()),
        ..hosts(texts(&["a"]))
    };
    assert!(Certificate::new(&spec).value.is_ok());
}
