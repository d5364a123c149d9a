//! The login of the demo: a toy identity provider with one user, and the page behind it. Both are on loopback alone and end
//! with the demo.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

use super::page;
use super::provider::{PASSWORD, Provider, USER, value};

/// The first port that is tried for the load balancer.
const FIRST_PORT: u16 = 1443;
/// Ports that are tried.
const PORTS: u16 = 32;
/// Bytes of a form.
const MAX_FORM: usize = 16 << 10;

/// The sockets of the login before it starts.
pub(super) struct Login {
    listener: TcpListener,
    address: SocketAddr,
    provider: Arc<Provider>,
    /// The port of the load balancer in its configuration.
    pub(super) port: u16,
    /// Claims the port among demos: the load balancer listens on it later.
    claim: UdpSocket,
}

impl Login {
    /// Finds ports that are free on loopback; the load balancer will be `offset` above its port.
    pub(super) async fn bind(offset: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let claim = |port: u16| {
            let socket = (Ipv4Addr::LOCALHOST, port.saturating_add(offset));
            let claim = UdpSocket::bind(socket).ok()?;
            let is_free = std::net::TcpListener::bind(socket).is_ok();
            is_free.then_some((port, claim))
        };
        let found = (FIRST_PORT..FIRST_PORT + PORTS).find_map(claim);
        let (port, claim) = found.ok_or_else(|| io::Error::from(io::ErrorKind::AddrInUse))?;
        Ok(Self {
            listener,
            address,
            provider: Arc::new(Provider::new(port.saturating_add(offset))?),
            port,
            claim,
        })
    }

    /// Where a browser finds the page.
    pub(super) fn url(&self) -> &str {
        &self.provider.url
    }

    /// The load balancer in the native file.
    pub(super) fn balancer(&self) -> String {
        let Self { port, provider, .. } = self;
        let issuer = provider.issuer();
        format!(
            r#"- name: login-alb
  type: application
  addresses: [127.0.0.1]
  listeners:
  - port: {port}
    protocol: HTTPS
    sslPolicy: ELBSecurityPolicy-TLS13-1-2-Res-2021-06
    certificates: [login]
    rules:
    - priority: 10
      conditions:
      - field: path-pattern
        pathPatternConfig: {{values: ["/provider/*"]}}
      actions:
      - type: forward
        forwardConfig: {{targetGroups: [{{targetGroup: login}}]}}
    defaultActions:
    - type: authenticate-oidc
      authenticateOIDCConfig:
        issuer: {issuer}
        authorizationEndpoint: {issuer}/authorize
        tokenEndpoint: {issuer}/token
        userInfoEndpoint: {issuer}/userinfo
        clientID: {}
        clientSecret: "{}"
        scope: openid email
    - type: forward
      forwardConfig: {{targetGroups: [{{targetGroup: login}}]}}
"#,
            Provider::CLIENT,
            provider.secret,
        )
    }

    /// Its target group in the native file.
    pub(super) fn group(&self) -> String {
        let (ip, port) = (self.address.ip(), self.address.port());
        format!(
            "- name: login
  protocol: HTTP
  port: {port}
  targetType: ip
  healthCheckConfig: {{path: /provider/health, intervalSeconds: 5, timeoutSeconds: 2}}
  targets:
  - {{id: {ip}, port: {port}}}
"
        )
    }

    /// Serves the provider and the page.
    pub(super) async fn serve(self) {
        let Self {
            listener,
            provider,
            claim: _claim,
            ..
        } = self;
        while let Ok((stream, _)) = listener.accept().await {
            let provider = Arc::clone(&provider);
            let service = service_fn(move |request| {
                let provider = Arc::clone(&provider);
                async move { Ok::<_, Infallible>(answer(request, &provider).await) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "connection to the login of the demo ended early");
                }
            });
        }
    }
}

async fn answer(request: Request<Incoming>, provider: &Provider) -> Response<Full<Bytes>> {
    let field = |request: &Request<Incoming>, name: &str| {
        let value = request.headers().get(name)?;
        Some(value.to_str().ok()?.to_owned())
    };
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    match (method, &*path) {
        (Method::GET, "/provider/health") => html(StatusCode::OK, String::new()),
        (Method::GET, "/provider/authorize") => form(provider, &query, false),
        (Method::POST, "/provider/authorize") => {
            let Some(typed) = body(request).await else {
                return refused();
            };
            let is_user = value(&typed, "login") == Some(USER);
            if !is_user || value(&typed, "password") != Some(PASSWORD) {
                return form(provider, &query, true);
            }
            match provider.log_in(&query) {
                Some(location) => found(&location),
                None => refused(),
            }
        }
        (Method::POST, "/provider/token") => {
            let authorization = field(&request, "authorization");
            let Some(form) = body(request).await else {
                return refused();
            };
            let code = value(&form, "code").unwrap_or_default();
            json(provider.tokens(authorization.as_deref(), code))
        }
        (Method::GET, "/provider/userinfo") => {
            json(provider.user_info(field(&request, "authorization").as_deref()))
        }
        (_, path) if path.starts_with("/provider/") => refused(),
        _ => {
            let data = field(&request, "x-amzn-oidc-data");
            html(StatusCode::OK, page::welcome(&path, data.as_deref()))
        }
    }
}

/// The form, or a refusal of a request for a login that is not the demo's.
fn form(provider: &Provider, query: &str, is_wrong: bool) -> Response<Full<Bytes>> {
    if !provider.knows(query) {
        return refused();
    }
    let status = if is_wrong {
        StatusCode::UNAUTHORIZED
    } else {
        StatusCode::OK
    };
    html(status, page::form(query, is_wrong))
}

/// The body of a form; `None` when it is too large or breaks off.
async fn body(request: Request<Incoming>) -> Option<String> {
    let body = Limited::new(request.into_body(), MAX_FORM).collect().await;
    String::from_utf8(body.ok()?.to_bytes().into()).ok()
}

fn html(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn json(answer: Result<Value, Value>) -> Response<Full<Bytes>> {
    let (status, value) = match answer {
        Ok(value) => (StatusCode::OK, value),
        Err(error) => (StatusCode::BAD_REQUEST, error),
    };
    let mut response = html(status, value.to_string());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn found(location: &str) -> Response<Full<Bytes>> {
    let mut response = html(StatusCode::FOUND, String::new());
    let Ok(location) = HeaderValue::try_from(location) else {
        return refused();
    };
    response.headers_mut().insert(LOCATION, location);
    response
}

fn refused() -> Response<Full<Bytes>> {
    html(
        StatusCode::BAD_REQUEST,
        "not for this provider\n".to_owned(),
    )
}
