//! Asking a running elbow on its admin address.

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

use crate::Failure;

/// For the whole answer of an elbow that should be there.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// Of the answer.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The JSON that `path` answers within `timeout` to whoever shows `token`.
///
/// # Errors
/// The environment's, when nothing there answers as an elbow does.
pub(crate) fn ask(
    admin: SocketAddr,
    path: &'static str,
    token: Option<&Token>,
    timeout: Duration,
) -> Result<Value, Failure> {
    crate::runtime()?
        .block_on(async { tokio::time::timeout(timeout, fetch(admin, path, token)).await })
        .unwrap_or_else(|_| Err(Trouble::NoAnswer("no answer in time".to_owned())))
        .map_err(|trouble| match trouble {
            Trouble::NoAnswer(why) => Failure::environment(
                format!("no elbow answers on the admin address {admin}: {why}"),
                "is it running? --admin names another address",
            ),
            Trouble::Refused(why) => Failure::environment(
                format!("the admin address {admin} refuses: {why}"),
                "--admin-token FILE shows a token, --admin-token auto that of this user's elbow",
            ),
        })
}

enum Trouble {
    NoAnswer(String),
    /// In the words of the elbow that was asked.
    Refused(String),
}

async fn fetch(
    admin: SocketAddr,
    path: &'static str,
    token: Option<&Token>,
) -> Result<Value, Trouble> {
    let (status, body) = exchange(admin, path, token)
        .await
        .map_err(Trouble::NoAnswer)?;
    if status.is_client_error() {
        let why = String::from_utf8_lossy(&body);
        return Err(Trouble::Refused(why.trim().to_owned()));
    }
    serde_json::from_slice(&body)
        .map_err(|e| Trouble::NoAnswer(format!("not an answer of elbow: {e}")))
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
    // It ends with the answer, which says what went wrong.
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
