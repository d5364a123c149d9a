//! Targets given by host name: looked up, and looked up again when their records expire.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;

/// A record that lives longer is looked up again after this time all the same, since container
/// networks hand out long-lived records for addresses that change with a restart.
const LONGEST_TTL: Duration = Duration::from_secs(30);
/// No name is looked up more often, whatever its TTL.
const SHORTEST_TTL: Duration = Duration::from_secs(1);
/// After a failure.
const RETRY: Duration = Duration::from_secs(2);

/// The outcome of one look-up.
pub(crate) type Resolved = Result<Vec<IpAddr>, String>;

/// Looks `name` up for as long as it is polled; tells `on_change` the addresses, in order, whenever
/// they differ from the last. A failure is told once, and the addresses of before stay in use.
pub(crate) async fn follow(name: Arc<str>, mut on_change: impl FnMut(&Arc<str>, Resolved)) {
    let mut last: Option<Resolved> = None;
    loop {
        let (found, ttl) = look_up(&name).await;
        if last.as_ref() != Some(&found) {
            on_change(&name, found.clone());
            last = Some(found);
        }
        tokio::time::sleep(ttl).await;
    }
}

async fn look_up(name: &str) -> (Resolved, Duration) {
    // Built each time, since resolv.conf and the hosts file may have changed; this is not a hot path.
    let resolver = match TokioResolver::builder_tokio().and_then(|builder| builder.build()) {
        Ok(resolver) => resolver,
        Err(e) => return (Err(e.to_string()), RETRY),
    };
    match resolver.lookup_ip(name).await {
        Ok(found) => {
            let ttl = found
                .valid_until()
                .saturating_duration_since(Instant::now());
            let mut addresses: Vec<IpAddr> = found.iter().collect();
            addresses.sort_unstable();
            addresses.dedup();
            (Ok(addresses), ttl.clamp(SHORTEST_TTL, LONGEST_TTL))
        }
        Err(e) => (Err(e.to_string()), RETRY),
    }
}
