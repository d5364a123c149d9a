use hyper::Request;

use super::*;

const SITE: Refusal = Refusal::Site;

/// The decision for a request with these header lines.
fn admitted(access: &Access, request: &str, fields: &[&str]) -> Result<(), Refusal> {
    let (method, target) = request.split_once(' ').unwrap();
    let mut builder = Request::builder().method(method).uri(target);
    for field in fields {
        let (name, value) = field.split_once(": ").unwrap();
        builder = builder.header(name, value);
    }
    let (head, ()) = builder.body(()).unwrap().into_parts();
    access.admit(&head.method, &head.uri, &head.headers)
}

const STOP: &str = "POST /demo/pods/minio-0/stop";
const CONFIG: &str = "GET /config";

#[test]
fn accepted_hosts_are_addresses_localhost_and_configured_names() {
    let access = Access {
        hosts: vec!["Elbow.Internal".to_owned()],
        ..Access::default()
    };
    for host in [
        "127.0.0.1:9901",
        "10.1.2.3",
        "[::1]:9901",
        "[fe80::1]",
        "localhost",
        "LOCALHOST:80",
        "localhost.",
        "a.b.localhost:9901",
        "elbow.internal:9901",
        "elbow.internal.",
    ] {
        assert_eq!(
            admitted(&access, CONFIG, &[&format!("host: {host}")]),
            Ok(()),
            "{host}"
        );
    }
    for host in [
        "evil.example:9901",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "notlocalhost",
        "elbow.internal.evil.example",
        "127.0.0.1@evil.example",
        "evil.example@127.0.0.1",
        "[::1]evil.example",
        "[evil.example]",
        "127.0.0.1:http",
        "127.0.0.1:99999",
        "::1",
        "0x7f.1",
        "",
        ":9901",
        "[",
    ] {
        let refused = admitted(&access, CONFIG, &[&format!("host: {host}")]);
        assert_eq!(refused, Err(Refusal::Host), "{host}");
    }
    assert_eq!(admitted(&access, CONFIG, &[]), Err(Refusal::Host));
    let twice = ["host: 127.0.0.1", "host: evil.example"];
    assert_eq!(admitted(&access, CONFIG, &twice), Err(Refusal::Host));
    // The target takes precedence over the field.
    let target = "GET http://evil.example/config";
    assert_eq!(
        admitted(&access, target, &["host: 127.0.0.1"]),
        Err(Refusal::Host)
    );
    let own = ["host: api.eks.example", "sec-elbow-client: get"];
    assert_eq!(admitted(&access, CONFIG, &own), Ok(()));
}

#[test]
fn other_sites_may_only_link_here() {
    let access = Access::default();
    let linked = [
        "sec-fetch-site: cross-site",
        "sec-fetch-mode: navigate",
        "sec-fetch-dest: document",
    ];
    let framed = [linked[0], linked[1], "sec-fetch-dest: iframe"];
    let script = [linked[0], "sec-fetch-mode: cors", "sec-fetch-dest: empty"];
    for (request, fields, expected) in [
        // curl, and elbow's own commands.
        (CONFIG, &[][..], Ok(())),
        (STOP, &[], Ok(())),
        // The address bar, and pages of elbow's own.
        (CONFIG, &["sec-fetch-site: none"], Ok(())),
        (STOP, &["sec-fetch-site: same-origin"], Ok(())),
        (STOP, &["origin: http://127.0.0.1:9901"], Ok(())),
        (STOP, &["origin: HTTP://127.0.0.1:9901"], Err(SITE)),
        (STOP, &["origin: http://127.0.0.1:9902"], Err(SITE)),
        (STOP, &["origin: http://127.0.0.1"], Err(SITE)),
        (STOP, &["origin: https://evil.example"], Err(SITE)),
        (STOP, &["origin: null"], Err(SITE)),
        (STOP, &["origin: file://127.0.0.1:9901"], Err(SITE)),
        (
            STOP,
            &["origin: http://127.0.0.1:9901", "origin: null"],
            Err(SITE),
        ),
        (
            STOP,
            &[
                "origin: http://127.0.0.1:9901",
                "sec-fetch-site: cross-site",
            ],
            Err(SITE),
        ),
        (
            "OPTIONS /config",
            &["origin: https://evil.example"],
            Err(SITE),
        ),
        (CONFIG, &script, Err(SITE)),
        (CONFIG, &["sec-fetch-site: same-site"], Err(SITE)),
        (CONFIG, &["sec-fetch-site: tomorrow"], Err(SITE)),
        (CONFIG, &linked, Ok(())),
        (CONFIG, &framed, Err(SITE)),
        (STOP, &linked, Err(SITE)),
    ] {
        let fields: Vec<&str> = ["host: 127.0.0.1:9901"]
            .into_iter()
            .chain(fields.iter().copied())
            .collect();
        assert_eq!(
            admitted(&access, request, &fields),
            expected,
            "{request} {fields:?}"
        );
    }
    let default_port = ["host: localhost", "origin: http://localhost:80"];
    assert_eq!(admitted(&access, STOP, &default_port), Ok(()));
}

#[test]
fn token_is_required_except_for_free_pages() {
    let with = |only_with_token, token: OnceLock<Token>| Access {
        token: Arc::new(token),
        only_with_token,
        ..Access::default()
    };
    let token = OnceLock::from(Token::new("s3cret").unwrap());
    let (open, closed) = (with(false, OnceLock::new()), with(true, OnceLock::new()));
    let (guarded, remote) = (with(false, token.clone()), with(true, token));
    for path in ["/live", "/ready", "/health", "/metrics"] {
        let from_everywhere = ["host: elbow.svc", "origin: https://evil.example"];
        for access in [&open, &closed, &guarded, &remote] {
            let request = format!("GET {path}");
            assert_eq!(
                admitted(access, &request, &from_everywhere),
                Ok(()),
                "{path}"
            );
        }
    }
    let host = "host: 127.0.0.1";
    assert_eq!(admitted(&open, CONFIG, &[host]), Ok(()));
    assert_eq!(admitted(&closed, CONFIG, &[host]), Err(Refusal::NoToken));
    for access in [&guarded, &remote] {
        for right in [
            "authorization: Bearer s3cret",
            "authorization: bearer s3cret",
            "x-elbow-admin-token: s3cret",
        ] {
            assert_eq!(admitted(access, CONFIG, &[host, right]), Ok(()), "{right}");
            assert_eq!(admitted(access, STOP, &[host, right]), Ok(()), "{right}");
        }
        for wrong in [
            "authorization: Bearer s3cre",
            "authorization: Bearer s3cret1",
            "authorization: Bearer ",
            "authorization: Basic s3cret",
            "authorization: s3cret",
            "x-elbow-admin-token: other",
            "cookie: s3cret",
        ] {
            let refused = admitted(access, CONFIG, &[host, wrong]);
            assert_eq!(refused, Err(Refusal::Token), "{wrong}");
        }
        // Host and site are checked before the token.
        let right = "authorization: Bearer s3cret";
        let elsewhere = ["host: evil.example", right];
        assert_eq!(admitted(access, CONFIG, &elsewhere), Err(Refusal::Host));
        let foreign = [host, "origin: https://evil.example", right];
        assert_eq!(admitted(access, CONFIG, &foreign), Err(SITE));
    }
}

#[test]
fn token_must_fit_into_a_header_field() {
    for good in ["a", "0123-_.~+/=", &"a".repeat(Token::MAX_BYTES)] {
        assert_eq!(Token::new(good).unwrap().secret(), good);
    }
    for bad in ["", "a b", "a\n", "é", &"a".repeat(Token::MAX_BYTES + 1)] {
        assert!(Token::new(bad).is_none(), "{bad}");
    }
    let debug = format!("{:?}", Token::new("s3cret").unwrap());
    assert!(!debug.contains("s3cret"), "{debug}");
}

#[test]
fn refusals_are_client_errors_with_a_message() {
    for refusal in Refusal::ALL {
        assert!(refusal.status().is_client_error());
        assert!(refusal.message().ends_with('\n') && refusal.message().is_ascii());
    }
}
