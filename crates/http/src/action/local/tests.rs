use elbow_model::Protocol;

use super::*;
use crate::header::date::HttpDate;
use crate::test_kit::{endpoint, field, get, redirect_config};

/// The Location for `GET target` with this Host, on an HTTP listener at 80.
fn location_of(config: &Redirect, host: &str, target: &str) -> Result<String, u16> {
    let fields = [field("Host", host)];
    let response = redirect(config, &get(target, &fields), &endpoint(Protocol::Http, 80));
    response
        .map(|response| response.location.unwrap())
        .map_err(ErrorKind::status)
}

fn to_https() -> Redirect {
    Redirect {
        protocol: "HTTPS".into(),
        port: "443".into(),
        ..redirect_config()
    }
}

// Parity check 27.
#[test]
fn to_https_keeps_host_path_and_query_and_names_the_port() {
    for (host, target, expected) in [
        ("h", "/a/b?x=1", "https://h:443/a/b?x=1"),
        ("h", "/", "https://h:443/"),
        ("h", "/a?", "https://h:443/a"),
        ("h:80", "/a", "https://h:443/a"),
        ("[::1]:80", "/a", "https://[::1]:443/a"),
        ("h", "http://other:80/a#f", "https://other:443/a"),
        ("h", "//evil.example/", "https://h:443//evil.example/"),
        ("h", "/a%0d%0aX:%20y", "https://h:443/a%0d%0aX:%20y"),
        ("", "/a", "https://demo-1.us-east-1.elb.localhost:443/a"),
    ] {
        assert_eq!(
            location_of(&to_https(), host, target).as_deref(),
            Ok(expected),
            "{host} {target}"
        );
    }
}

// Parity 1.4: the placeholders and where they may stand.
#[test]
fn placeholders_are_filled_in() {
    let config = Redirect {
        host: "www.#{host}".into(),
        path: "/#{host}/#{port}/#{path}".into(),
        query: "p=#{protocol}&h=#{host}&n=#{port}&l=#{path}&#{query}".into(),
        ..redirect_config()
    };
    assert_eq!(
        location_of(&config, "h", "/a?b=c").as_deref(),
        Ok("http://www.h:80/h/80/a?p=http&h=h&n=80&l=a&b=c")
    );
    let fixed = Redirect {
        host: "other.example".into(),
        port: "8443".into(),
        path: "/new".into(),
        query: "".into(),
        ..to_https()
    };
    assert_eq!(
        location_of(&fixed, "h", "/a?b").as_deref(),
        Ok("https://other.example:8443/new")
    );
    let unknown = Redirect {
        path: "/#{pat}#{path}#{".into(),
        ..to_https()
    };
    assert_eq!(
        location_of(&unknown, "h", "/a").as_deref(),
        Ok("https://h:443/#{pat}a#{")
    );
}

#[test]
fn nothing_of_the_client_can_end_the_header() {
    assert_eq!(
        location_of(&to_https(), "h", "/a\r\nX: y\u{1}é\"<>").as_deref(),
        Ok("https://h:443/a%0D%0AX:%20y%01%C3%A9%22%3C%3E")
    );
    for host in ["h\r\nX: y", "h/evil", "u@h", "h?", "h#", "é", "h\\x"] {
        assert_eq!(location_of(&to_https(), host, "/"), Err(400), "{host:?}");
    }
}

// Parity 1.4: Location longer than 8 K.
#[test]
fn location_beyond_8_k_is_507() {
    let prefix = "https://h:443/".len();
    let fits = format!("/{}", "a".repeat(8 * 1024 - prefix));
    assert_eq!(
        location_of(&to_https(), "h", &fits).map(|l| l.len()),
        Ok(8192)
    );
    assert_eq!(location_of(&to_https(), "h", &format!("{fits}a")), Err(507));
}

// Parity 1.10: the pages of 301 and 302.
#[test]
fn redirects_are_written_with_their_page() {
    let endpoint = endpoint(Protocol::Http, 80);
    let fields = [field("Host", "h")];
    let found = Redirect {
        status: RedirectStatus::Found,
        ..to_https()
    };
    let response = redirect(&found, &get("/a", &fields), &endpoint).unwrap();
    let mut out = Vec::new();
    response.write_h1(&mut out, &HttpDate::from_unix(0), false, false, None);
    let expected = concat!(
        "HTTP/1.1 302 Found\r\n",
        "Server: awselb/2.0\r\n",
        "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
        "Content-Type: text/html\r\n",
        "Content-Length: 110\r\n",
        "Connection: keep-alive\r\n",
        "Location: https://h:443/a\r\n",
        "\r\n",
        "<html>\r\n<head><title>302 Found</title></head>\r\n<body>\r\n",
        "<center><h1>302 Found</h1></center>\r\n</body>\r\n</html>\r\n",
    );
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

// Parity check 28 and 1.4, fixed-response.
#[test]
fn fixed_responses_are_written_as_configured() {
    let fixed = FixedResponse {
        status: 403,
        content_type: ContentType::TextPlain,
        body: "no".into(),
    };
    let mut out = Vec::new();
    let date = HttpDate::from_unix(0);
    fixed_response(&fixed).write_h1(&mut out, &date, false, true, None);
    let head = concat!(
        "HTTP/1.1 403 Forbidden\r\n",
        "Server: awselb/2.0\r\n",
        "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
        "Content-Type: text/plain; charset=utf-8\r\n",
        "Content-Length: 2\r\n",
        "Connection: close\r\n",
        "\r\n",
    );
    assert_eq!(String::from_utf8(out).unwrap(), format!("{head}no"));
    let mut out = Vec::new();
    fixed_response(&fixed).write_h1(&mut out, &date, true, true, None);
    assert_eq!(String::from_utf8(out).unwrap(), head);
}

#[test]
fn every_content_type_has_its_charset() {
    for content_type in [
        ContentType::TextPlain,
        ContentType::TextCss,
        ContentType::TextHtml,
        ContentType::Javascript,
        ContentType::Json,
    ] {
        let fixed = FixedResponse {
            status: 200,
            content_type,
            body: "".into(),
        };
        assert_eq!(
            fixed_response(&fixed).content_type,
            format!("{}; charset=utf-8", content_type.as_str())
        );
    }
}
