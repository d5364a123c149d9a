//! List and watch requests; the answers are read as they arrive.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::api::{ListParams, WatchParams};
use kube::client::Body;
use kube::core::{Request, Status};
use serde::Deserialize;
use serde_json::Value;

use super::kinds::Kind;
use crate::Metrics;
use crate::client::{ANSWER_TIMEOUT, reasons};

/// Objects per page of a list.
const PAGE: u32 = 500;
/// The longest page in bytes. etcd limits objects to 1.5 MB, and few come close.
const MAX_PAGE: usize = 256 * 1024 * 1024;
/// The longest event of a watch in bytes.
const MAX_EVENT: usize = 16 * 1024 * 1024;
/// The longest error answer in bytes.
const MAX_REFUSAL: usize = 64 * 1024;

/// Why a list or a watch failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server no longer has the changes since the given version: 410.
    Expired,
    /// The permission is missing: 403.
    Forbidden { verb: &'static str, message: String },
    /// The server does not have the kind: 404.
    NotFound,
    /// The server does not support streaming lists.
    NoStreamingList,
    /// Another status of the server: code and message.
    Refused(u16, String),
    /// The server cannot be reached, or is silent.
    Unavailable(String),
}

impl Fault {
    fn of(status: &Status, verb: &'static str) -> Self {
        match status.code {
            410 => Self::Expired,
            403 => Self::Forbidden {
                verb,
                message: status.message.clone(),
            },
            404 => Self::NotFound,
            code => Self::Refused(code, status.message.clone()),
        }
    }
}

/// Requests for objects of one kind.
#[derive(Clone)]
pub(super) struct Requests {
    pub(super) client: Client,
    pub(super) kind: &'static Kind,
    pub(super) namespace: Option<String>,
    pub(super) metrics: Metrics,
}

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(default)]
    pub(super) items: Vec<Value>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PageMetadata {
    resource_version: String,
    #[serde(rename = "continue")]
    next: Option<String>,
}

impl Page {
    pub(super) fn version(&self) -> &str {
        &self.metadata.resource_version
    }

    /// The token for the next page.
    pub(super) fn next(&self) -> Option<String> {
        self.metadata.next.clone().filter(|next| !next.is_empty())
    }
}

impl Requests {
    /// Requests a page of the current list, not of a cache.
    pub(super) async fn list(&self, next: Option<String>) -> Result<Page, Fault> {
        let mut params = ListParams::default().limit(PAGE);
        params.field_selector = self.kind.selector.map(str::to_owned);
        params.continue_token = next;
        let request = self.path().list(&params);
        let answer = self.ask("list", request).await?;
        let whole = Limited::new(answer.into_body(), MAX_PAGE).collect();
        let whole = tokio::time::timeout(ANSWER_TIMEOUT, whole)
            .await
            .map_err(|_| Fault::Unavailable("the list response takes too long".to_owned()))?;
        let whole = whole.map_err(|error| Fault::Unavailable(reasons(&*error)))?;
        serde_json::from_slice(&whole.to_bytes()).map_err(|error| {
            Fault::Unavailable(format!("cannot decode the list response: {error}"))
        })
    }

    /// Watches from `version` on; without a version, the existing objects come first.
    pub(super) async fn watch(&self, version: Option<&str>, seconds: u32) -> Result<Events, Fault> {
        let mut params = WatchParams::default().timeout(seconds);
        params.field_selector = self.kind.selector.map(str::to_owned);
        params.send_initial_events = version.is_none();
        let request = self.path().watch(&params, version.unwrap_or_default());
        let answer = self.ask("watch", request).await?;
        Ok(Events {
            body: answer.into_body(),
            buffer: Vec::new(),
            start: 0,
            searched: 0,
        })
    }

    fn path(&self) -> Request {
        Request::new(self.kind.path(self.namespace.as_deref()))
    }

    async fn ask(
        &self,
        verb: &'static str,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Response<Body>, Fault> {
        let request = request.map_err(|error| Fault::Unavailable(reasons(&error)))?;
        let answer = self.client.send(request.map(Body::from));
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, answer).await;
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                self.metrics.asked(verb, self.kind.plural, 0);
                return Err(Fault::Unavailable(reasons(&error)));
            }
            Err(_) => {
                self.metrics.asked(verb, self.kind.plural, 0);
                return Err(Fault::Unavailable("no answer in time".to_owned()));
            }
        };
        let code = answer.status().as_u16();
        self.metrics.asked(verb, self.kind.plural, code);
        if answer.status().is_success() {
            return Ok(answer);
        }
        let why = Limited::new(answer.into_body(), MAX_REFUSAL).collect();
        let why = tokio::time::timeout(ANSWER_TIMEOUT, why).await;
        let why = why.ok().and_then(Result::ok).map(|why| why.to_bytes());
        Err(Fault::of(&refusal(code, &why.unwrap_or_default()), verb))
    }
}

/// The error status of an API server, or of a proxy before it.
fn refusal(code: u16, body: &Bytes) -> Status {
    let mut status: Status = serde_json::from_slice(body).unwrap_or_else(|_| Status {
        status: None,
        code,
        message: String::from_utf8_lossy(body).trim().to_owned(),
        metadata: None,
        reason: String::new(),
        details: None,
    });
    status.code = code;
    status
}

/// The events of a watch.
pub(super) struct Events {
    body: Body,
    buffer: Vec<u8>,
    /// The start of the next line.
    start: usize,
    /// The buffer has no line end before this position.
    searched: usize,
}

/// An event of a watch.
#[derive(Debug)]
pub(super) enum Event {
    /// The object was created or changed.
    Applied(Value),
    /// The object was deleted.
    Deleted(Value),
    /// The current version; `initial` if it ends the list of existing objects.
    Bookmark { version: String, initial: bool },
    /// An event that cannot be decoded, with the reason.
    Malformed(String),
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

impl Events {
    /// The next event; `None` at the end, and an error after `silence` without a byte.
    pub(super) async fn next(&mut self, silence: Duration) -> Result<Option<Event>, Fault> {
        loop {
            if let Some(line) = self.line() {
                if line.is_empty() {
                    continue;
                }
                return event(line).map(Some);
            }
            if self.buffer.len() - self.start > MAX_EVENT {
                return Err(Fault::Unavailable(format!(
                    "an event is longer than {MAX_EVENT} bytes"
                )));
            }
            let frame = tokio::time::timeout(silence, self.body.frame()).await;
            match frame {
                Err(_) => return Err(Fault::Unavailable(format!("silent for {silence:?}"))),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(Fault::Unavailable(reasons(&error))),
                Ok(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    self.buffer.drain(..self.start);
                    self.searched -= self.start;
                    self.start = 0;
                    self.buffer.extend_from_slice(&data);
                }
            }
        }
    }

    fn line(&mut self) -> Option<&[u8]> {
        let rest = self.buffer.get(self.searched..)?;
        let Some(end) = memchr::memchr(b'\n', rest) else {
            self.searched = self.buffer.len();
            return None;
        };
        let (start, end) = (self.start, self.searched + end);
        self.start = end + 1;
        self.searched = self.start;
        self.buffer.get(start..end)
    }
}

fn event(line: &[u8]) -> Result<Event, Fault> {
    let line: Line = match serde_json::from_slice(line) {
        Ok(line) => line,
        Err(error) => return Ok(Event::Malformed(error.to_string())),
    };
    Ok(match &*line.kind {
        "ADDED" | "MODIFIED" => Event::Applied(line.object),
        "DELETED" => Event::Deleted(line.object),
        "BOOKMARK" => {
            let metadata = &line.object["metadata"];
            let end = &metadata["annotations"]["k8s.io/initial-events-end"];
            Event::Bookmark {
                version: metadata["resourceVersion"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                initial: end == "true",
            }
        }
        "ERROR" => {
            let status: Result<Status, _> = serde_json::from_value(line.object);
            return Err(match status {
                Ok(status) => Fault::of(&status, "watch"),
                Err(error) => Fault::Unavailable(format!("cannot decode an error event: {error}")),
            });
        }
        other => Event::Malformed(format!("unknown event type {other}")),
    })
}
