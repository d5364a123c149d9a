//! HTTP/1.1 for the S3 client: a connection for each request. Files are few, and AWS's regions are far.

use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use elbow_tls::pem::Pem;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;

/// How long opening a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// Bytes of the head of a response.
const MAX_HEAD: usize = 32 << 10;
/// Bytes of the body of a response: an error in XML.
const MAX_BODY: usize = 64 << 10;

/// The authorities that may sign the certificate of a bucket's endpoint.
#[derive(Clone, Debug)]
pub(super) enum Roots {
    /// Those of the system, or of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    System,
    These(Vec<CertificateDer<'static>>),
}

impl Roots {
    /// Those in a PEM file; without one, those of the system.
    pub(super) fn new(file: Option<&Path>) -> Result<Self, String> {
        let Some(file) = file else {
            return Ok(Self::System);
        };
        let found = Pem::open(file).and_then(|pem| pem.chain());
        Ok(Self::These(found.map_err(|error| error.to_string())?))
    }
}

/// Makes the HTTP client of a bucket.
#[derive(Clone, Debug)]
pub(super) struct Connector(Arc<Client>);

#[derive(Debug)]
struct Client {
    roots: Roots,
    /// Made for the first request by TLS.
    tls: OnceCell<Arc<ClientConfig>>,
}

impl Connector {
    pub(super) fn new(roots: Roots) -> Self {
        Self(Arc::new(Client {
            roots,
            tls: OnceCell::new(),
        }))
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_tls = request.uri().scheme_str() == Some("https");
        let uri = request.uri().clone();
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let opened = tokio::time::timeout(CONNECT, TcpStream::connect((host, port)));
        let stream = opened.await.map_err(unreachable)?.map_err(unreachable)?;
        if !is_tls {
            return exchange(stream, request).await;
        }
        let name = ServerName::try_from(host.to_owned()).map_err(unreachable)?;
        let config = self.0.tls.get_or_try_init(|| tls(self.0.roots.clone()));
        let connector = TlsConnector::from(Arc::clone(config.await.map_err(unreachable)?));
        let shaken = tokio::time::timeout(CONNECT, connector.connect(name, stream));
        let stream = shaken.await.map_err(unreachable)?.map_err(unreachable)?;
        exchange(stream, request).await
    }
}

/// Sends a request, and receives the whole response.
async fn exchange<S>(stream: S, request: HttpRequest) -> Result<HttpResponse, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let request = addressed(request).map_err(failed)?;
    let receive = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await;
        let body = body.map_err(|error| HttpError::new_boxed(HttpErrorKind::Decode, error))?;
        Ok(Response::from_parts(parts, in_memory(body.to_bytes())))
    };
    let mut receive = pin!(receive);
    tokio::select! {
        response = &mut receive => response,
        // It may end early when the other side closes the connection; the response has arrived by then.
        _ = connection => receive.await,
    }
}

fn in_memory(body: Bytes) -> HttpResponseBody {
    HttpResponseBody::new(Full::new(body).map_err(|never| match never {}))
}

/// `request` with the host in a header, as HTTP/1.1 has it.
fn addressed(request: HttpRequest) -> Result<Request<HttpRequestBody>, http::Error> {
    let (mut parts, body) = request.into_parts();
    let host = parts.uri.authority().map_or("", |all| all.as_str());
    let host = HeaderValue::try_from(host)?;
    parts.headers.insert(HOST, host);
    let form = parts.uri.path_and_query().map_or("/", |form| form.as_str());
    parts.uri = form.parse::<Uri>()?;
    Ok(Request::from_parts(parts, body))
}

async fn tls(roots: Roots) -> io::Result<Arc<ClientConfig>> {
    let mut store = RootCertStore::empty();
    let certificates = match roots {
        Roots::These(certificates) => certificates,
        Roots::System => {
            // Reads hundreds of certificates from the disk.
            let found = spawn_blocking(rustls_native_certs::load_native_certs).await?;
            for error in &found.errors {
                tracing::warn!(%error, "cannot read a root certificate");
            }
            found.certs
        }
    };
    store.add_parsable_certificates(certificates);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn unreachable(error: impl std::error::Error + Send + Sync + 'static) -> HttpError {
    HttpError::new(HttpErrorKind::Connect, error)
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> HttpError {
    HttpError::new(HttpErrorKind::Request, error)
}
