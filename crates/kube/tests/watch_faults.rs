//! Faults of an API server never affect traffic. Uses a fake server, since a real one rarely shows them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests panic")]

mod fake;
mod scene;

use fake::FakeApi;
use scene::{ONE, SOON, Scene, TWO, cluster, ingress, slice};
use serde_json::json;

/// Streaming lists: one request per kind, and changes follow on the same stream.
#[tokio::test]
async fn streaming_list_is_followed() {
    let scene = Scene::served(|_| ()).await;
    scene.add_target("10.0.0.3").await;
    assert_eq!(scene.api.state().count("endpointslices", ""), 1);
    assert_eq!(scene.sample("elbow_kube_synced"), 1.0);
    assert_eq!(
        scene.sample("elbow_kube_objects{kind=\"EndpointSlice\"}"),
        4.0
    );
    scene.never_without(&TWO);
}

#[tokio::test]
async fn server_without_streaming_lists_is_listed_by_pages() {
    let scene = Scene::served(|state| state.streams = false).await;
    scene.add_target("10.0.0.3").await;
    assert_eq!(scene.api.state().count("endpointslices", "continue=2"), 1);
    scene.never_without(&TWO);
}

#[tokio::test]
async fn cut_watch_resumes() {
    let scene = Scene::served(|_| ()).await;
    scene.api.state().bookmark("endpointslices");
    let bookmark = scene.api.state().version();
    scene.add_target("10.0.0.3").await;
    for _ in 0..3 {
        let before = scene.api.state().count("endpointslices", "watch");
        scene.api.state().cut("endpointslices");
        // A change while no watch is open is delivered later.
        scene
            .api
            .state()
            .set("endpointslices", slice("web-3", &["10.0.0.4"]));
        scene
            .until("a new watch", |s| {
                s.api.state().count("endpointslices", "watch") > before
            })
            .await;
        scene
            .until("the missed change", |s| {
                s.targets().contains(&"10.0.0.4:8080".to_owned())
            })
            .await;
        scene.api.state().remove("endpointslices", "a", "web-3");
        scene
            .until("its deletion", |s| {
                !s.targets().contains(&"10.0.0.4:8080".to_owned())
            })
            .await;
    }
    let state = scene.api.state();
    assert_eq!(
        state.count("endpointslices", "sendInitialEvents"),
        1,
        "listed once"
    );
    let resumed = format!("resourceVersion={}", bookmark + 1);
    assert_eq!(
        state.count("endpointslices", &resumed),
        1,
        "{:?}",
        state.asked
    );
    drop(state);
    assert_eq!(
        scene.sample("elbow_kube_watch_restarts_total{kind=\"EndpointSlice\"}"),
        3.0
    );
    scene.never_without(&TWO);
}

#[tokio::test]
async fn watch_resumes_at_a_bookmark() {
    let scene = Scene::served(|_| ()).await;
    scene.api.state().bookmark("nodes");
    // The change after the bookmark shows that the bookmark has been read.
    scene
        .api
        .state()
        .set("nodes", json!({"metadata": {"name": "n"}}));
    scene.api.state().bookmark("nodes");
    let resumed = format!("resourceVersion={}", scene.api.state().version());
    scene
        .until("the node", |s| {
            s.sample("elbow_kube_objects{kind=\"Node\"}") == 1.0
        })
        .await;
    scene
        .until("a watch from the bookmark", |s| {
            s.api.state().cut("nodes");
            s.api.state().count("nodes", &resumed) > 0
        })
        .await;
}

/// 410, as a status and as an event: everything is listed again, and only differences take effect.
#[tokio::test]
async fn expired_watch_applies_only_differences() {
    for expires_by_event in [false, true] {
        let scene = Scene::served(|state| state.expires_by_event = expires_by_event).await;
        scene.add_target("10.0.0.3").await;
        {
            let mut state = scene.api.state();
            state.forget("endpointslices");
            state.remove("endpointslices", "a", "web-2");
            state.set("endpointslices", slice("web-3", &["10.0.0.4"]));
            state.forget("endpointslices");
        }
        let wanted = [ONE, "10.0.0.2:8080", "10.0.0.4:8080"];
        scene
            .until("the targets of the new list", |s| s.targets() == wanted)
            .await;
        assert_eq!(
            scene
                .api
                .state()
                .count("endpointslices", "sendInitialEvents"),
            2
        );
        assert!(scene.sample("elbow_kube_watch_restarts_total{kind=\"EndpointSlice\"}") >= 1.0);
        scene.add_target("10.0.0.5").await;
        scene.never_without(&TWO);
    }
}

/// A list from the cache of an API server that lags behind.
#[tokio::test]
async fn stale_list_is_ignored() {
    let scene = Scene::served(|state| state.streams = false).await;
    scene.add_target("10.0.0.3").await;
    {
        let mut state = scene.api.state();
        state.stale = Some((
            2,
            "endpointslices".to_owned(),
            50,
            vec![slice("web-1", &["10.0.0.9"])],
        ));
        state.forget("endpointslices");
    }
    scene
        .until("the stale lists", |s| s.api.state().stale.is_none())
        .await;
    scene.add_target("10.0.0.4").await;
    scene.never_without(&TWO);
    assert!(!scene.targets().contains(&"10.0.0.9:8080".to_owned()));
}

/// A cluster restored from a backup keeps older versions.
#[tokio::test]
async fn repeatedly_stale_list_is_accepted() {
    let scene = Scene::served(|state| state.streams = false).await;
    {
        let mut state = scene.api.state();
        let mut old = slice("web-1", &["10.0.0.1"]);
        old["metadata"]["resourceVersion"] = "40".into();
        state.stale = Some((9, "endpointslices".to_owned(), 50, vec![old]));
        state.forget("endpointslices");
    }
    scene
        .until("the restored targets", |s| s.targets() == [ONE])
        .await;
}

#[tokio::test]
async fn unreachable_api_server_changes_nothing() {
    let mut scene = Scene::served(|_| ()).await;
    let models = scene.served.models.lock().unwrap().len();
    scene.api.go_away().await;
    scene
        .until("the disconnect", |s| s.sample("elbow_kube_synced") == 0.0)
        .await;
    assert_eq!(scene.served.models.lock().unwrap().len(), models);
    scene
        .api
        .state()
        .set("endpointslices", slice("web-2", &["10.0.0.3"]));
    scene.api.come_back();
    scene
        .until("the reconnect", |s| s.sample("elbow_kube_synced") == 1.0)
        .await;
    scene
        .until("the missed change", |s| s.targets().len() == 3)
        .await;
    let lists = scene
        .api
        .state()
        .count("endpointslices", "sendInitialEvents");
    assert_eq!(lists, 1, "known objects are not listed again");
    scene.never_without(&TWO);
}

#[tokio::test]
async fn nothing_is_served_before_everything_is_listed() {
    let api = FakeApi::start().await;
    for (plural, object) in cluster() {
        api.state().set(plural, object);
    }
    api.state().stuck.insert("endpointslices".to_owned());
    let mut scene = Scene::start(api);
    let others = |s: &Scene| s.sample("elbow_kube_objects{kind=\"Ingress\"}") == 1.0;
    scene.until("the other kinds", others).await;
    assert!(!*scene.ready.borrow());
    assert_eq!(scene.sample("elbow_kube_synced"), 0.0);
    scene.api.state().stuck.clear();
    let ready = scene.ready.wait_for(|ready| *ready);
    tokio::time::timeout(SOON, ready).await.unwrap().unwrap();
    scene.never_without(&TWO);
}

#[tokio::test]
async fn forbidden_kind_does_not_affect_others() {
    let scene = Scene::served(|state| {
        state.forbidden.insert("secrets".to_owned());
        state
            .absent
            .extend(["tenants", "ingressclassparams"].map(str::to_owned));
    })
    .await;
    scene.add_target("10.0.0.3").await;
    let refused = "elbow_kube_api_requests_total{verb=\"watch\",resource=\"secrets\",code=\"403\"}";
    assert_eq!(scene.sample(refused), 1.0);
    assert_eq!(scene.sample("elbow_kube_synced"), 1.0);
}

#[tokio::test]
async fn malformed_object_does_not_affect_others() {
    let scene = Scene::served(|state| {
        state.set("ingresses", json!({"metadata": {"name": "odd", "namespace": "a", "annotations": {"a": 3}}, "spec": []}));
        state.set("services", json!({"metadata": {"name": "odd", "namespace": "a", "labels": 7}, "spec": {"ports": "many"}}));
        state.set("endpointslices", json!({"metadata": {"labels": []}}));
    })
    .await;
    {
        let mut state = scene.api.state();
        state.raw(
            "endpointslices",
            "{\"type\": \"ADDED\", \"object\": {\"metadata\"",
        );
        state.raw("endpointslices", "{\"type\": \"ODD\", \"object\": {}}");
        state.raw("endpointslices", "");
        state.set(
            "pods",
            json!({"metadata": {"name": "p", "namespace": "a"}, "spec": 3, "status": []}),
        );
    }
    scene.add_target("10.0.0.3").await;
    let large = "x".repeat(1024 * 1024);
    scene
        .api
        .state()
        .set("ingresses", ingress("large", &json!({"note": large})));
    scene.add_target("10.0.0.4").await;
    scene.never_without(&[ONE]);
}

/// A load balancer that cannot listen does not affect others, and is retried.
#[tokio::test]
async fn failing_load_balancer_is_left_out_and_retried() {
    let scene = Scene::served(|_| ()).await;
    scene.served.busy.lock().unwrap().insert(("busy", 80));
    scene
        .api
        .state()
        .set("ingresses", ingress("busy", &json!({})));
    let failed = "elbow_kube_reconciles_total{result=\"failed\"}";
    scene
        .until("the failure", |s| s.sample(failed) >= 1.0)
        .await;
    scene.add_target("10.0.0.3").await;
    let count = |s: &Scene| {
        let models = s.served.models.lock().unwrap();
        models.last().unwrap().load_balancers.len()
    };
    assert_eq!(count(&scene), 1);
    scene.served.busy.lock().unwrap().clear();
    scene.until("the second attempt", |s| count(s) == 2).await;
    scene.never_without(&TWO);
}

/// The old configuration keeps serving if a change of it cannot be served.
#[tokio::test]
async fn failing_change_keeps_the_old_load_balancer() {
    let scene = Scene::served(|_| ()).await;
    scene.served.busy.lock().unwrap().insert(("web", 81));
    scene.api.state().set(
        "ingresses",
        ingress(
            "web",
            &json!({"alb.ingress.kubernetes.io/listen-ports": "[{\"HTTP\": 81}]"}),
        ),
    );
    let failed = "elbow_kube_reconciles_total{result=\"failed\"}";
    scene
        .until("the failure", |s| s.sample(failed) >= 1.0)
        .await;
    scene.served.busy.lock().unwrap().clear();
    let port = |s: &Scene| {
        let models = s.served.models.lock().unwrap();
        models.last().unwrap().load_balancers[0].listeners[0].port
    };
    scene.until("the change", |s| port(s) == 81).await;
    scene.never_without(&TWO);
}
