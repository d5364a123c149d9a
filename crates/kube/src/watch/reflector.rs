//! The watch of one kind.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::kinds::{KINDS, Kind};
use super::known::{Known, Relist};
use super::request::{Event, Events, Fault, Requests};
use super::{Settings, Standing, Told};
use crate::backoff::{BackOff, spread};

/// How long a watch lasts before it is renewed, which costs one request.
const LIFE: Duration = Duration::from_secs(120);
/// A watch that lasted so long was one: after it, the next attempt comes soon.
const STEADY: Duration = Duration::from_secs(2);
/// How much longer than its life a watch may be silent before its connection counts as dead.
const GRACE: Duration = Duration::from_secs(10);
/// How long the server may be silent within a list that is a stream.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between looks for a kind that the cluster does not have, or that may not be read.
const LOOK: Duration = Duration::from_secs(20);
/// So often a list may be older than what is known; then the cluster has been restored from a backup.
const STALE: u32 = 4;
/// So often a watch may be refused before everything is listed anew.
const REFUSED: u32 = 3;

/// Follows one kind.
pub(super) struct Reflector {
    index: usize,
    requests: Requests,
    tell: mpsc::Sender<Told>,
    known: Known,
    /// From where the next watch goes on; `None`: all is to be listed.
    version: Option<String>,
    streams: bool,
    standing: Standing,
    stale: u32,
    refused: u32,
}

/// Nobody listens any more.
struct Over;

/// Why a watch ends.
enum End {
    Fault(Fault),
    Over,
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Over> for End {
    fn from(_: Over) -> Self {
        Self::Over
    }
}

impl Reflector {
    pub(super) fn new(index: usize, settings: Settings, tell: mpsc::Sender<Told>) -> Self {
        let kind = &KINDS[index];
        Self {
            index,
            requests: Requests {
                client: settings.client,
                kind,
                namespace: settings.namespace,
                metrics: settings.metrics,
            },
            tell,
            known: Known::new(kind),
            version: None,
            streams: settings.streams,
            standing: Standing::Unknown,
            stale: 0,
            refused: 0,
        }
    }

    /// Follows the kind until nobody listens.
    pub(super) async fn run(mut self) {
        let mut back_off = BackOff::default();
        loop {
            let began = Instant::now();
            let end = self.watch().await;
            let lived = began.elapsed();
            if lived >= STEADY {
                back_off.reset();
            }
            let wait = match end {
                Err(End::Over) => return,
                Ok(()) if lived >= LIFE => Duration::ZERO,
                // Somebody on the way cuts connections, or ends them early.
                Ok(()) => {
                    self.restarted();
                    back_off.next()
                }
                Err(End::Fault(fault)) => match self.fault(fault).await {
                    Ok(Some(wait)) => wait,
                    Ok(None) => back_off.next(),
                    Err(Over) => return,
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

    /// Does what a fault asks for; how long to wait, where that is not left to the back-off.
    async fn fault(&mut self, fault: Fault) -> Result<Option<Duration>, Over> {
        let kind = self.kind();
        let mut wait = None;
        match fault {
            Fault::NoStreams => {
                debug!(kind = kind.name, "the server has no lists that are streams");
                self.streams = false;
                return Ok(Some(Duration::ZERO));
            }
            Fault::Absent if kind.optional => {
                self.version = None;
                for gone in self.known.all_gone() {
                    self.tell(gone).await?;
                }
                self.stand(Standing::Absent).await?;
                return Ok(Some(spread(LOOK)));
            }
            Fault::Expired => {
                debug!(
                    kind = kind.name,
                    "what happened since is known no longer; listed anew"
                );
                self.version = None;
            }
            Fault::Forbidden { verb, message } => {
                self.forbidden(verb, &message).await?;
                wait = Some(spread(LOOK));
            }
            Fault::Absent => {
                self.lost("the server does not know the kind").await?;
                self.version = None;
            }
            Fault::Refused(code, message) => {
                self.refused += 1;
                if self.refused >= REFUSED || (400..500).contains(&code) && code != 429 {
                    self.version = None;
                    self.refused = 0;
                }
                self.lost(&format!("{code}: {message}")).await?;
            }
            Fault::Away(what) => self.lost(&what).await?,
        }
        self.restarted();
        Ok(wait)
    }

    async fn forbidden(&mut self, verb: &str, message: &str) -> Result<(), Over> {
        if self.standing != Standing::Forbidden {
            let kind = self.kind();
            let namespace = self.requests.namespace.as_deref();
            let rule = crate::check::rule(
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
        // What was known before the permission went stays what serves.
        self.stand(Standing::Forbidden).await
    }

    async fn lost(&mut self, what: &str) -> Result<(), Over> {
        let kind = self.kind().name;
        match self.standing {
            Standing::Followed => {
                warn!(
                    kind,
                    "the API server is away, what is known serves on: {what}"
                );
                self.stand(Standing::Lost).await
            }
            Standing::Unknown => {
                warn!(kind, "not listed yet: {what}");
                Ok(())
            }
            _ => {
                debug!(kind, "still away: {what}");
                Ok(())
            }
        }
    }

    async fn stand(&mut self, standing: Standing) -> Result<(), Over> {
        if self.standing == standing {
            return Ok(());
        }
        if self.standing == Standing::Lost && standing == Standing::Followed {
            info!(kind = self.kind().name, "the API server is back");
        }
        self.standing = standing.clone();
        self.tell(Told::Standing(self.index, standing)).await
    }

    async fn tell(&self, told: Told) -> Result<(), Over> {
        self.tell.send(told).await.map_err(|_| Over)
    }

    /// One watch from its start to its end, after a list where one is needed.
    async fn watch(&mut self) -> Result<(), End> {
        // Spread, so that the watches of all kinds do not end at once for ever.
        let life = LIFE / 2 + spread(LIFE);
        let mut events = match self.version.clone() {
            Some(version) => self.requests.watch(Some(&version), seconds(life)).await?,
            None if self.streams => self.streamed_list(life).await?,
            None => {
                let version = self.paged_list().await?;
                self.version = Some(version.clone());
                self.requests.watch(Some(&version), seconds(life)).await?
            }
        };
        self.refused = 0;
        self.stand(Standing::Followed).await?;
        while let Some(event) = events.next(life + GRACE).await? {
            self.event(event).await?;
        }
        Ok(())
    }

    async fn event(&mut self, event: Event) -> Result<(), Over> {
        match event {
            Event::Set(object) => {
                self.resume_at(&object);
                self.set(object).await?;
            }
            Event::Gone(object) => {
                self.resume_at(&object);
                if let Some(gone) = self.known.gone(&object) {
                    self.tell(gone).await?;
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
            "an event of the API server cannot be read and is left out: {why}"
        );
    }

    fn count(&self) {
        let metrics = &self.requests.metrics;
        metrics.objects(self.kind().name, self.known.len());
    }

    async fn set(&mut self, object: Value) -> Result<(), Over> {
        match self.known.set(object) {
            Some(told) => self.tell(told).await,
            None => Ok(()),
        }
    }

    /// A watch that begins with all that is there, up to the mark that says so.
    async fn streamed_list(&mut self, life: Duration) -> Result<Events, End> {
        let events = self.requests.watch(None, seconds(life)).await;
        let mut events = events.map_err(|fault| match fault {
            // 422: the server could have them and is told not to.
            Fault::Refused(400 | 422, _) => Fault::NoStreams,
            fault => fault,
        })?;
        let mut relist = Relist::default();
        let first = self.known.len() == 0;
        loop {
            let event = match events.next(PATIENCE).await {
                Ok(Some(event)) => event,
                // Where the stream never says that all is told, pages may.
                Ok(None) | Err(Fault::Away(_)) => return Err(Fault::NoStreams.into()),
                Err(fault) => return Err(fault.into()),
            };
            match event {
                Event::Set(object) if first => self.set(object).await?,
                Event::Set(object) => self.known.note(&mut relist, object),
                Event::Gone(object) if first => {
                    if let Some(gone) = self.known.gone(&object) {
                        self.tell(gone).await?;
                    }
                }
                Event::Gone(object) => relist.gone(&object),
                Event::Malformed(why) => self.malformed(&why),
                Event::Bookmark { initial: false, .. } => {}
                Event::Bookmark { version, .. } => {
                    self.fresh(&version)?;
                    if !first {
                        self.finish(relist).await?;
                    }
                    self.listed(version);
                    return Ok(events);
                }
            }
        }
    }

    /// All that is there, page by page; the version to watch from.
    async fn paged_list(&mut self) -> Result<String, End> {
        let mut relist = Relist::default();
        let first = self.known.len() == 0;
        let mut next = None;
        loop {
            let page = self.requests.list(next).await?;
            self.fresh(page.version())?;
            let version = page.version().to_owned();
            next = page.next();
            for object in page.items {
                match first {
                    true => self.set(object).await?,
                    false => self.known.note(&mut relist, object),
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

    /// Refuses a list that is older than what is known.
    fn fresh(&mut self, version: &str) -> Result<(), Fault> {
        if !self.known.is_stale(version) {
            return Ok(());
        }
        self.stale += 1;
        if self.stale >= STALE {
            self.known.forget_newest();
            return Ok(());
        }
        Err(Fault::Away(format!(
            "a list of version {version} is older than what is known"
        )))
    }

    async fn finish(&mut self, relist: Relist) -> Result<(), Over> {
        for told in self.known.finish(relist) {
            self.tell(told).await?;
        }
        Ok(())
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}
