//! A target that speaks HTTP/2, by the h2 crate.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use crate::kit::soon;

/// What a target noted.
#[derive(Clone, Default)]
pub(crate) struct Notes(Rc<RefCell<Vec<String>>>);

impl Notes {
    pub(crate) fn push(&self, note: impl Into<String>) {
        self.0.borrow_mut().push(note.into());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    pub(crate) fn count(&self, note: &str) -> usize {
        self.0.borrow().iter().filter(|one| *one == note).count()
    }
}

/// A request at a target.
pub(crate) struct Call {
    pub(crate) request: Request<RecvStream>,
    pub(crate) respond: SendResponse<Bytes>,
    pub(crate) notes: Notes,
}

pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) notes: Notes,
}

impl Target {
    /// A target that lets `serve` handle each request in a task of its own.
    pub(crate) async fn new<F: Future<Output = ()> + 'static>(
        serve: impl Fn(Call) -> F + Clone + 'static,
    ) -> Self {
        Self::limited(u32::MAX, serve).await
    }

    /// Like [`Target::new`], but takes at most `streams_max` at a time on a connection.
    pub(crate) async fn limited<F: Future<Output = ()> + 'static>(
        streams_max: u32,
        serve: impl Fn(Call) -> F + Clone + 'static,
    ) -> Self {
        let notes = Notes::default();
        let shared = notes.clone();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        spawn_local(async move {
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                shared.push("connection");
                let (serve, notes) = (serve.clone(), shared.clone());
                spawn_local(async move {
                    let mut builder = h2::server::Builder::new();
                    builder.max_concurrent_streams(streams_max);
                    let Ok(mut http) = builder.handshake(stream).await else {
                        return;
                    };
                    while let Some(Ok((request, respond))) = http.accept().await {
                        spawn_local(serve(Call {
                            request,
                            respond,
                            notes: notes.clone(),
                        }));
                    }
                });
            }
        });
        Self { address, notes }
    }

    /// A target that leaves its first connection when a request arrives there, without having seen it. It serves
    /// the next ones.
    pub(crate) async fn leaving<F: Future<Output = ()> + 'static>(
        serve: impl Fn(Call) -> F + Clone + 'static,
    ) -> Self {
        let notes = Notes::default();
        let shared = notes.clone();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        spawn_local(async move {
            let (mut first, _) = socket.accept().await.unwrap();
            first.write_all(&frame(4, 0, 0, &[])).await.unwrap();
            // The preface, SETTINGS, WINDOW_UPDATE, the acknowledgement, and then the request.
            let mut seen = Vec::new();
            while seen.windows(4).filter(|part| part == b"Echo").count() == 0 && seen.len() < 160 {
                first.read_buf(&mut seen).await.unwrap();
            }
            shared.push("request");
            first.write_all(&frame(7, 0, 0, &[0; 8])).await.unwrap();
            let (second, _) = socket.accept().await.unwrap();
            let mut http = h2::server::handshake(second).await.unwrap();
            while let Some(Ok((request, respond))) = http.accept().await {
                let notes = shared.clone();
                spawn_local(serve(Call {
                    request,
                    respond,
                    notes,
                }));
            }
        });
        Self { address, notes }
    }

    /// A target that ends each connection after its first request, which it serves.
    pub(crate) async fn one_each<F: Future<Output = ()> + 'static>(
        serve: impl Fn(Call) -> F + Clone + 'static,
    ) -> Self {
        let notes = Notes::default();
        let shared = notes.clone();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        spawn_local(async move {
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                shared.push("connection");
                let (serve, notes) = (serve.clone(), shared.clone());
                spawn_local(async move {
                    let mut http = h2::server::handshake(stream).await.unwrap();
                    while let Some(Ok((request, respond))) = http.accept().await {
                        http.graceful_shutdown();
                        let notes = notes.clone();
                        spawn_local(serve(Call {
                            request,
                            respond,
                            notes,
                        }));
                    }
                });
            }
        });
        Self { address, notes }
    }

    /// A target that writes `bytes` on each connection, once the client has said something, and keeps it
    /// open.
    pub(crate) async fn raw(bytes: impl Fn() -> Vec<u8> + 'static) -> Self {
        let notes = Notes::default();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let shared = notes.clone();
        spawn_local(async move {
            let mut open: Vec<TcpStream> = Vec::new();
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                shared.push("connection");
                stream.readable().await.unwrap();
                let mut sent = 0;
                let bytes = bytes();
                while sent < bytes.len() {
                    stream.writable().await.unwrap();
                    sent += stream.try_write(&bytes[sent..]).unwrap_or(0);
                }
                open.push(stream);
            }
        });
        Self { address, notes }
    }
}

/// A frame of a target.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

impl Call {
    /// The whole body of the request, and its trailers.
    pub(crate) async fn body(&mut self) -> (Vec<u8>, Option<HeaderMap>) {
        let stream = self.request.body_mut();
        let mut body = Vec::new();
        while let Some(data) = soon(stream.data()).await {
            let data = data.unwrap();
            stream.flow_control().release_capacity(data.len()).unwrap();
            body.extend_from_slice(&data);
        }
        (body, soon(stream.trailers()).await.unwrap())
    }

    /// Sends a response with a body and, if it is gRPC's, the status.
    pub(crate) fn answer(mut self, body: &[u8], grpc_status: Option<&str>) {
        let mut response = Response::builder();
        if grpc_status.is_some() {
            response = response.header("content-type", "application/grpc");
        }
        let mut stream = self
            .respond
            .send_response(response.body(()).unwrap(), false)
            .unwrap();
        let body = Bytes::copy_from_slice(body);
        stream.send_data(body, grpc_status.is_none()).unwrap();
        if let Some(status) = grpc_status {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", status.parse().unwrap());
            stream.send_trailers(trailers).unwrap();
        }
    }

    pub(crate) fn reset(&mut self, reason: Reason) {
        self.respond.send_reset(reason);
    }
}
