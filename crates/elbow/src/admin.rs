//! Asking a running elbow on its admin address.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::Failure;

/// For the whole answer of an elbow that should be there.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// Of the answer.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The JSON that `path` answers within `timeout`.
///
/// # Errors
/// The environment's, when nothing there answers as an elbow does.
pub(crate) fn ask(
    admin: SocketAddr,
    path: &'static str,
    timeout: Duration,
) -> Result<Value, Failure> {
    crate::runtime()?
        .block_on(async { tokio::time::timeout(timeout, fetch(admin, path)).await })
        .map_err(|_| "no answer in time".to_owned())
        .and_then(|answer| answer)
        .map_err(|e| {
            let what = format!("no elbow answers on the admin address {admin}: {e}");
            Failure::environment(what, "is it running? --admin names another address")
        })
}

async fn fetch(admin: SocketAddr, path: &'static str) -> Result<Value, String> {
    let stream = TcpStream::connect(admin).await.map_err(|e| e.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    // It ends with the answer, which says what went wrong.
    tokio::spawn(connection);
    let request = Request::get(path)
        .header("host", admin.to_string())
        .body(Empty::<Bytes>::new())
        .map_err(|e| e.to_string())?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|e| e.to_string())?;
    let body = Limited::new(response.into_body(), MAX_BYTES)
        .collect()
        .await;
    let body = body.map_err(|e| e.to_string())?.to_bytes();
    serde_json::from_slice(&body).map_err(|e| format!("not an answer of elbow: {e}"))
}
