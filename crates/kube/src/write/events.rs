//! Events, which `kubectl describe` shows below an object. They use the core API with a count, like those of AWS's
//! controller.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use elbow_model::diagnostic::Diagnostic;
use elbow_model::stable_id;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Error;
use serde_json::{Value, json};
use tracing::debug;

use super::api::{Api, Kind, Name, What, code, reason};
use super::facts::digest;

/// The longest message that the API server accepts, in bytes.
const LONGEST_MESSAGE: usize = 1024;
/// The longest event name that the API server accepts, in characters, minus the appended time.
const LONGEST_NAME: usize = 253 - 17;
/// The number of remembered events; beyond it, they are read again.
const REMEMBERED: usize = 50_000;
/// The most events that wait to be published.
const WAITING: usize = 50_000;

/// The content of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EventText {
    pub(super) warning: bool,
    /// The reason as AWS's controller names it (control-plane.md 0.4).
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl EventText {
    pub(super) fn normal(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            warning: false,
            reason,
            message: cut(message.into()),
        }
    }

    pub(super) fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            warning: true,
            reason,
            message: cut(message.into()),
        }
    }

    fn kind(&self) -> &'static str {
        if self.warning { "Warning" } else { "Normal" }
    }

    fn digest(&self) -> u64 {
        digest(&format!("{} {} {}", self.kind(), self.reason, self.message))
    }
}

/// Why an event is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The state itself, if it has not been announced before.
    State,
    /// A change.
    Change {
        /// Of the result: the same result is not announced again.
        fingerprint: u64,
        /// Whether something was written. If not, an earlier elbow process may have announced it.
        wrote: bool,
    },
}

/// The last announcement per topic, so that a resync announces nothing.
#[derive(Default)]
pub(super) struct Announced(Mutex<HashMap<String, u64>>);

impl Announced {
    fn all(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records `text` as the last announcement about `topic`. Returns `None` if it need not be published, and otherwise whether
    /// to count it again if an equal event exists.
    pub(super) fn note(&self, topic: String, text: &EventText, cause: Cause) -> Option<bool> {
        let (fingerprint, wrote) = match cause {
            Cause::State => (0, true),
            Cause::Change { fingerprint, wrote } => (fingerprint, wrote),
        };
        let digest = text.digest() ^ fingerprint.rotate_left(1);
        match self.all().insert(topic, digest) {
            Some(before) if before == digest => None,
            Some(_) => Some(true),
            None if wrote => Some(cause != Cause::State),
            None => None,
        }
    }

    pub(super) fn forget(&self, topic: &str) {
        self.all().remove(topic);
    }

    /// Forgets all topics of an object; they start with its UID.
    pub(super) fn forget_object(&self, uid: &str) {
        let mut all = self.all();
        for topic in ["", " backend", " plan", " writer"] {
            all.remove(&format!("{uid}{topic}"));
        }
    }

    pub(super) fn clear(&self) {
        self.all().clear();
    }
}

/// Truncates a message to the length of an event.
fn cut(mut message: String) -> String {
    if message.len() > LONGEST_MESSAGE {
        let end = LONGEST_MESSAGE - '…'.len_utf8();
        let end = (0..=end).rev().find(|end| message.is_char_boundary(*end));
        message.truncate(end.unwrap_or_default());
        message.push('…');
    }
    message
}

/// A diagnostic in one line: object, field, what is wrong, what to do. Without a hint of its own, it is that of the catalogue.
pub(super) fn line(found: &Diagnostic) -> String {
    let mut line = match found.object.split_once('/') {
        Some((kind, name)) => format!("{kind} {name}: "),
        None => String::new(),
    };
    if !found.field.is_empty() && !found.message.contains(&found.field) {
        line = format!("{line}{}: ", found.field);
    }
    line.push_str(&found.message);
    let general = elbow_advice::find(found.code).map(|advice| advice.remedy);
    if let Some(hint) = found.hint.as_deref().or(general) {
        line = format!("{line}; {hint}");
    }
    line
}

/// An event that is to be published.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) name: Name,
    pub(super) uid: String,
    pub(super) text: EventText,
    /// Whether to count an equal event again.
    pub(super) again: bool,
    /// When it was announced.
    at: Timestamp,
}

impl Pending {
    /// The name of the event. It follows from object and text, so that every replica, also after a restart, finds an
    /// equal event without a list of all events.
    fn event_name(&self) -> String {
        let stem: String = self.name.name.chars().take(LONGEST_NAME).collect();
        let text = &self.text;
        let identity = format!(
            "{} {} {} {}",
            self.uid,
            text.kind(),
            text.reason,
            text.message
        );
        format!("{stem}.{}", stable_id(&identity))
    }
}

/// Publishes events, in the order in which they were announced.
pub(super) struct Events {
    api: Api,
    instance: String,
    pending: Mutex<VecDeque<Pending>>,
    /// The count of each published event by namespace and name.
    published: Mutex<HashMap<(String, String), u64>>,
}

impl Events {
    pub(super) fn new(api: Api, instance: String) -> Self {
        Self {
            api,
            instance,
            pending: Mutex::default(),
            published: Mutex::default(),
        }
    }

    /// Forgets all events: another replica may have published more since.
    pub(super) fn forget(&self) {
        self.pending().clear();
        self.all().clear();
    }

    /// Queues `text` for an object. If an equal event exists, whoever published it, `again` increases its count; otherwise
    /// nothing happens. Beyond [`WAITING`] events it is dropped.
    pub(super) fn put(&self, name: &Name, uid: &str, text: &EventText, again: bool) {
        let mut pending = self.pending();
        if pending.len() >= WAITING {
            return debug!(%name, "event dropped: {} events wait", pending.len());
        }
        pending.push_back(Pending {
            name: name.clone(),
            uid: uid.to_owned(),
            text: text.clone(),
            again,
            at: Timestamp::now(),
        });
    }

    /// The next event to publish.
    pub(super) fn take(&self) -> Option<Pending> {
        self.pending().pop_front()
    }

    /// Publishes an event. One that cannot be published is only logged: a terminating namespace accepts no events.
    pub(super) async fn publish(&self, event: &Pending) {
        if let Err(error) = self.try_publish(event).await {
            debug!(name = %event.name, "event: {}", reason(&error));
        }
    }

    async fn try_publish(&self, event: &Pending) -> Result<(), Error> {
        let namespace = event.name.namespace.clone();
        let path = format!("/api/v1/namespaces/{namespace}/events");
        let key = (namespace, event.event_name());
        let known = self.all().get(&key).copied();
        if let Some(count) = known {
            if !event.again {
                return Ok(());
            }
            match self.count(&path, &key.1, event, count + 1).await {
                Ok(()) => {
                    self.remember(key, count + 1);
                    return Ok(());
                }
                // The event has expired.
                Err(error) if code(&error) == Some(404) => {}
                Err(error) => return Err(error),
            }
        } else if !event.again {
            // Most such events exist: the state is the same after a restart. A read is cheaper than a refused write.
            match self.api.read(&path, &key.1).await {
                Ok(found) => {
                    self.remember(key, count_of(&found));
                    return Ok(());
                }
                Err(error) if code(&error) == Some(404) => {}
                Err(error) => return Err(error),
            }
        }
        let body = self.event(&key.1, event);
        match self.api.create(What::Event, &path, &body).await {
            Ok(_) => {
                self.remember(key, 1);
                Ok(())
            }
            Err(error) if code(&error) == Some(409) => {
                let count = count_of(&self.api.read(&path, &key.1).await?) + 1;
                self.count(&path, &key.1, event, count).await?;
                self.remember(key, count);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Sets the count of an event that exists.
    async fn count(&self, path: &str, name: &str, event: &Pending, n: u64) -> Result<(), Error> {
        let change = json!({"count": n, "lastTimestamp": Time(event.at)});
        let answer = self.api.merge(What::Event, path, name, change);
        answer.await.map(drop)
    }

    fn pending(&self) -> MutexGuard<'_, VecDeque<Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<(String, String), u64>> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, key: (String, String), count: u64) {
        let mut all = self.all();
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(key, count);
    }

    fn event(&self, event_name: &str, event: &Pending) -> Value {
        let Pending {
            name, uid, text, ..
        } = event;
        let time = Time(event.at);
        // `kubectl describe` shows the component as From.
        let component = match name.kind {
            Kind::Ingress => "ingress",
            Kind::Service => "service",
            Kind::Binding | Kind::AutoBinding => "targetGroupBinding",
            Kind::Pod => "pod",
        };
        json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": event_name, "namespace": name.namespace},
            "involvedObject": {
                "apiVersion": name.kind.api_version(),
                "kind": name.kind.name(),
                "namespace": name.namespace,
                "name": name.name,
                "uid": uid,
            },
            "type": text.kind(),
            "reason": text.reason,
            "message": text.message,
            "count": 1,
            "firstTimestamp": time,
            "lastTimestamp": time,
            "source": {"component": component, "host": self.instance},
            "reportingComponent": "elbow",
            "reportingInstance": self.instance,
        })
    }
}

fn count_of(event: &Value) -> u64 {
    event["count"].as_u64().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_truncated_to_the_limit_of_the_api_server() {
        let long = "ü".repeat(LONGEST_MESSAGE);
        let text = EventText::warning("FailedBuildModel", long);
        assert!(text.message.len() <= LONGEST_MESSAGE);
        assert!(text.message.len() > LONGEST_MESSAGE - 4);
        assert!(text.message.ends_with("ü…"));
        let short = "a".repeat(LONGEST_MESSAGE);
        assert_eq!(
            EventText::warning("FailedBuildModel", short.clone()).message,
            short
        );
    }

    #[test]
    fn line_has_object_field_and_hint() {
        let found = Diagnostic::error("no-node-port", "Service a/web has no node port")
            .object("Ingress/a/web")
            .field("spec.rules")
            .hint("make it a NodePort");
        assert_eq!(
            line(&found),
            "Ingress a/web: spec.rules: Service a/web has no node port; make it a NodePort"
        );
        assert_eq!(line(&Diagnostic::error("x", "y")), "y");
    }
}
