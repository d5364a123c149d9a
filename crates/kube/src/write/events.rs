//! Events: what `kubectl describe` shows below an object. They are of the core API and are counted, as those of AWS's
//! controller are.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use elbow_model::diagnostic::Diagnostic;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tracing::debug;

use super::api::{Api, Kind, Name, What, code, reason};
use super::facts::digest;

/// Bytes of a message that the API server takes.
const LONGEST_MESSAGE: usize = 1024;
/// Characters of a name that the API server takes, less those of the time in an event's name.
const LONGEST_NAME: usize = 253 - 17;
/// Objects of whose events is remembered that they were told; beyond it all is read again.
const REMEMBERED: usize = 50_000;

/// What is told of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tale {
    pub(super) warning: bool,
    /// As AWS's controller calls it (control-plane.md 0.4).
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Tale {
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
        match self.warning {
            true => "Warning",
            false => "Normal",
        }
    }

    fn digest(&self) -> u64 {
        digest(&format!("{} {} {}", self.kind(), self.reason, self.message))
    }
}

/// What makes a tale worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// Itself: nobody may have told it before.
    Always,
    /// What was done.
    Change {
        /// Of what was made: the same again is not told again.
        fingerprint: u64,
        /// Whether something was written. Where nothing was, it may have been told before elbow was started.
        wrote: bool,
    },
}

/// What was told last of each object, so that a resync tells nothing.
#[derive(Default)]
pub(super) struct Told(Mutex<HashMap<String, u64>>);

impl Told {
    fn all(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note that `tale` is the last word about `topic`; whether it is worth telling, and if so, whether again when it
    /// was told before.
    pub(super) fn note(&self, topic: String, tale: &Tale, since: Since) -> Option<bool> {
        let (fingerprint, wrote) = match since {
            Since::Always => (0, true),
            Since::Change { fingerprint, wrote } => (fingerprint, wrote),
        };
        let word = tale.digest() ^ fingerprint.rotate_left(1);
        match self.all().insert(topic, word) {
            Some(before) if before == word => None,
            Some(_) => Some(true),
            None if wrote => Some(since != Since::Always),
            None => None,
        }
    }

    pub(super) fn forget(&self, topic: &str) {
        self.all().remove(topic);
    }

    /// Forgets all topics of an object, which begin with its UID.
    pub(super) fn forget_object(&self, uid: &str) {
        let mut all = self.all();
        for topic in ["", " backend", " plan", " rival"] {
            all.remove(&format!("{uid}{topic}"));
        }
    }

    pub(super) fn clear(&self) {
        self.all().clear();
    }
}

/// What fits into an event.
fn cut(mut message: String) -> String {
    if message.len() > LONGEST_MESSAGE {
        let end = LONGEST_MESSAGE - '…'.len_utf8();
        let end = (0..=end).rev().find(|end| message.is_char_boundary(*end));
        message.truncate(end.unwrap_or_default());
        message.push('…');
    }
    message
}

/// A finding in one line: which object, which field, what is wrong, what to do.
pub(super) fn line(found: &Diagnostic) -> String {
    let mut line = match found.object.split_once('/') {
        Some((kind, name)) => format!("{kind} {name}: "),
        None => String::new(),
    };
    if !found.field.is_empty() && !found.message.contains(&found.field) {
        line = format!("{line}{}: ", found.field);
    }
    line.push_str(&found.message);
    if let Some(hint) = &found.hint {
        line = format!("{line}; {hint}");
    }
    line
}

/// Tells, and remembers what was told.
pub(super) struct Events {
    api: Api,
    instance: String,
    /// By the UID of the object.
    told: Mutex<HashMap<String, Before>>,
}

/// The events of an object by what they tell.
type Before = HashMap<u64, Event>;

/// An event that was told.
#[derive(Clone)]
struct Event {
    name: String,
    count: u64,
}

impl Events {
    pub(super) fn new(api: Api, instance: String) -> Self {
        Self {
            api,
            instance,
            told: Mutex::default(),
        }
    }

    /// Forgets what was told: another may have told more since.
    pub(super) fn forget(&self) {
        self.all().clear();
    }

    /// Tells `tale` of an object. What was told of it before, by whom ever, is told `again` by its count, or not at all.
    /// That it cannot be told stops nothing.
    pub(super) async fn tell(&self, name: &Name, uid: &str, tale: &Tale, again: bool) {
        let path = format!("/api/v1/namespaces/{}/events", name.namespace);
        if !self.all().contains_key(uid) {
            self.read(&path, uid).await;
        }
        let before = self
            .all()
            .get(uid)
            .and_then(|told| told.get(&tale.digest()).cloned());
        if let Some(Event { name: event, count }) = before {
            if !again {
                return;
            }
            let change = json!({"count": count + 1, "lastTimestamp": Time(Timestamp::now())});
            match self.api.merge(What::Event, &path, &event, change).await {
                Ok(_) => return self.remember(uid, tale, event, count + 1),
                // It has expired.
                Err(error) if code(&error) == Some(404) => {}
                Err(error) => return debug!(%name, "event: {}", reason(&error)),
            }
        }
        let event = self.event(name, uid, tale);
        let called = event["metadata"]["name"].as_str().unwrap_or_default();
        match self.api.create(What::Event, &path, &event).await {
            Ok(_) => self.remember(uid, tale, called.to_owned(), 1),
            // In a namespace that ends none can be made.
            Err(error) => debug!(%name, "event: {}", reason(&error)),
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Before>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, uid: &str, tale: &Tale, name: String, count: u64) {
        let mut all = self.all();
        let of_object = all.entry(uid.to_owned()).or_default();
        of_object.insert(tale.digest(), Event { name, count });
    }

    /// Reads what others, or this one before it was started anew, told of an object.
    async fn read(&self, path: &str, uid: &str) {
        let fields = format!("involvedObject.uid={uid}");
        let list = match self.api.list(path, &fields).await {
            Ok(list) => list,
            Err(error) => return debug!(uid, "events: {}", reason(&error)),
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let told = |event: &Value| {
            let (kind, reason, message) = (&event["type"], &event["reason"], &event["message"]);
            let tale = format!("{} {} {}", text(kind), text(reason), text(message));
            let count = event["count"].as_u64().unwrap_or(1);
            let name = text(&event["metadata"]["name"]);
            (digest(&tale), Event { name, count })
        };
        let events = list["items"].as_array().into_iter().flatten();
        let events = events.map(told).collect();
        let mut all = self.all();
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(uid.to_owned(), events);
    }

    fn event(&self, name: &Name, uid: &str, tale: &Tale) -> Value {
        let now = Timestamp::now();
        let stem: String = name.name.chars().take(LONGEST_NAME).collect();
        let time = Time(now);
        // What describes itself as these is what `kubectl describe` calls From.
        let component = match name.kind {
            Kind::Ingress => "ingress",
            Kind::Service => "service",
            Kind::Binding => "targetGroupBinding",
            Kind::Pod => "pod",
        };
        json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": format!("{stem}.{:x}", now.as_nanosecond()),
                "namespace": name.namespace,
            },
            "involvedObject": {
                "apiVersion": name.kind.api_version(),
                "kind": name.kind.name(),
                "namespace": name.namespace,
                "name": name.name,
                "uid": uid,
            },
            "type": tale.kind(),
            "reason": tale.reason,
            "message": tale.message,
            "count": 1,
            "firstTimestamp": time,
            "lastTimestamp": time,
            "source": {"component": component, "host": self.instance},
            "reportingComponent": "elbow",
            "reportingInstance": self.instance,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_no_more_bytes_than_the_api_server_takes() {
        let long = "ü".repeat(LONGEST_MESSAGE);
        let tale = Tale::warning("FailedBuildModel", long);
        assert!(tale.message.len() <= LONGEST_MESSAGE);
        assert!(tale.message.len() > LONGEST_MESSAGE - 4);
        assert!(tale.message.ends_with("ü…"));
        let short = "a".repeat(LONGEST_MESSAGE);
        assert_eq!(
            Tale::warning("FailedBuildModel", short.clone()).message,
            short
        );
    }

    #[test]
    fn a_line_says_which_object_and_field_and_what_to_do() {
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
