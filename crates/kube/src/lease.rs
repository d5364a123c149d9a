//! Leader election among replicas: the holder of a Lease leads, as in client-go.
//!
//! Clocks of different machines are never compared. A replica takes over a Lease if it has not seen the Lease change, by its own
//! clock, for the duration in the Lease.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::{Client, Error};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::write::{Api, Counter, What, jittered};

/// How a Lease is held; the defaults are those of Kubernetes' controllers.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    /// The namespace of the Lease.
    pub namespace: String,
    /// The name of the Lease.
    pub name: String,
    /// The name of this replica: [`identity`].
    pub identity: String,
    /// How long others wait after the last renewal.
    pub lease_duration: Duration,
    /// How long the leader leads without a renewal.
    pub renew_deadline: Duration,
    /// The time between attempts.
    pub retry_period: Duration,
}

impl LeaseOptions {
    /// Options with the default times.
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        identity: impl Into<String>,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            identity: identity.into(),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// A unique name for a replica: the host name and a random number, as in `host_1f0c…`.
pub fn identity(host: &str) -> String {
    use std::hash::{BuildHasher, RandomState};
    let part = |n: u8| RandomState::new().hash_one(n);
    format!("{host}_{:016x}{:016x}", part(0), part(1))
}

/// Takes part in the election until `stop` is true or its sender is gone, and keeps `leading` up to date. A leader that
/// stops releases the Lease, so that another replica leads at once.
pub async fn elect(
    client: Client,
    counter: Counter,
    options: LeaseOptions,
    leading: watch::Sender<bool>,
    stop: watch::Receiver<bool>,
) {
    let store = ApiStore {
        api: Api::new(client, counter),
        path: format!(
            "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
            options.namespace
        ),
        name: options.name.clone(),
    };
    Election::new(store, options).run(leading, stop).await;
}

/// The contents of a Lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Record {
    version: String,
    holder: String,
    duration: Duration,
    acquired: String,
    renewed: String,
    transitions: i64,
}

/// Stores the Lease.
trait Store: Send + Sync {
    /// `None` if there is no Lease.
    fn get(&self) -> impl Future<Output = Result<Option<Record>, Error>> + Send;
    /// Writes `record` if the Lease still has `record.version` (empty: does not exist), and returns the new contents.
    fn put(&self, record: &Record) -> impl Future<Output = Result<Record, Error>> + Send;
}

struct ApiStore {
    api: Api,
    path: String,
    name: String,
}

impl ApiStore {
    fn read(lease: &Value) -> Record {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let spec = &lease["spec"];
        let number = |value: &Value| value.as_i64().unwrap_or_default();
        let seconds = number(&spec["leaseDurationSeconds"]);
        Record {
            version: text(&lease["metadata"]["resourceVersion"]),
            holder: text(&spec["holderIdentity"]),
            duration: Duration::from_secs(seconds.max(0).unsigned_abs()),
            acquired: text(&spec["acquireTime"]),
            renewed: text(&spec["renewTime"]),
            transitions: number(&spec["leaseTransitions"]),
        }
    }

    fn lease(&self, record: &Record) -> Value {
        let mut lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name},
            "spec": {
                "holderIdentity": record.holder,
                "leaseDurationSeconds": record.duration.as_secs().max(1),
                "acquireTime": record.acquired,
                "renewTime": record.renewed,
                "leaseTransitions": record.transitions,
            },
        });
        if !record.version.is_empty() {
            lease["metadata"]["resourceVersion"] = record.version.clone().into();
        }
        lease
    }
}

impl Store for ApiStore {
    async fn get(&self) -> Result<Option<Record>, Error> {
        match self.api.read(&self.path, &self.name).await {
            Ok(lease) => Ok(Some(Self::read(&lease))),
            Err(Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn put(&self, record: &Record) -> Result<Record, Error> {
        let lease = self.lease(record);
        let answer = if record.version.is_empty() {
            self.api.create(What::Lease, &self.path, &lease).await
        } else {
            let replaced = self
                .api
                .replace(What::Lease, &self.path, &self.name, &lease);
            replaced.await
        };
        Ok(Self::read(&answer?))
    }
}

struct Election<S> {
    store: S,
    options: LeaseOptions,
    /// The last seen contents, and when they were first seen.
    seen: Option<(Record, Instant)>,
}

impl<S: Store> Election<S> {
    fn new(store: S, options: LeaseOptions) -> Self {
        Self {
            store,
            options,
            seen: None,
        }
    }

    async fn run(mut self, leading: watch::Sender<bool>, mut stop: watch::Receiver<bool>) {
        let ended = tokio::select! {
            () = self.take_part(&leading) => false,
            _ = stop.wait_for(|stop| *stop) => true,
        };
        let led = leading.send_replace(false);
        if ended && led {
            self.release().await;
        }
    }

    async fn take_part(&mut self, leading: &watch::Sender<bool>) {
        let mut renewed: Option<Instant> = None;
        loop {
            let asked = Instant::now();
            // A leader that waits for an answer must stop leading at the deadline.
            let wait = match renewed {
                Some(at) => (at + self.options.renew_deadline).saturating_duration_since(asked),
                None => self.options.renew_deadline,
            };
            let leads = match timeout(wait, self.attempt()).await {
                Ok(Ok(leads)) => Some(leads),
                // Another replica was faster, or somebody changed the Lease.
                Ok(Err(Error::Api(status))) if status.code == 409 => None,
                Ok(Err(error)) => {
                    let why = crate::client::reasons(&error);
                    warn!(lease = self.options.name, "cannot renew the Lease: {why}");
                    None
                }
                Err(_) => None,
            };
            renewed = match leads {
                Some(true) => Some(asked),
                Some(false) => None,
                None => renewed.filter(|at| at.elapsed() < self.options.renew_deadline),
            };
            let leads = renewed.is_some();
            let led = leading.send_replace(leads);
            if leads != led {
                info!(
                    lease = self.options.name,
                    identity = self.options.identity,
                    leads
                );
            }
            // The leader renews in time; the others use jitter, so as not to collide.
            let pause = if leads {
                self.options.retry_period
            } else {
                jittered(self.options.retry_period)
            };
            sleep(pause).await;
        }
    }

    /// Takes or renews the Lease if it is free, expired or ours; returns whether we hold it.
    async fn attempt(&mut self) -> Result<bool, Error> {
        let present = self.store.get().await?;
        let now = Instant::now();
        let known = self.seen.as_ref().map(|(record, _)| record);
        if present.as_ref() != known {
            self.seen = present.clone().map(|record| (record, now));
        }
        if let Some((record, since)) = &self.seen {
            let held = !record.holder.is_empty() && record.holder != self.options.identity;
            if held && now < *since + record.duration {
                return Ok(false);
            }
        }
        let time = timestamp();
        let own = |record: &Record| record.holder == self.options.identity;
        let mut next = present.clone().unwrap_or_default();
        if !present.as_ref().is_some_and(own) {
            next.transitions += i64::from(present.is_some());
            next.acquired.clone_from(&time);
        }
        next.holder.clone_from(&self.options.identity);
        next.duration = self.options.lease_duration;
        next.renewed = time;
        self.seen = Some((self.store.put(&next).await?, now));
        Ok(true)
    }

    async fn release(&self) {
        // If this fails, another replica leads after the Lease expires.
        let released = timeout(self.options.renew_deadline, self.free()).await;
        if let Ok(Err(error)) = released {
            warn!(
                lease = self.options.name,
                "cannot release the Lease: {}",
                crate::client::reasons(&error)
            );
        }
    }

    /// Frees the Lease if it is still ours. A renewal that was under way at the stop may change it once more.
    async fn free(&self) -> Result<(), Error> {
        loop {
            let present = self.store.get().await?;
            let own = present.filter(|record| record.holder == self.options.identity);
            let Some(record) = own else {
                return Ok(());
            };
            let free = Record {
                holder: String::new(),
                duration: Duration::from_secs(1),
                renewed: timestamp(),
                ..record
            };
            match self.store.put(&free).await {
                Err(Error::Api(status)) if status.code == 409 => {}
                freed => return freed.map(drop),
            }
        }
    }
}

fn timestamp() -> String {
    let time = json!(MicroTime(Timestamp::now()));
    time.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
