//! The admin address: metrics, health, targets and the configuration in force.
//!
//! | path | answer |
//! | --- | --- |
//! | `GET /live` | 200 as long as the process answers at all |
//! | `GET /ready` | 200 once everything present at the start serves, else 503; 503 while it drains |
//! | `GET /health` | 200 when every listener serves, else 503 |
//! | `GET /metrics` | Prometheus' text, or OpenMetrics if the client asks for it |
//! | `GET /targets` | every target: state, reason, in flight, requests |
//! | `GET /config` | the configuration in force, without keys |
//! | `GET /status` | all of the above, for `elbow get` |
//! | `POST …` | actions of the embedding program, see [`Actions`] |
//!
//! The first four are for everybody; [`Access`] protects the others.

mod access;
mod connections;
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

use access::Refusal;
pub use access::{Access, CLIENT_HEADER, TOKEN_HEADER, Token};
use connections::Connections;
use large::{AnswerError, Content, Gone, Large, Sink, complete, unknown_length};
use page::{PUBLIC_KEYS, Page};
use stall::Stalling;

/// How long a client may take to send a request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may read nothing of a response.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after a failed accept, for example without file descriptors.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

const JSON: &str = "application/json";
const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The future result of an action: a message either way.
pub type Done = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// Actions and metrics of the embedding program.
pub trait Actions: Send + Sync {
    /// Runs the action for a `POST` to `path`; `None` if there is no such action.
    fn post(&self, path: &str) -> Option<Done>;

    /// Further metrics in OpenMetrics' text form, without the end marker.
    fn metrics(&self) -> String {
        String::new()
    }

    /// Whether everything present at the start serves.
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

/// The admin pages; several addresses may serve them, each with its own access rules.
#[derive(Clone)]
pub struct Pages(Arc<Inner>);

struct Inner {
    view: View,
    actions: Arc<dyn Actions>,
    large: Large,
    refused: [SharedCounter; Refusal::ALL.len()],
}

impl Pages {
    /// Pages that show `view` and run `actions`.
    pub fn new(view: View, actions: Arc<dyn Actions>) -> Self {
        Self(Arc::new(Inner {
            large: Large::new(Arc::clone(view.telemetry())),
            view,
            actions,
            refused: Default::default(),
        }))
    }

    /// Serves `listener` until the future is dropped.
    pub async fn serve(self, listener: TcpListener, access: Access) {
        let access = Arc::new(access);
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
            let (pages, access) = (self.clone(), Arc::clone(&access));
            let task = tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let (pages, access) = (pages.clone(), Arc::clone(&access));
                    async move { Ok::<_, Infallible>(pages.answer(&request, &access).await) }
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

    async fn answer<B>(&self, request: &Request<B>, access: &Access) -> Response<Content> {
        let path = request.uri().path();
        if let Err(refusal) = access.admit(request.method(), request.uri(), request.headers()) {
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
        // The discriminants are indices into `ALL`.
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
                let config = move || elbow_native::render(&view.model());
                self.json(request, config).await
            }
            Page::PublicKey => {
                let path = request.uri().path();
                let id = path.strip_prefix(PUBLIC_KEYS).unwrap_or_default();
                match view.public_key(id) {
                    Some(pem) => plain(StatusCode::OK, &pem),
                    None => not_found(),
                }
            }
            Page::Status => self.json(request, move || view.status()).await,
        }
    }

    /// All metrics, in the format that the scraper asks for.
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
            "# HELP {name} Requests that the admin address refused\n# TYPE {name} counter"
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
            return respond(StatusCode::OK, content_type, unknown_length());
        }
        match self.0.large.answer(write).await {
            Ok(content) => respond(StatusCode::OK, content_type, content),
            Err(AnswerError::Busy) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let mut response =
                    plain(status, "too many large answers are being read; try again\n");
                let headers = response.headers_mut();
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
                response
            }
            Err(AnswerError::Failed) => plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "cannot produce the answer\n",
            ),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    status: &'static str,
    generation: u64,
    /// Listeners that do not serve.
    not_serving: Vec<String>,
}

fn health(view: &View) -> Response<Content> {
    let (generation, not_serving) = view.not_serving();
    let (code, status) = if not_serving.is_empty() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not serving")
    };
    let health = Health {
        status,
        generation,
        not_serving,
    };
    match serde_json::to_string_pretty(&health) {
        Ok(body) => respond(code, JSON, complete(body + "\n")),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
    }
}

fn not_found() -> Response<Content> {
    plain(
        StatusCode::NOT_FOUND,
        "page not found; available: /metrics /live /ready /health /targets /config /status\n",
    )
}

fn plain(code: StatusCode, body: &str) -> Response<Content> {
    let body = complete(body.to_owned());
    respond(code, "text/plain; charset=utf-8", body)
}

/// A response that other sites can neither show, run nor store.
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
