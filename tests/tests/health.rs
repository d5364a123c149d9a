//! Health checks and their effects (ALB guide: health checks; NLB guide: health checks).

use std::net::SocketAddr;

use elbow_tests::config::{alb, file, forward, group, listener, nlb, with_attribute};
use elbow_tests::target::{ok, serve};
use elbow_tests::{Ca, Client, Elbow, Scene, Target, address, wait};

#[test]
fn first_pass_makes_a_target_healthy() {
    let target = Target::ok("");
    let scene = Scene::http_with(&[&target], &[], |group| {
        group["healthCheckConfig"]["healthyThresholdCount"] = 10.into();
        // There is no second one.
        group["healthCheckConfig"]["intervalSeconds"] = 300.into();
        group["healthCheckConfig"]["port"] = "traffic-port".into();
    });
    assert_eq!(target.health_checks().len(), 1);
    let row = scene.elbow.wait_for_state("web", target.addr(), "healthy");
    assert!(
        row.get("reason").is_none_or(serde_json::Value::is_null),
        "{row}"
    );
}

#[test]
fn health_check_request_has_host_agent_and_close() {
    let target = Target::ok("");
    let _scene = Scene::http_with(&[&target], &[], |group| {
        group["healthCheckConfig"]["port"] = "traffic-port".into();
        group["healthCheckConfig"]["path"] = "/up?full=1".into();
    });
    let check = &target.health_checks()[0];
    assert_eq!(check.line(), "GET /up?full=1 HTTP/1.1");
    assert_eq!(check.header("host"), Some(&*target.addr().to_string()));
    assert_eq!(check.header("user-agent"), Some("ELB-HealthChecker/2.0"));
    assert_eq!(check.header("connection"), Some("close"));
}

// Parity 3.6: unlike an ALB, an NLB sends the address of its node and the port of its listener.
#[test]
fn health_checks_of_an_nlb_have_its_own_address_as_host() {
    let target = Target::ok("");
    let ip = address();
    let mut group = group("web", "TCP", &[target.addr()]);
    group["healthCheckConfig"]["port"] = "traffic-port".into();
    let listener = listener(8081, "TCP", &forward("web"));
    let elbow = Elbow::run(&file(&[nlb("nlb", ip, &[listener])], &[group]));
    elbow.wait_for_state("web", target.addr(), "healthy");
    let check = &target.health_checks()[0];
    assert_eq!(check.header("host"), Some(&*format!("{ip}:8081")));
}

// Parity 3.6: HTTPS checks of an NLB cannot use targets with TLS 1.3 alone; an ALB's can, and an NLB's by an attribute.
#[test]
fn https_checks_of_an_nlb_fail_at_targets_with_tls_1_3_alone() {
    let ca = Ca::new();
    let any = ca.leaf(&["a.example"]).server(&[]);
    let tls = rustls::ServerConfig::builder_with_provider(any.crypto_provider().clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(any.cert_resolver.clone());
    let target = Target::start_tls(tls.into(), serve(|_| ok("")));
    let ip = address();
    let checked = |name: &str, protocol: &str| {
        let mut group = group(name, protocol, &[target.addr()]);
        group["healthCheckConfig"]["port"] = "traffic-port".into();
        group["healthCheckConfig"]["protocol"] = "HTTPS".into();
        group
    };
    let balancers = [
        nlb(
            "nlb",
            ip,
            &[
                listener(8081, "TCP", &forward("as-aws")),
                listener(8082, "TCP", &forward("with-tls13")),
            ],
        ),
        alb("alb", address(), &[listener(8083, "HTTP", &forward("alb"))]),
    ];
    let key = "elbow.health_check_tls13.enabled";
    let groups = [
        checked("as-aws", "TCP"),
        with_attribute(checked("with-tls13", "TCP"), key, "true"),
        checked("alb", "HTTPS"),
    ];
    let elbow = Elbow::run(&file(&balancers, &groups));
    let row = elbow.wait_for_state("as-aws", target.addr(), "unhealthy");
    assert_eq!(row["reason"], "Target.FailedHealthChecks", "{row}");
    elbow.wait_for_state("with-tls13", target.addr(), "healthy");
    elbow.wait_for_state("alb", target.addr(), "healthy");
}

#[test]
fn unexpected_code_makes_a_target_unhealthy_until_it_passes() {
    let targets = [Target::ok("a"), Target::ok("b")];
    let scene = Scene::http(&targets.each_ref());
    targets[0].set_health(500);
    let row = scene
        .elbow
        .wait_for_state("web", targets[0].addr(), "unhealthy");
    assert_eq!(row["reason"], "Target.ResponseCodeMismatch", "{row}");
    assert_eq!(
        row["description"], "Health checks failed with these codes: [500]",
        "{row}"
    );
    for _ in 0..10 {
        assert_eq!(scene.get("/").text(), "b");
    }
    targets[0].set_health(200);
    scene.wait_until_healthy(&targets.each_ref());
    let both = || {
        (0..2)
            .map(|_| scene.get("/").text())
            .any(|text| text == "a")
    };
    wait::until("the target to get requests again", || both().then_some(()));
}

#[test]
fn all_unhealthy_fails_open() {
    let targets = [Target::ok("a"), Target::ok("b")];
    let scene = Scene::http(&targets.each_ref());
    for target in &targets {
        target.set_health(503);
    }
    for target in &targets {
        scene
            .elbow
            .wait_for_state("web", target.addr(), "unhealthy");
    }
    for _ in 0..20 {
        assert_eq!(scene.get("/").status, 200);
    }
    for target in &targets {
        assert!(!target.requests().is_empty());
    }
    let failed_open = "elbow_unhealthy_routing_requests_total";
    scene.elbow.wait_for_metric(failed_open, &[], 20.0);
}

#[test]
fn stopped_target_is_unhealthy_with_a_reason() {
    let mut targets = [Target::ok("a"), Target::ok("b")];
    let scene = Scene::http(&targets.each_ref());
    let gone = targets[0].addr();
    targets[0].stop();
    let row = scene.elbow.wait_for_state("web", gone, "unhealthy");
    assert_eq!(row["reason"], "Target.FailedHealthChecks", "{row}");
    assert_eq!(scene.get("/").text(), "b");
}

#[test]
fn silent_target_times_out() {
    let target = Target::start(|peer| peer.rest().map(drop));
    let ip = address();
    let mut group = group("web", "HTTP", &[target.addr()]);
    group["healthCheckConfig"]["port"] = "traffic-port".into();
    let alb = alb("alb", ip, &[listener(8080, "HTTP", &forward("web"))]);
    let elbow = Elbow::run(&file(&[alb], &[group]));
    let row = elbow.wait_for_state("web", target.addr(), "unhealthy");
    assert_eq!(row["reason"], "Target.Timeout", "{row}");
    assert_eq!(row["description"], "Request timed out", "{row}");
}

#[test]
fn matcher_accepts_lists_and_ranges() {
    let target = Target::http(|_| b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_vec());
    for matcher in ["200,403", "400-499", "200,400-404"] {
        let _scene = Scene::http_with(&[&target], &[], |group| {
            group["healthCheckConfig"]["port"] = "traffic-port".into();
            group["healthCheckConfig"]["matcher"]["httpCode"] = matcher.into();
        });
    }
}

#[test]
fn tcp_check_only_connects() {
    let target = Target::start(|peer| peer.rest().map(drop));
    let ip = address();
    let mut group = group("flows", "TCP", &[target.addr()]);
    group["healthCheckConfig"] = serde_json::json!({"protocol": "TCP", "port": "traffic-port",
        "intervalSeconds": 5, "timeoutSeconds": 2, "healthyThresholdCount": 2, "unhealthyThresholdCount": 2});
    let nlb = nlb("nlb", ip, &[listener(8080, "TCP", &forward("flows"))]);
    let elbow = Elbow::run(&file(&[nlb], &[group]));
    elbow.wait_for_state("flows", target.addr(), "healthy");
}

#[test]
fn target_host_names_are_resolved() {
    let target = Target::ok("by name");
    let ip = address();
    let mut group = group("web", "HTTP", &[target.addr()]);
    group["healthCheckConfig"]["port"] = "traffic-port".into();
    // A loopback name that needs no DNS.
    let local: SocketAddr = ([127, 0, 0, 1], 0).into();
    let listener_here = std::net::TcpListener::bind(local).unwrap();
    let port = listener_here.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        for stream in listener_here.incoming().flatten() {
            let mut stream = stream;
            let request = elbow_tests::message::Reader::default().request(&mut stream);
            let Ok(Some(request)) = request else { continue };
            drop(std::io::Write::write_all(&mut stream, &ok("by name")));
            if !request.is_health_check() {
                return;
            }
        }
    });
    group["targets"] = serde_json::json!([{"id": "localhost", "port": port}]);
    let alb = alb("alb", ip, &[listener(8080, "HTTP", &forward("web"))]);
    let elbow = Elbow::run(&file(&[alb], &[group]));
    elbow.wait_for_state("web", (local.ip(), port).into(), "healthy");
    let mut client = Client::plain((ip, 8080));
    assert_eq!(
        client
            .ask(elbow_tests::client::get("a.example", "/"))
            .text(),
        "by name"
    );
    drop(elbow);
    serving.join().unwrap();
}

#[test]
fn unresolvable_name_is_reported_and_others_serve() {
    let target = Target::ok("here");
    let ip = address();
    let mut group = group("web", "HTTP", &[target.addr()]);
    let nowhere = serde_json::json!({"id": "nowhere.invalid", "port": 9000});
    group["targets"].as_array_mut().unwrap().push(nowhere);
    let alb = alb("alb", ip, &[listener(8080, "HTTP", &forward("web"))]);
    let elbow = Elbow::run(&file(&[alb], &[group]));
    elbow.wait_for_state("web", target.addr(), "healthy");
    for _ in 0..10 {
        let mut client = Client::plain((ip, 8080));
        assert_eq!(
            client
                .ask(elbow_tests::client::get("a.example", "/"))
                .text(),
            "here"
        );
    }
    wait::until("the name to be reported", || {
        let rows = elbow_tests::elbow::rows(&elbow.json("/targets"));
        let row = rows.iter().find(|row| row["id"] == "nowhere.invalid")?;
        let is_reported = row["description"]
            .as_str()?
            .starts_with("cannot resolve the host name: ");
        (is_reported && row["reason"] == "Target.IpUnusable").then_some(())
    });
}

/// The attribute `elbow.passive_health_checks.failures`: only connections of clients tell that this target is down.
#[test]
fn passive_checks_take_out_a_target_that_refuses_connections() {
    let (up, down) = (Target::ok("up"), Target::refusing());
    let ip = address();
    let group = group("pods", "TCP", &[up.addr(), down.addr()]);
    let group = with_attribute(group, "elbow.passive_health_checks.failures", "3");
    let elbow = Elbow::run(&file(
        &[nlb("nlb", ip, &[listener(8000, "TCP", &forward("pods"))])],
        &[group],
    ));
    for target in [&up, &down] {
        elbow.wait_for_state("pods", target.addr(), "healthy");
    }
    let ask = || {
        let mut client = Client::plain((ip, 8000));
        let sent = client.try_send(elbow_tests::client::get("a.example", "/"));
        sent.is_ok() && client.try_response("GET").is_ok()
    };
    let row = wait::until("the target to be taken out", || {
        ask();
        let targets = elbow.json("/targets");
        let row = elbow_tests::elbow::target_row(&targets, "pods", down.addr())?;
        (row["state"] == "unhealthy").then_some(row)
    });
    assert_eq!(row["reason"], "Target.FailedHealthChecks", "{row}");
    assert!(
        (0..20).all(|_| ask()),
        "expected no connection to the target"
    );
    // Active checks pass all the time, so that it comes back.
    elbow.wait_for_state("pods", down.addr(), "healthy");
}
