use elbow_model::{ProtocolVersion, TargetState};

use super::*;
use crate::header::head::Header;
use crate::test_kit::{field, get, group, target};

const NOW: u64 = 1_709_042_513;

fn to_groups() -> Arc<Sticky> {
    Sticky::to_groups("app/web/1", Duration::from_secs(60))
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

/// The session of a client that sent `fields`, and the target that it stays with.
fn find(group: &Arc<Group>, fields: &[Header<'_>]) -> (Option<String>, Box<Session>) {
    let sticky = Sticky::of_group(group);
    let session = Session::new(None, sticky.as_ref(), &get("/", fields), NOW).unwrap();
    let known = session.named.and_then(|key| group.choose_by_key(key));
    (
        known.map(|chosen| chosen.target.address.to_string()),
        session,
    )
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
    let (_, session) = find(&group, &[]);
    let cookies = session.cookies(&group.targets[0], NOW);
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
    assert!(cookies.of_application.is_none());
}

// Parity 1.8: garbage -> a new target; both sent -> AWSALBCORS wins.
#[test]
fn cookies_name_a_target_while_it_may_be_chosen() {
    let group = by_cookie();
    let (_, session) = find(&group, &[]);
    let [one, two] = [0, 1].map(|i| {
        let cookies = session.cookies(&group.targets[i], NOW);
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
    let other = Seal::new("targetgroup/other").close(group.targets[0].key(), NOW);
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
fn choice_is_forgotten_after_its_duration() {
    let group = by_cookie();
    let sticky = Sticky::of_group(&group).unwrap();
    let sealed = sticky.seal.close(7, NOW);
    let cookie = format!("AWSALB={}", String::from_utf8_lossy(&sealed));
    let fields = [field("cookie", &cookie)];
    let said = |now| sticky.target(&get("/", &fields), now);
    assert_eq!(said(NOW + 59), CookieState::Names(7));
    assert_eq!(said(NOW + 60), CookieState::Invalid);
    assert_eq!(sticky.target(&get("/", &[]), NOW), CookieState::Absent);
}

// Parity 1.8, app_cookie: beside the target's own cookie. Without it, a client in no session gets all four parts as removed.
#[test]
fn an_application_cookie_counts_with_the_targets_own() {
    let group = by_application();
    let (_, session) = find(&group, &[]);
    let cookies = session.cookies(&group.targets[0], NOW);
    assert!(cookies.always.is_empty());
    let OfApplication {
        name,
        beside,
        without,
        follows: false,
    } = cookies.of_application.unwrap()
    else {
        panic!("it follows the application's cookie");
    };
    assert_eq!(&*name, "sid");
    for line in beside.iter().chain(&without) {
        assert!(line.ends_with(" GMT; Path=/"), "{line}");
    }
    let removed = |lines: &[String]| {
        let lines = lines.iter().enumerate();
        let removed = |(part, line): (usize, &String)| {
            line.starts_with(&format!("AWSALBAPP-{part}=_remove_; "))
        };
        lines.map(removed).collect::<Vec<_>>()
    };
    assert_eq!(removed(&beside), [false, true, true, true]);
    assert_eq!(removed(&without), [true; 4]);
    let line = beside[0].clone();
    assert!(line.starts_with("AWSALBAPP-0="), "{line}");
    let both = format!("sid=1; AWSALBAPP-0={}", value(&line));
    let fields = [field("Cookie", &both)];
    let (known, session) = find(&group, &fields);
    assert_eq!(known.unwrap(), "10.0.0.1:80");
    // The session moved: it is said without the target's cookie.
    let stays = session.cookies(&group.targets[0], NOW);
    assert!(stays.always.is_empty());
    assert_eq!(stays.of_application.unwrap().without, [""; 0]);
    assert_eq!(session.cookies(&group.targets[1], NOW).always.len(), 4);
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
        let (_, session) = find(&group, &fields);
        let cookies = session.cookies(&group.targets[0], NOW);
        let line = &cookies.of_application.unwrap().beside[0];
        assert_eq!(
            line.ends_with("; SameSite=None; Secure"),
            expected,
            "{agent}"
        );
    }
}

// Parity 1.4: AWSALBTG and AWSALBTGCORS name the group.
#[test]
fn group_is_named_by_its_own_cookies() {
    let group = by_cookie();
    let (to_target, to_groups) = (Sticky::of_group(&group), to_groups());
    let session = Session::new(
        Some((&to_groups, 7)),
        to_target.as_ref(),
        &get("/", &[]),
        NOW,
    );
    let cookies = session.unwrap().cookies(&group.targets[0], NOW);
    let names: Vec<_> = cookies
        .always
        .iter()
        .map(|line| line.split('=').next().unwrap())
        .collect();
    assert_eq!(names, ["AWSALBTG", "AWSALBTGCORS", "AWSALB", "AWSALBCORS"]);
    let cookie = format!("AWSALBTG={}", value(&cookies.always[0]));
    let state = |cookie: &str| to_groups.group(&get("/", &[field("cookie", cookie)]), NOW);
    assert_eq!(state(&cookie), CookieState::Names(7));
    assert_eq!(state("AWSALBTG=x"), CookieState::Invalid);
    assert_eq!(state("a=b"), CookieState::Absent);
}

#[test]
fn without_stickiness_there_is_no_session() {
    assert!(Session::new(None, None, &get("/", &[]), NOW).is_none());
}

fn instances(policy: &CookieStickiness) -> (Arc<Group>, Arc<Sticky>) {
    let config = Arc::new(group("instances", ProtocolVersion::Http1));
    let targets = vec![target("10.0.0.1:80"), target("10.0.0.2:80")];
    let group = Arc::new(Group::new(config, targets, 1));
    let sticky = Sticky::of_instances(&group, policy);
    (group, sticky)
}

// CLB guide, sticky sessions, and parity section 4; the spelling is that of real load balancers.
#[test]
fn instances_are_named_by_awselb() {
    for (expiration, age) in [(None, ""), (Some(Duration::from_secs(900)), ";MAX-AGE=900")] {
        let policy = CookieStickiness::LoadBalancer { expiration };
        let (group, sticky) = instances(&policy);
        let session = |fields: &[Header<'_>], now| {
            Session::new(None, Some(&sticky), &get("/", fields), now).unwrap()
        };
        let first = session(&[], NOW).cookies(&group.targets[0], NOW);
        let sealed = value(&first.always[0]).to_owned();
        assert!(
            sealed
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b))
        );
        assert_eq!(
            first.always,
            [
                format!("AWSELB={sealed};PATH=/{age}"),
                format!("AWSELBCORS={sealed};PATH=/{age};SECURE;SAMESITE=None"),
            ]
        );
        assert!(first.forbids_caching);
        // The load balancer neither renews the cookie nor asks for its age.
        let plain = format!("AWSELB={sealed}");
        let later = NOW + 10 * 365 * 86_400;
        let known = session(&[field("cookie", &plain)], later);
        assert_eq!(known.named, Some(group.targets[0].key()));
        assert!(known.cookies(&group.targets[0], later).always.is_empty());
        assert_eq!(known.cookies(&group.targets[1], later).always.len(), 2);
        let cross = format!("AWSELB=x; AWSELBCORS={sealed}");
        assert_eq!(session(&[field("cookie", &cross)], NOW).named, known.named);
        let foreign = session(&[field("cookie", "AWSELB=00FF")], NOW);
        assert_eq!(foreign.named, None);
    }
}

#[test]
fn awselb_follows_the_cookie_of_the_application() {
    let policy = CookieStickiness::Application { name: "sid".into() };
    let (group, sticky) = instances(&policy);
    let session = |cookie: &str| {
        Session::new(
            None,
            Some(&sticky),
            &get("/", &[field("cookie", cookie)]),
            NOW,
        )
        .unwrap()
    };
    let first = session("a=b").cookies(&group.targets[0], NOW);
    let of_application = first.of_application.unwrap();
    assert!(first.always.is_empty() && of_application.without.is_empty());
    assert!(of_application.follows);
    let [cookie] = &of_application.beside[..] else {
        panic!("{of_application:?}");
    };
    assert_eq!(session(cookie).named, None, "without the application's");
    let known = session(&format!("{cookie}; sid=1"));
    assert_eq!(known.named, Some(group.targets[0].key()));
    let moved = known.cookies(&group.targets[1], NOW);
    assert_eq!(moved.always.len(), 1);
    assert!(moved.of_application.is_none());
}
