//! Admission reviews: the webhook answers with JSON that has the uid of the request, or rejects the request.
#![no_main]

use std::sync::LazyLock;

use elbow_fuzz::peak;
use elbow_manifest::cluster::{Change, Cluster};
use elbow_manifest::{Context, Object};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

// Includes three modules, since the whole crate with its Kubernetes client takes minutes to build.
#[path = "../../crates/kube/src/webhook/gates.rs"]
mod gates;
#[path = "../../crates/kube/src/webhook/review.rs"]
mod review;
#[path = "../../crates/kube/src/webhook/server_ids.rs"]
mod server_ids;

use gates::Gates;
use review::Mutation;

/// Pods of the namespace `a` with the label `a: a` have a gate.
static GATES: LazyLock<Gates> = LazyLock::new(|| {
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "a", "name": "a", "uid": "a",
            "annotations": {"service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip"}},
        "spec": {"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb", "selector": {"a": "a"},
            "ports": [{"port": 80}]}});
    let mut cluster = Cluster::new(Context::default());
    if let Ok(service) = Object::from_json(service) {
        cluster.take(Change::Set(service));
    }
    let reconciled = cluster.reconcile();
    let mut gates = Gates::default();
    gates.take(&reconciled, cluster.inventory());
    gates
});

const SERVER_IDS: Mutation<'_> = Mutation::ServerIds {
    variable: "AWS_LBC_QUIC_SERVER_ID",
    id: || Some([7; 8]),
};

/// Heap in bytes of one answer, in addition to the texts of the request.
const HEAP: usize = 1 << 20;

fuzz_target!(|input: &[u8]| {
    // Created once, outside the measured work.
    LazyLock::force(&GATES);
    for mutation in [Mutation::Gates(&GATES), SERVER_IDS] {
        let answered = || review::answer(input, &mutation);
        let Ok(bytes) = peak::within(HEAP + 32 * input.len(), answered) else {
            continue;
        };
        let answer: Value = serde_json::from_slice(&bytes).expect("an answer is JSON");
        assert_eq!(answer["response"]["allowed"], true);
        // Fields that the webhook skips may hold text that is invalid in a `Value`.
        if let Ok(question) = serde_json::from_slice::<Value>(input) {
            assert_eq!(answer["response"]["uid"], question["request"]["uid"]);
        }
    }
});
