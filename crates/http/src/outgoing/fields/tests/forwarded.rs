//! X-Forwarded-For and Host.

use super::*;

#[test]
fn x_forwarded_for_is_appended_preserved_or_removed() {
    use XffHeaderProcessingMode::{Append, Preserve, Remove};
    let one = [("X-Forwarded-For", "127.0.0.4")];
    let two = [
        ("x-forwarded-for", "10.0.0.1"),
        ("X-Forwarded-For", "10.0.0.2, 10.0.0.3"),
    ];
    let empty = [("X-Forwarded-For", " ")];
    type Row<'a> = (
        XffHeaderProcessingMode,
        &'a [(&'a str, &'a str)],
        &'a [&'a str],
    );
    let table: &[Row<'_>] = &[
        (Append, &[], &["127.0.0.1"]),
        (Append, &one, &["127.0.0.4, 127.0.0.1"]),
        (Append, &two, &["10.0.0.1, 10.0.0.2, 10.0.0.3, 127.0.0.1"]),
        (Append, &empty, &["127.0.0.1"]),
        (Preserve, &[], &[]),
        (Preserve, &one, &["127.0.0.4"]),
        (Preserve, &two, &["10.0.0.1", "10.0.0.2, 10.0.0.3"]),
        (Remove, &[], &[]),
        (Remove, &one, &[]),
    ];
    for (mode, fields, expected) in table {
        let case = Case::on(Protocol::Http, 80).with(|a| a.xff_header_processing_mode = *mode);
        assert_eq!(
            case.values("x-forwarded-for", fields),
            *expected,
            "{mode:?} {fields:?}"
        );
    }
}

#[test]
fn client_port_is_added_when_asked_for_and_ipv6_gets_brackets() {
    let inbound = [("X-Forwarded-For", "10.0.0.1")];
    let table = [
        ("127.0.0.1:4711", false, "127.0.0.1", "10.0.0.1, 127.0.0.1"),
        (
            "127.0.0.1:4711",
            true,
            "127.0.0.1:4711",
            "10.0.0.1, 127.0.0.1:4711",
        ),
        (
            "[2001:db8::1]:9",
            false,
            "2001:db8::1",
            "10.0.0.1, [2001:db8::1]",
        ),
        (
            "[2001:db8::1]:9",
            true,
            "[2001:db8::1]:9",
            "10.0.0.1, [2001:db8::1]:9",
        ),
        (
            "[::ffff:192.0.2.255]:9",
            true,
            "192.0.2.255:9",
            "10.0.0.1, 192.0.2.255:9",
        ),
    ];
    for (client, port, created, appended) in table {
        let mut case = Case::on(Protocol::Http, 80).with(|a| a.xff_client_port = port);
        case.meta = meta(client);
        assert_eq!(case.values("x-forwarded-for", &[]), [created]);
        assert_eq!(case.values("x-forwarded-for", &inbound), [appended]);
    }
    let preserve = Case::on(Protocol::Http, 80).with(|a| {
        a.xff_client_port = true;
        a.xff_header_processing_mode = XffHeaderProcessingMode::Preserve;
    });
    assert_eq!(preserve.values("x-forwarded-for", &inbound), ["10.0.0.1"]);
}

#[test]
fn more_than_30_forwarded_addresses_are_463() {
    let list = |n: usize| vec!["10.0.0.1"; n].join(", ");
    let case = Case::on(Protocol::Http, 80);
    let (ten, twenty, thirty, more) = (list(10), list(20), list(30), list(31));
    assert!(case.write(&[field("X-Forwarded-For", &thirty)]).is_ok());
    let split = [
        field("X-Forwarded-For", &ten),
        field("X-Forwarded-For", &twenty),
    ];
    assert!(case.write(&split).is_ok());
    let error = case.write(&[field("X-Forwarded-For", &more)]).unwrap_err();
    assert_eq!(error.status(), 463);
    let three = [split[0], split[1], field("x-forwarded-for", "10.0.0.9")];
    assert_eq!(case.write(&three).unwrap_err().status(), 463);
}

#[test]
fn host_follows_the_port_of_the_listener() {
    use Protocol::{Http, Https};
    let table = [
        (Http, 8080, "Example.com", "example.com:8080"),
        (Http, 8080, "example.com:8080", "example.com:8080"),
        (Http, 8080, "example.com:9", "example.com:9"),
        (Http, 80, "example.com:80", "example.com"),
        (Http, 80, "Example.com", "example.com"),
        (Https, 443, "example.com:443", "example.com"),
        (Https, 443, "example.com:", "example.com"),
        (Http, 80, "[2001:DB8::1]:80", "[2001:db8::1]"),
        (Http, 8080, "[2001:DB8::1]", "[2001:db8::1]:8080"),
        // A signature covers the port that a port mapping in front of elbow makes the client use.
        (Https, 443, "localhost:10443", "localhost:10443"),
    ];
    for (protocol, port, host, expected) in table {
        let case = Case::on(protocol, port);
        assert_eq!(
            case.values("host", &[("Host", host)]),
            [expected],
            "{host} on {port}"
        );
        let case = case.with(|a| a.preserve_host_header = true);
        assert_eq!(case.values("host", &[("Host", host)]), [host]);
    }
}

#[test]
fn one_host_is_sent_and_it_is_the_one_of_the_rules() {
    let two = [("Host", "example.com"), ("host", "Second")];
    let mut case = Case::on(Protocol::Https, 443);
    assert_eq!(case.values("host", &two), ["example.com"]);
    case.target = "https://DNS_name/x";
    assert_eq!(case.values("host", &two), ["dns_name"]);
    case.target = "/";
    case.version = Version::Http10;
    let dns_name = case.listener.endpoint.dns_name.to_string();
    assert_eq!(case.values("host", &[]), [&*dns_name]);
    assert_eq!(case.values("host", &[("Host", "")]), [&*dns_name]);
    let mut case = case.with(|a| a.preserve_host_header = true);
    assert_eq!(case.values("host", &two), ["example.com"]);
    let empty_first = [("Host", ""), ("Host", "Second")];
    assert_eq!(case.values("host", &empty_first), [&*dns_name]);
    assert_eq!(case.values("host", &[]), [&*dns_name]);
    case.target = "http://User@X:81/y";
    for fields in [&two[..], &two[1..], &[("Host", "")], &[]] {
        assert_eq!(
            case.values("host", fields),
            ["X:81"].map(|host| match fields {
                [] => host.to_lowercase(),
                _ => host.to_owned(),
            })
        );
    }
    let other_port = Case::on(Protocol::Http, 8080);
    assert_eq!(other_port.values("host", &[]), [format!("{dns_name}:8080")]);
}
