//! The HTTPS server of the webhooks.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::{GATES_PATH, Gates, Mutation, SERVER_IDS_PATH, answer};

/// The longest request body: an object of 1.5 MiB, and as much again for the user's identity.
const BODY_LIMIT: usize = 3 << 20;
/// The most connections at a time; more have to wait.
const CONNECTIONS: usize = 64;
/// The timeout of a handshake, of a request head and of a body. API servers give up after 10 s by default.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after a failed accept.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

/// Serves `listener`, with the latest certificate in `offered`. QUIC server IDs go into the environment variable `quic_variable`.
pub(super) async fn serve(
    listener: TcpListener,
    offered: watch::Receiver<Option<Arc<ServerConfig>>>,
    gates: watch::Receiver<Arc<Gates>>,
    quic_variable: Arc<str>,
) {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&free).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let config = offered.borrow().clone();
                drop(tokio::spawn(connection(
                    stream,
                    config,
                    gates.clone(),
                    Arc::clone(&quic_variable),
                    place,
                )));
            }
            Err(error) => {
                debug!(%error, "accept failed on the webhook's address");
                tokio::time::sleep(ACCEPT_BACK_OFF).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    config: Option<Arc<ServerConfig>>,
    gates: watch::Receiver<Arc<Gates>>,
    quic_variable: Arc<str>,
    _place: OwnedSemaphorePermit,
) {
    // Without a certificate, the connection is closed; the API server then continues without the webhook.
    let Some(config) = config else { return };
    let handshake = TlsAcceptor::from(config).accept(stream);
    let stream = match timeout(TIMEOUT, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            return debug!(%error, "webhook: TLS handshake failed");
        }
        Err(_) => return debug!("webhook: TLS handshake timed out"),
    };
    let service = service_fn(move |request| {
        let (gates, quic_variable) = (Arc::clone(&gates.borrow()), Arc::clone(&quic_variable));
        async move { Ok::<_, Infallible>(respond(request, &gates, &quic_variable).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!(%error, "webhook: connection failed");
    }
}

async fn respond<B>(
    request: Request<B>,
    gates: &Gates,
    quic_variable: &str,
) -> Response<Full<Bytes>>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mutation = match request.uri().path() {
        GATES_PATH => Mutation::Gates(gates),
        SERVER_IDS_PATH => Mutation::ServerIds {
            variable: quic_variable,
            id: random_id,
        },
        _ => {
            return text(
                StatusCode::NOT_FOUND,
                format!("not found; send reviews to {GATES_PATH} or {SERVER_IDS_PATH}"),
            );
        }
    };
    if request.method() != Method::POST {
        let mut refusal = text(
            StatusCode::METHOD_NOT_ALLOWED,
            "send an AdmissionReview by POST".to_owned(),
        );
        refusal
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("POST"));
        return refusal;
    }
    let body = Limited::new(request.into_body(), BODY_LIMIT).collect();
    let body = match timeout(TIMEOUT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return text(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is longer than {BODY_LIMIT} bytes"),
            );
        }
        Ok(Err(error)) => return text(StatusCode::BAD_REQUEST, error.to_string()),
        Err(_) => {
            return text(
                StatusCode::REQUEST_TIMEOUT,
                "the body took too long".to_owned(),
            );
        }
    };
    match answer(&body, &mutation) {
        Ok(answer) => {
            let mut response = Response::new(Full::from(answer));
            let kind = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        Err(malformed) => text(StatusCode::BAD_REQUEST, malformed.to_string()),
    }
}

/// 8 octets from the operating system's generator.
fn random_id() -> Option<[u8; 8]> {
    let mut id = [0; 8];
    let random = aws_lc_rs::default_provider().secure_random;
    random.fill(&mut id).ok()?;
    Some(id)
}

fn text(status: StatusCode, mut what: String) -> Response<Full<Bytes>> {
    what.push('\n');
    let mut response = Response::new(Full::from(what));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
