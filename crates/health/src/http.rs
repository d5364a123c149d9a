//! The request of an HTTP check.

use std::pin::pin;

use ::http::header::{CONNECTION, HOST, USER_AGENT};
use ::http::{HeaderValue, Request, Uri};
use bytes::Bytes;
use elbow_net::Stream;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::prober::Prober;

/// Limit of a response head in bytes.
const MAX_HEAD: usize = 32 << 10;

/// Why there was no valid response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The configured path is invalid in a request.
    #[error("the health check path is invalid: {0}")]
    Path(#[from] ::http::uri::InvalidUri),
    /// The host is invalid in a header.
    #[error("the Host header is invalid: {0}")]
    Host(#[from] ::http::header::InvalidHeaderValue),
    /// The response is not HTTP or too long, or the connection was closed or reset.
    #[error("no valid HTTP response: {0}")]
    Hyper(#[from] hyper::Error),
}

/// Requests `path` and returns the status code; the body is not read, and `io` is closed.
pub(crate) async fn status<S: Stream>(io: S, path: &str, prober: &Prober) -> Result<u16, Error> {
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = path.parse::<Uri>()?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::try_from(&prober.host)?);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(USER_AGENT, HeaderValue::from_static(prober.user_agent));

    let (mut sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(io))
        .await?;
    let mut response = pin!(sender.send_request(request));
    let response = tokio::select! {
        response = &mut response => response,
        // It may end early when the target closes the connection; the response has arrived by then.
        _ = connection => response.await,
    };
    Ok(response?.status().as_u16())
}
