//! The operator's door: metrics, health, targets and the configuration in force.
//!
//! | path | answer |
//! | --- | --- |
//! | `GET /metrics` | Prometheus' text form |
//! | `GET /health` | 200 when every listener serves, else 503 |
//! | `GET /ready` | 200 when what was there at the start serves, else 503; 503 while it drains |
//! | `GET /targets` | every target: state, reason, in flight, requests |
//! | `GET /config` | the configuration in force, without keys |
//! | `GET /status` | all of it, as `elbow get` reads it |
//! | `POST …` | what the embedder adds, see [`Actions`] |

mod connections;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use elbow_plane::View;
use elbow_telemetry::ShedReason;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::TcpListener;
use tracing::debug;

use connections::Connections;

/// A client that sends its head slower than this is dropped.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Between attempts to accept when the system refuses, e.g. for want of file descriptors.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

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

/// Answers on `listener` until it is dropped.
pub async fn serve(listener: TcpListener, view: View, actions: Arc<dyn Actions>) {
    let mut connections = Connections::default();
    let shed = Arc::clone(&view.telemetry().shed);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                debug!(%error, "accept failed on the admin address");
                tokio::time::sleep(ACCEPT_BACK_OFF).await;
                continue;
            }
        };
        let (view, actions) = (view.clone(), Arc::clone(&actions));
        let task = tokio::spawn(async move {
            let service = service_fn(move |request| {
                let (view, actions) = (view.clone(), Arc::clone(&actions));
                async move { Ok::<_, Infallible>(answer(&request, &view, &*actions).await) }
            });
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

async fn answer<B>(
    request: &Request<B>,
    view: &View,
    actions: &dyn Actions,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    match (request.method(), path) {
        (&Method::GET | &Method::HEAD, "/metrics") => text(
            StatusCode::OK,
            elbow_telemetry::CONTENT_TYPE,
            with_more(view.metrics(), &actions.metrics()),
        ),
        (&Method::GET | &Method::HEAD, "/health") => health(view),
        (&Method::GET | &Method::HEAD, "/ready") if view.is_draining() => {
            plain(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        }
        (&Method::GET | &Method::HEAD, "/ready") => match actions.is_ready() {
            true => plain(StatusCode::OK, "ready\n"),
            false => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        },
        (&Method::GET | &Method::HEAD, "/targets") => {
            let groups = view.status().target_groups;
            json(
                StatusCode::OK,
                &groups
                    .into_iter()
                    .flat_map(|g| g.targets)
                    .collect::<Vec<_>>(),
            )
        }
        (&Method::GET | &Method::HEAD, "/config") => {
            json(StatusCode::OK, &elbow_model::file::render(&view.model()))
        }
        (&Method::GET | &Method::HEAD, "/status") => json(StatusCode::OK, &view.status()),
        (_, "/metrics" | "/health" | "/ready" | "/targets" | "/config" | "/status") => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
            response
                .headers_mut()
                .insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
            response
        }
        (&Method::POST, path) => match actions.post(path) {
            Some(done) => match done.await {
                Ok(message) => plain(StatusCode::OK, &format!("{message}\n")),
                Err(message) => plain(StatusCode::CONFLICT, &format!("{message}\n")),
            },
            None => not_found(),
        },
        _ => not_found(),
    }
}

/// What ends a scrape.
const END: &str = "# EOF\n";

fn with_more(metrics: String, more: &str) -> String {
    match metrics.strip_suffix(END) {
        Some(start) if !more.is_empty() => format!("{start}{more}{END}"),
        _ => metrics,
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

fn health(view: &View) -> Response<Full<Bytes>> {
    let status = view.status();
    let listeners = status.load_balancers.iter().flat_map(|lb| &lb.listeners);
    let not_serving: Vec<_> = listeners
        .filter(|l| !l.serving)
        .map(|l| l.bound.clone())
        .collect();
    let (code, word) = match not_serving.is_empty() {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not serving"),
    };
    json(
        code,
        &Health {
            status: word,
            generation: status.generation,
            not_serving,
        },
    )
}

fn json(code: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_string_pretty(value) {
        Ok(body) => text(code, "application/json", body + "\n"),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
    }
}

fn not_found() -> Response<Full<Bytes>> {
    plain(
        StatusCode::NOT_FOUND,
        "no such page; there are /metrics /health /ready /targets /config /status\n",
    )
}

fn plain(code: StatusCode, body: &str) -> Response<Full<Bytes>> {
    text(code, "text/plain; charset=utf-8", body.to_owned())
}

fn text(code: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static(content_type),
    );
    headers.insert(
        CACHE_CONTROL,
        hyper::header::HeaderValue::from_static("no-store"),
    );
    response
}
