use std::cell::RefCell;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, SERVER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError};
use s3s_fs::FileSystem;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::Error;
use crate::plan::Plan;
use crate::port::Port;

/// The response header with the pod's name.
const X_POD: HeaderName = HeaderName::from_static("x-pod");
/// The pause after a failed accept, usually without file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An S3 service on `folder` for requests signed with this key. Objects are files named by their
/// keys. Keys that end with a slash, or have `.` or nothing between slashes, are not kept exactly.
///
/// Pods that share a folder share the service: two services would use the same names for
/// temporary files.
pub(crate) fn service(
    folder: &Path,
    access_key: &str,
    secret_key: &str,
) -> Result<S3Service, Error> {
    let store = FileSystem::new(folder).map_err(|error| Error::Store {
        path: folder.to_owned(),
        reason: format!("{error:?}"),
    })?;
    let mut builder = S3ServiceBuilder::new(store);
    builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
    Ok(builder.build())
}

/// A pod in this process.
pub(crate) struct Server {
    s3: Port,
    console: Port,
    pod: Arc<Pod>,
    running: RefCell<Option<JoinSet<()>>>,
}

struct Pod {
    acceptor: TlsAcceptor,
    lenient: bool,
    service: S3Service,
    name: HeaderValue,
    page: String,
}

impl Server {
    pub(crate) fn new(plan: Plan, service: S3Service, lenient: bool) -> Result<Self, Error> {
        let pod = Pod {
            acceptor: TlsAcceptor::from(Arc::new(plan.identity.server()?)),
            lenient,
            service,
            // Pod names are ASCII; any other name would become "pod".
            name: HeaderValue::from_str(&plan.name).unwrap_or(HeaderValue::from_static("pod")),
            page: console_page(&plan.name),
        };
        Ok(Self {
            s3: plan.s3,
            console: plan.console,
            pod: Arc::new(pod),
            running: RefCell::new(None),
        })
    }

    pub(crate) fn start(&self) -> Result<(), Error> {
        let mut running = self.running.borrow_mut();
        if running.is_some() {
            return Ok(());
        }
        let s3 = self.s3.listen().map_err(Error::Listen)?;
        let console = self.console.listen().map_err(Error::Listen)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(s3, Arc::clone(&self.pod), serve_s3));
        tasks.spawn(accept(console, Arc::clone(&self.pod), serve_console));
        *running = Some(tasks);
        Ok(())
    }

    /// Closes listeners and connections at once, as the kernel does for a killed process.
    pub(crate) async fn stop(&self) {
        let tasks = self.running.borrow_mut().take();
        if let Some(mut tasks) = tasks {
            tasks.shutdown().await;
        }
    }
}

/// Accepts connections and serves each in its own task; the tasks end with this one.
async fn accept<F>(listener: TcpListener, pod: Arc<Pod>, serve: fn(TcpStream, Arc<Pod>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Without it only latency suffers.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(serve(stream, Arc::clone(&pod)));
                }
                Err(error) => {
                    tracing::debug!(%error, "a pod cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_s3(stream: TcpStream, pod: Arc<Pod>) {
    if pod.lenient && !begins_tls(&stream).await {
        return serve(stream, &pod, s3).await;
    }
    match pod.acceptor.accept(stream).await {
        Ok(stream) => serve(stream, &pod, s3).await,
        Err(error) => tracing::debug!(%error, "TLS handshake with a pod failed"),
    }
}

async fn serve_console(stream: TcpStream, pod: Arc<Pod>) {
    if !pod.lenient || !begins_tls(&stream).await {
        return serve(stream, &pod, console).await;
    }
    match pod.acceptor.accept(stream).await {
        Ok(stream) => serve(stream, &pod, console).await,
        Err(error) => tracing::debug!(%error, "TLS handshake with a console failed"),
    }
}

/// Whether the client's first byte starts a TLS handshake (RFC 8446, 5.1); no HTTP method starts with
/// it.
async fn begins_tls(stream: &TcpStream) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1)) && first == [22]
}

async fn serve<S, F>(stream: S, pod: &Arc<Pod>, answer: fn(Request<Incoming>, Arc<Pod>) -> F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Result<Response<Body>, HttpError>>,
{
    let service = service_fn(|request| {
        let answer = answer(request, Arc::clone(pod));
        async {
            let mut response = answer.await?;
            let headers = response.headers_mut();
            headers.insert(SERVER, HeaderValue::from_static("elbow-pod"));
            headers.insert(X_POD, pod.name.clone());
            Ok::<_, HttpError>(response)
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to a pod failed");
    }
}

/// MinIO's health pages, and S3 for all other paths.
async fn s3(request: Request<Incoming>, pod: Arc<Pod>) -> Result<Response<Body>, HttpError> {
    match request.uri().path() {
        "/minio/health/live" | "/minio/health/ready" => Ok(Response::new(Body::empty())),
        _ => {
            let query = request.uri().query().unwrap_or_default();
            let encoded = query.contains("encoding-type=url");
            let response = pod.service.call(request.map(Body::from)).await?;
            Ok(if encoded {
                remove_encoding_claim(response)
            } else {
                response
            })
        }
    }
}

/// Removes the claim that the keys of a listing are URL-encoded. The store adds it when a client asks
/// for it, but never encodes, and clients would decode a `+` or a `%`.
fn remove_encoding_claim(mut response: Response<Body>) -> Response<Body> {
    const CLAIM: &str = "<EncodingType>url</EncodingType>";
    let Some(body) = response.body_mut().take_bytes() else {
        return response;
    };
    let body = match std::str::from_utf8(&body) {
        Ok(text) => Body::from(text.replace(CLAIM, "")),
        Err(_) => Body::from(body),
    };
    response.headers_mut().remove(CONTENT_LENGTH);
    response.map(|_| body)
}

async fn console(_: Request<Incoming>, pod: Arc<Pod>) -> Result<Response<Body>, HttpError> {
    let mut response = Response::new(Body::from(pod.page.clone()));
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, html);
    Ok(response)
}

fn console_page(name: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><title>{name}</title></head>\n<body>\n\
         <h1>{name}</h1>\n<p>The console of an S3 pod behind elbow.</p>\n</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listing_does_not_claim_an_encoding() {
        let listing = "<ListBucketResult><EncodingType>url</EncodingType>\
                       <Contents><Key>a+b%20c</Key></Contents></ListBucketResult>";
        let mut response = Response::new(Body::from(listing.to_owned()));
        let length = HeaderValue::from(listing.len());
        response.headers_mut().insert(CONTENT_LENGTH, length);
        let response = remove_encoding_claim(response);
        assert_eq!(
            response.body().bytes().as_deref(),
            Some(
                &b"<ListBucketResult><Contents><Key>a+b%20c</Key></Contents></ListBucketResult>"[..]
            )
        );
        assert!(!response.headers().contains_key(CONTENT_LENGTH));
    }
}
