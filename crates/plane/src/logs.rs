//! Where the logs of load balancers go.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use elbow_logs::{Buckets, Delivery, Destination, Kind, Place};
use elbow_model::personality::AccessLogFormat;
use elbow_model::{Account, LoadBalancer, LogDelivery};
use elbow_telemetry::{AccessLog, LogSink, LogStream};

/// Where the logs of load balancers go.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    /// The access log of all load balancers together.
    all: Option<(Arc<AccessLog>, Arc<LogStream>)>,
    /// The folder that gets the access log of each load balancer.
    folder: Option<Arc<Path>>,
    /// Delivers to the folder, and to the buckets of load balancers.
    delivery: Option<Arc<Delivery>>,
}

impl Logs {
    /// Logs of load balancers that go where their attributes say.
    pub fn new(delivery: Arc<Delivery>) -> Self {
        Self {
            delivery: Some(delivery),
            ..Self::default()
        }
    }

    /// The access logs of all load balancers also go to `log`.
    #[must_use]
    pub fn to(self, log: Arc<AccessLog>) -> Self {
        let stream = LogStream::new(vec![Arc::clone(&log) as _]);
        Self {
            all: Some((log, stream)),
            ..self
        }
    }

    /// The access logs of all load balancers also go to files in `folder`.
    #[must_use]
    pub fn to_folder(self, folder: &Path) -> Self {
        Self {
            folder: Some(folder.into()),
            ..self
        }
    }

    /// The access log of `balancer`.
    pub(crate) fn access(
        &self,
        balancer: &LoadBalancer,
        addresses: &[IpAddr],
        account: &Account,
    ) -> Option<Arc<LogStream>> {
        let kind = match balancer.kind.personality().access_log {
            AccessLogFormat::Application => Kind::Access,
            AccessLogFormat::NetworkTls => Kind::NetworkAccess,
            AccessLogFormat::Classic => Kind::ClassicAccess,
        };
        let of = (balancer, addresses, account);
        let folder = self.folder.clone();
        let folder = folder.map(|path| destination(kind, of, Place::Folder(path), ""));
        let bucket = balancer.attributes.access_log.as_ref();
        let bucket = bucket.map(|bucket| in_bucket(kind, of, bucket));
        let delivery = self.delivery.as_ref();
        let files = delivery.into_iter().flat_map(|delivery| {
            let both = [folder.clone(), bucket.clone()].into_iter().flatten();
            both.map(|destination| delivery.to(destination))
        });
        let mut sinks: Vec<Arc<dyn LogSink>> = files.collect();
        match (&self.all, sinks.is_empty()) {
            (None, true) => None,
            // One buffer for all load balancers.
            (Some((_, stream)), true) => Some(Arc::clone(stream)),
            (Some((log, _)), false) => {
                sinks.push(Arc::clone(log) as _);
                Some(LogStream::new(sinks))
            }
            (None, false) => Some(LogStream::new(sinks)),
        }
    }

    /// The connection log of `balancer`.
    pub(crate) fn connections(
        &self,
        balancer: &LoadBalancer,
        addresses: &[IpAddr],
        account: &Account,
    ) -> Option<Arc<LogStream>> {
        let bucket = balancer.attributes.connection_log.as_ref()?;
        let of = (balancer, addresses, account);
        let destination = in_bucket(Kind::Connection, of, bucket);
        let sink = self.delivery.as_ref()?.to(destination);
        Some(LogStream::new(vec![sink]))
    }

    /// The health check log of `balancer`.
    pub(crate) fn health_checks(
        &self,
        balancer: &LoadBalancer,
        addresses: &[IpAddr],
        account: &Account,
    ) -> Option<Arc<dyn LogSink>> {
        let bucket = balancer.attributes.health_check_log.as_ref()?;
        let of = (balancer, addresses, account);
        let destination = in_bucket(Kind::HealthCheck, of, bucket);
        Some(self.delivery.as_ref()?.to(destination))
    }

    pub(crate) fn set_buckets(&self, buckets: Buckets) {
        if let Some(delivery) = &self.delivery {
            delivery.set_buckets(buckets);
        }
    }

    /// Writes what is buffered. Later lines are dropped and counted.
    pub(crate) fn close(&self) {
        if let Some((log, _)) = &self.all {
            log.close();
        }
        if let Some(delivery) = &self.delivery {
            delivery.close();
        }
    }
}

/// A load balancer, its addresses, and the account that it belongs to.
type Of<'a> = (&'a LoadBalancer, &'a [IpAddr], &'a Account);

fn in_bucket(kind: Kind, of: Of<'_>, LogDelivery { bucket, prefix }: &LogDelivery) -> Destination {
    destination(kind, of, Place::Bucket(Arc::clone(bucket)), prefix)
}

fn destination(
    kind: Kind,
    (balancer, addresses, account): Of<'_>,
    place: Place,
    prefix: &str,
) -> Destination {
    Destination {
        kind,
        place,
        prefix: prefix.into(),
        region: account.region.as_str().into(),
        account_id: account.id.as_str().into(),
        load_balancer: balancer.resource_id().into(),
        node: addresses.first().copied(),
        interval: balancer.attributes.log_interval,
    }
}
