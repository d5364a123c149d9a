//! The request of an HTTP check.

use std::pin::pin;

use ::http::header::{CONNECTION, HOST, USER_AGENT};
use ::http::{HeaderValue, Request, Uri};
use bytes::Bytes;
use elbow_net::Stream;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::probe::Asker;

/// The head of an answer may be this long.
const MAX_HEAD: usize = 32 << 10;

/// Why a target's answer is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The configured path cannot be asked for.
    #[error("the health check path cannot be requested: {0}")]
    Path(#[from] ::http::uri::InvalidUri),
    /// The host cannot be named in a header.
    #[error("the Host header cannot be sent: {0}")]
    Host(#[from] ::http::header::InvalidHeaderValue),
    /// Not HTTP, too long, or the connection was closed or reset.
    #[error("no valid HTTP response: {0}")]
    Hyper(#[from] hyper::Error),
}

/// Asks for `path` and returns the status code; the body is not read, and `io` is closed.
pub(crate) async fn status<S: Stream>(io: S, path: &str, asker: &Asker) -> Result<u16, Error> {
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = path.parse::<Uri>()?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::try_from(&asker.host)?);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(USER_AGENT, HeaderValue::from_static(asker.user_agent));

    let (mut sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(io))
        .await?;
    let mut response = pin!(sender.send_request(request));
    let response = tokio::select! {
        response = &mut response => response,
        // It ends early when the target closes; the answer, if any, has arrived by then.
        _ = connection => response.await,
    };
    Ok(response?.status().as_u16())
}
