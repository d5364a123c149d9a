//! Files with mistakes. `«code»` marks the place right behind it where that diagnostic is expected.

use super::*;

mod classic;
mod groups;
mod rules;

/// What the listeners below forward to.
const REST: &str = "
targetGroups:
- {name: http, protocol: HTTP, port: 80}
- {name: tcp, protocol: TCP, port: 80}
- {name: tls, protocol: TLS, port: 80}
- {name: both, protocol: TCP_UDP, port: 80}
certificates: [{name: demo, certificateFile: c, privateKeyFile: k}]
";

const FORWARD: &str =
    "defaultActions: [{type: forward, forwardConfig: {targetGroups: [{targetGroup: http}]}}]";

/// Checks that the text without its marks has exactly the marked diagnostics.
#[track_caller]
fn check(marked: &str) -> Vec<Diagnostic> {
    check_those(marked, |_| true)
}

/// Like [`check`], but ignores warnings.
#[track_caller]
fn check_errors(marked: &str) -> Vec<Diagnostic> {
    check_those(marked, Diagnostic::is_error)
}

#[track_caller]
fn check_those(marked: &str, counts: fn(&Diagnostic) -> bool) -> Vec<Diagnostic> {
    let mut text = String::new();
    let mut expected = Vec::new();
    let mut rest = marked;
    while let Some((before, after)) = rest.split_once('«') {
        text += before;
        let (code, after) = after.split_once('»').unwrap();
        let line = text.lines().count().max(1) + usize::from(text.ends_with('\n'));
        let column = text.chars().rev().take_while(|c| *c != '\n').count() + 1;
        expected.push((code, line as u32, column as u32));
        rest = after;
    }
    text += rest;
    let (model, mut diagnostics) = parse(&text, "a.yaml");
    diagnostics.retain(counts);
    let found: Vec<_> = diagnostics
        .iter()
        .map(|d| (d.code, d.line, d.column))
        .collect();
    assert_eq!(found, expected, "{text}\n{diagnostics:#?}");
    assert!(model.is_none(), "{text}");
    diagnostics
}

#[track_caller]
fn check_all(cases: &[&str]) {
    for case in cases {
        check(case);
    }
}

/// A listener of a load balancer of type `kind`.
#[track_caller]
fn check_listener(kind: &str, listener: &str) -> Vec<Diagnostic> {
    check(&format!(
        "loadBalancers:\n- name: web\n  type: {kind}\n  listeners:\n  - {{{listener}}}{REST}"
    ))
}

/// An HTTP listener on port 80 with `rules`.
#[track_caller]
fn check_rules(rules: &str) -> Vec<Diagnostic> {
    check_listener(
        "application",
        &format!("port: 80, protocol: HTTP, {FORWARD}, rules: [{rules}]"),
    )
}

/// A rule with `conditions`.
#[track_caller]
fn check_conditions(conditions: &str) -> Vec<Diagnostic> {
    let actions = "[{type: fixed-response, fixedResponseConfig: {statusCode: '404'}}]";
    check_rules(&format!(
        "{{priority: 1, conditions: {conditions}, actions: {actions}}}"
    ))
}

/// The default action of a listener on HTTPS port 443.
#[track_caller]
fn check_action(action: &str) -> Vec<Diagnostic> {
    check_listener(
        "application",
        &format!(
            "port: 443, protocol: HTTPS, certificates: [demo], defaultActions: [{{{action}}}]"
        ),
    )
}

/// A target group with more fields.
#[track_caller]
fn check_group(protocol: &str, fields: &str) -> Vec<Diagnostic> {
    check(&format!(
        "targetGroups:\n- name: g\n  protocol: {protocol}\n  port: 80\n  {fields}\n"
    ))
}

/// Like [`check_group`], but ignores warnings.
#[track_caller]
fn check_group_errors(protocol: &str, fields: &str) -> Vec<Diagnostic> {
    check_errors(&format!(
        "targetGroups:\n- name: g\n  protocol: {protocol}\n  port: 80\n  {fields}\n"
    ))
}

/// Each diagnostic as its first line.
fn lines(diagnostics: &[Diagnostic]) -> Vec<String> {
    diagnostics.iter().map(ToString::to_string).collect()
}

#[test]
fn everything_is_reported_at_once() {
    let found = check(
        "
loadBalancers:
- name: web
  type: application
  «unknown-field»sheme: internal
  listeners:
  - port: «out-of-range»70000
    protocol: HTTP
    defaultActions: [{type: forward, forwardConfig: {targetGroups: [{targetGroup: «unknown-target-group»pots}]}}]
  - port: 443
    protocol: HTTPS
    certificates: [«unknown-certificate»dem]
    sslPolicy: «unknown-ssl-policy»ELBSecurityPolicy-2016-80
    defaultActions: [{type: redirect, redirectConfig: {port: '80', statusCode: «unknown-value»HTTP_303}}]
targetGroups:
- name: pods
  protocol: HTTP
  port: «wrong-type»http
  «duplicate-field»port: 80
certificates: [{name: demo, certificateFile: c, privateKeyFile: k}]
",
    );
    assert_eq!(
        lines(&found),
        [
            "error[unknown-field] a.yaml:5:3: there is no field \"sheme\" here\n  hint: did you \
             mean \"scheme\"?",
            "error[out-of-range] a.yaml:7:11: 70000 is not from 1 to 65535",
            "error[unknown-target-group] a.yaml:9:83: the listener forwards to \"pots\", which no \
             target group is called\n  hint: did you mean \"pods\"?",
            "error[unknown-certificate] a.yaml:12:20: no certificate is called \"dem\"\n  hint: did \
             you mean \"demo\"?",
            "error[unknown-ssl-policy] a.yaml:13:16: no security policy is called \
             \"ELBSecurityPolicy-2016-80\"\n  hint: did you mean \"ELBSecurityPolicy-2016-08\"?",
            "error[unknown-value] a.yaml:14:80: \"HTTP_303\" is not one of HTTP_301, HTTP_302\n  hint: \
             did you mean \"HTTP_301\"?",
            "error[wrong-type] a.yaml:18:9: expected a number, found \"http\"",
            "error[duplicate-field] a.yaml:19:3: \"port\" is given twice in the same place\n  hint: keep \
             one of the two",
        ]
    );
    assert_eq!(found[1].object, "loadBalancer/web");
    assert_eq!(found[1].field, "loadBalancers[0].listeners[0].port");
}

#[test]
fn text_that_is_no_native_file() {
    check_all(&[
        "«empty-file»",
        "«empty-file»# nothing\n",
        "«empty-file»~\n",
        "«wrong-type»text\n",
        "«wrong-type»[1]\n",
        "loadBalancers: «wrong-type»text\n",
        "loadBalancers: [«wrong-type»text]\n",
        "loadBalancers:\n- «missing-field»«missing-field»{}\n",
        "«unknown-field»loadbalancers: []\n",
        "a: 1«yaml-syntax»: 2\n",
        "targetGroups: []\n«several-documents»---\ntargetGroups: []\n",
    ]);
}

#[test]
fn load_balancers() {
    let long = "a".repeat(33);
    check_all(&[
        "loadBalancers:\n- {name: «invalid-name»a_b, type: network}\n",
        "loadBalancers:\n- {name: «invalid-name»-a, type: network}\n",
        &format!("loadBalancers:\n- {{name: «invalid-name»{long}, type: network}}\n"),
        "loadBalancers:\n- {name: a, type: «unknown-value»aplication}\n",
        "loadBalancers:\n- {name: a, type: network}\n- {name: «duplicate-name»a, type: network}\n",
        "loadBalancers: [{name: a, type: network, scheme: «unknown-value»public}]\n",
        "loadBalancers: [{name: a, type: network, ipAddressType: «unknown-value»ipv6}]\n",
        "loadBalancers: [{name: a, type: network, addresses: [«invalid-address»localhost]}]\n",
        "loadBalancers: [{name: a, type: network, addresses: [«invalid-combination»'::1']}]\n",
        "loadBalancers: [{name: a, type: network, availabilityZones: [«missing-field»{subnetId: s}]}]\n",
        "loadBalancers: [{name: a, type: network, availabilityZones: [{zoneName: «invalid-name»a b}]}]\n",
        "loadBalancers: [{name: a, type: network, availabilityZones: [{zoneName: a}, {zoneName: «duplicate-zone»a}]}]\n",
        "loadBalancers: [{name: a, type: network, availabilityZones: [{zoneName: a, loadBalancerAddresses: [{ipAddress: «invalid-address»x}]}]}]\n",
    ]);
}

/// NLB guide, listeners; ALB guide, listeners: protocols.
#[test]
fn listeners() {
    let http = format!("port: 80, protocol: HTTP, {FORWARD}");
    for (kind, listener) in [
        (
            "application",
            format!("port: 80, protocol: «invalid-combination»TCP, {FORWARD}"),
        ),
        (
            "application",
            format!("port: 80, protocol: «unknown-value»http, {FORWARD}"),
        ),
        (
            "network",
            format!("port: 80, protocol: «invalid-combination»HTTP, {FORWARD}"),
        ),
        (
            "network",
            format!("port: 80, protocol: «invalid-combination»SSL, {FORWARD}"),
        ),
        (
            "application",
            format!("{http}, sslPolicy: «invalid-combination»x"),
        ),
        (
            "application",
            format!("{http}, certificates: «invalid-combination»[demo]"),
        ),
        (
            "application",
            format!("{http}, alpnPolicy: «invalid-combination»HTTP2Only"),
        ),
        (
            "application",
            format!("{http}, alpnPolicy: «unknown-value»none"),
        ),
        (
            "application",
            format!("{http}, instancePort: «invalid-combination»1"),
        ),
        (
            "application",
            format!("{http}, mutualAuthentication: «missing-field»{{}}"),
        ),
        (
            "application",
            format!("{http}, mutualAuthentication: «invalid-combination»{{mode: passthrough}}"),
        ),
        (
            "application",
            format!(
                "{http}, mutualAuthentication: «invalid-combination»{{mode: verify, trustStore: «unknown-trust-store»a}}"
            ),
        ),
        (
            "application",
            format!(
                "{http}, attributes: {{routing.http.response.x_frame_options.header_value: «invalid-header»\"a\\n\"}}"
            ),
        ),
        (
            "application",
            format!(
                "{http}, attributes: {{«attribute-not-applicable»routing.http.request.x_amzn_tls_version.header_name: a}}"
            ),
        ),
        (
            "application",
            format!(
                "{http}, attributes: {{«unknown-attribute»routing.http.response.servers.enabled: 'true'}}"
            ),
        ),
        (
            "application",
            format!("{http}, certificates: «wrong-type»demo"),
        ),
        (
            "application",
            format!("{http}}}\n  - {{port: «duplicate-port»80, protocol: HTTP, {FORWARD}"),
        ),
    ] {
        if listener.contains("wrong-type") {
            // Two errors: the type is wrong, and the field does not belong there.
            let twice = listener.replace("«wrong-type»", "«wrong-type»«invalid-combination»");
            check_listener(kind, &twice);
        } else {
            check_listener(kind, &listener);
        }
    }
    check(&format!(
        "loadBalancers:\n- name: web\n  type: application\n  listeners:\n  - «missing-certificate»{{port: \
         443, protocol: HTTPS, {FORWARD}}}{REST}"
    ));
    check(&format!(
        "loadBalancers:\n- name: web\n  type: application\n  listeners:\n  - «missing-field»«missing-field»{{{FORWARD}}}{REST}"
    ));
    check_listener(
        "application",
        &format!(
            "port: 443, protocol: HTTPS, certificates: [demo], {FORWARD}, attributes: \
             {{routing.http.request.x_amzn_tls_version.header_name: «invalid-header»Content-Length}}"
        ),
    );
    check_listener(
        "application",
        "port: 443, protocol: HTTPS, certificates: [demo, «duplicate-certificate»demo], \
         defaultActions: «missing-field»[]",
    );
}

#[test]
fn a_missing_certificate_is_named_by_its_protocol() {
    let found = check(&format!(
        "loadBalancers:\n- name: web\n  type: network\n  listeners:\n  - «missing-certificate»{{port: 443, \
         protocol: TLS, defaultActions: [{{type: forward, forwardConfig: {{targetGroups: [{{targetGroup: \
         tcp}}]}}}}]}}{REST}"
    ));
    assert_eq!(found[0].message, "a TLS listener needs a certificate");
}

#[test]
fn two_load_balancers_on_one_socket() {
    let one = |name: &str, mark: &str| {
        format!(
            "- {{name: {name}, type: network, addresses: [{mark}127.0.0.1], listeners: [{{port: 80, \
             protocol: TCP, defaultActions: [{{type: forward, forwardConfig: {{targetGroups: \
             [{{targetGroup: tcp}}]}}}}]}}]}}\n"
        )
    };
    // Sharing a target group is a warning in the same file.
    let text = format!(
        "loadBalancers:\n{}{}{}",
        one("a", ""),
        one("b", "«address-in-use»").replacen("{name", "«shared-target-group»{name", 1),
        &REST[1..]
    );
    check(&text);
}

/// NLB guide, listeners and target groups: which protocols go together.
#[test]
fn listeners_and_target_groups() {
    let forward = |port, group: &str| {
        format!(
            "port: {port}, protocol: TLS, certificates: [demo], defaultActions: [{{type: forward, \
             forwardConfig: {{targetGroups: [{group}]}}}}]"
        )
    };
    for (protocol, group) in [
        ("TCP", "tls"),
        ("TCP", "http"),
        ("TLS", "both"),
        ("TLS", "http"),
    ] {
        let listener = forward(1, &format!("{{targetGroup: «invalid-combination»{group}}}"));
        let listener = match protocol {
            "TCP" => listener.replace("protocol: TLS, certificates: [demo]", "protocol: TCP"),
            _ => listener,
        };
        check_listener("network", &listener);
    }
    check_listener(
        "network",
        &forward(
            1,
            "{targetGroup: tcp}, {targetGroup: «invalid-combination»tls}",
        ),
    );
    check_listener(
        "network",
        "port: 53, protocol: UDP, defaultActions: [{type: forward, forwardConfig: {targetGroups: \
         [{targetGroup: «invalid-combination»tcp}]}}]",
    );
    let found = check_listener(
        "application",
        "port: 80, protocol: HTTP, defaultActions: [{type: forward, forwardConfig: {targetGroups: \
         [{targetGroup: «invalid-combination»tcp}]}}]",
    );
    assert_eq!(
        found[0].message,
        "listener 80 speaks HTTP and cannot forward to \"tcp\", a group of protocol TCP"
    );
    check_listener(
        "network",
        "port: 80, protocol: TCP, rules: [{priority: 1, conditions: [{field: «invalid-combination»path-pattern, \
         pathPatternConfig: {values: ['/*']}}], actions: [{type: forward, forwardConfig: {targetGroups: \
         [{targetGroup: tcp}]}}]}], defaultActions: [{type: «invalid-combination»redirect, redirectConfig: \
         {statusCode: HTTP_301, port: '1'}}]",
    );
}
