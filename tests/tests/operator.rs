//! Output for operators: `check`, `get`, the admin pages and the access log.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use elbow_tests::command::{output, stdout, texts};
use elbow_tests::config::{alb, file, fixed, listener};
use elbow_tests::elbow::log_fields;
use elbow_tests::{Ca, Client, Elbow, Scene, Target, TempDir, address, client, elbow, wait};
use serde_json::{Value, json};

/// The result of `elbow check` for `yaml`: exit code, text and JSON.
fn check(dir: &TempDir, yaml: &str) -> (Option<i32>, String, Vec<Value>) {
    let path = dir.write("alb.yaml", yaml);
    let path = path.to_str().unwrap();
    let out = output(&mut elbow::command(&["check", "--config", path]));
    let (_, text) = texts(&out);
    let json = output(&mut elbow::command(&[
        "check", "-o", "json", "--config", path,
    ]));
    assert_eq!(json.status.code(), out.status.code());
    let (json, _) = texts(&json);
    let mut found = Vec::new();
    for value in serde_json::Deserializer::from_str(&json).into_iter::<Value>() {
        match value.unwrap() {
            Value::Array(list) => found.extend(list),
            one => found.push(one),
        }
    }
    (out.status.code(), text, found)
}

const GOOD: &str = "\
loadBalancers:
- name: alb
  type: application
  listeners:
  - port: 8080
    protocol: HTTP
    rules:
    - priority: 10
      conditions:
      - field: path-pattern
        pathPatternConfig: {values: [\"/a/*\"]}
      actions:
      - type: forward
        forwardConfig: {targetGroups: [{targetGroup: minio, weight: 1}]}
    defaultActions:
    - type: fixed-response
      fixedResponseConfig: {statusCode: \"404\", contentType: text/plain, messageBody: none}
targetGroups:
- name: minio
  protocol: HTTP
  port: 9000
  targetType: ip
  targets:
  - {id: 127.0.0.1, port: 9000}
";

#[test]
fn check_prints_nothing_for_a_valid_file() {
    let (code, _, found) = check(&TempDir::new(), GOOD);
    assert_eq!((code, found), (Some(0), vec![]));
}

#[test]
fn check_reports_every_error_with_position_and_hint() {
    let bad = GOOD
        .replace("targetGroup: minio", "targetGroup: minoi")
        .replace(
            "    protocol: HTTP\n    rules",
            "    protocol: HTPP\n    rules",
        )
        .replace("  targetType: ip\n", "  targetTipe: ip\n");
    let (code, text, found) = check(&TempDir::new(), &bad);
    assert_eq!(code, Some(1), "{text}");
    let place = |d: &Value| {
        (
            d["line"].as_u64().unwrap(),
            d["severity"].as_str().unwrap().to_owned(),
        )
    };
    let mut places: Vec<_> = found.iter().map(place).collect();
    places.sort();
    let error = |line| (line, "error".to_owned());
    assert_eq!(places, [error(6), error(14), error(22)], "{text}");
    let unknown = found.iter().find(|d| d["line"] == 14).unwrap();
    assert_eq!(unknown["code"], "unknown-target-group", "{unknown}");
    assert_eq!(unknown["column"], 54, "{unknown}");
    assert!(
        unknown["hint"]
            .as_str()
            .unwrap()
            .contains("did you mean \"minio\"?"),
        "{unknown}"
    );
    assert!(text.contains("error[unknown-target-group] "), "{text}");
    assert!(text.contains("alb.yaml:14:54: "), "{text}");
    assert!(text.contains("  hint: did you mean \"minio\"?"), "{text}");
}

#[test]
fn check_reads_certificates() {
    let dir = TempDir::new();
    let ca = Ca::new();
    ca.leaf(&["a.example"]).write(&dir, "one");
    let other = ca.leaf(&["a.example"]);
    dir.write("two.key", other.key);
    let with = |certificate: &str, key: &str| {
        format!(
            "{}certificates:\n- {{name: demo, certificateFile: {certificate}, privateKeyFile: {key}}}\n",
            GOOD.replace(
                "    protocol: HTTP\n    rules",
                "    protocol: HTTPS\n    certificates: [demo]\n    rules"
            )
        )
    };
    assert_eq!(check(&dir, &with("one.pem", "one.key")).0, Some(0));
    for (certificate, key) in [
        ("absent.pem", "one.key"),
        ("one.pem", "absent.key"),
        ("one.pem", "two.key"),
        ("one.key", "one.key"),
    ] {
        let (code, text, found) = check(&dir, &with(certificate, key));
        assert_eq!(
            (code, found.len()),
            (Some(1), 1),
            "{certificate} {key}: {text}"
        );
        assert!(text.contains("demo"), "{text}");
    }
}

#[test]
fn check_survives_malformed_input() {
    let dir = TempDir::new();
    let deep = "[".repeat(100_000);
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n";
    for bad in [
        "\0\0\0",
        "loadBalancers: [",
        &deep,
        bomb,
        "- 1",
        "loadBalancers: {a: b}",
        "\u{feff}%YAML 9",
    ] {
        let (code, text, found) = check(&dir, bad);
        assert_eq!(code, Some(1), "{text}");
        assert!(!found.is_empty());
    }
    let absent = output(&mut elbow::command(&[
        "check",
        "--config",
        "/nowhere/elbow.yaml",
    ]));
    assert_eq!(absent.status.code(), Some(1), "{}", texts(&absent).1);
}

#[test]
fn check_refuses_a_huge_file_quickly() {
    let dir = TempDir::new();
    let huge = "# a line of a comment that says nothing at all, over and over again\n"
        .repeat(100 * 1024 * 1024 / 68);
    let (code, text, found) = check(&dir, &huge);
    assert_eq!((code, found.len()), (Some(1), 1), "{text}");
}

#[test]
fn get_shows_the_configuration_in_force() {
    let target = Target::ok("hi");
    let scene = Scene::http(&[&target]);
    let admin = scene.elbow.admin().to_string();
    let get = |kind: &str, form: &str| {
        stdout(&mut elbow::command(&[
            "get", kind, "--admin", &admin, "-o", form,
        ]))
    };
    let expected = [
        ("load-balancers", "alb"),
        ("listeners", "8080"),
        ("rules", "default"),
        ("target-groups", "web"),
        ("targets", "healthy"),
    ];
    for (kind, text) in expected {
        for form in ["table", "wide", "json", "yaml"] {
            let out = get(kind, form);
            assert!(out.contains(text), "{kind} {form}: {out}");
        }
        let parsed: Value = serde_json::from_str(&get(kind, "json")).unwrap();
        assert_eq!(parsed.as_array().map(Vec::len), Some(1), "{kind}: {parsed}");
    }
    let one = stdout(&mut elbow::command(&[
        "get",
        "load-balancers",
        "alb",
        "--admin",
        &admin,
    ]));
    assert!(one.contains("alb"), "{one}");
    let absent = output(&mut elbow::command(&[
        "get",
        "load-balancers",
        "nobody",
        "--admin",
        &admin,
    ]));
    assert_eq!(absent.status.code(), Some(3), "{}", texts(&absent).1);
    let nowhere = format!("{}:9901", address());
    let alone = output(&mut elbow::command(&[
        "get", "targets", "--admin", &nowhere,
    ]));
    assert_eq!(alone.status.code(), Some(3), "{}", texts(&alone).1);
}

#[test]
fn config_page_shows_no_keys() {
    let dir = TempDir::new();
    let leaf = Ca::new().leaf(&["a.example"]);
    leaf.write(&dir, "main");
    let ip = address();
    let mut https = listener(8443, "HTTPS", &fixed(200, "hi"));
    https["certificates"] = json!(["main"]);
    let mut config = file(&[alb("alb", ip, &[https])], &[]);
    config["certificates"] =
        json!([{"name": "main", "certificateFile": "main.pem", "privateKeyFile": "main.key"}]);
    let elbow = Elbow::run_in(dir, &config, &[]);
    let page = elbow.page("/config").text();
    assert!(page.contains("\"alb\"") && page.contains("main"), "{page}");
    let secret = leaf.key.lines().nth(1).unwrap();
    assert!(
        !page.contains("PRIVATE KEY") && !page.contains(secret),
        "{page}"
    );
}

#[test]
fn missing_admin_pages_are_404_and_wrong_methods_405() {
    let elbow = Elbow::run(&file(
        &[alb(
            "alb",
            address(),
            &[listener(8080, "HTTP", &fixed(200, "hi"))],
        )],
        &[],
    ));
    assert_eq!(elbow.page("/nowhere").status, 404);
    assert_eq!(
        elbow::admin_ask(elbow.admin(), "POST", "/metrics").map(|r| r.status),
        Some(405)
    );
    for page in ["/metrics", "/health", "/targets", "/config"] {
        assert_eq!(elbow.page(page).status, 200, "{page}");
    }
}

#[test]
fn metrics_are_well_formed_and_count_requests_by_code() {
    let target = Target::http(|request| {
        if request.line().contains("/missing") {
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec();
        }
        elbow_tests::target::ok("hi")
    });
    let scene = Scene::http(&[&target]);
    for path in ["/", "/", "/missing"] {
        scene.get(path);
    }
    scene.ask("TRACE / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    wait::until("four requests to be counted", || {
        (scene.elbow.metric("elbow_requests_total", &[])? == 4.0).then_some(())
    });
    let text = scene.elbow.page("/metrics").text();
    for line in text
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty())
    {
        let (_, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    let health = scene.elbow.metric(
        "elbow_target_health",
        &[&target.addr().ip().to_string(), "\"healthy\""],
    );
    assert_eq!(health, Some(1.0), "{text}");
    assert!(
        text.contains("elbow_request_duration_seconds_bucket"),
        "{text}"
    );
}

#[test]
fn access_log_line_has_aws_33_fields() {
    let target = Target::ok("hello");
    let scene = Scene::http(&[&target]);
    let mut client = scene.connect();
    client.ask("GET /a?b=c HTTP/1.1\r\nHost: h.example\r\nUser-Agent: say \"hi\"\r\n\r\n");
    let line = scene.elbow.access_log(1).remove(0);
    let from = client.local_addr().to_string();
    let to = target.addr().to_string();
    let quoted = [12, 13, 17, 18, 19, 22, 23, 24, 25, 26, 27, 28, 30, 31, 32];
    let fields = log_fields(&line);
    assert_eq!(fields.len(), 33, "{line}");
    assert_eq!(line.matches('"').count(), 2 * quoted.len(), "{line}");
    assert_eq!(fields[0], "http");
    assert!(
        fields[1].ends_with('Z') && fields[1].len() == "2018-07-02T22:23:00.186641Z".len(),
        "{line}"
    );
    assert!(fields[2].starts_with("app/alb/"), "{line}");
    assert_eq!((&*fields[3], &*fields[4]), (&*from, &*to));
    for time in &fields[5..8] {
        assert!(
            time.split_once('.')
                .is_some_and(|(s, ms)| s.parse::<u32>().is_ok() && ms.len() == 3),
            "{line}"
        );
    }
    assert_eq!((&*fields[8], &*fields[9]), ("200", "200"));
    assert!(fields[10].parse::<u32>().is_ok_and(|n| n > 40), "{line}");
    assert!(fields[11].parse::<u32>().is_ok_and(|n| n > 5), "{line}");
    assert_eq!(fields[12], "GET http://h.example:8080/a?b=c HTTP/1.1");
    assert_eq!(fields[13], r"say \x22hi\x22");
    assert_eq!((&*fields[14], &*fields[15]), ("-", "-"));
    assert!(fields[16].contains(":targetgroup/web/"), "{line}");
    assert!(fields[17].starts_with("Root=1-"), "{line}");
    assert_eq!(fields[18..21], ["-", "-", "0"]);
    assert_eq!(fields[22..26], ["forward", "-", "-", &to]);
    assert_eq!(fields[26..29], ["200", "-", "-"]);
    assert!(fields[29].starts_with("TID_"), "{line}");
    assert_eq!(fields[30..33], ["-", "-", "-"]);
}

#[test]
fn moved_access_log_is_reopened() {
    let ip = address();
    let elbow = Elbow::run(&file(
        &[alb("alb", ip, &[listener(8080, "HTTP", &fixed(200, "hi"))])],
        &[],
    ));
    let ask = || {
        Client::plain((ip, 8080))
            .ask(client::get("a.example", "/"))
            .status
    };
    assert_eq!(ask(), 200);
    elbow.access_log(1);
    std::fs::rename(
        elbow.dir().join("access.log"),
        elbow.dir().join("access.log.1"),
    )
    .unwrap();
    wait::until("a line in the new file", || {
        ask();
        std::fs::read_to_string(elbow.dir().join("access.log"))
            .ok()
            .filter(|text| !text.is_empty())
    });
}
