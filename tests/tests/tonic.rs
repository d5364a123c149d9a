//! Real gRPC: a server and clients of tonic on both sides of an HTTPS listener (ALB guide: target groups).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::convert::Infallible;
use std::future::{Future, pending};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use elbow_tests::certificates::{client_that_trusts_all, server_name};
use elbow_tests::config::{alb, file, forward, listener};
use elbow_tests::{Ca, Elbow, TempDir, address, wait};
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::tokio_stream::{self as stream, StreamExt};
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status, Streaming};
use tower::{Service, service_fn};

const LARGE: usize = 8 << 20;

/// Messages are bytes.
#[derive(Clone, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// A server, whose methods are named after what they do.
#[derive(Clone)]
struct Calls {
    /// Has a permit for each call that waits, or has waited.
    begun: Arc<Semaphore>,
    /// Has permits for each call that was dropped before its end: one, or [`WITH_DEADLINE`].
    cancelled: Arc<Semaphore>,
}

const WITH_DEADLINE: usize = 10;

/// Adds permits when dropped.
struct Cancelled(Arc<Semaphore>, usize);

impl Drop for Cancelled {
    fn drop(&mut self) {
        self.0.add_permits(self.1);
    }
}

async fn echo(request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
    let (metadata, _, message) = request.into_parts();
    let mut response = Response::new(message);
    if let Some(value) = metadata.get("own-text") {
        response.metadata_mut().insert("own-text", value.clone());
    }
    if let Some(value) = metadata.get_bin("own-bin") {
        response.metadata_mut().insert_bin("own-bin", value.clone());
    }
    Ok(response)
}

async fn total(request: Request<Streaming<Bytes>>) -> Result<Response<Bytes>, Status> {
    let (mut messages, mut count, mut size) = (request.into_inner(), 0, 0);
    while let Some(message) = messages.next().await {
        (count, size) = (count + 1, size + message?.len());
    }
    Ok(Response::new(format!("{count} {size}").into()))
}

async fn echo_stream(
    request: Request<Streaming<Bytes>>,
) -> Result<Response<Streaming<Bytes>>, Status> {
    Ok(Response::new(request.into_inner()))
}

type Messages = Pin<Box<dyn stream::Stream<Item = Result<Bytes, Status>> + Send>>;

async fn repeat(request: Request<Bytes>) -> Result<Response<Messages>, Status> {
    let message = request.into_inner();
    let messages = std::iter::repeat_n(message, 300).map(Ok);
    Ok(Response::new(Box::pin(stream::iter(messages))))
}

async fn fail(request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
    let code = Code::from(i32::from(request.into_inner()[0]));
    let details = Bytes::from_static(b"\0\xff details");
    Err(Status::with_details(code, "100 % wrong\nünd é", details))
}

impl Service<http::Request<Body>> for Calls {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (begun, cancelled) = (Arc::clone(&self.begun), Arc::clone(&self.cancelled));
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Raw).max_decoding_message_size(usize::MAX);
            Ok(match request.uri().path() {
                "/calls.Calls/Echo" => grpc.unary(service_fn(echo), request).await,
                "/calls.Calls/Total" => grpc.client_streaming(service_fn(total), request).await,
                "/calls.Calls/Repeat" => grpc.server_streaming(service_fn(repeat), request).await,
                "/calls.Calls/EchoStream" => grpc.streaming(service_fn(echo_stream), request).await,
                "/calls.Calls/Fail" => grpc.unary(service_fn(fail), request).await,
                "/calls.Calls/Wait" => {
                    let has_deadline = request.headers().contains_key("grpc-timeout");
                    let permits = if has_deadline { WITH_DEADLINE } else { 1 };
                    let _cancelled = Cancelled(cancelled, permits);
                    begun.add_permits(1);
                    pending().await
                }
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

/// A server, elbow in front of it, and what runs the client.
struct Scene {
    runtime: Runtime,
    elbow: Elbow,
    url: String,
    begun: Arc<Semaphore>,
    cancelled: Arc<Semaphore>,
}

impl Scene {
    fn start() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let target = SocketAddr::new(address().into(), 50_051);
        let [begun, cancelled] = [(); 2].map(|()| Arc::new(Semaphore::new(0)));
        let calls = Calls {
            begun: Arc::clone(&begun),
            cancelled: Arc::clone(&cancelled),
        };
        let socket = runtime
            .block_on(tokio::net::TcpListener::bind(target))
            .unwrap();
        let incoming = tonic::transport::server::TcpIncoming::from(socket);
        runtime.spawn(Server::builder().serve_with_incoming(calls, incoming));
        let dir = TempDir::new();
        Ca::new().leaf(&["a.example"]).write(&dir, "main");
        let ip = IpAddr::from(address());
        let mut listener = listener(8443, "HTTPS", &forward("calls"));
        listener["certificates"] = json!(["main"]);
        let group = json!({"name": "calls", "protocol": "HTTP", "protocolVersion": "GRPC", "port": target.port(),
            "targetType": "ip", "targets": [{"id": target.ip()}]});
        let mut config = file(&[alb("alb", ip, &[listener])], &[group]);
        config["certificates"] =
            json!([{"name": "main", "certificateFile": "main.pem", "privateKeyFile": "main.key"}]);
        let elbow = Elbow::run_in(dir, &config, &[]);
        elbow.wait_for_state("calls", target, "healthy");
        Self {
            runtime,
            elbow,
            url: format!("https://{ip}:8443"),
            begun,
            cancelled,
        }
    }

    /// A client with a connection of its own.
    async fn client(&self) -> Client {
        let to: SocketAddr = self.url.strip_prefix("https://").unwrap().parse().unwrap();
        let connect = service_fn(move |_| async move {
            let tls = TlsConnector::from(client_that_trusts_all(rustls::ALL_VERSIONS, &["h2"]));
            let stream = TcpStream::connect(to).await?;
            let stream = tls.connect(server_name("a.example"), stream).await?;
            Ok::<_, std::io::Error>(TokioIo::new(stream))
        });
        let endpoint = Endpoint::from_shared(self.url.clone()).unwrap();
        let channel = endpoint.connect_with_connector(connect).await.unwrap();
        Client(Grpc::new(channel).max_decoding_message_size(usize::MAX))
    }
}

#[derive(Clone)]
struct Client(Grpc<Channel>);

impl Client {
    async fn unary(
        &mut self,
        method: &str,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Status> {
        self.0.ready().await.unwrap();
        self.0.unary(request, path(method), Raw).await
    }
}

fn path(method: &str) -> PathAndQuery {
    format!("/calls.Calls/{method}").parse().unwrap()
}

fn messages() -> impl Iterator<Item = Bytes> {
    (0..200_u8).map(|n| Bytes::from(vec![n; 100 * usize::from(n)]))
}

#[test]
fn all_kinds_of_calls_pass() {
    let scene = Scene::start();
    scene.runtime.block_on(async {
        let mut client = scene.client().await;
        let large = Bytes::from(vec![7; LARGE]);
        let got = client.unary("Echo", Request::new(large.clone())).await;
        assert!(got.unwrap().into_inner() == large);

        let mut request = Request::new(Bytes::new());
        let all: Vec<u8> = (0..=255).collect();
        let fields = request.metadata_mut();
        fields.insert("own-text", "a b; c".parse().unwrap());
        fields.insert_bin("own-bin", MetadataValue::from_bytes(&all));
        let got = client.unary("Echo", request).await.unwrap();
        assert_eq!(got.metadata().get("own-text").unwrap(), "a b; c");
        let bytes = got.metadata().get_bin("own-bin").unwrap();
        assert_eq!(bytes.to_bytes().unwrap(), all);

        let mut grpc = client.0.clone();
        grpc.ready().await.unwrap();
        let sent = Request::new(stream::iter(messages()));
        let got = grpc.client_streaming(sent, path("Total"), Raw).await;
        assert_eq!(got.unwrap().into_inner(), "200 1990000");

        grpc.ready().await.unwrap();
        let sent = Request::new(Bytes::from(vec![1; 5000]));
        let got = grpc
            .server_streaming(sent, path("Repeat"), Raw)
            .await
            .unwrap();
        let got: Vec<_> = got
            .into_inner()
            .map(|one| one.unwrap().len())
            .collect()
            .await;
        assert_eq!(got, [5000; 300]);

        grpc.ready().await.unwrap();
        let sent = Request::new(stream::iter(messages()));
        let got = grpc.streaming(sent, path("EchoStream"), Raw).await.unwrap();
        let got: Vec<_> = got.into_inner().map(Result::unwrap).collect().await;
        assert!(got == messages().collect::<Vec<_>>());

        for code in 1..=16 {
            let sent = Request::new(Bytes::from(vec![code]));
            let status = client.unary("Fail", sent).await.unwrap_err();
            assert_eq!(status.code(), Code::from(i32::from(code)));
            assert_eq!(status.message(), "100 % wrong\nünd é");
            assert_eq!(status.details(), b"\0\xff details");
        }
        let sent = Request::new(Bytes::new());
        let status = client.unary("Unknown", sent).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
    });
}

#[test]
fn cancelled_and_late_calls_end_at_the_server() {
    let scene = Scene::start();
    let ended = |n| {
        wait::until("the call to end at the server", || {
            (scene.cancelled.available_permits() == n).then_some(())
        });
    };
    scene.runtime.block_on(async {
        let mut client = scene.client().await;
        let call = client.unary("Wait", Request::new(Bytes::new()));
        tokio::select! {
            ended = call => panic!("{ended:?}"),
            begun = scene.begun.acquire() => begun.unwrap().forget(),
        }
    });
    ended(1);
    scene.runtime.block_on(async {
        let mut client = scene.client().await;
        let mut request = Request::new(Bytes::new());
        // Long enough to reach the server.
        request.set_timeout(Duration::from_secs(2));
        let status = client.unary("Wait", request).await.unwrap_err();
        assert_eq!(status.message(), "Timeout expired");
    });
    ended(1 + WITH_DEADLINE);
}

#[test]
fn no_call_is_lost() {
    const CHANNELS: usize = 4;
    const EACH: usize = 1000;
    let scene = Scene::start();
    scene.runtime.block_on(async {
        let mut calls = JoinSet::new();
        for _ in 0..CHANNELS {
            let client = scene.client().await;
            for first in 0..50 {
                let mut client = client.clone();
                calls.spawn(async move {
                    for n in (first..EACH).step_by(50) {
                        let message = Bytes::from(n.to_string());
                        let got = client.unary("Echo", Request::new(message.clone())).await;
                        assert_eq!(got.unwrap().into_inner(), message);
                    }
                });
            }
        }
        while let Some(ended) = calls.join_next().await {
            ended.unwrap();
        }
    });
    let (counted, all) = ("elbow_grpc_requests_total", CHANNELS * EACH);
    scene.elbow.wait_for_metric(counted, &[], all as f64);
}
