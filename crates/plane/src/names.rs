//! DNS lookups of targets registered by host name, repeated when their records expire.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;

/// Maximum time between lookups, even if the TTL is longer: container networks hand out records with long
/// TTLs for addresses that change with a restart.
const MAX_TTL: Duration = Duration::from_secs(30);
/// Minimum time between lookups, even if the TTL is shorter.
const MIN_TTL: Duration = Duration::from_secs(1);
/// Delay after a failed lookup.
const RETRY: Duration = Duration::from_secs(2);

/// The result of one lookup.
pub(crate) type Resolved = Result<Vec<IpAddr>, String>;

/// Resolves `name` repeatedly, and calls `on_change` with the sorted addresses or the error whenever the
/// result differs from the previous one. Never returns; drop it to stop.
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
    // Built each time, because resolv.conf and the hosts file may have changed. This is not a hot path.
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
            (Ok(addresses), ttl.clamp(MIN_TTL, MAX_TTL))
        }
        Err(e) => (Err(e.to_string()), RETRY),
    }
}
