//! Conditions of rules, and transforms.

use elbow_model::*;

use crate::kit::{faults, listener, listener_faults, texts};

fn condition(spec: ConditionSpec) -> Checked<Condition> {
    Condition::new(&spec)
}

fn with_patterns(field: &str, patterns: PatternsSpec) -> ConditionSpec {
    let mut spec = ConditionSpec {
        field: Some(field.to_owned()),
        ..ConditionSpec::default()
    };
    match field {
        "host-header" => spec.host_header_config = Some(patterns),
        "path-pattern" => spec.path_pattern_config = Some(patterns),
        _ => {
            spec.http_header_config = Some(HttpHeaderSpec {
                http_header_name: Some("X-A".to_owned()),
                patterns,
            });
        }
    }
    spec
}

fn with_values(field: &str, values: &[&str]) -> ConditionSpec {
    let mut spec = ConditionSpec {
        field: Some(field.to_owned()),
        ..ConditionSpec::default()
    };
    let values = Some(texts(values));
    match field {
        "source-ip" => {
            spec.source_ip_config = Some(SourceIpSpec {
                values,
                ip_address_type: None,
            });
        }
        _ => spec.http_request_method_config = Some(ValuesSpec { values }),
    }
    spec
}

fn query(pairs: &[(Option<&str>, &str)]) -> ConditionSpec {
    let pair = |(key, value): &(Option<&str>, &str)| QueryPairSpec {
        key: key.map(str::to_owned),
        value: Some((*value).to_owned()),
    };
    ConditionSpec {
        field: Some("query-string".to_owned()),
        query_string_config: Some(QueryStringSpec {
            values: Some(pairs.iter().map(pair).collect()),
        }),
        ..ConditionSpec::default()
    }
}

/// What is wrong with a rule of an ALB's listener, relative to the rule.
fn rule_faults(conditions: Vec<ConditionSpec>, transforms: Vec<TransformSpec>) -> Vec<String> {
    let rule = RuleSpec {
        priority: Some(1),
        conditions: Some(conditions),
        actions: Some(vec![ActionSpec::fixed_response(404)]),
        transforms,
    };
    let mut listener = listener(80, "HTTP", ActionSpec::fixed_response(404));
    listener.rules = Some(vec![rule]);
    let found = listener_faults("application", listener);
    found
        .into_iter()
        .map(|line| line.replace("rules[0].", ""))
        .collect()
}

#[test]
fn each_field_has_its_characters() {
    let long = |prefix: &str| format!("{prefix}{}", "a".repeat(128 - prefix.len()));
    let table = [
        (
            "host-header",
            "hostHeaderConfig",
            vec!["a.b", "*.example.com", "a-_1.b", "a?.b"],
            vec![
                "",
                "localhost",
                "a.b1",
                "a.com:80",
                "a.",
                "\u{e9}.b",
                "a b.c",
            ],
        ),
        (
            "path-pattern",
            "pathPatternConfig",
            vec!["/", "/img/*", "a b_-.$/~\"'@:+&?", "*"],
            vec!["", "/\u{e4}", "/a%20", "/a#b", "/a=b"],
        ),
        (
            "http-header",
            "httpHeaderConfig",
            vec!["a", "*Chrome*", "a=b; c"],
            vec!["", "\u{e4}", "a\tb"],
        ),
    ];
    for (field, config, good, bad) in table {
        for value in good {
            let spec = with_patterns(field, PatternsSpec::wildcards([value]));
            assert!(condition(spec).value.is_ok(), "{field} {value}");
        }
        for value in bad {
            let spec = with_patterns(field, PatternsSpec::wildcards([value]));
            assert_eq!(
                faults(condition(spec)),
                [format!("{config}.values[0] invalid-pattern")],
                "{value}"
            );
        }
        let longest = long(if field == "host-header" { "a." } else { "/" });
        let spec = |value: &str| with_patterns(field, PatternsSpec::wildcards([value]));
        assert!(condition(spec(&longest)).value.is_ok());
        assert!(!faults(condition(spec(&format!("{longest}a")))).is_empty());
    }
}

#[test]
fn regular_expressions() {
    let regex = |field, text: &str| condition(with_patterns(field, PatternsSpec::regexes([text])));
    let shown = |field, text: &str| regex(field, text).value.unwrap();
    let Condition::PathPattern(Patterns::Regexes(paths)) = shown("path-pattern", "^/A") else {
        panic!()
    };
    assert!(paths[0].is_match(b"/A") && !paths[0].is_match(b"/a"));
    let Condition::HostHeader(Patterns::Regexes(hosts)) = shown("host-header", "^A") else {
        panic!()
    };
    assert!(hosts[0].is_match(b"a"), "hosts are the same in any case");
    let Condition::HttpHeader {
        values: Patterns::Regexes(values),
        ..
    } = shown("http-header", "^A")
    else {
        panic!()
    };
    assert!(values[0].is_match(b"a"));
    for text in ["(?=a)", "a++", "("] {
        assert_eq!(
            faults(regex("path-pattern", text)),
            ["pathPatternConfig.regexValues[0] invalid-regex"]
        );
    }
    for text in ["", "\u{e4}", &"a".repeat(129)] {
        assert_eq!(
            faults(regex("path-pattern", text)),
            ["pathPatternConfig.regexValues[0] invalid-pattern"]
        );
    }
    assert!(regex("path-pattern", &"a".repeat(128)).value.is_ok());
    let both = PatternsSpec {
        values: Some(texts(&["/a"])),
        regex_values: Some(texts(&["a"])),
    };
    assert_eq!(
        faults(condition(with_patterns("path-pattern", both))),
        ["pathPatternConfig.regexValues invalid-combination"]
    );
    let neither = PatternsSpec::default();
    assert_eq!(
        faults(condition(with_patterns("path-pattern", neither))),
        ["pathPatternConfig.values missing-field"]
    );
}

#[test]
fn headers_methods_queries_and_addresses() {
    let header = |name: Option<&str>| {
        let mut spec = with_patterns("http-header", PatternsSpec::wildcards(["a"]));
        spec.http_header_config.as_mut().unwrap().http_header_name = name.map(str::to_owned);
        condition(spec)
    };
    let longest = "x".repeat(40);
    assert!(header(Some(&longest)).value.is_ok());
    for (name, code) in [
        ("HOST", "invalid-combination"),
        ("", "invalid-pattern"),
        ("X A", "invalid-pattern"),
        (&format!("{longest}x"), "invalid-pattern"),
    ] {
        assert_eq!(
            faults(header(Some(name))),
            [format!("httpHeaderConfig.httpHeaderName {code}")]
        );
    }
    assert_eq!(
        faults(header(None)),
        ["httpHeaderConfig.httpHeaderName missing-field"]
    );

    let longest = "X".repeat(40);
    assert!(
        condition(with_values(
            "http-request-method",
            &["GET", "M-SEARCH", &longest]
        ))
        .value
        .is_ok()
    );
    for method in ["", "get", "G3T", "G T", &format!("{longest}X")] {
        let found = faults(condition(with_values("http-request-method", &[method])));
        assert_eq!(found, ["httpRequestMethodConfig.values[0] invalid-pattern"]);
    }

    let built = condition(query(&[(Some("a"), "1"), (None, ""), (Some(""), "x")]))
        .value
        .unwrap();
    assert_eq!(built.to_string(), "query-string has a=1 or *= or *=x");
    let longest = "x".repeat(128);
    assert!(
        condition(query(&[(Some(&longest), &longest)]))
            .value
            .is_ok()
    );
    let long = format!("{longest}x");
    assert_eq!(
        faults(condition(query(&[(Some(&long), "a")]))),
        ["queryStringConfig.values[0].key invalid-pattern"]
    );
    assert_eq!(
        faults(condition(query(&[(None, "\n")]))),
        ["queryStringConfig.values[0].value invalid-pattern"]
    );
    let mut spec = query(&[(None, "a")]);
    spec.query_string_config = Some(QueryStringSpec {
        values: Some(vec![QueryPairSpec::default()]),
    });
    assert_eq!(
        faults(condition(spec)),
        ["queryStringConfig.values[0].value missing-field"]
    );

    let built = condition(with_values("source-ip", &["10.0.0.0/8", "::1/128"]))
        .value
        .unwrap();
    assert_eq!(built.to_string(), "source-ip is in 10.0.0.0/8 or ::1/128");
    for block in ["", "10.0.0.1", "10.0.0.0/33", "255.255.255.255/32"] {
        let found = faults(condition(with_values("source-ip", &[block])));
        assert_eq!(found, ["sourceIPConfig.values[0] invalid-cidr"]);
    }
    let fault = condition(with_values("source-ip", &["::1"]))
        .value
        .unwrap_err()
        .remove(0);
    assert_eq!(
        fault.hint.as_deref(),
        Some("the block of this address alone is ::1/128")
    );
}

#[test]
fn a_condition_has_the_configuration_of_its_field() {
    let bare = |field: Option<&str>| ConditionSpec {
        field: field.map(str::to_owned),
        ..ConditionSpec::default()
    };
    assert_eq!(faults(condition(bare(None))), ["field missing-field"]);
    assert_eq!(
        faults(condition(bare(Some("host")))),
        ["field unknown-value"]
    );
    for (field, config) in [
        ("host-header", "hostHeaderConfig"),
        ("path-pattern", "pathPatternConfig"),
        ("http-header", "httpHeaderConfig"),
        ("http-request-method", "httpRequestMethodConfig"),
        ("query-string", "queryStringConfig"),
        ("source-ip", "sourceIPConfig"),
    ] {
        assert!(Condition::FIELDS.contains(&field));
        assert_eq!(
            faults(condition(bare(Some(field)))),
            [format!("{config} missing-field")]
        );
        let other = if field == "source-ip" {
            "path-pattern"
        } else {
            "source-ip"
        };
        let mut spec = match other {
            "source-ip" => with_values("source-ip", &["::/0"]),
            _ => ConditionSpec::path_pattern(["/a"]),
        };
        spec.field = Some(field.to_owned());
        let found = faults(condition(spec));
        assert!(found[0].ends_with("invalid-combination"), "{found:?}");
        assert_eq!(found[1..], [format!("{config} missing-field")]);
    }
    let mut spec = ConditionSpec::host_header(["a.b"]);
    spec.http_request_method_config = Some(ValuesSpec::default());
    spec.query_string_config = Some(QueryStringSpec::default());
    spec.http_header_config = Some(HttpHeaderSpec::default());
    assert_eq!(
        faults(condition(spec)),
        [
            "httpHeaderConfig invalid-combination",
            "httpRequestMethodConfig invalid-combination",
            "queryStringConfig invalid-combination"
        ]
    );
    let mut spec = with_values("source-ip", &[]);
    assert_eq!(
        faults(condition(spec.clone())),
        ["sourceIPConfig.values missing-field"]
    );
    spec.source_ip_config = Some(SourceIpSpec::default());
    assert_eq!(
        faults(condition(spec)),
        ["sourceIPConfig.values missing-field"]
    );
}

/// ALB guide, listener rules and quotas: 3 values in a condition, 5 in a rule, 6 wildcards in a rule.
#[test]
fn a_rule_has_few_values_and_wildcards() {
    let path = |values: &[&str]| ConditionSpec::path_pattern(values.iter().copied());
    let header = |values: &[&str]| {
        with_patterns(
            "http-header",
            PatternsSpec::wildcards(values.iter().copied()),
        )
    };
    let none: [&str; 0] = [];
    assert_eq!(
        rule_faults(vec![path(&["/a", "/b", "/c"])], Vec::new()),
        none
    );
    for count in [4, 5] {
        let values = &["/a", "/b", "/c", "/d", "/e"][..count];
        assert_eq!(
            rule_faults(vec![path(values)], Vec::new()),
            ["conditions[0].pathPatternConfig.values too-many"]
        );
    }
    let regexes = with_patterns("path-pattern", PatternsSpec::regexes(["a", "b", "c", "d"]));
    assert_eq!(
        rule_faults(vec![regexes], Vec::new()),
        ["conditions[0].pathPatternConfig.regexValues too-many"]
    );
    let query4 = query(&[(None, "a"), (None, "b"), (None, "c"), (None, "d")]);
    assert_eq!(
        rule_faults(vec![query4], Vec::new()),
        ["conditions[0].queryStringConfig.values too-many"]
    );
    let methods = with_values("http-request-method", &["A", "B", "C", "D"]);
    assert_eq!(
        rule_faults(vec![methods], Vec::new()),
        ["conditions[0].httpRequestMethodConfig.values too-many"]
    );
    let blocks = [
        "10.0.0.0/8",
        "11.0.0.0/8",
        "12.0.0.0/8",
        "13.0.0.0/8",
        "14.0.0.0/8",
        "15.0.0.0/8",
    ];
    assert_eq!(
        rule_faults(vec![with_values("source-ip", &blocks[..5])], Vec::new()),
        none
    );
    assert_eq!(
        rule_faults(vec![with_values("source-ip", &blocks)], Vec::new()),
        ["conditions too-many"]
    );
    // All conditions together.
    assert_eq!(
        rule_faults(
            vec![path(&["/a", "/b", "/c"]), header(&["a", "b"])],
            Vec::new()
        ),
        none
    );
    assert_eq!(
        rule_faults(
            vec![path(&["/a", "/b", "/c"]), header(&["a", "b", "c"])],
            Vec::new()
        ),
        ["conditions too-many"]
    );
    let five = vec![
        query(&[(None, "a")]),
        with_values("http-request-method", &["GET"]),
        with_values("source-ip", &["::/0"]),
        with_patterns("path-pattern", PatternsSpec::regexes(["a", "b"])),
    ];
    assert_eq!(rule_faults(five.clone(), Vec::new()), none);
    let mut six = five;
    six.push(ConditionSpec::host_header(["a.b"]));
    assert_eq!(rule_faults(six, Vec::new()), ["conditions too-many"]);

    let host = ConditionSpec::host_header(["*.*.?*.com"]);
    assert_eq!(
        rule_faults(vec![host.clone(), path(&["/**"])], Vec::new()),
        none
    );
    assert_eq!(
        rule_faults(vec![host.clone(), path(&["/***"])], Vec::new()),
        ["conditions too-many-wildcards"]
    );
    assert_eq!(
        rule_faults(vec![host.clone(), header(&["***"])], Vec::new()),
        ["conditions too-many-wildcards"]
    );
    // A backslash makes a wildcard of a query a character.
    assert_eq!(
        rule_faults(
            vec![host.clone(), query(&[(Some(r"\**"), r"\??")])],
            Vec::new()
        ),
        none
    );
    assert_eq!(
        rule_faults(vec![host, query(&[(Some("**"), "?")])], Vec::new()),
        ["conditions too-many-wildcards"]
    );
}

#[test]
fn conditions_that_may_be_there_once() {
    for spec in [
        ConditionSpec::host_header(["a.b"]),
        ConditionSpec::path_pattern(["/a"]),
        with_values("http-request-method", &["GET"]),
        with_values("source-ip", &["::/0"]),
    ] {
        assert_eq!(
            rule_faults(vec![spec.clone(), spec], Vec::new()),
            ["conditions[1] duplicate-condition"]
        );
    }
    let header = with_patterns("http-header", PatternsSpec::wildcards(["a"]));
    let several = vec![
        header.clone(),
        header,
        query(&[(None, "a")]),
        query(&[(None, "a")]),
    ];
    assert!(rule_faults(several, Vec::new()).is_empty());
    assert_eq!(
        rule_faults(Vec::new(), Vec::new()),
        ["conditions missing-field"]
    );
}

fn transform(kind: &str, rewrites: Option<Vec<RewriteSpec>>) -> TransformSpec {
    let config = Some(RewritesSpec { rewrites });
    let mut spec = TransformSpec {
        kind: Some(kind.to_owned()),
        ..TransformSpec::default()
    };
    match kind {
        "url-rewrite" => spec.url_rewrite_config = config,
        _ => spec.host_header_rewrite_config = config,
    }
    spec
}

fn rewrite(regex: &str, replace: &str) -> RewriteSpec {
    RewriteSpec {
        regex: Some(regex.to_owned()),
        replace: Some(replace.to_owned()),
    }
}

/// ALB guide, transforms.
#[test]
fn transforms() {
    let one = || Some(vec![rewrite("^/a(.*)", "/b$1")]);
    let path = || vec![ConditionSpec::path_pattern(["/a"])];
    let longest = "a".repeat(1024);
    let fits = transform("url-rewrite", Some(vec![rewrite(&longest, &longest)]));
    assert!(rule_faults(path(), vec![fits, transform("host-header-rewrite", one())]).is_empty());
    let url = |rewrite| transform("url-rewrite", Some(vec![rewrite]));
    let place = "transforms[0].urlRewriteConfig.rewrites";
    for (spec, expected) in [
        (
            TransformSpec::default(),
            "transforms[0].type missing-field".to_owned(),
        ),
        (
            TransformSpec {
                kind: Some("path-rewrite".into()),
                ..TransformSpec::default()
            },
            "transforms[0].type unknown-value".into(),
        ),
        (
            TransformSpec {
                kind: Some("url-rewrite".into()),
                ..TransformSpec::default()
            },
            "transforms[0].urlRewriteConfig missing-field".into(),
        ),
        (
            transform("url-rewrite", None),
            format!("{place} missing-field"),
        ),
        (
            transform("url-rewrite", Some(Vec::new())),
            format!("{place} out-of-range"),
        ),
        (
            transform(
                "url-rewrite",
                Some(vec![rewrite("a", "b"), rewrite("a", "b")]),
            ),
            format!("{place} out-of-range"),
        ),
        (
            url(rewrite("(", "b")),
            format!("{place}[0].regex invalid-regex"),
        ),
        (
            url(rewrite("a*+", "b")),
            format!("{place}[0].regex invalid-regex"),
        ),
        (
            url(rewrite("a", "\u{e4}")),
            format!("{place}[0].replace invalid-pattern"),
        ),
        (
            url(rewrite(&format!("{longest}a"), "b")),
            format!("{place}[0].regex invalid-pattern"),
        ),
        (
            url(RewriteSpec {
                regex: None,
                ..rewrite("a", "b")
            }),
            format!("{place}[0].regex missing-field"),
        ),
        (
            url(RewriteSpec {
                replace: None,
                ..rewrite("a", "b")
            }),
            format!("{place}[0].replace missing-field"),
        ),
    ] {
        assert_eq!(rule_faults(path(), vec![spec]), [expected]);
    }
    let twice = vec![
        transform("url-rewrite", one()),
        transform("url-rewrite", one()),
    ];
    assert_eq!(
        rule_faults(path(), twice),
        ["transforms[1] duplicate-transform"]
    );
    let mut both = transform("url-rewrite", one());
    both.host_header_rewrite_config = Some(RewritesSpec::default());
    assert_eq!(
        rule_faults(path(), vec![both]),
        ["transforms[0].hostHeaderRewriteConfig invalid-combination"]
    );
}

#[test]
fn rewrites_of_hosts_are_in_any_case_and_those_of_urls_are_not() {
    let rule = RuleSpec {
        priority: Some(1),
        conditions: Some(vec![ConditionSpec::path_pattern(["/a"])]),
        actions: Some(vec![ActionSpec::fixed_response(404)]),
        transforms: vec![
            transform("url-rewrite", Some(vec![rewrite("^/A", "/b")])),
            transform("host-header-rewrite", Some(vec![rewrite("^A", "b")])),
        ],
    };
    let mut listener = listener(80, "HTTP", ActionSpec::fixed_response(404));
    listener.rules = Some(vec![rule]);
    let transforms = crate::kit::built("application", listener)
        .rules
        .remove(0)
        .transforms;
    let (url, host) = (transforms.url.unwrap(), transforms.host_header.unwrap());
    assert!(!url.regex.is_match(b"/a") && url.regex.is_match(b"/A"));
    assert!(host.regex.is_match(b"a"));
    assert_eq!((&*url.replace, &*host.replace), ("/b", "b"));
}
