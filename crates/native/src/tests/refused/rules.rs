//! Rules, their conditions and actions.

use super::{check_action, check_conditions, check_listener, check_rules};

/// ALB guide, listener rules.
#[test]
fn rules() {
    let rest = "conditions: [{field: path-pattern, pathPatternConfig: {values: [/a]}}], actions: \
                [{type: fixed-response, fixedResponseConfig: {statusCode: '404'}}]";
    for rules in [
        format!("{{priority: «out-of-range»0, {rest}}}"),
        format!("{{priority: «out-of-range»50001, {rest}}}"),
        format!("{{priority: «wrong-type»-1, {rest}}}"),
        format!("«missing-field»{{{rest}}}"),
        format!(
            "{{priority: 1, {rest}}}, {{priority: «duplicate-priority»1, {}}}",
            rest.replace("/a", "/b")
        ),
        "«missing-field»«missing-field»{priority: 1}".to_owned(),
    ] {
        check_rules(&rules);
    }
    let found = check_rules(
        "{priority: 10, conditions: [{field: path-pattern, pathPatternConfig: {values: [/a]}}], \
         actions: [{type: forward, forwardConfig: {targetGroups: [{targetGroup: «unknown-target-group»htpp}]}}]}",
    );
    assert_eq!(
        found[0].message,
        "listener 80, rule 10 forwards to \"htpp\", which no target group is called"
    );
}

/// ALB guide, condition types and quotas.
#[test]
fn conditions() {
    let host =
        |values: &str| format!("{{field: host-header, hostHeaderConfig: {{values: {values}}}}}");
    let path =
        |values: &str| format!("{{field: path-pattern, pathPatternConfig: {{values: {values}}}}}");
    let long = format!("[«invalid-pattern»{}]", "a".repeat(129));
    for conditions in [
        "«missing-field»[]".to_owned(),
        format!("[{}]", host("«missing-field»[]")),
        format!("[{}]", host("[«invalid-pattern»localhost]")),
        format!("[{}]", host("[«invalid-pattern»a.b1]")),
        format!("[{}]", host("[«invalid-pattern»'a.com:80']")),
        format!("[{}]", path("[«invalid-pattern»'/ä']")),
        format!("[{}]", path("[«invalid-pattern»'']")),
        format!("[{}]", path(&long)),
        format!("[{}, «duplicate-condition»{}]", path("[/a]"), path("[/b]")),
        format!("«too-many»[{}]", path("[/a, /b, /c, /d, /e, /f]")),
        format!("[{}]", path("«too-many»[/a, /b, /c, /d]")),
        format!("[{}]", host("«too-many»[a.b, b.b, c.b, d.b, e.b]")),
        format!("«too-many-wildcards»[{}, {}]", path("['/*/*/*']"), host("['*.*.?*.com']")),
        "[«missing-field»{field: host-header}]".to_owned(),
        "[«missing-field»{field: source-ip, «unknown-field»sourceIpConfig: {values: [1.1.1.1/32]}}]"
            .to_owned(),
        "[{field: «unknown-value»host, hostHeaderConfig: {values: [a.com]}}]".to_owned(),
        "[{field: path-pattern, pathPatternConfig: {values: [/a]}, hostHeaderConfig: \
         «invalid-combination»{values: [a.com]}}]"
            .to_owned(),
    ] {
        check_conditions(&conditions);
    }
}

/// ALB guide, condition types: the values of each type.
#[test]
fn conditions_of_each_kind() {
    let long = "x".repeat(41);
    let regex = format!("^/{}$", "a".repeat(127));
    for conditions in [
        "{field: path-pattern, pathPatternConfig: {values: [/a], regexValues: «invalid-combination»[a]}}",
        "{field: path-pattern, pathPatternConfig: «missing-field»{}}",
        "{field: path-pattern, pathPatternConfig: {regexValues: [«invalid-regex»'(?=a)']}}",
        "{field: path-pattern, pathPatternConfig: {regexValues: [«invalid-regex»'^/a++']}}",
        "{field: path-pattern, pathPatternConfig: {regexValues: [«invalid-regex»'a{999}{999}{99}']}}",
        "{field: path-pattern, pathPatternConfig: {regexValues: [«invalid-pattern»'/ä']}}",
        &format!(
            "{{field: host-header, hostHeaderConfig: {{regexValues: [«invalid-pattern»'{regex}']}}}}"
        ),
        "{field: http-header, httpHeaderConfig: {httpHeaderName: «invalid-combination»HOST, values: [a]}}",
        "{field: http-header, httpHeaderConfig: {httpHeaderName: «invalid-pattern»'X Env', values: [a]}}",
        &format!(
            "{{field: http-header, httpHeaderConfig: {{httpHeaderName: «invalid-pattern»{long}, values: [a]}}}}"
        ),
        "{field: http-header, httpHeaderConfig: «missing-field»{values: [a]}}",
        "{field: http-header, httpHeaderConfig: {httpHeaderName: a, values: [«invalid-pattern»'']}}",
        "{field: http-request-method, httpRequestMethodConfig: {values: [«invalid-pattern»get]}}",
        &format!(
            "{{field: http-request-method, httpRequestMethodConfig: {{values: [«invalid-pattern»{}]}}}}",
            long.to_uppercase()
        ),
        "{field: query-string, queryStringConfig: {values: [«missing-field»{key: a}]}}",
        "{field: query-string, queryStringConfig: {values: [«wrong-type»a]}}",
        "{field: query-string, queryStringConfig: {values: [{value: «invalid-pattern»\"a\\n\"}]}}",
        "{field: source-ip, sourceIPConfig: {values: [«invalid-cidr»10.0.0.1]}}",
        "{field: source-ip, sourceIPConfig: {values: [«invalid-cidr»10.0.0.0/33]}}",
        "{field: source-ip, sourceIPConfig: {values: [«invalid-cidr»255.255.255.255/32]}}",
        "{field: source-ip, sourceIPConfig: {values: [::/0]}}, \
         «duplicate-condition»{field: source-ip, sourceIPConfig: {values: [::/0]}}",
    ] {
        check_conditions(&format!("[{conditions}]"));
    }
    // Values and wildcards count over all conditions of a rule; an escaped wildcard does not count.
    check_conditions(
        "«too-many»[{field: source-ip, sourceIPConfig: {values: [::/0, 10.0.0.0/8]}}, \
         {field: http-request-method, httpRequestMethodConfig: {values: [GET, HEAD]}}, \
         {field: query-string, queryStringConfig: {values: [{value: a}, {value: b}]}}]",
    );
    check_conditions(
        r"«too-many-wildcards»[{field: query-string, queryStringConfig: {values: [{key: '*a*', value: '\**?*'}]}}, {field: http-header, httpHeaderConfig: {httpHeaderName: a, values: ['*x*']}}]",
    );
    let found =
        check_conditions("[{field: source-ip, sourceIPConfig: {values: [«invalid-cidr»'::1']}}]");
    assert_eq!(
        found[0].hint.as_deref(),
        Some("the block of this address alone is ::1/128")
    );
}

/// ALB guide, action types: forward.
#[test]
fn forwards() {
    let many = "{targetGroup: http}, "
        .repeat(6)
        .replace(
            "{targetGroup: http}",
            "{targetGroup: «duplicate-target-group»http}",
        )
        .replacen("«duplicate-target-group»", "", 1);
    for action in [
        "type: «unknown-value»forwards".to_owned(),
        "type: forward, forwardConfig: {targetGroups: «out-of-range»[]}".to_owned(),
        format!("type: forward, forwardConfig: {{targetGroups: «out-of-range»[{many}]}}"),
        "type: forward, forwardConfig: {targetGroups: [{targetGroup: http, weight: «out-of-range»1000}]}"
            .to_owned(),
        "type: forward, forwardConfig: {targetGroups: [«missing-field»{weight: 1}]}".to_owned(),
        "type: forward, forwardConfig: {targetGroups: [{targetGroup: http}], \
         targetGroupStickinessConfig: «missing-field»{enabled: true}}"
            .to_owned(),
        "type: forward, forwardConfig: {targetGroups: [{targetGroup: http}], \
         targetGroupStickinessConfig: {enabled: true, durationSeconds: «out-of-range»604801}}"
            .to_owned(),
        "type: forward, forwardConfig: {targetGroups: [{targetGroup: http}]}, redirectConfig: \
         «invalid-combination»{}"
            .to_owned(),
    ] {
        check_action(&action);
    }
    check_listener(
        "application",
        "port: 443, protocol: HTTPS, certificates: [demo], defaultActions: [«missing-field»{type: forward}, \
         «too-many»«missing-field»{type: redirect}]",
    );
    check_listener(
        "application",
        "port: 443, protocol: HTTPS, certificates: [demo], defaultActions: [{type: authenticate-cognito, \
         authenticateCognitoConfig: «unknown-user-pool»{userPoolARN: a, userPoolClientID: b, userPoolDomain: c}}, \
         {type: forward, forwardConfig: {targetGroups: [{targetGroup: http}]}}]",
    );
    let jwt = "type: jwt-validation, jwtValidationConfig: {jwksEndpoint: 'https://a/k', issuer: a}";
    let last = "type: fixed-response, fixedResponseConfig: {statusCode: '200'}";
    for (port, actions) in [
        ("port: 80, protocol: HTTP", format!("[{{type: «invalid-combination»jwt-validation, {}}}, {{{last}}}]", &jwt[22..])),
        (HTTPS, format!("[{{{last}}}, «invalid-combination»{{{jwt}}}]")),
        (HTTPS, format!("[{{{jwt}}}, «invalid-combination»{{{jwt}}}, {{{last}}}]")),
        (HTTPS, "[{type: jwt-validation, jwtValidationConfig: «missing-field»«missing-field»{}}, {type: fixed-response, \
          fixedResponseConfig: {statusCode: '200'}}]".to_owned()),
    ] {
        check_listener("application", &format!("{port}, defaultActions: {actions}"));
    }
    check_listener(
        "application",
        &format!("{HTTPS}, defaultActions: «missing-field»[{{{jwt}}}]"),
    );
}

const HTTPS: &str = "port: 443, protocol: HTTPS, certificates: [demo]";

/// ALB guide, sticky sessions: a sticky group among several; NLB guide, listeners: TLS.
#[test]
fn forwards_to_sticky_groups() {
    let check = |kind: &str, listener: &str, group: &str| {
        super::check(&format!(
            "loadBalancers: [{{name: a, type: {kind}, listeners: [{{port: 443, certificates: [demo], {listener}}}]}}]\n\
             targetGroups: [{{name: g, port: 1, {group}, attributes: {{stickiness.enabled: true}}}}, \
             {{name: h, port: 1, protocol: HTTP}}]\n\
             certificates: [{{name: demo, certificateFile: c, privateKeyFile: k}}]\n"
        ));
    };
    check(
        "application",
        "protocol: HTTPS, defaultActions: [{type: forward, forwardConfig: «invalid-combination»{targetGroups: \
         [{targetGroup: g}, {targetGroup: h}]}}]",
        "protocol: HTTP",
    );
    let app_cookie = "protocol: HTTP, attributes: {stickiness.enabled: true, stickiness.type: app_cookie, \
                      stickiness.app_cookie.cookie_name: c}}, {name: unused, port: 1, protocol: HTTP";
    super::check(&format!(
        "loadBalancers: [{{name: a, type: application, listeners: [{{port: 80, protocol: HTTP, defaultActions: [{{type: \
         forward, forwardConfig: {{targetGroups: [{{targetGroup: h}}, {{targetGroup: «invalid-combination»g}}], \
         targetGroupStickinessConfig: {{enabled: true, durationSeconds: 60}}}}}}]}}]}}]\n\
         targetGroups: [{{name: g, port: 1, {app_cookie}}}, {{name: h, port: 1, protocol: HTTP}}]\n"
    ));
    check(
        "network",
        "protocol: TLS, defaultActions: [{type: forward, forwardConfig: {targetGroups: [{targetGroup: \
         «invalid-combination»g}], targetGroupStickinessConfig: «invalid-combination»{enabled: true}}}]",
        "protocol: TCP",
    );
}

/// ALB guide, transforms.
#[test]
fn transforms() {
    let url = |rewrites: &str| format!("{{type: url-rewrite, urlRewriteConfig: {rewrites}}}");
    let long = format!(
        "{{rewrites: [{{regex: «invalid-pattern»{}, replace: b}}]}}",
        "a".repeat(1025)
    );
    let one = url("{rewrites: [{regex: a, replace: b}]}");
    for transforms in [
        "{type: «unknown-value»path-rewrite}".to_owned(),
        "«missing-field»{type: url-rewrite}".to_owned(),
        url("«missing-field»{}"),
        url("{rewrites: «out-of-range»[]}"),
        url("{rewrites: «out-of-range»[{regex: a, replace: b}, {regex: a, replace: b}]}"),
        url("{rewrites: [«missing-field»{regex: a}]}"),
        url("{rewrites: [«missing-field»{replace: a}]}"),
        url("{rewrites: [{regex: «invalid-regex»(, replace: b}]}"),
        url("{rewrites: [{regex: a, replace: «invalid-pattern»ä}]}"),
        url(&long),
        format!("{one}, «duplicate-transform»{one}"),
        "{type: host-header-rewrite, hostHeaderRewriteConfig: {rewrites: [{regex: a, replace: b}]}, \
         urlRewriteConfig: «invalid-combination»{}}"
            .to_owned(),
    ] {
        check_rules(&format!(
            "{{priority: 1, transforms: [{transforms}], conditions: [{{field: path-pattern, pathPatternConfig: \
             {{values: [/a]}}}}], actions: [{{type: fixed-response, fixedResponseConfig: {{statusCode: '404'}}}}]}}"
        ));
    }
}

/// ALB guide, action types: redirect, fixed-response.
#[test]
fn redirects_and_fixed_responses() {
    let long = "a".repeat(1025);
    for redirect in [
        "{port: '80', «unknown-field»status: HTTP_301, statusCode: HTTP_301}",
        "{protocol: «invalid-redirect»https, statusCode: HTTP_301}",
        "{port: «invalid-redirect»'0', statusCode: HTTP_301}",
        "{port: «invalid-redirect»'+80', statusCode: HTTP_301}",
        "{host: «invalid-redirect»'', statusCode: HTTP_301}",
        "{host: «invalid-redirect»'#{path}', statusCode: HTTP_301}",
        "{path: «invalid-redirect»a, statusCode: HTTP_301}",
        "{path: «invalid-redirect»'/#{nothing}', statusCode: HTTP_301}",
        "{path: «invalid-redirect»'/a b', statusCode: HTTP_301}",
        "{query: «invalid-redirect»'?a=1', port: '1', statusCode: HTTP_301}",
        "«invalid-redirect»{protocol: HTTP, statusCode: HTTP_301}",
        "«redirect-loop»{statusCode: HTTP_301}",
        "«redirect-loop»{protocol: HTTPS, port: '443', query: x, statusCode: HTTP_302}",
        "«missing-field»{port: '80'}",
    ] {
        check_action(&format!("type: redirect, redirectConfig: {redirect}"));
    }
    for response in [
        "{statusCode: «out-of-range»'301'}",
        "{statusCode: «out-of-range»'99'}",
        "{statusCode: «out-of-range»'+404'}",
        "{statusCode: «out-of-range»'0404'}",
        "{statusCode: '404', contentType: «unknown-value»text/xml}",
        &format!("{{statusCode: '404', messageBody: «out-of-range»{long}}}"),
    ] {
        check_action(&format!(
            "type: fixed-response, fixedResponseConfig: {response}"
        ));
    }
}
