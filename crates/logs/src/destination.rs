//! Which log a line belongs to, and the names of its files.

use std::fmt::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

/// One log of one load balancer. Lines of equal destinations are in the same file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// What is logged.
    pub kind: Kind,
    /// Where its files go.
    pub place: Place,
    /// The folder in the bucket; may be empty.
    pub prefix: Arc<str>,
    /// The AWS region in the names of files.
    pub region: Arc<str>,
    /// The AWS account in the names of files.
    pub account_id: Arc<str>,
    /// `app/name/id`, `net/name/id`, or the name of a Classic load balancer.
    pub load_balancer: Arc<str>,
    /// The address of the load balancer.
    pub node: Option<IpAddr>,
    /// A file has the lines of one interval, which begins at a multiple of it (UTC).
    pub interval: Duration,
}

/// The kinds of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Requests of an ALB (ALB guide: access logs).
    Access,
    /// Connections with an ALB (ALB guide: connection logs).
    Connection,
    /// Health checks of an ALB (ALB guide: health check logs).
    HealthCheck,
    /// TLS connections of an NLB (NLB guide: access logs).
    NetworkAccess,
    /// Requests and connections of a Classic load balancer (CLB guide: access logs).
    ClassicAccess,
}

/// Where the files of a log go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A bucket, by the name that the load balancer has for it.
    Bucket(Arc<str>),
    /// A folder of this machine.
    Folder(Arc<Path>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket(name) => write!(f, "bucket \"{name}\""),
            Self::Folder(path) => write!(f, "folder {}", path.display()),
        }
    }
}

impl Kind {
    /// Whether files are compressed.
    pub(crate) fn is_compressed(self) -> bool {
        self != Self::ClassicAccess
    }

    /// What the name of a file begins with.
    fn file_prefix(self) -> &'static str {
        match self {
            Self::Access | Self::NetworkAccess | Self::ClassicAccess => "",
            Self::Connection => "conn_log_",
            Self::HealthCheck => "health_check_log_",
        }
    }

    /// Whether the name of a file has the address of the node.
    fn names_node(self) -> bool {
        self != Self::NetworkAccess
    }
}

impl Destination {
    /// The key of the file of the interval that ends at `end`, in seconds since 1970. `random` tells files of one interval
    /// apart.
    pub(crate) fn key(&self, end: u64, random: u64) -> String {
        let mut key = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_key(&mut key, end, random);
        key
    }

    fn write_key(&self, key: &mut String, end: u64, random: u64) -> fmt::Result {
        let (account, region) = (&self.account_id, &self.region);
        let seconds = i64::try_from(end).unwrap_or(i64::MAX);
        let end = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
        let prefix = self.prefix.trim_matches('/');
        if !prefix.is_empty() {
            write!(key, "{prefix}/")?;
        }
        write!(key, "AWSLogs/{account}/elasticloadbalancing/{region}/")?;
        write!(key, "{}", end.strftime("%Y/%m/%d/"))?;
        key.push_str(self.kind.file_prefix());
        write!(key, "{account}_elasticloadbalancing_{region}_")?;
        key.push_str(&self.load_balancer.replace('/', "."));
        write!(key, "_{}_", end.strftime("%Y%m%dT%H%MZ"))?;
        if self.kind.names_node()
            && let Some(node) = self.node
        {
            write!(key, "{node}_")?;
        }
        write_random(key, random);
        key.push_str(if self.kind.is_compressed() {
            ".log.gz"
        } else {
            ".log"
        });
        Ok(())
    }
}

/// Eight letters and digits, as in AWS's names.
fn write_random(key: &mut String, mut random: u64) {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    for _ in 0..8 {
        let index = usize::try_from(random % 36).unwrap_or_default();
        key.push(LETTERS.get(index).copied().unwrap_or(b'0').into());
        random /= 36;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// 2026-11-29T23:40:00Z.
    pub(crate) const END: u64 = 1_795_995_600;

    pub(crate) fn destination() -> Destination {
        Destination {
            kind: Kind::Access,
            place: Place::Bucket("logs".into()),
            prefix: "".into(),
            region: "us-east-2".into(),
            account_id: "123456789012".into(),
            load_balancer: "app/my-loadbalancer/1234567890abcdef".into(),
            node: Some([172, 160, 0, 1].into()),
            interval: Duration::from_secs(300),
        }
    }

    // ALB guide, access logs: the example of a file name.
    #[test]
    fn key_is_that_of_the_alb_guide() {
        let plain = destination();
        assert_eq!(
            plain.key(END, 0),
            "AWSLogs/123456789012/elasticloadbalancing/us-east-2/2026/11/29/\
             123456789012_elasticloadbalancing_us-east-2_app.my-loadbalancer.1234567890abcdef_\
             20261129T2340Z_172.160.0.1_aaaaaaaa.log.gz"
        );
        for prefix in ["prod", "/prod/"] {
            let key = Destination {
                prefix: prefix.into(),
                ..plain.clone()
            }
            .key(END, 1);
            assert!(key.starts_with("prod/AWSLogs/123456789012/"), "{key}");
            assert!(key.ends_with("_172.160.0.1_baaaaaaa.log.gz"), "{key}");
        }
    }

    // ALB guide, connection logs and health check logs.
    #[test]
    fn other_logs_of_an_alb_have_prefixes() {
        for (kind, prefix) in [
            (Kind::Connection, "conn_log_"),
            (Kind::HealthCheck, "health_check_log_"),
        ] {
            let key = Destination {
                kind,
                ..destination()
            }
            .key(END, 0);
            let name = key.rsplit('/').next().unwrap();
            let account = name.strip_prefix(prefix).unwrap();
            assert!(
                account.starts_with("123456789012_elasticloadbalancing_us-east-2_app."),
                "{key}"
            );
            assert!(key.ends_with("_172.160.0.1_aaaaaaaa.log.gz"), "{key}");
        }
    }

    // NLB guide, access logs: no address of a node.
    #[test]
    fn key_of_a_network_load_balancer_has_no_address() {
        let network = Destination {
            kind: Kind::NetworkAccess,
            load_balancer: "net/nlb/1".into(),
            ..destination()
        };
        let key = network.key(END, 0);
        assert!(
            key.ends_with("_us-east-2_net.nlb.1_20261129T2340Z_aaaaaaaa.log.gz"),
            "{key}"
        );
    }

    // CLB guide, access logs: not compressed.
    #[test]
    fn key_of_a_classic_load_balancer_is_not_compressed() {
        let classic = Destination {
            kind: Kind::ClassicAccess,
            load_balancer: "web".into(),
            ..destination()
        };
        let key = classic.key(END, 35);
        assert!(
            key.ends_with("_us-east-2_web_20261129T2340Z_172.160.0.1_9aaaaaaa.log"),
            "{key}"
        );
    }

    #[test]
    fn random_part_differs_for_any_two_small_numbers() {
        let keys: std::collections::BTreeSet<String> = (0..10_000)
            .map(|random| destination().key(END, random))
            .collect();
        assert_eq!(keys.len(), 10_000);
    }
}
