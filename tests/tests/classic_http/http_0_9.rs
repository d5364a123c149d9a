//! Clients of HTTP/0.9.

use std::io::Read;

use elbow_tests::Target;
use elbow_tests::target::ok;

use super::Web;

/// ELB guide, how it works: clients may speak HTTP/0.9. RFC 1945, 5 and 6: a line is the request, and the body is the response.
#[test]
fn request_of_http_0_9_gets_the_body_alone() {
    let large = "x".repeat(300_000);
    let body = large.clone();
    let target = Target::http(move |request| match request.line() {
        "GET /large HTTP/1.1" => ok(&body),
        "GET /chunks HTTP/1.1" => {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
                .to_vec()
        }
        "GET /none HTTP/1.1" => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        _ => ok("hello"),
    });
    let web = Web::new(&[&target], &[]);
    let mut client = web.connect();
    let from = client.local_addr().ip();
    client.send("GET /a?b\r\n");
    assert_eq!(client.rest().unwrap(), b"hello");
    assert_eq!(
        target.request().head,
        format!(
            "GET /a?b HTTP/1.1\r\nHost: {}:8080\r\nX-Forwarded-For: {from}\r\n\
             X-Forwarded-Proto: http\r\nX-Forwarded-Port: 8080\r\n\r\n",
            web.ip
        )
    );
    assert_eq!(web.raw("GET /large\r\n"), large);
    assert_eq!(web.raw("GET /chunks\r\n"), "abcde");
    assert_eq!(web.raw("GET /none\r\n"), "");

    // Nothing that follows is another request or a field, however it arrives.
    let seen = target.requests().len();
    let rest = "Host: other\r\nContent-Length: 5\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_eq!(web.raw(&format!("GET /whole\r\n{rest}")), "hello");
    let mut client = web.connect();
    for piece in ["GET /pie", "ces\r", "\n"] {
        client.send(piece);
    }
    let mut first = [0; 5];
    client.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"hello");
    client.send(rest);
    assert_eq!(client.rest().unwrap(), b"");
    let requests = target.requests().split_off(seen);
    let lines: Vec<_> = requests.iter().map(|request| request.line()).collect();
    assert_eq!(lines, ["GET /whole HTTP/1.1", "GET /pieces HTTP/1.1"]);
    assert_eq!(requests[0].header("content-length"), None);

    // Other methods have no such form.
    let refused = "HTTP/1.1 400 BAD_REQUEST\r\n";
    assert!(web.raw("POST /\r\n\r\n").starts_with(refused));
    let logged = web.elbow.access_log(7);
    let asked = format!("\"GET http://{}:8080/a?b HTTP/0.9\"", web.ip);
    assert!(
        logged.iter().any(|line| line.contains(&asked)),
        "{logged:?}"
    );

    // An error has no body, so that the client gets nothing.
    web.elbow.reload(&web.file(&[], &[]));
    assert_eq!(web.raw("GET /\r\n"), "");
    let strictest = [("elb.http.desyncmitigationmode", "strictest")];
    web.elbow.reload(&web.file(&[&target], &strictest));
    assert!(web.raw("GET /\r\n\r\n").starts_with(refused));
}
