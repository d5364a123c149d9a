//! The request of a check over HTTP/2, and the call of a gRPC check.

use ::http::header::{CONTENT_TYPE, TE, USER_AGENT};
use ::http::{HeaderMap, HeaderValue, Method};
use bytes::Bytes;
use elbow_net::Stream;
use h2::RecvStream;

use crate::prober::Prober;

/// Limit of a response head in bytes, as HTTP/2 counts it.
const MAX_HEAD: u32 = 48 << 10;
/// Limit of the response's body of a call in bytes.
const MAX_BODY: usize = 64 << 10;
/// An empty message as gRPC frames it: `google.protobuf.Empty`, and a check of `grpc.health.v1` for the whole server.
const EMPTY_MESSAGE: &[u8] = &[0; 5];

/// What is asked.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    /// Of a gRPC check that of a method.
    pub(crate) path: &'a str,
    /// The connection uses TLS.
    pub(crate) tls: bool,
    /// A gRPC check.
    pub(crate) is_grpc: bool,
}

/// Why there was no valid response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The configured path or the host is invalid in a request.
    #[error("the health check request is invalid: {0}")]
    Request(#[from] ::http::Error),
    /// The target does not speak HTTP/2, or closed or reset the connection.
    #[error("no valid HTTP/2 response: {0}")]
    H2(#[from] h2::Error),
    /// The connection ended.
    #[error("the target closed the connection")]
    Closed,
    /// The response to a call is not one of gRPC.
    #[error("status {0} without a gRPC status")]
    NotGrpc(u16),
    /// The response to a call is too long.
    #[error("the response to a gRPC check is longer than {MAX_BODY} bytes")]
    TooLong,
}

/// Sends `request`, and returns the status code, or of a gRPC check the code of gRPC. `io` is closed.
pub(crate) async fn code<S: Stream>(
    io: S,
    request: Request<'_>,
    prober: &Prober,
) -> Result<u16, Error> {
    let mut builder = h2::client::Builder::new();
    builder.enable_push(false).max_header_list_size(MAX_HEAD);
    let (sender, connection) = builder.handshake::<_, Bytes>(io).await?;
    tokio::select! {
        code = ask(sender, request, prober) => code,
        // It only ends by itself when it failed, or together with the last stream.
        ended = connection => match ended {
            Err(error) => Err(error.into()),
            Ok(()) => Err(Error::Closed),
        },
    }
}

async fn ask(
    sender: h2::client::SendRequest<Bytes>,
    request: Request<'_>,
    prober: &Prober,
) -> Result<u16, Error> {
    let scheme = if request.tls { "https" } else { "http" };
    let uri = format!("{scheme}://{}{}", prober.host, request.path);
    let mut head = ::http::Request::builder().uri(uri).body(())?;
    head.headers_mut()
        .insert(USER_AGENT, HeaderValue::from_static(prober.user_agent));
    let mut sender = sender.ready().await?;
    if !request.is_grpc {
        let (response, _) = sender.send_request(head, true)?;
        return Ok(response.await?.status().as_u16());
    }
    *head.method_mut() = Method::POST;
    let fields = head.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    fields.insert(TE, HeaderValue::from_static("trailers"));
    let (response, mut body) = sender.send_request(head, false)?;
    // A target may answer before it has all of the call.
    let _ = body.send_data(Bytes::from_static(EMPTY_MESSAGE), true);
    let (head, mut body) = response.await?.into_parts();
    let status = head.status.as_u16();
    if let Some(code) = grpc_status(&head.headers) {
        return Ok(code);
    }
    let trailers = trailers(&mut body).await?;
    let code = trailers.as_ref().and_then(grpc_status);
    code.ok_or(Error::NotGrpc(status))
}

/// The trailers behind the body, which is dropped.
async fn trailers(body: &mut RecvStream) -> Result<Option<HeaderMap>, Error> {
    let mut length = 0;
    while let Some(data) = body.data().await {
        let data = data?;
        length += data.len();
        if length > MAX_BODY {
            return Err(Error::TooLong);
        }
        body.flow_control().release_capacity(data.len())?;
    }
    Ok(body.trailers().await?)
}

fn grpc_status(fields: &HeaderMap) -> Option<u16> {
    fields.get("grpc-status")?.to_str().ok()?.parse().ok()
}
