//! A target that speaks HTTP/2, by the h2 crate.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use elbow_h2::{Config, Event};
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
        Self::accepting(move |stream, notes| {
            let serve = serve.clone();
            async move {
                let mut builder = h2::server::Builder::new();
                builder.max_concurrent_streams(streams_max);
                if let Ok(http) = builder.handshake(stream).await {
                    calls(http, false, notes, serve).await;
                }
            }
        })
        .await
    }

    /// A target that leaves its first connection when a request arrives there, without having seen it. It serves
    /// the next ones.
    pub(crate) async fn leaving<F: Future<Output = ()> + 'static>(
        serve: impl Fn(Call) -> F + Clone + 'static,
    ) -> Self {
        Self::accepting(move |stream, notes| {
            let serve = serve.clone();
            async move {
                if notes.count("connection") == 1 {
                    return leave(stream, notes).await;
                }
                let http = h2::server::handshake(stream).await.unwrap();
                calls(http, false, notes, serve).await;
            }
        })
        .await
    }

    /// A target that ends each connection after its first request, which it serves.
    pub(crate) async fn one_each<F: Future<Output = ()> + 'static>(
        serve: impl Fn(Call) -> F + Clone + 'static,
    ) -> Self {
        Self::accepting(move |stream, notes| {
            let serve = serve.clone();
            async move {
                let http = h2::server::handshake(stream).await.unwrap();
                calls(http, true, notes, serve).await;
            }
        })
        .await
    }

    /// A target that writes `first` on each connection, and `then` once a request is there. It keeps the connection
    /// open, and notes the names of fields that must enter no table.
    pub(crate) async fn raw(first: Vec<u8>, then: Vec<u8>) -> Self {
        Self::accepting(move |mut stream, notes| {
            let (first, then) = (first.clone(), then.clone());
            async move {
                stream.write_all(&first).await.unwrap();
                let mut reader = elbow_h2::Connection::server(READER);
                let (mut input, mut then) = (Vec::new(), Some(then));
                while stream.read_buf(&mut input).await.is_ok_and(|n| n > 0) {
                    let is_request = read(&mut reader, &mut input, &notes);
                    if let Some(then) = then.take_if(|_| is_request) {
                        // A client that has seen enough closes.
                        let _ = stream.write_all(&then).await;
                    }
                }
            }
        })
        .await
    }

    /// A target that notes each connection and runs `serve` for it.
    async fn accepting<F: Future<Output = ()> + 'static>(
        serve: impl Fn(TcpStream, Notes) -> F + 'static,
    ) -> Self {
        let notes = Notes::default();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let shared = notes.clone();
        spawn_local(async move {
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                shared.push("connection");
                spawn_local(serve(stream, shared.clone()));
            }
        });
        Self { address, notes }
    }
}

/// Lets `serve` handle each request of a connection, which ends after the first one if `is_short`.
async fn calls<F: Future<Output = ()> + 'static>(
    mut http: h2::server::Connection<TcpStream, Bytes>,
    is_short: bool,
    notes: Notes,
    serve: impl Fn(Call) -> F,
) {
    while let Some(Ok((request, respond))) = http.accept().await {
        if is_short {
            http.graceful_shutdown();
        }
        spawn_local(serve(Call {
            request,
            respond,
            notes: notes.clone(),
        }));
    }
}

const READER: Config = Config {
    streams_max: 100,
    stream_window: 1 << 20,
    connection_window: 1 << 20,
    header_list_max: 128 * 1024,
    output_max: 1 << 20,
};

/// Reads the frames in `input`; whether there is a request.
fn read(reader: &mut elbow_h2::Connection, input: &mut Vec<u8>, notes: &Notes) -> bool {
    let mut is_request = false;
    loop {
        let received = reader.receive(input);
        let (used, is_over) = (received.used, received.event.is_none());
        if let Some(Event::Head { head, .. }) = received.event {
            is_request = true;
            for name in head.never_indexed() {
                notes.push(format!("never indexed: {name}"));
            }
        }
        input.drain(..used);
        if is_over {
            return is_request;
        }
    }
}

/// Answers the first request with a GOAWAY that says that it was not seen.
async fn leave(mut stream: TcpStream, notes: Notes) {
    stream.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    // The preface, SETTINGS, WINDOW_UPDATE, the acknowledgement, and then the request.
    let mut seen = Vec::new();
    while seen.windows(4).filter(|part| part == b"Echo").count() == 0 && seen.len() < 160 {
        stream.read_buf(&mut seen).await.unwrap();
    }
    notes.push("request");
    stream.write_all(&frame(7, 0, 0, &[0; 8])).await.unwrap();
    pending::<()>().await;
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
