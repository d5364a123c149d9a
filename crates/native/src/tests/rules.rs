//! Conditions, transforms, stickiness and attributes of listeners.

use std::sync::Arc;

use super::*;
use elbow_model::QueryPair;

/// A minimal file with one rule that has these conditions.
fn with_conditions(conditions: &str) -> String {
    format!(
        "loadBalancers: [{{name: a, type: application, listeners: [{{port: 80, protocol: HTTP, \
         defaultActions: &no [{{type: fixed-response, fixedResponseConfig: {{statusCode: 404}}}}], \
         rules: [{{priority: 1, conditions: {conditions}, actions: *no}}]}}]}}]"
    )
}

/// ALB guide, condition types; spelt as the AWS Load Balancer Controller prints them.
#[test]
fn every_condition_is_read_and_written_back() {
    let regex = |text, ignore_case| elbow_model::Expression::new(text, ignore_case).unwrap();
    let pair = |key: Option<&str>, value: &str| QueryPair {
        key: key.map(Arc::from),
        value: value.into(),
    };
    let table = [
        (
            r#"[{field: http-header, httpHeaderConfig: {httpHeaderName: X-Env, values: ["*Chrome*", prod]}},
               {field: http-header, httpHeaderConfig: {httpHeaderName: X-Env, regexValues: [^v1]}}]"#,
            vec![
                Condition::HttpHeader {
                    name: "X-Env".into(),
                    values: wildcards(&["*Chrome*", "prod"]),
                },
                Condition::HttpHeader {
                    name: "X-Env".into(),
                    values: Patterns::Regexes(vec![regex("^v1", true)]),
                },
            ],
            "http-header X-Env is *Chrome* or prod; http-header X-Env matches ^v1",
        ),
        (
            "[{field: http-request-method, httpRequestMethodConfig: {values: [GET, M-SEARCH]}}]",
            vec![Condition::HttpRequestMethod(vec![
                "GET".into(),
                "M-SEARCH".into(),
            ])],
            "http-request-method is GET or M-SEARCH",
        ),
        (
            "[{field: query-string, queryStringConfig: {values: [{key: a, value: '1'}, {value: only}, {key: '', value: ''}]}}]",
            vec![Condition::QueryString(vec![
                pair(Some("a"), "1"),
                pair(None, "only"),
                pair(None, ""),
            ])],
            "query-string has a=1 or *=only or *=",
        ),
        (
            "[{field: source-ip, sourceIPConfig: {values: ['2001:db8::/32', 172.16.0.0/16]}}]",
            vec![Condition::SourceIp(vec![
                "2001:db8::/32".parse().unwrap(),
                "172.16.0.0/16".parse().unwrap(),
            ])],
            "source-ip is in 2001:db8::/32 or 172.16.0.0/16",
        ),
        (
            "[{field: path-pattern, pathPatternConfig: {regexValues: ['x?z']}},
              {field: host-header, hostHeaderConfig: {regexValues: ['^(a|b)\\.example\\.com$']}}]",
            vec![
                Condition::PathPattern(Patterns::Regexes(vec![regex("x?z", false)])),
                Condition::HostHeader(Patterns::Regexes(vec![regex(
                    r"^(a|b)\.example\.com$",
                    true,
                )])),
            ],
            r"path-pattern matches x?z; host-header matches ^(a|b)\.example\.com$",
        ),
    ];
    for (text, expected, shown) in table {
        let model = accepted(&with_conditions(text));
        let conditions = &model.load_balancers[0].listeners[0].rules[0].conditions;
        assert_eq!(*conditions, expected);
        let display: Vec<_> = conditions.iter().map(ToString::to_string).collect();
        assert_eq!(display.join("; "), shown);
        assert_eq!(accepted(&render(&model).to_string()), model);
    }
}

/// ELBv2 API, `SourceIpConditionConfig`.
#[test]
fn type_of_addresses_is_read_and_written_back() {
    let text = |kind: &str| {
        format!(
            "loadBalancers: [{{name: a, type: network, ipAddressType: dualstack, listeners: [{{port: 80, protocol: TCP, \
             defaultActions: &to [{{type: forward, forwardConfig: {{targetGroups: [{{targetGroup: t}}]}}}}], rules: [\
             {{priority: 1, conditions: [{{field: source-ip, sourceIPConfig: {{ipAddressType: {kind}}}}}], actions: *to}}]}}]}}]\n\
             targetGroups: [{{name: t, protocol: TCP, port: 80}}]"
        )
    };
    for (kind, shown) in [
        ("ipv4", "source-ip is in 0.0.0.0/0"),
        ("ipv6", "source-ip is in ::/0"),
    ] {
        let model = accepted(&text(kind));
        let rule = &model.load_balancers[0].listeners[0].rules[0];
        assert_eq!(rule.conditions[0].to_string(), shown);
        let rendered = render(&model);
        let conditions = &rendered["loadBalancers"][0]["listeners"][0]["rules"][0]["conditions"];
        assert_eq!(
            conditions[0]["sourceIPConfig"],
            serde_json::json!({"ipAddressType": kind})
        );
        assert_eq!(accepted(&rendered.to_string()), model);
    }
}

/// ELBv2 API, `ClientCertificateIdentityFilter`.
#[test]
fn identity_filters_are_read_and_written_back() {
    let filter = |field: &str, kind: &str| {
        format!("{{field: {field}, action: accept, matchType: {kind}, value: 'a:b'}}")
    };
    let filters = [
        filter("subject-cn", "exact"),
        filter("subject-ou", "prefix"),
        filter("san-dns", "exact"),
        filter("san-uri", "prefix"),
    ];
    let text = format!(
        "loadBalancers: [{{name: a, type: network, listeners: [{{port: 443, protocol: TLS, certificates: [c], \
         mutualAuthentication: {{mode: verify, trustStore: s, clientCertificateIdentityFilters: [{}]}}, \
         defaultActions: [{{type: forward, forwardConfig: {{targetGroups: [{{targetGroup: t}}]}}}}]}}]}}]\n\
         targetGroups: [{{name: t, protocol: TCP, port: 80}}]\n\
         certificates: [{{name: c, selfSigned: [a.example]}}]\n\
         trustStores: [{{name: s, caCertificatesBundleFile: s.pem}}]",
        filters.join(", ")
    );
    let filters_of =
        |model: &Model| match &model.load_balancers[0].listeners[0].mutual_authentication {
            elbow_model::MutualAuthentication::Verify(one) => Arc::clone(&one.identity_filters),
            other => panic!("{other:?}"),
        };
    let model = accepted(&text);
    let read = filters_of(&model);
    let fields = read.iter().map(|filter| filter.field);
    let known = elbow_model::IdentityFilter::FIELDS
        .iter()
        .map(|(_, field)| *field);
    assert!(fields.eq(known), "{read:?}");
    assert_eq!(filters_of(&accepted(&render(&model).to_string())), read);
}

/// ALB guide, transforms; spelt as the AWS Load Balancer Controller prints them.
#[test]
fn transforms_are_read_and_written_back() {
    let text = with_conditions("[{field: path-pattern, pathPatternConfig: {values: ['/*']}}]").replace(
        "actions: *no",
        r"actions: *no, transforms: [
            {type: url-rewrite, urlRewriteConfig: {rewrites: [{regex: '^/old/(.*)$', replace: '/new/$1'}]}},
            {type: host-header-rewrite, hostHeaderRewriteConfig: {rewrites: [{regex: '^(.*)\.example\.com$', replace: $1.internal}]}}]",
    );
    let model = accepted(&text);
    let transforms = &model.load_balancers[0].listeners[0].rules[0].transforms;
    let shown = |rewrite: &Option<elbow_model::Rewrite>| {
        let rewrite = rewrite.as_ref().unwrap();
        format!("{} -> {}", rewrite.regex, rewrite.replace)
    };
    assert_eq!(shown(&transforms.url), "^/old/(.*)$ -> /new/$1");
    assert_eq!(
        shown(&transforms.host_header),
        r"^(.*)\.example\.com$ -> $1.internal"
    );
    assert_eq!(accepted(&render(&model).to_string()), model);
}

/// ALB guide: verify JWTs.
#[test]
fn jwt_validation_is_read_and_written_back() {
    let text = "loadBalancers: [{name: a, type: application, listeners: [{port: 443, protocol: HTTPS, \
                certificates: [c], defaultActions: [{type: jwt-validation, jwtValidationConfig: \
                {jwksEndpoint: 'https://id.example/keys?v=1', issuer: 'urn:id', additionalClaims: \
                [{name: scope, format: space-separated-values, values: [read, write]}]}}, \
                {type: fixed-response, fixedResponseConfig: {statusCode: '200'}}]}]}]\n\
                certificates: [{name: c, certificateFile: c, privateKeyFile: k}]\n";
    let model = accepted(text);
    let actions = &model.load_balancers[0].listeners[0].default_actions;
    let [Action::JwtValidation(jwt), _] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(&*jwt.jwks_endpoint, "https://id.example/keys?v=1");
    assert_eq!(jwt.to_string(), "validate JWTs of urn:id");
    assert_eq!(jwt.additional_claims[0].values.len(), 2);
    let again = accepted(&render(&model).to_string());
    let actions_again = &again.load_balancers[0].listeners[0].default_actions;
    assert_eq!(actions_again, actions);
}

/// ALB guide, sticky sessions; NLB guide, target groups.
#[test]
fn stickiness_is_read_and_written_back() {
    let stickiness = |protocol: &str, attributes: &str| {
        let text = format!(
            "targetGroups: [{{name: g, port: 1, protocol: {protocol}, attributes: {{{attributes}}}}}]"
        );
        let attributes = accepted(&text).target_groups[0].attributes.clone();
        attributes.stickiness
    };
    let cookie = |seconds| {
        Some(elbow_model::Stickiness::LoadBalancerCookie {
            duration: Duration::from_secs(seconds),
        })
    };
    assert_eq!(stickiness("HTTP", "stickiness.type: lb_cookie"), None);
    assert_eq!(
        stickiness("HTTP", "stickiness.enabled: true"),
        cookie(86_400)
    );
    assert_eq!(
        stickiness(
            "HTTPS",
            "stickiness.enabled: 'true', stickiness.type: lb_cookie, \
             stickiness.lb_cookie.duration_seconds: '60'"
        ),
        cookie(60)
    );
    assert_eq!(
        stickiness(
            "HTTP",
            "stickiness.enabled: true, stickiness.type: app_cookie, \
             stickiness.app_cookie.cookie_name: JSESSIONID"
        ),
        Some(elbow_model::Stickiness::ApplicationCookie {
            name: "JSESSIONID".into(),
            duration: Duration::from_secs(86_400),
        })
    );
    assert_eq!(
        stickiness(
            "TCP",
            "stickiness.enabled: true, stickiness.type: source_ip"
        ),
        Some(elbow_model::Stickiness::SourceIp)
    );
    let text = "
loadBalancers:
- name: a
  type: application
  listeners:
  - port: 80
    protocol: HTTP
    defaultActions:
    - type: forward
      forwardConfig:
        targetGroups: [{targetGroup: g, weight: 61}, {targetGroup: h, weight: 92}]
        targetGroupStickinessConfig: {durationSeconds: 60, enabled: true}
targetGroups:
- {name: g, port: 1, protocol: HTTP, attributes: {stickiness.enabled: 'true'}}
- {name: h, port: 1, protocol: HTTP}
";
    let model = accepted(text);
    let [Action::Forward(forward)] = &model.load_balancers[0].listeners[0].default_actions[..]
    else {
        panic!("{model:?}")
    };
    assert_eq!(forward.stickiness, Some(Duration::from_secs(60)));
    assert_eq!(accepted(&render(&model).to_string()), model);
}

/// ALB guide, header modification.
#[test]
fn attributes_of_http_listeners_are_read() {
    let text = "
loadBalancers:
- name: a
  type: application
  listeners:
  - port: 443
    protocol: HTTPS
    certificates: [c]
    defaultActions: [{type: fixed-response, fixedResponseConfig: {statusCode: 404}}]
    attributes:
      routing.http.response.server.enabled: 'false'
      routing.http.response.x_frame_options.header_value: DENY
      routing.http.response.strict_transport_security.header_value: 'max-age=1; preload'
      routing.http.response.access_control_max_age.header_value: ''
      routing.http.request.x_amzn_tls_version.header_name: X-Tls
certificates: [{name: c, certificateFile: c, privateKeyFile: k}]
";
    let model = accepted(text);
    let attributes = &model.load_balancers[0].listeners[0].attributes;
    assert!(attributes.hides_server);
    assert_eq!(
        attributes.response_headers,
        [
            ("Strict-Transport-Security", "max-age=1; preload".into()),
            ("X-Frame-Options", "DENY".into()),
        ]
    );
    assert_eq!(attributes.tls_version_header.as_deref(), Some("X-Tls"));
    assert_eq!(attributes.tls_cipher_header, None);
}
