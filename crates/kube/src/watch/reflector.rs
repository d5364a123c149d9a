//! The watch of one kind.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::kinds::{KINDS, Kind};
use super::known::{Known, Relist};
use super::request::{Event, Events, Fault, Requests};
use super::{KindState, Settings, Update};
use crate::backoff::{BackOff, spread};

/// How long a watch lasts before it is renewed, which costs one request.
const WATCH_DURATION: Duration = Duration::from_secs(120);
/// A watch that lasted this long worked: the next attempt follows soon.
const WORKED: Duration = Duration::from_secs(2);
/// How long after its duration a silent watch counts as dead.
const GRACE: Duration = Duration::from_secs(10);
/// How long the server may be silent within a streaming list.
const LIST_SILENCE: Duration = Duration::from_secs(30);
/// The time between checks for a kind that is absent or forbidden.
const RECHECK: Duration = Duration::from_secs(20);
/// After so many stale lists in a row, the cluster has been restored from a backup.
const MAX_STALE: u32 = 4;
/// After so many refused watches, everything is listed again.
const MAX_REFUSED: u32 = 3;

/// Follows one kind.
pub(super) struct Reflector {
    index: usize,
    requests: Requests,
    sender: mpsc::Sender<Update>,
    known: Known,
    /// The version to resume the watch from; `None`: list everything first.
    version: Option<String>,
    streams: bool,
    state: KindState,
    stale: u32,
    refused: u32,
}

/// The receiver of updates is gone.
struct Closed;

/// Why a watch ends.
enum End {
    Fault(Fault),
    Closed,
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Closed> for End {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl Reflector {
    pub(super) fn new(index: usize, settings: Settings, sender: mpsc::Sender<Update>) -> Self {
        let kind = &KINDS[index];
        Self {
            index,
            requests: Requests {
                client: settings.client,
                kind,
                namespace: settings.namespace,
                metrics: settings.metrics,
            },
            sender,
            known: Known::new(kind),
            version: None,
            streams: settings.streams,
            state: KindState::Pending,
            stale: 0,
            refused: 0,
        }
    }

    /// Follows the kind until the receiver is gone.
    pub(super) async fn run(mut self) {
        let mut back_off = BackOff::default();
        loop {
            let began = Instant::now();
            let end = self.watch().await;
            let lasted = began.elapsed();
            if lasted >= WORKED {
                back_off.reset();
            }
            let wait = match end {
                Err(End::Closed) => return,
                Ok(()) if lasted >= WATCH_DURATION => Duration::ZERO,
                // Something on the way cuts connections, or ends them early.
                Ok(()) => {
                    self.restarted();
                    back_off.next()
                }
                Err(End::Fault(fault)) => match self.fault(fault).await {
                    Ok(Some(wait)) => wait,
                    Ok(None) => back_off.next(),
                    Err(Closed) => return,
                },
            };
            tokio::time::sleep(wait).await;
        }
    }

    fn kind(&self) -> &'static Kind {
        self.requests.kind
    }

    fn restarted(&self) {
        let metrics = &self.requests.metrics;
        metrics.watch_restarted(self.kind().name);
    }

    /// Handles a fault; returns how long to wait, or `None` for the back-off.
    async fn fault(&mut self, fault: Fault) -> Result<Option<Duration>, Closed> {
        let kind = self.kind();
        let mut wait = None;
        match fault {
            Fault::NoStreamingList => {
                debug!(
                    kind = kind.name,
                    "the API server does not support streaming lists"
                );
                self.streams = false;
                return Ok(Some(Duration::ZERO));
            }
            Fault::NotFound if kind.optional => {
                self.version = None;
                for deleted in self.known.delete_all() {
                    self.send(deleted).await?;
                }
                self.set_state(KindState::Absent).await?;
                return Ok(Some(spread(RECHECK)));
            }
            Fault::Expired => {
                debug!(kind = kind.name, "watch expired (410 Gone); listing again");
                self.version = None;
            }
            Fault::Forbidden { verb, message } => {
                self.forbidden(verb, &message).await?;
                wait = Some(spread(RECHECK));
            }
            Fault::NotFound => {
                self.disconnected("the API server does not have this kind")
                    .await?;
                self.version = None;
            }
            Fault::Refused(code, message) => {
                self.refused += 1;
                if self.refused >= MAX_REFUSED || (400..500).contains(&code) && code != 429 {
                    self.version = None;
                    self.refused = 0;
                }
                self.disconnected(&format!("{code}: {message}")).await?;
            }
            Fault::Unavailable(what) => self.disconnected(&what).await?,
        }
        self.restarted();
        Ok(wait)
    }

    async fn forbidden(&mut self, verb: &str, message: &str) -> Result<(), Closed> {
        if self.state != KindState::Forbidden {
            let kind = self.kind();
            let namespace = self.requests.namespace.as_deref();
            let rule = crate::role::rule(
                kind.group,
                kind.plural,
                "list, watch",
                namespace.filter(|_| kind.namespaced),
            );
            warn!(
                kind = kind.name,
                "no permission to {verb} {}: {}; {rule} ({message})",
                kind.resource(),
                kind.without,
            );
        }
        // The objects known before the permission was revoked keep serving.
        self.set_state(KindState::Forbidden).await
    }

    async fn disconnected(&mut self, what: &str) -> Result<(), Closed> {
        let kind = self.kind().name;
        match self.state {
            KindState::Synced => {
                warn!(
                    kind,
                    "the API server is away; elbow keeps serving what it knows: {what}"
                );
                self.set_state(KindState::Disconnected).await
            }
            KindState::Pending => {
                warn!(kind, "cannot list yet: {what}");
                Ok(())
            }
            _ => {
                debug!(kind, "the API server is still away: {what}");
                Ok(())
            }
        }
    }

    async fn set_state(&mut self, state: KindState) -> Result<(), Closed> {
        if self.state == state {
            return Ok(());
        }
        if self.state == KindState::Disconnected && state == KindState::Synced {
            info!(kind = self.kind().name, "the API server is back");
        }
        self.state = state.clone();
        self.send(Update::State(self.index, state)).await
    }

    async fn send(&self, update: Update) -> Result<(), Closed> {
        self.sender.send(update).await.map_err(|_| Closed)
    }

    /// Runs one watch from start to end, after a list if one is needed.
    async fn watch(&mut self) -> Result<(), End> {
        // Jitter, so that the watches of all kinds do not keep ending together.
        let duration = WATCH_DURATION / 2 + spread(WATCH_DURATION);
        let mut events = match self.version.clone() {
            Some(version) => {
                self.requests
                    .watch(Some(&version), seconds(duration))
                    .await?
            }
            None if self.streams => self.streamed_list(duration).await?,
            None => {
                let version = self.paged_list().await?;
                self.version = Some(version.clone());
                self.requests
                    .watch(Some(&version), seconds(duration))
                    .await?
            }
        };
        self.refused = 0;
        self.set_state(KindState::Synced).await?;
        while let Some(event) = events.next(duration + GRACE).await? {
            self.event(event).await?;
        }
        Ok(())
    }

    async fn event(&mut self, event: Event) -> Result<(), Closed> {
        match event {
            Event::Applied(object) => {
                self.resume_at(&object);
                self.set(object).await?;
            }
            Event::Deleted(object) => {
                self.resume_at(&object);
                if let Some(deleted) = self.known.delete(&object) {
                    self.send(deleted).await?;
                }
            }
            Event::Bookmark { version, .. } if !version.is_empty() => {
                self.known.reached(&version);
                self.version = Some(version);
            }
            Event::Bookmark { .. } => {}
            Event::Malformed(why) => self.malformed(&why),
        }
        self.count();
        Ok(())
    }

    fn resume_at(&mut self, object: &Value) {
        if let Some(version) = object["metadata"]["resourceVersion"].as_str() {
            self.version = Some(version.to_owned());
        }
    }

    fn malformed(&self, why: &str) {
        warn!(
            kind = self.kind().name,
            "skipped a malformed event of the API server: {why}"
        );
    }

    fn count(&self) {
        let metrics = &self.requests.metrics;
        metrics.objects(self.kind().name, self.known.len());
    }

    async fn set(&mut self, object: Value) -> Result<(), Closed> {
        match self.known.set(object) {
            Some(update) => self.send(update).await,
            None => Ok(()),
        }
    }

    /// Starts a watch that begins with all existing objects, and reads them up to the bookmark that ends them.
    async fn streamed_list(&mut self, duration: Duration) -> Result<Events, End> {
        let events = self.requests.watch(None, seconds(duration)).await;
        let mut events = events.map_err(|fault| match fault {
            // 422: the server supports streaming lists, but the feature is off.
            Fault::Refused(400 | 422, _) => Fault::NoStreamingList,
            fault => fault,
        })?;
        let mut relist = Relist::default();
        let first = self.known.len() == 0;
        loop {
            let event = match events.next(LIST_SILENCE).await {
                Ok(Some(event)) => event,
                // The stream never ended the list; pages may.
                Ok(None) | Err(Fault::Unavailable(_)) => return Err(Fault::NoStreamingList.into()),
                Err(fault) => return Err(fault.into()),
            };
            match event {
                Event::Applied(object) if first => self.set(object).await?,
                Event::Applied(object) => self.known.note(&mut relist, object),
                Event::Deleted(object) if first => {
                    if let Some(deleted) = self.known.delete(&object) {
                        self.send(deleted).await?;
                    }
                }
                Event::Deleted(object) => relist.delete(&object),
                Event::Malformed(why) => self.malformed(&why),
                Event::Bookmark { initial: false, .. } => {}
                Event::Bookmark { version, .. } => {
                    self.check_freshness(&version)?;
                    if !first {
                        self.finish(relist).await?;
                    }
                    self.listed(version);
                    return Ok(events);
                }
            }
        }
    }

    /// Lists all objects page by page; returns the version to watch from.
    async fn paged_list(&mut self) -> Result<String, End> {
        let mut relist = Relist::default();
        let first = self.known.len() == 0;
        let mut next = None;
        loop {
            let page = self.requests.list(next).await?;
            self.check_freshness(page.version())?;
            let version = page.version().to_owned();
            next = page.next();
            for object in page.items {
                if first {
                    self.set(object).await?;
                } else {
                    self.known.note(&mut relist, object);
                }
            }
            if next.is_none() {
                if !first {
                    self.finish(relist).await?;
                }
                self.listed(version.clone());
                return Ok(version);
            }
        }
    }

    fn listed(&mut self, version: String) {
        self.known.reached(&version);
        self.stale = 0;
        self.version = Some(version);
        self.count();
    }

    /// Refuses a list that is older than the known objects.
    fn check_freshness(&mut self, version: &str) -> Result<(), Fault> {
        if !self.known.is_stale(version) {
            return Ok(());
        }
        self.stale += 1;
        if self.stale >= MAX_STALE {
            self.known.forget_newest();
            return Ok(());
        }
        Err(Fault::Unavailable(format!(
            "list is stale: version {version} is older than the known objects"
        )))
    }

    async fn finish(&mut self, relist: Relist) -> Result<(), Closed> {
        for update in self.known.finish(relist) {
            self.send(update).await?;
        }
        Ok(())
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}
