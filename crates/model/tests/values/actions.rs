//! Actions of rules and listeners.

use std::time::Duration;

use elbow_model::*;

use crate::kit::{built, faults, listener, listener_faults, tls_listener};

fn weighted(
    groups: &[(&str, Option<u32>)],
    stickiness: Option<ForwardStickinessSpec>,
) -> ActionSpec {
    let group = |(name, weight): &(&str, Option<u32>)| WeightedTargetGroupSpec {
        target_group: Some((*name).to_owned()),
        weight: *weight,
    };
    ActionSpec::weighted(ForwardSpec {
        target_groups: Some(groups.iter().map(group).collect()),
        target_group_stickiness_config: stickiness,
    })
}

fn sticky(seconds: Option<u32>) -> Option<ForwardStickinessSpec> {
    Some(ForwardStickinessSpec {
        enabled: Some(true),
        duration_seconds: seconds,
    })
}

fn http(action: ActionSpec) -> Vec<String> {
    let found = listener_faults("application", listener(80, "HTTP", action));
    found
        .into_iter()
        .map(|line| line.replace("defaultActions[0].", ""))
        .collect()
}

fn forward(kind: &str, listener: ListenerSpec) -> Forward {
    let action = built(kind, listener).default_actions.remove(0);
    let Action::Forward(forward) = action else {
        panic!("{action:?}")
    };
    forward
}

/// ALB guide, action types and quotas.
#[test]
fn forwards_have_groups_and_weights() {
    let five = [
        ("http", Some(0)),
        ("https", Some(999)),
        ("lb-cookie", None),
        ("http", None),
        ("https", None),
    ];
    let built = forward(
        "application",
        listener(80, "HTTP", weighted(&five[..3], sticky(Some(604_800)))),
    );
    let shown: Vec<_> = built
        .target_groups
        .iter()
        .map(|g| (&*g.target_group, g.weight))
        .collect();
    assert_eq!(shown, [("http", 0), ("https", 999), ("lb-cookie", 1)]);
    assert_eq!(built.stickiness, Some(Duration::from_secs(604_800)));
    assert_eq!(
        built.to_string(),
        "forward to http (weight 0), https (weight 999), lb-cookie (weight 1), sticky for 604800 s"
    );

    let list = "forwardConfig.targetGroups";
    assert_eq!(http(weighted(&[], None)), [format!("{list} out-of-range")]);
    assert_eq!(
        http(weighted(&[("http", Some(1000))], None)),
        [format!("{list}[0].weight out-of-range")]
    );
    assert_eq!(
        http(weighted(&[("htpp", None)], None)),
        [format!("{list}[0].targetGroup unknown-target-group")]
    );
    assert_eq!(
        http(weighted(&[("http", None), ("http", None)], None)),
        [format!("{list}[1].targetGroup duplicate-target-group")]
    );
    let found = http(weighted(&five.map(|(_, weight)| ("http", weight)), None));
    assert!(!found.contains(&format!("{list} out-of-range")), "five fit");
    let found = http(weighted(&[("http", None); 6], None));
    assert!(found.contains(&format!("{list} out-of-range")));
    let nameless = ActionSpec::weighted(ForwardSpec {
        target_groups: Some(vec![WeightedTargetGroupSpec::default()]),
        ..ForwardSpec::default()
    });
    assert_eq!(
        http(nameless),
        [format!("{list}[0].targetGroup missing-field")]
    );
    assert_eq!(
        http(ActionSpec::weighted(ForwardSpec::default())),
        [format!("{list} missing-field")]
    );
}

#[test]
fn groups_of_one_action_may_be_sticky() {
    let one = [("http", None)];
    assert_eq!(
        http(weighted(&one, sticky(None))),
        ["forwardConfig.targetGroupStickinessConfig.durationSeconds missing-field"]
    );
    for seconds in [0, 604_801] {
        assert_eq!(
            http(weighted(&one, sticky(Some(seconds)))),
            ["forwardConfig.targetGroupStickinessConfig.durationSeconds out-of-range"]
        );
    }
    let off = Some(ForwardStickinessSpec {
        enabled: Some(false),
        duration_seconds: Some(60),
    });
    assert_eq!(
        forward("application", listener(80, "HTTP", weighted(&one, off))).stickiness,
        None
    );
    let unsaid = Some(ForwardStickinessSpec::default());
    assert_eq!(
        forward("application", listener(80, "HTTP", weighted(&one, unsaid))).stickiness,
        None
    );
    // An NLB's goes by address, which does not run out.
    let network = forward(
        "network",
        listener(80, "TCP", weighted(&[("tcp", None)], sticky(None))),
    );
    assert_eq!(network.stickiness, Some(Duration::from_secs(3600)));
}

/// ALB guide, sticky sessions; NLB guide, target groups and listeners.
#[test]
fn sticky_groups_among_several() {
    let both = |name| [("http", None), (name, None)];
    assert_eq!(http(weighted(&[("lb-cookie", None)], None)), [""; 0]);
    assert_eq!(http(weighted(&[("app-cookie", None)], None)), [""; 0]);
    assert_eq!(
        http(weighted(&both("lb-cookie"), None)),
        ["forwardConfig invalid-combination"]
    );
    assert_eq!(http(weighted(&both("lb-cookie"), sticky(Some(1)))), [""; 0]);
    let off = Some(ForwardStickinessSpec {
        enabled: Some(false),
        duration_seconds: None,
    });
    assert_eq!(
        http(weighted(&both("lb-cookie"), off)),
        ["forwardConfig.targetGroupStickinessConfig invalid-combination"]
    );
    assert_eq!(
        http(weighted(&both("app-cookie"), sticky(Some(1)))),
        ["forwardConfig.targetGroups[1].targetGroup invalid-combination"]
    );
    // The place is that of the list, also behind a group that does not exist.
    let three = [("none", None), ("http", None), ("app-cookie", None)];
    assert_eq!(
        http(weighted(&three, sticky(Some(1)))),
        [
            "forwardConfig.targetGroups[0].targetGroup unknown-target-group",
            "forwardConfig.targetGroups[2].targetGroup invalid-combination"
        ]
    );
    let tls = |action| {
        let found = listener_faults("network", tls_listener("TLS", action));
        found
            .into_iter()
            .map(|line| line.replace("defaultActions[0].forwardConfig", "F"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        tls(weighted(&[("source-ip", None)], None)),
        ["F.targetGroups[0].targetGroup invalid-combination"]
    );
    assert_eq!(
        tls(weighted(&[("tcp", None)], sticky(Some(1)))),
        ["F.targetGroupStickinessConfig invalid-combination"]
    );
    assert_eq!(
        tls(weighted(&[("tcp", None), ("tls", None)], None)),
        ["F.targetGroups[1].targetGroup invalid-combination"]
    );
}

/// NLB guide, listeners: which protocols go together.
#[test]
fn listeners_forward_to_groups_of_their_protocols() {
    let groups = ["http", "https", "tcp", "tls", "both"];
    for (kind, protocol, allowed) in [
        ("application", "HTTP", &["http", "https"][..]),
        ("application", "HTTPS", &["http", "https"]),
        ("network", "TCP", &["tcp", "both"]),
        ("network", "TLS", &["tcp", "tls"]),
    ] {
        for group in groups {
            let spec = match protocol {
                "HTTPS" | "TLS" => tls_listener(protocol, ActionSpec::forward(group)),
                _ => listener(80, protocol, ActionSpec::forward(group)),
            };
            let found = listener_faults(kind, spec);
            assert_eq!(
                found.is_empty(),
                allowed.contains(&group),
                "{protocol} {group}"
            );
        }
    }
    for (protocol, group, is_refused) in [
        ("UDP", "tcp", true),
        ("UDP", "both", false),
        ("TCP_UDP", "both", false),
        ("TCP_UDP", "tcp", true),
    ] {
        let found = listener_faults(
            "network",
            listener(53, protocol, ActionSpec::forward(group)),
        );
        assert_eq!(!found.is_empty(), is_refused, "{found:?}");
    }
}

#[test]
fn a_listener_has_one_action() {
    let two = ListenerSpec {
        default_actions: Some(vec![
            ActionSpec::fixed_response(404),
            ActionSpec::fixed_response(404),
        ]),
        ..listener(80, "HTTP", ActionSpec::default())
    };
    assert_eq!(
        listener_faults("application", two),
        ["defaultActions[1] too-many"]
    );
    let none = ListenerSpec {
        default_actions: Some(Vec::new()),
        ..listener(80, "HTTP", ActionSpec::default())
    };
    assert_eq!(
        listener_faults("application", none),
        ["defaultActions missing-field"]
    );
    assert_eq!(http(ActionSpec::default()), ["type missing-field"]);
    assert_eq!(
        http(ActionSpec {
            kind: Some("forwards".into()),
            ..ActionSpec::default()
        }),
        ["type unknown-value"]
    );
    for (kind, config) in [
        ("forward", "forwardConfig"),
        ("redirect", "redirectConfig"),
        ("fixed-response", "fixedResponseConfig"),
    ] {
        assert!(Action::TYPES.contains(&kind));
        let bare = ActionSpec {
            kind: Some(kind.to_owned()),
            ..ActionSpec::default()
        };
        assert_eq!(http(bare), [format!("{config} missing-field")]);
    }
    let mut all = ActionSpec::fixed_response(404);
    (all.forward_config, all.redirect_config) =
        (Some(ForwardSpec::default()), Some(RedirectSpec::default()));
    assert_eq!(
        http(all),
        [
            "forwardConfig invalid-combination",
            "redirectConfig invalid-combination"
        ]
    );
    let mut both = ActionSpec::forward("http");
    both.fixed_response_config = Some(FixedResponseSpec::default());
    assert_eq!(http(both), ["fixedResponseConfig invalid-combination"]);
    // A network load balancer can only forward.
    let found = listener_faults(
        "network",
        listener(80, "TCP", ActionSpec::fixed_response(404)),
    );
    assert_eq!(found, ["defaultActions[0].type invalid-combination"]);
}

fn redirect(change: impl FnOnce(&mut RedirectSpec)) -> Vec<String> {
    let mut spec = RedirectSpec {
        host: Some("other".to_owned()),
        status_code: Some("HTTP_301".to_owned()),
        ..RedirectSpec::default()
    };
    change(&mut spec);
    let found = listener_faults(
        "application",
        tls_listener("HTTPS", ActionSpec::redirect(spec)),
    );
    found
        .into_iter()
        .map(|line| line.replace("defaultActions[0].redirectConfig", "R"))
        .collect()
}

/// ALB guide, action types: redirect.
#[test]
fn redirects() {
    let longest = |prefix: &str| format!("{prefix}{}", "a".repeat(128 - prefix.len()));
    let some = |text: &str| Some(text.to_owned());
    for text in ["HTTPS", "#{protocol}"] {
        assert!(redirect(|r| r.protocol = some(text)).is_empty());
    }
    for text in ["https", "", "x#{protocol}"] {
        assert_eq!(
            redirect(|r| r.protocol = some(text)),
            ["R.protocol invalid-redirect"]
        );
    }
    for text in ["1", "65535", "#{port}"] {
        assert!(redirect(|r| r.port = some(text)).is_empty());
    }
    for text in ["0", "65536", "+80", "", "a"] {
        assert_eq!(
            redirect(|r| r.port = some(text)),
            ["R.port invalid-redirect"]
        );
    }
    for text in ["a", "x#{host}", &longest("")] {
        assert!(redirect(|r| r.host = some(text)).is_empty());
    }
    for text in ["", "a b", "#{path}", "#{", &format!("{}a", longest(""))] {
        assert_eq!(
            redirect(|r| r.host = some(text)),
            ["R.host invalid-redirect"]
        );
    }
    for text in ["/", "/#{host}/#{port}/#{path}", &longest("/")] {
        assert!(redirect(|r| r.path = some(text)).is_empty());
    }
    for text in [
        "",
        "a",
        "/a b",
        "/#{query}",
        "/#{nothing}",
        &format!("{}a", longest("/")),
    ] {
        assert_eq!(
            redirect(|r| r.path = some(text)),
            ["R.path invalid-redirect"]
        );
    }
    for text in [
        "",
        "a=1&#{query}",
        "#{protocol}#{host}#{port}#{path}",
        &longest(""),
    ] {
        assert!(redirect(|r| r.query = some(text)).is_empty());
    }
    for text in ["?a", "a b", "#{nothing}", &format!("{}a", longest(""))] {
        assert_eq!(
            redirect(|r| r.query = some(text)),
            ["R.query invalid-redirect"]
        );
    }
    assert_eq!(
        redirect(|r| r.status_code = None),
        ["R.statusCode missing-field"]
    );
    assert_eq!(
        redirect(|r| r.status_code = some("HTTP_303")),
        ["R.statusCode unknown-value"]
    );
    assert_eq!(
        redirect(|r| r.protocol = some("HTTP")),
        ["R invalid-redirect"]
    );

    let spec = RedirectSpec {
        status_code: some("HTTP_302"),
        port: some("8443"),
        ..RedirectSpec::default()
    };
    let action = Action::new(&ActionSpec::redirect(spec)).value.unwrap();
    assert_eq!(
        action.to_string(),
        "redirect 302 to #{protocol}://#{host}:8443/#{path}?#{query}"
    );
    assert_eq!(RedirectStatus::Moved.code(), 301);
}

#[test]
fn a_redirect_changes_something() {
    let some = |text: &str| Some(text.to_owned());
    let same = |r: &mut RedirectSpec| r.host = None;
    assert_eq!(redirect(same), ["R redirect-loop"]);
    assert_eq!(
        redirect(|r| {
            same(r);
            r.protocol = some("HTTPS");
            r.port = some("443");
            r.query = some("x")
        }),
        ["R redirect-loop"]
    );
    assert!(
        redirect(|r| {
            same(r);
            r.port = some("444")
        })
        .is_empty()
    );
    assert!(
        redirect(|r| {
            same(r);
            r.path = some("/x")
        })
        .is_empty()
    );
    let http = RedirectSpec {
        protocol: some("HTTPS"),
        status_code: some("HTTP_301"),
        ..RedirectSpec::default()
    };
    assert!(self::http(ActionSpec::redirect(http)).is_empty());
}

/// ALB guide, action types: fixed-response.
#[test]
fn fixed_responses() {
    let fixed = |code: Option<&str>, body: usize, kind: Option<&str>| {
        Action::new(&ActionSpec {
            kind: Some("fixed-response".to_owned()),
            fixed_response_config: Some(FixedResponseSpec {
                status_code: code.map(str::to_owned),
                content_type: kind.map(str::to_owned),
                message_body: Some("a".repeat(body)),
            }),
            ..ActionSpec::default()
        })
    };
    for code in ["200", "299", "400", "499", "500", "599"] {
        let Action::FixedResponse(built) = fixed(Some(code), 1024, None).value.unwrap() else {
            panic!()
        };
        assert_eq!(
            (built.status.to_string(), built.body.len()),
            (code.to_owned(), 1024)
        );
        assert_eq!(built.content_type, ContentType::TextPlain);
    }
    for code in ["199", "300", "301", "399", "600", "0404", "+40", "", "x"] {
        assert_eq!(
            faults(fixed(Some(code), 0, None)),
            ["fixedResponseConfig.statusCode out-of-range"]
        );
    }
    assert_eq!(
        faults(fixed(None, 0, None)),
        ["fixedResponseConfig.statusCode missing-field"]
    );
    assert_eq!(
        faults(fixed(Some("404"), 1025, None)),
        ["fixedResponseConfig.messageBody out-of-range"]
    );
    assert_eq!(
        faults(fixed(Some("404"), 0, Some("text/xml"))),
        ["fixedResponseConfig.contentType unknown-value"]
    );
    for (name, value) in ContentType::NAMES {
        let Action::FixedResponse(built) = fixed(Some("404"), 0, Some(name)).value.unwrap() else {
            panic!()
        };
        assert_eq!((built.content_type, value.as_str()), (*value, *name));
    }
}

#[test]
fn messages_name_the_listener_and_the_rule() {
    let rule = RuleSpec {
        priority: Some(10),
        conditions: Some(vec![ConditionSpec::path_pattern(["/a"])]),
        actions: Some(vec![ActionSpec::forward("htpp")]),
        ..RuleSpec::default()
    };
    let mut spec = listener(80, "HTTP", ActionSpec::forward("tcp"));
    spec.rules = Some(vec![rule]);
    let checked = Listener::new(
        &spec,
        LoadBalancerType::Application,
        "web",
        &crate::kit::scope(),
    );
    let found = checked.value.unwrap_err();
    let found: Vec<&str> = found.iter().map(|fault| &*fault.reason).collect();
    assert_eq!(
        found,
        [
            "listener 80 speaks HTTP and cannot forward to \"tcp\", a group of protocol TCP",
            "listener 80, rule 10 forwards to \"htpp\", which no target group is called"
        ]
    );
    spec.port = None;
    let checked = Listener::new(
        &spec,
        LoadBalancerType::Application,
        "web",
        &crate::kit::scope(),
    );
    let found = checked.value.unwrap_err();
    assert!(
        found[1].reason.starts_with("the listener speaks HTTP"),
        "{found:?}"
    );
}

/// ALB guide, verify JWTs: limits of the action.
#[test]
fn jwt_validation_has_limits() {
    let claim = AdditionalClaimSpec {
        name: Some("scope".to_owned()),
        format: Some("single-string".to_owned()),
        values: vec!["read".to_owned()],
    };
    let good = JwtValidationSpec {
        jwks_endpoint: Some("https://id.example:8443/keys".to_owned()),
        issuer: Some("i".repeat(256)),
        additional_claims: vec![claim.clone(); 10],
    };
    let faults = |change: &dyn Fn(&mut JwtValidationSpec)| -> Vec<String> {
        let mut spec = good.clone();
        change(&mut spec);
        let found = Action::new(&ActionSpec::jwt_validation(spec)).value;
        let found = found.err().unwrap_or_default().into_iter();
        found
            .map(|one| format!("{} {}", one.field, one.code))
            .map(|line| line.replace("jwtValidationConfig.", ""))
            .collect()
    };
    assert!(faults(&|_| {}).is_empty());
    for url in [
        "http://id.example/",
        "https://",
        "https://a b/",
        "https://u@h/",
        "id.example",
    ] {
        let found = faults(&|spec| spec.jwks_endpoint = Some(url.to_owned()));
        assert_eq!(found, ["jwksEndpoint invalid-url"], "{url}");
    }
    let long = format!("https://id.example/{}", "k".repeat(240));
    let found = faults(&|spec| spec.jwks_endpoint = Some(long.clone()));
    assert_eq!(found, ["jwksEndpoint out-of-range"]);
    let found = faults(&|spec| spec.issuer = Some("i".repeat(257)));
    assert_eq!(found, ["issuer out-of-range"]);
    let found = faults(&|spec| spec.additional_claims.push(claim.clone()));
    assert_eq!(found, ["additionalClaims[10] too-many"]);
    let first = |change: &dyn Fn(&mut AdditionalClaimSpec)| {
        faults(&|spec| change(&mut spec.additional_claims[0]))
    };
    let at = |what: &str| vec![format!("additionalClaims[0].{what}")];
    assert_eq!(
        first(&|claim| claim.name = Some("exp".to_owned())),
        at("name invalid-value")
    );
    assert_eq!(
        first(&|claim| claim.format = Some("list".to_owned())),
        at("format unknown-value")
    );
    assert_eq!(
        first(&|claim| claim.values = vec!["v".to_owned(); 11]),
        at("values[10] too-many")
    );
    assert_eq!(
        first(&|claim| claim.values.clear()),
        at("values missing-field")
    );
    assert_eq!(
        first(&|claim| claim.values = vec!["v".repeat(257)]),
        at("values[0] out-of-range")
    );
}
