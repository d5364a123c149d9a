//! Requests to identity providers: HTTP/1.1 over TLS that is verified, bounded in size, time and number.

use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;

/// How long a provider may take, from the lookup of its name to the last byte (ALB guide: troubleshooting, HTTP 500).
const TIMEOUT: Duration = Duration::from_secs(5);
/// Requests at the same time, for all workers; more wait, within their timeout.
const MAX_REQUESTS: usize = 64;
/// Bytes of the head of a response.
const MAX_HEAD: usize = 32 << 10;

/// Asks identity providers. Roots are those of the system, or of `SSL_CERT_FILE` and `SSL_CERT_DIR`; they are read when
/// the first request is sent.
#[derive(Debug)]
pub(crate) struct Client {
    tls: OnceCell<Arc<ClientConfig>>,
    /// A root besides those.
    root: OnceLock<CertificateDer<'static>>,
    permits: Semaphore,
}

/// A request for what is at a URL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Get<'a> {
    pub(crate) url: &'a str,
    pub(crate) authorization: Option<&'a str>,
    /// Bytes of the body of the response.
    pub(crate) limit: usize,
}

/// A form that is sent to a URL.
#[derive(Clone, Debug)]
pub(crate) struct Post<'a> {
    pub(crate) url: &'a str,
    pub(crate) authorization: Option<&'a str>,
    pub(crate) form: String,
    /// Bytes of the body of the response.
    pub(crate) limit: usize,
}

/// The response of a provider.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It did not come in time.
    #[error("no complete response within {} s", TIMEOUT.as_secs())]
    Timeout,
    /// The provider cannot be reached, or is not the one that its certificate should prove.
    #[error("cannot connect: {0}")]
    Unreachable(Box<dyn Error + Send + Sync>),
    /// It has more bytes than the limit.
    #[error("the response is too large")]
    TooLarge,
    /// It is not HTTP, or the request cannot be written.
    #[error("no valid response: {0}")]
    Invalid(Box<dyn Error + Send + Sync>),
}

impl Client {
    pub(crate) fn new() -> Self {
        Self {
            tls: OnceCell::new(),
            root: OnceLock::new(),
            permits: Semaphore::new(MAX_REQUESTS),
        }
    }

    /// Trusts the certificates that `root`, in PEM, issues, from the first request on.
    pub(crate) fn trust(&self, root: &str) -> Result<(), pem::Error> {
        let root = CertificateDer::from_pem_slice(root.as_bytes())?;
        self.root.get_or_init(|| root);
        Ok(())
    }

    /// Gets what is at a URL.
    pub(crate) async fn get(&self, get: Get<'_>) -> Result<Response, Failure> {
        let request = request(Method::GET, get.url, get.authorization).map_err(invalid)?;
        self.send(request, get.limit).await
    }

    /// Sends a form.
    pub(crate) async fn post(&self, post: Post<'_>) -> Result<Response, Failure> {
        let request = request(Method::POST, post.url, post.authorization);
        let mut request = request.map_err(invalid)?;
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form);
        *request.body_mut() = Full::from(post.form);
        self.send(request, post.limit).await
    }

    async fn send(&self, request: Request<Full<Bytes>>, limit: usize) -> Result<Response, Failure> {
        let exchange = async {
            // Never closed.
            let _permit = self.permits.acquire().await;
            self.exchange(request, limit).await
        };
        // Boxed, because few requests need it and all of them would hold it.
        elbow_net::timeout(TIMEOUT, Box::pin(exchange))
            .await
            .unwrap_or(Err(Failure::Timeout))
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        limit: usize,
    ) -> Result<Response, Failure> {
        let uri = request.uri().clone();
        let host = uri.host().unwrap_or_default();
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = uri.port_u16().unwrap_or(443);
        let tls = self
            .tls
            .get_or_try_init(|| tls(self.root.get()))
            .await
            .map_err(unreachable)?;
        let name = ServerName::try_from(host.clone()).map_err(unreachable)?;
        let stream = TcpStream::connect((host, port))
            .await
            .map_err(unreachable)?;
        let stream = TlsConnector::from(Arc::clone(tls))
            .connect(name, stream)
            .await
            .map_err(unreachable)?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(invalid)?;
        let (mut parts, body) = request.into_parts();
        parts.uri = origin_form(&uri);
        let receive = async {
            let request = Request::from_parts(parts, body);
            let response = sender.send_request(request).await.map_err(invalid)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), limit).collect().await;
            let body = body.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    Failure::TooLarge
                } else {
                    Failure::Invalid(error)
                }
            })?;
            Ok(Response {
                status,
                body: body.to_bytes(),
            })
        };
        let mut receive = pin!(receive);
        tokio::select! {
            response = &mut receive => response,
            // It may end early when the provider closes the connection; the response has arrived by then.
            _ = connection => receive.await,
        }
    }
}

/// A request for `url`, whose connection is not kept.
fn request(
    method: Method,
    url: &str,
    authorization: Option<&str>,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let uri: Uri = url.parse()?;
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let mut request = Request::builder()
        .method(method)
        .header(HOST, host)
        .header(USER_AGENT, HeaderValue::from_static("elbow"))
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .header(CONNECTION, HeaderValue::from_static("close"));
    if let Some(authorization) = authorization {
        let mut value = HeaderValue::try_from(authorization)?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    request.uri(uri).body(Full::default())
}

fn origin_form(uri: &Uri) -> Uri {
    let form = uri.path_and_query().map_or("/", |form| form.as_str());
    // A path and a query that were parsed once can be parsed again.
    form.parse().unwrap_or_default()
}

/// Verifies providers by the roots of the system and `more`.
async fn tls(more: Option<&CertificateDer<'static>>) -> io::Result<Arc<ClientConfig>> {
    // Reads hundreds of certificates, and must not hold up the worker meanwhile.
    let found = spawn_blocking(rustls_native_certs::load_native_certs).await?;
    for error in &found.errors {
        tracing::warn!(%error, "cannot read a root certificate");
    }
    let mut roots = RootCertStore::empty();
    let certificates = found.certs.into_iter().chain(more.cloned());
    let (_, unusable) = roots.add_parsable_certificates(certificates);
    if unusable > 0 {
        tracing::debug!(unusable, "some root certificates cannot be used");
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn invalid(error: impl Into<Box<dyn Error + Send + Sync>>) -> Failure {
    Failure::Invalid(error.into())
}

fn unreachable(error: impl Into<Box<dyn Error + Send + Sync>>) -> Failure {
    Failure::Unreachable(error.into())
}
