use std::net::SocketAddr;

use elbow_model::{ProtocolVersion, TargetId, TargetState};

use super::*;
use crate::head::Header;
use crate::test_kit::{field, get, group};

const NOW: u64 = 1_709_042_513;

fn target(address: &str) -> Arc<Target> {
    let address: SocketAddr = address.parse().unwrap();
    let registered = elbow_model::Target {
        id: TargetId::Ip(address.ip()),
        port: address.port(),
        availability_zone: None,
    };
    let target = Target::new(registered, address);
    target.set_state(TargetState::Healthy);
    Arc::new(target)
}

/// A group of two targets.
fn sticky_group(stickiness: Stickiness) -> Arc<Group> {
    let mut config = group("pods", ProtocolVersion::Http1);
    config.attributes.stickiness = Some(stickiness);
    let targets = vec![target("10.0.0.1:80"), target("10.0.0.2:80")];
    Arc::new(Group::new(Arc::new(config), targets, 1))
}

fn by_cookie() -> Arc<Group> {
    sticky_group(Stickiness::LoadBalancerCookie {
        duration: Duration::from_secs(60),
    })
}

fn by_application() -> Arc<Group> {
    sticky_group(Stickiness::ApplicationCookie {
        name: "sid".into(),
        duration: Duration::from_secs(60),
    })
}

/// The promise to a client that sent `fields`, and the target that it named.
fn find(group: &Arc<Group>, fields: &[Header<'_>]) -> (Option<String>, Box<Promise>) {
    let member = Member::new(Arc::clone(group), 1);
    let head = get("/", fields);
    let (known, promise) = Promise::find(&Forwarding::default(), &member, &head);
    let known = known.map(|chosen| chosen.target.address.to_string());
    (known, promise.unwrap())
}

/// The value of the cookie in `line`.
fn value(line: &str) -> &str {
    line.split_once('=')
        .and_then(|(_, rest)| rest.split_once(';'))
        .unwrap()
        .0
}

// Parity 1.8 and check 30, byte for byte but for the value.
#[test]
fn cookies_are_written_as_real_ones() {
    let group = by_cookie();
    let (_, promise) = find(&group, &[]);
    let cookies = promise.cookies(&group.targets[0], NOW);
    let sealed = value(&cookies.always[0]);
    assert_eq!(
        cookies.always,
        [
            format!("AWSALB={sealed}; Expires=Tue, 05 Mar 2024 14:01:53 GMT; Path=/"),
            format!(
                "AWSALBCORS={sealed}; Expires=Tue, 05 Mar 2024 14:01:53 GMT; Path=/; \
                 SameSite=None; Secure"
            ),
        ]
    );
    assert!(cookies.beside.is_none());
}

// Parity 1.8: garbage -> a new target; both sent -> AWSALBCORS wins.
#[test]
fn cookies_name_a_target_while_it_may_be_chosen() {
    let group = by_cookie();
    let (_, promise) = find(&group, &[]);
    let [one, two] = [0, 1].map(|i| {
        let cookies = promise.cookies(&group.targets[i], now());
        value(&cookies.always[0]).to_owned()
    });
    let known = |cookie: &str| find(&group, &[field("Cookie", cookie)]).0;
    assert_eq!(known(&format!("AWSALB={one}")).unwrap(), "10.0.0.1:80");
    assert_eq!(
        known(&format!("a=b; AWSALB={one}; AWSALBCORS={two}")).unwrap(),
        "10.0.0.2:80"
    );
    assert_eq!(known(&format!("AWSALB={one}; AWSALBCORS=x")), None);
    assert_eq!(known("AWSALB=x"), None);
    assert_eq!(known(&format!("awsalb={one}")), None);
    // Another group of the same targets does not know it.
    let other = Seal::new("targetgroup/other").close(group.targets[0].key(), now());
    assert_eq!(
        known(&format!("AWSALB={}", String::from_utf8_lossy(&other))),
        None
    );
    group.targets[0].set_state(TargetState::Unhealthy);
    assert_eq!(known(&format!("AWSALB={one}")), None);
    // The group fails open: the target is kept.
    group.targets[1].set_state(TargetState::Unhealthy);
    assert_eq!(known(&format!("AWSALB={one}")).unwrap(), "10.0.0.1:80");
    group.targets[0].set_state(TargetState::Draining);
    assert_eq!(known(&format!("AWSALB={one}")), None);
}

// Parity 1.8: the duration is in the value.
#[test]
fn a_choice_is_forgotten_after_its_duration() {
    let group = by_cookie();
    let sticky = Sticky::of_group(&group).unwrap();
    let sealed = sticky.seal.close(7, NOW);
    let cookie = format!("AWSALB={}", String::from_utf8_lossy(&sealed));
    let fields = [field("cookie", &cookie)];
    let said = |now| sticky.target(&get("/", &fields), now);
    assert_eq!(said(NOW + 59), Said::Choice(7));
    assert_eq!(said(NOW + 60), Said::Invalid);
    assert_eq!(sticky.target(&get("/", &[]), NOW), Said::Nothing);
}

// Parity 1.8, app_cookie: beside the target's own cookie, and only with it.
#[test]
fn an_application_cookie_counts_with_the_targets_own() {
    let group = by_application();
    let (_, promise) = find(&group, &[]);
    let cookies = promise.cookies(&group.targets[0], now());
    assert!(cookies.always.is_empty());
    let (name, line) = cookies.beside.unwrap();
    assert_eq!(&*name, "sid");
    assert!(line.starts_with("AWSALBAPP-0="), "{line}");
    assert!(line.ends_with(" GMT; Path=/"), "{line}");
    let both = format!("sid=1; AWSALBAPP-0={}", value(&line));
    let fields = [field("Cookie", &both)];
    let (known, promise) = find(&group, &fields);
    assert_eq!(known.unwrap(), "10.0.0.1:80");
    // The session moved: it is said without the target's cookie.
    assert!(promise.cookies(&group.targets[0], NOW).always.is_empty());
    assert_eq!(promise.cookies(&group.targets[1], NOW).always.len(), 1);
    let (_, alone) = both.split_once("; ").unwrap();
    assert_eq!(find(&group, &[field("Cookie", alone)]).0, None);
}

// Parity 1.8: SameSite=None for requests from other sites by Chromium 80 and later.
#[test]
fn old_browsers_are_not_told_of_sites() {
    let group = by_application();
    for (origin, agent, expected) in [
        ("Origin", "Mozilla/5.0 Chrome/142.0.0.0 Safari/537.36", true),
        ("Origin", "Chromium/80", true),
        ("Origin", "Mozilla/5.0 Chrome/79.0.1", false),
        ("Origin", "Firefox/145.0", false),
        ("Origin", "Chrome/", false),
        ("X-Origin", "Chrome/142.0.0.0", false),
    ] {
        let fields = [
            field(origin, "https://a.example"),
            field("User-Agent", agent),
        ];
        let (_, promise) = find(&group, &fields);
        let (_, line) = promise.cookies(&group.targets[0], NOW).beside.unwrap();
        assert_eq!(
            line.ends_with("; SameSite=None; Secure"),
            expected,
            "{agent}"
        );
    }
}

// Parity 1.4: AWSALBTG and AWSALBTGCORS name the group.
#[test]
fn a_group_is_named_by_cookies_of_its_own() {
    let member = Member::new(by_cookie(), 1);
    let forwarding = Forwarding {
        members: vec![member.clone()],
        sticky: Some(Sticky::to_groups("app/web/1", Duration::from_secs(60))),
    };
    let (_, promise) = Promise::find(&forwarding, &member, &get("/", &[]));
    let cookies = promise.unwrap().cookies(&member.group.targets[0], NOW);
    let names: Vec<_> = cookies
        .always
        .iter()
        .map(|line| line.split('=').next().unwrap())
        .collect();
    assert_eq!(names, ["AWSALBTG", "AWSALBTGCORS", "AWSALB", "AWSALBCORS"]);
    let cookie = format!("AWSALBTG={}", value(&cookies.always[0]));
    let sticky = forwarding.sticky.unwrap();
    let fields = [field("cookie", &cookie)];
    assert_eq!(
        sticky.group(&get("/", &fields), NOW),
        Said::Choice(member.key)
    );
    let fields = [field("cookie", "AWSALBTG=x")];
    assert_eq!(sticky.group(&get("/", &fields), NOW), Said::Invalid);
}
