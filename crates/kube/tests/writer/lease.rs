//! Leader election with a real API server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use elbow_kube::client;
use elbow_kube::lease::{LeaseOptions, elect, identity};
use elbow_kube::write::What;
use elbow_tests::tools;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::timeout;

use super::bench::turn;
use super::need_turn;

#[test]
fn second_replica_leads_when_the_first_stops() {
    let turn = need_turn!();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let client = client::open(Some(&turn.plane.kubeconfig()), None)
            .await
            .unwrap()
            .client;
        let writes = Arc::new(Mutex::new(Vec::new()));
        let start = |name: &str| {
            let (lead, leading) = watch::channel(false);
            let (stop, stopped) = watch::channel(false);
            let options = LeaseOptions {
                retry_period: Duration::from_millis(200),
                ..LeaseOptions::new("default", "elbow-leader", identity(name))
            };
            let writes = writes.clone();
            let counter = Arc::new(move |what, result| writes.lock().unwrap().push((what, result)));
            let task = tokio::spawn(elect(client.clone(), counter, options, lead, stopped));
            (leading, stop, task)
        };
        let limit = Duration::from_secs(30);
        let (mut first, stop, task) = start("first");
        timeout(limit, first.wait_for(|leads| *leads))
            .await
            .unwrap()
            .unwrap();
        let (mut second, _stop, _task) = start("second");
        let lease = || turn.plane.get(&["lease", "elbow-leader", "-n", "default"]);
        let spec = lease()["spec"].clone();
        assert!(
            spec["holderIdentity"]
                .as_str()
                .unwrap()
                .starts_with("first_")
        );
        assert_eq!(spec["leaseDurationSeconds"], 15);
        assert!(!*second.borrow());
        stop.send_replace(true);
        timeout(limit, task).await.unwrap().unwrap();
        // It was released: the second replica does not wait until it expires.
        let holder = lease()["spec"]["holderIdentity"].clone();
        assert!(!holder.as_str().unwrap_or_default().starts_with("first_"));
        timeout(limit, second.wait_for(|leads| *leads))
            .await
            .unwrap()
            .unwrap();
        let spec = lease()["spec"].clone();
        assert!(
            spec["holderIdentity"]
                .as_str()
                .unwrap()
                .starts_with("second_")
        );
        assert_eq!(spec["leaseTransitions"], 1);
        let writes = writes.lock().unwrap();
        // A renewal that is under way at the stop may be faster than the release.
        let is_expected = |(what, result): &(What, &str)| {
            *what == What::Lease && matches!(*result, "ok" | "conflict")
        };
        assert!(writes.iter().all(is_expected), "{writes:?}");
    });
}
