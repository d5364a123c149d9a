//! Trailers between clients of HTTP/2 and targets of HTTP/1.1 (`elbow.trailers.enabled`).

use bytes::Bytes;
use http::HeaderMap;

use crate::alb::{Alb, forward, get, method, whole};
use crate::kit::{Pod, find, run, soon};
use crate::requests::FORWARDED;

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                         2\r\nhi\r\n0\r\nGrpc-Status: 0\r\nHost: h\r\n\r\n";

#[test]
fn response_trailers_reach_the_client() {
    run(async {
        let pod = Pod::answering(CHUNKED).await;
        for passes in [true, false] {
            let alb = Alb::new(forward(), &[pod.address], |attributes| {
                attributes.passes_trailers = passes;
            });
            let mut client = alb.client().await;
            let (response, _) = client.start(get("/"), false).await;
            let mut response = soon(response).await.unwrap();
            assert_eq!(
                soon(response.body_mut().data()).await.unwrap().unwrap(),
                "hi"
            );
            let trailers = soon(response.body_mut().trailers()).await.unwrap();
            let expected = passes.then(|| {
                let mut fields = HeaderMap::new();
                fields.insert("grpc-status", "0".parse().unwrap());
                fields
            });
            assert_eq!(trailers, expected);
            assert_eq!(alb.pools.idle(), 1);
        }
    });
}

#[test]
fn request_trailers_reach_the_target() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            let head = peer.head().await.unwrap();
            while find(peer.input(), b"\r\n\r\n").is_none() && peer.more().await.is_some() {}
            let body = String::from_utf8(peer.take()).unwrap();
            peer.note(head + &body);
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .await;
        })
        .await;
        let alb = Alb::new(forward(), &[pod.address], |attributes| {
            attributes.passes_trailers = true;
        });
        let mut client = alb.client().await;
        let mut request = method("PUT", "/");
        request
            .headers_mut()
            .insert("te", "trailers".parse().unwrap());
        let (response, mut body) = client.start(request, true).await;
        body.send_data(Bytes::from_static(b"hello"), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", "1".parse().unwrap());
        trailers.insert("x-amzn-oidc-data", "forged".parse().unwrap());
        body.send_trailers(trailers).unwrap();
        let answer = whole(soon(response).await.unwrap()).await.unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(
            pod.seen(),
            [format!(
                "PUT / HTTP/1.1\r\nHost: h.example\r\n{FORWARDED}Transfer-Encoding: chunked\r\n\
                 TE: trailers\r\nConnection: TE\r\n\r\n\
                 5\r\nhello\r\n0\r\nx-checksum: 1\r\n\r\n"
            )]
        );
    });
}
