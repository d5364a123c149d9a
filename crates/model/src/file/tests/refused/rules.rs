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
        format!("{{priority: 1, {rest}}}, {{priority: «duplicate-priority»1, {rest}}}"),
        format!("{{priority: 1, {rest}, «not-supported»transforms: []}}"),
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
        format!("«too-many-wildcards»[{}, {}]", path("['/*/*/*']"), host("['*.*.?*.com']")),
        "[«missing-field»{field: host-header}]".to_owned(),
        "[«not-supported»{field: source-ip, sourceIpConfig: {values: [1.1.1.1/32]}}]".to_owned(),
        "[{field: «unknown-value»host, hostHeaderConfig: {values: [a.com]}}]".to_owned(),
        "[{field: path-pattern, pathPatternConfig: {values: [/a], «not-supported»regexValues: [a]}}]"
            .to_owned(),
        "[{field: path-pattern, pathPatternConfig: {values: [/a]}, hostHeaderConfig: \
         «invalid-combination»{values: [a.com]}}]"
            .to_owned(),
    ] {
        check_conditions(&conditions);
    }
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
         «not-supported»targetGroupStickinessConfig: {enabled: true}}"
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
        "port: 443, protocol: HTTPS, certificates: [demo], defaultActions: [«not-supported»{type: \
         authenticate-oidc, authenticateOidcConfig: {}}, {type: forward, forwardConfig: {targetGroups: \
         [{targetGroup: http}]}}]",
    );
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
