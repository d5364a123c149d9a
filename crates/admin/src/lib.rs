//! The operator's door: metrics, health, targets and the configuration in force.
//!
//! | path | answer |
//! | --- | --- |
//! | `GET /live` | 200 as long as the process answers at all |
//! | `GET /ready` | 200 when what was there at the start serves, else 503; 503 while it drains |
//! | `GET /health` | 200 when every listener serves, else 503 |
//! | `GET /metrics` | Prometheus' text, or OpenMetrics for those who ask for it |
//! | `GET /targets` | every target: state, reason, in flight, requests |
//! | `GET /config` | the configuration in force, without keys |
//! | `GET /status` | all of it, as `elbow get` reads it |
//! | `POST …` | what the embedder adds, see [`Actions`] |
//!
//! The first four are for everybody; the others are behind a [`Door`].

mod connections;
mod door;
mod large;
mod page;
mod stall;

use std::convert::Infallible;
use std::fmt::Write;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use elbow_plane::View;
use elbow_telemetry::{Exposition, Format, SharedCounter, ShedReason};
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::TcpListener;
use tracing::debug;

use connections::Connections;
use door::Refusal;
pub use door::{CLIENT_HEADER, Door, TOKEN_HEADER, Token};
use large::{Content, Gone, Large, Sink, Trouble, at_hand, unmade};
use page::Page;
use stall::Stalling;

/// A client that sends its head slower than this is dropped.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that reads nothing of an answer for so long is dropped.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Between attempts to accept when the system refuses, e.g. for want of file descriptors.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

const JSON: &str = "application/json";
const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What became of an action: a message either way.
pub type Done = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// What the embedder has to say and to do besides.
pub trait Actions: Send + Sync {
    /// Does what a `POST` of `path` says; `None` when there is no such action.
    fn post(&self, path: &str) -> Option<Done>;

    /// Metrics in OpenMetrics' text form, without the mark of the end.
    fn metrics(&self) -> String {
        String::new()
    }

    /// Whether what was there at the start serves.
    fn is_ready(&self) -> bool {
        true
    }
}

/// No actions.
#[derive(Clone, Copy, Debug)]
pub struct NoActions;

impl Actions for NoActions {
    fn post(&self, _path: &str) -> Option<Done> {
        None
    }
}

/// The pages, which any number of addresses may serve, each behind a door of its own.
#[derive(Clone)]
pub struct Pages(Arc<Inner>);

struct Inner {
    view: View,
    actions: Arc<dyn Actions>,
    large: Large,
    refused: [SharedCounter; Refusal::ALL.len()],
}

impl Pages {
    /// What `view` shows and `actions` do.
    pub fn new(view: View, actions: Arc<dyn Actions>) -> Self {
        Self(Arc::new(Inner {
            large: Large::new(Arc::clone(view.telemetry())),
            view,
            actions,
            refused: Default::default(),
        }))
    }

    /// Answers on `listener` until this is dropped.
    pub async fn serve(self, listener: TcpListener, door: Door) {
        let door = Arc::new(door);
        let mut connections = Connections::default();
        let shed = Arc::clone(&self.0.view.telemetry().shed);
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    debug!(%error, "accept failed on the admin address");
                    tokio::time::sleep(ACCEPT_BACK_OFF).await;
                    continue;
                }
            };
            let (pages, door) = (self.clone(), Arc::clone(&door));
            let task = tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let (pages, door) = (pages.clone(), Arc::clone(&door));
                    async move { Ok::<_, Infallible>(pages.answer(&request, &door).await) }
                });
                let stream = Stalling::new(stream, READ_TIMEOUT);
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIMEOUT)
                    .serve_connection(TokioIo::new(stream), service);
                if let Err(error) = connection.await {
                    debug!(%error, "admin connection ended early");
                }
            });
            if connections.add(task.abort_handle()) {
                shed.increment(ShedReason::AdminConnections);
            }
        }
    }

    async fn answer<B>(&self, request: &Request<B>, door: &Door) -> Response<Content> {
        let path = request.uri().path();
        if let Err(refusal) = door.admit(request.method(), request.uri(), request.headers()) {
            return self.refuse(refusal);
        }
        match (request.method(), Page::of(path)) {
            (&Method::GET | &Method::HEAD, Some(page)) => self.page(page, request).await,
            (_, Some(_)) => {
                let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
                let headers = response.headers_mut();
                headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                response
            }
            (&Method::POST, None) => match self.0.actions.post(path) {
                Some(done) => match done.await {
                    Ok(message) => plain(StatusCode::OK, &format!("{message}\n")),
                    Err(message) => plain(StatusCode::CONFLICT, &format!("{message}\n")),
                },
                None => not_found(),
            },
            _ => not_found(),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Response<Content> {
        // The discriminants are the places in `ALL`.
        if let Some(counter) = self.0.refused.get(refusal as usize) {
            counter.increment();
        }
        let mut response = plain(refusal.status(), refusal.message());
        if refusal == Refusal::Token {
            let challenge = HeaderValue::from_static("Bearer realm=\"elbow\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }

    async fn page<B>(&self, page: Page, request: &Request<B>) -> Response<Content> {
        let view = self.0.view.clone();
        match page {
            Page::Live => plain(StatusCode::OK, "live\n"),
            Page::Ready if view.is_draining() => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
            }
            Page::Ready if self.0.actions.is_ready() => plain(StatusCode::OK, "ready\n"),
            Page::Ready => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            Page::Health => health(&view),
            Page::Metrics => self.metrics(request).await,
            Page::Targets => {
                self.json(request, move || {
                    let groups = view.status().target_groups.into_iter();
                    groups.flat_map(|group| group.targets).collect::<Vec<_>>()
                })
                .await
            }
            Page::Config => {
                let config = move || elbow_model::file::render(&view.model());
                self.json(request, config).await
            }
            Page::Status => self.json(request, move || view.status()).await,
        }
    }

    /// Every metric, in the form that the scraper asks for.
    async fn metrics<B>(&self, request: &Request<B>) -> Response<Content> {
        let accept = request.headers().get(ACCEPT).and_then(|a| a.to_str().ok());
        let format = Format::negotiate(accept.unwrap_or_default());
        let pages = self.clone();
        self.large(request, format.content_type(), move |sink| {
            let mut exposition = Exposition::new(format, sink);
            pages.0.view.write_metrics(&mut exposition)?;
            exposition.write_str(&pages.0.actions.metrics())?;
            pages.write_refused(&mut exposition)?;
            Ok(exposition.finish()?)
        })
        .await
    }

    fn write_refused(&self, out: &mut impl Write) -> std::fmt::Result {
        let name = "elbow_admin_refused_requests";
        writeln!(
            out,
            "# HELP {name} Requests refused at the admin address\n# TYPE {name} counter"
        )?;
        for (refusal, count) in Refusal::ALL.iter().zip(&self.0.refused) {
            let reason = refusal.label();
            writeln!(out, "{name}_total{{reason=\"{reason}\"}} {}", count.get())?;
        }
        Ok(())
    }

    async fn json<B, T: Serialize>(
        &self,
        request: &Request<B>,
        value: impl FnOnce() -> T + Send + 'static,
    ) -> Response<Content> {
        self.large(request, JSON, move |sink| {
            serde_json::to_writer_pretty(&mut *sink, &value())?;
            Ok(sink.write_str("\n")?)
        })
        .await
    }

    async fn large<B>(
        &self,
        request: &Request<B>,
        content_type: &'static str,
        write: impl FnOnce(&mut Sink) -> Result<(), Gone> + Send + 'static,
    ) -> Response<Content> {
        if request.method() == Method::HEAD {
            return respond(StatusCode::OK, content_type, unmade());
        }
        match self.0.large.answer(write).await {
            Ok(content) => respond(StatusCode::OK, content_type, content),
            Err(Trouble::Busy) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let mut response = plain(status, "too many large answers are being read\n");
                let headers = response.headers_mut();
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
                response
            }
            Err(Trouble::Failed) => plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the answer cannot be made\n",
            ),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    status: &'static str,
    generation: u64,
    /// Sockets that do not serve.
    not_serving: Vec<String>,
}

fn health(view: &View) -> Response<Content> {
    let (generation, not_serving) = view.not_serving();
    let (code, status) = match not_serving.is_empty() {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not serving"),
    };
    let health = Health {
        status,
        generation,
        not_serving,
    };
    match serde_json::to_string_pretty(&health) {
        Ok(body) => respond(code, JSON, at_hand(body + "\n")),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
    }
}

fn not_found() -> Response<Content> {
    plain(
        StatusCode::NOT_FOUND,
        "no such page; there are /metrics /live /ready /health /targets /config /status\n",
    )
}

fn plain(code: StatusCode, body: &str) -> Response<Content> {
    let body = at_hand(body.to_owned());
    respond(code, "text/plain; charset=utf-8", body)
}

/// An answer that no page of another site shows, runs or keeps.
fn respond(code: StatusCode, content_type: &'static str, body: Content) -> Response<Content> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (CORP, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
