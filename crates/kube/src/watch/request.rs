//! Lists and watches as requests: their answers are read as they come.

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

/// Objects of one page of a list.
const PAGE: u32 = 500;
/// Bytes of one page: objects are 1.5 MB at most, since etcd takes no larger ones, and few are.
const MAX_PAGE: usize = 256 * 1024 * 1024;
/// Bytes of one event of a watch.
const MAX_EVENT: usize = 16 * 1024 * 1024;
/// Bytes of an answer that says why there is none.
const MAX_REFUSAL: usize = 64 * 1024;

/// Why a list or a watch is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// What happened since is known no longer: 410.
    Expired,
    /// Somebody may not do that.
    Forbidden { verb: &'static str, message: String },
    /// There is no such kind.
    Absent,
    /// The server has no lists that are streams.
    NoStreams,
    /// The server said something else: the code, and why.
    Refused(u16, String),
    /// The server is not there, or falls silent.
    Away(String),
}

impl Fault {
    fn of(status: &Status, verb: &'static str) -> Self {
        match status.code {
            410 => Self::Expired,
            403 => Self::Forbidden {
                verb,
                message: status.message.clone(),
            },
            404 => Self::Absent,
            code => Self::Refused(code, status.message.clone()),
        }
    }
}

/// Asks for objects of one kind.
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

    /// What asks for the next one.
    pub(super) fn next(&self) -> Option<String> {
        self.metadata.next.clone().filter(|next| !next.is_empty())
    }
}

impl Requests {
    /// A page of the list as it is now, and not as some cache has it.
    pub(super) async fn list(&self, next: Option<String>) -> Result<Page, Fault> {
        let mut params = ListParams::default().limit(PAGE);
        params.field_selector = self.kind.selector.map(str::to_owned);
        params.continue_token = next;
        let request = self.path().list(&params);
        let answer = self.ask("list", request).await?;
        let whole = Limited::new(answer.into_body(), MAX_PAGE).collect();
        let whole = tokio::time::timeout(ANSWER_TIMEOUT, whole)
            .await
            .map_err(|_| Fault::Away("a list does not come to its end".to_owned()))?;
        let whole = whole.map_err(|error| Fault::Away(reasons(&*error)))?;
        serde_json::from_slice(&whole.to_bytes())
            .map_err(|error| Fault::Away(format!("a list is none: {error}")))
    }

    /// What happens from `version` on; all that is there before that, when there is none.
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
        let request = request.map_err(|error| Fault::Away(reasons(&error)))?;
        let answer = self.client.send(request.map(Body::from));
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, answer).await;
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                self.metrics.asked(verb, self.kind.plural, 0);
                return Err(Fault::Away(reasons(&error)));
            }
            Err(_) => {
                self.metrics.asked(verb, self.kind.plural, 0);
                return Err(Fault::Away("no answer in time".to_owned()));
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

/// What an API server, or something before it, says when it refuses.
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
    /// Where the next line starts.
    start: usize,
    /// Up to where no line ends.
    searched: usize,
}

/// One of them.
#[derive(Debug)]
pub(super) enum Event {
    /// The object is so.
    Set(Value),
    /// The object is there no longer.
    Gone(Value),
    /// Nothing is newer than this; whether this ends what was there before.
    Bookmark { version: String, initial: bool },
    /// An event that is none: why.
    Malformed(String),
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

impl Events {
    /// The next one; `None` at the end, and an error when nothing comes for the time of `silence`.
    pub(super) async fn next(&mut self, silence: Duration) -> Result<Option<Event>, Fault> {
        loop {
            if let Some(line) = self.line() {
                if line.is_empty() {
                    continue;
                }
                return event(line).map(Some);
            }
            if self.buffer.len() - self.start > MAX_EVENT {
                return Err(Fault::Away(format!(
                    "an event is longer than {MAX_EVENT} bytes"
                )));
            }
            let frame = tokio::time::timeout(silence, self.body.frame()).await;
            match frame {
                Err(_) => return Err(Fault::Away(format!("silent for {silence:?}"))),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(Fault::Away(reasons(&error))),
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
        "ADDED" | "MODIFIED" => Event::Set(line.object),
        "DELETED" => Event::Gone(line.object),
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
                Err(error) => Fault::Away(format!("an error that cannot be read: {error}")),
            });
        }
        other => Event::Malformed(format!("an event of type {other}")),
    })
}
