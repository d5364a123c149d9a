//! A client for the admin address of a running elbow.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use elbow_admin::Token;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::process::Failure;

/// The time limit for the whole answer of an elbow that should run.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Requests `path` with `token` and returns the JSON of the answer, which has to arrive within `timeout`.
///
/// # Errors
/// No elbow answers at `admin`, or it refuses the request.
pub(crate) fn ask(
    admin: SocketAddr,
    path: &'static str,
    token: Option<&Token>,
    timeout: Duration,
) -> Result<Value, Failure> {
    crate::process::runtime()?
        .block_on(async { tokio::time::timeout(timeout, fetch(admin, path, token)).await })
        .unwrap_or_else(|_| Err(RequestError::NoAnswer("no answer in time".to_owned())))
        .map_err(|error| match error {
            RequestError::NoAnswer(why) => Failure::environment(
                format!("no elbow answers on the admin address {admin}: {why}"),
                "check that elbow runs, or name another address with --admin",
            ),
            RequestError::Refused(why) => Failure::environment(
                format!("the admin address {admin} refuses: {why}"),
                "present a token with --admin-token FILE, or that of this user's elbow with --admin-token auto",
            ),
        })
}

enum RequestError {
    NoAnswer(String),
    /// With the reason that the elbow gave.
    Refused(String),
}

async fn fetch(
    admin: SocketAddr,
    path: &'static str,
    token: Option<&Token>,
) -> Result<Value, RequestError> {
    let (status, body) = exchange(admin, path, token)
        .await
        .map_err(RequestError::NoAnswer)?;
    if status.is_client_error() {
        let why = String::from_utf8_lossy(&body);
        return Err(RequestError::Refused(why.trim().to_owned()));
    }
    serde_json::from_slice(&body)
        .map_err(|e| RequestError::NoAnswer(format!("not a JSON answer: {e}")))
}

async fn exchange(
    admin: SocketAddr,
    path: &'static str,
    token: Option<&Token>,
) -> Result<(StatusCode, Bytes), String> {
    let stream = TcpStream::connect(admin).await.map_err(|e| e.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    // It ends with the answer, whose result has the error.
    tokio::spawn(connection);
    let mut request = Request::get(path).header(HOST, admin.to_string());
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.secret()));
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(|e| e.to_string())?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|e| e.to_string())?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_BYTES)
        .collect()
        .await;
    Ok((status, body.map_err(|e| e.to_string())?.to_bytes()))
}
