//! `authenticate-oidc` of an ALB with a real provider (ALB guide: authenticate users).
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

mod chromium;
mod cognito;
mod site;

use elbow_tests::browser::Browser;
use elbow_tests::identity::{claims, header};
use elbow_tests::{Target, wait};
use serde_json::{Value, json};

use site::Site;

// Parity 1.4: the whole login, and what the target gets.
#[test]
fn user_logs_in_and_the_target_learns_who_it_is() {
    let Some(site) = Site::start(|_| {}) else {
        return;
    };
    let mut alice = site.browser();
    let asked = site.url("/authenticate/a?b=c%20d&e");
    let challenge = alice.get(&asked);
    assert_eq!(challenge.status, 302);
    let location = challenge.header("location").unwrap();
    let start = format!(
        "{}/auth?client_id=alb-basic&redirect_uri=https%3A%2F%2F{}%3A8443%2Foauth2%2Fidpresponse&response_type=code\
         &scope=openid%20email%20profile&state=",
        site.provider.url(),
        site.ip
    );
    assert!(location.starts_with(&start), "{location}");
    assert!(location.ends_with("&ui_locales=de%20en"), "{location}");

    let page = alice.log_in(&asked, "alice");
    assert_eq!((page.response.status, &page.url), (200, &asked));
    let told: Value = serde_json::from_slice(&page.response.body).unwrap();
    assert_eq!(told["identity"], "alice");
    let token = told["data"].as_str().unwrap();
    let user = claims(token);
    let header: Value = header(token);
    let key = format!("/public-keys/{}", header["kid"].as_str().unwrap());
    let key = site.elbow.page(&key);
    assert!(
        key.text().starts_with("-----BEGIN PUBLIC KEY-----\n"),
        "{}",
        key.text()
    );
    assert_eq!(site.elbow.page("/public-keys/x").status, 404);
    assert_eq!(user["sub"], "alice");
    assert_eq!(user["email"], "alice@example.test");
    assert_eq!(user["iss"], json!(site.provider.url()));
    let request = site.target.request();
    assert_eq!(request.line(), "GET /authenticate/a?b=c%20d&e HTTP/1.1");

    // The session serves for every rule with the same client, and needs the provider no more.
    for path in ["/deny", "/allow"] {
        let page = alice.get(&site.url(path));
        assert_eq!(page.status, 200, "{path}");
        let told: Value = serde_json::from_slice(&page.body).unwrap();
        assert_eq!(told["identity"], "alice", "{path}");
    }
    let mut log = site.log(6);
    log.retain(|(_, actions, _)| actions != "-");
    let row = |status: &str, actions: &str| (status.to_owned(), actions.to_owned(), "-".to_owned());
    // Two challenges and the end of the login; then the three requests of the user.
    let mut expected = vec![row("302", "authenticate"); 3];
    expected.extend(vec![row("200", "authenticate,forward"); 3]);
    log.sort();
    expected.sort();
    assert_eq!(log, expected);
    for (result, count) in [("success", 1.0), ("failure", 0.0)] {
        let label = format!("result=\"{result}\"");
        let name = "elbow_authentications_total";
        site.elbow.wait_for_metric(name, &[&label], count);
    }
    let took = "elbow_authentication_duration_seconds_count";
    site.elbow.wait_for_metric(took, &[], 1.0);
}

#[test]
fn request_without_a_session_is_denied_or_goes_on_without_an_identity() {
    let Some(site) = Site::start(|_| {}) else {
        return;
    };
    let mut nobody = site.browser();
    assert_eq!(nobody.get(&site.url("/deny")).status, 401);
    let allowed = nobody.get(&site.url("/allow"));
    assert_eq!((allowed.status, allowed.text()), (200, "{}".to_owned()));
}

#[test]
fn session_outlives_a_reload_but_no_change() {
    let Some(site) = Site::start(|_| {}) else {
        return;
    };
    let mut alice = site.browser();
    assert_eq!(
        alice
            .log_in(&site.url("/authenticate"), "alice")
            .response
            .status,
        200
    );
    let mut config = site.config.clone();
    config["loadBalancers"][0]["attributes"] = json!({"idle_timeout.timeout_seconds": "61"});
    site.elbow.reload(&config);
    assert_eq!(alice.get(&site.url("/deny")).status, 200);

    let (name, value) = alice
        .cookies(&site.host(), "AWSELBAuthSessionCookie-")
        .remove(0);
    assert_eq!(name, "AWSELBAuthSessionCookie-0");
    let middle = value.len() / 2;
    let other = if &value[middle..=middle] == "A" {
        "B"
    } else {
        "A"
    };
    let changed = format!("{}{other}{}", &value[..middle], &value[middle + 1..]);
    alice.set_cookie(&site.host(), &name, &changed);
    assert_eq!(alice.get(&site.url("/deny")).status, 401);
    let log = site.log(5);
    let refused = (
        "401".to_owned(),
        "authenticate".to_owned(),
        "AuthInvalidCookie".to_owned(),
    );
    assert!(log.contains(&refused), "{log:#?}");
    alice.set_cookie(&site.host(), &name, &value);
    assert_eq!(alice.get(&site.url("/deny")).status, 200);
}

// Parity 1.15: the reasons of a callback that no login belongs to.
#[test]
fn callback_belongs_to_the_browser_that_began_the_login() {
    let Some(site) = Site::start(|_| {}) else {
        return;
    };
    let mut alice = site.browser();
    let challenge = alice.get(&site.url("/authenticate"));
    let location = challenge.header("location").unwrap().to_owned();
    let (_, rest) = location.split_once("&state=").unwrap();
    let (state, _) = rest.split_once('&').unwrap();
    let callback = |query: &str| site.url(&format!("/oauth2/idpresponse?{query}"));
    let mut mallory = site.browser();
    mallory.get(&site.url("/authenticate"));
    let table = [
        (callback("code=x"), 401, "AuthMissingStateParam"),
        (callback("code=x&state=x"), 401, "AuthInvalidStateParam"),
        (
            callback(&format!("state={state}")),
            401,
            "AuthMissingCodeParam",
        ),
        (
            callback(&format!("error=access_denied&state={state}")),
            401,
            "-",
        ),
        (
            callback(&format!("error=server_error&state={state}")),
            561,
            "-",
        ),
        (
            callback(&format!("code=x&state={state}")),
            561,
            "AuthInvalidGrantError",
        ),
    ];
    for (url, status, reason) in &table {
        assert_eq!(alice.get(url).status, *status, "{reason}");
    }
    let stolen = mallory.get(&table[5].0);
    assert_eq!(stolen.status, 401, "the state is another browser's");
    let mut found: Vec<(String, String)> = site
        .log(9)
        .into_iter()
        .filter(|(status, _, _)| status != "302")
        .map(|(status, _, reason)| (status, reason))
        .collect();
    found.sort();
    let mut expected: Vec<(String, String)> = table
        .iter()
        .map(|(_, status, reason)| (status.to_string(), (*reason).to_owned()))
        .collect();
    expected.push(("401".to_owned(), "AuthInvalidStateParam".to_owned()));
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn code_that_is_used_twice_is_refused_by_the_provider() {
    let Some(site) = Site::start(|_| {}) else {
        return;
    };
    let mut alice = site.browser();
    let page = alice.log_in(&site.url("/authenticate"), "alice");
    assert_eq!(page.response.status, 200);
    let callback = |url: &&String| url.contains("/oauth2/idpresponse?");
    let callback = alice.visited.iter().find(callback).unwrap().clone();
    assert_eq!(alice.get(&callback).status, 561);
    let last = site.log(4);
    let refused = |(status, _, reason): &(String, String, String)| {
        status == "561" && reason == "AuthInvalidGrantError"
    };
    assert!(last.iter().any(refused), "{last:#?}");
    let failure = ["result=\"failure\""];
    site.elbow
        .wait_for_metric("elbow_authentications_total", &failure, 1.0);
}

// ALB guide: claims of more than 11K are too large; cookies are sharded.
#[test]
fn large_claims_are_sharded_and_larger_ones_refused() {
    let Some(site) = Site::start(|_| {}) else {
        return;
    };
    let mut big = site.browser();
    let page = big.log_in(&site.url("/authenticate"), "big-9000");
    assert_eq!(page.response.status, 200);
    let shards = big.cookies(&site.host(), "AWSELBAuthSessionCookie-");
    assert_eq!(shards.len(), 4);
    assert!(
        shards
            .iter()
            .all(|(name, value)| name.len() + value.len() < 4096)
    );
    let mut bigger = site.browser();
    let page = bigger.log_in(&site.url("/authenticate"), "big-12000");
    assert_eq!(page.response.status, 500);
    let log = site.log(5);
    let refused = |(status, _, reason): &(String, String, String)| {
        status == "500" && reason == "AuthUserinfoResponseSizeExceeded"
    };
    assert!(log.iter().any(refused), "{log:#?}");
    let exceeded = "elbow_authentication_claims_too_large_total";
    site.elbow.wait_for_metric(exceeded, &[], 1.0);
}

// Parity 1.10 and 1.15: a provider that fails or lies.
#[test]
fn faults_of_the_provider_have_their_status_and_reason() {
    let Some(site) = Site::start(|_| {}) else {
        return;
    };
    let unsigned = json!({"access_token": "a", "token_type": "Bearer"}).to_string();
    let foreign = json!({"sub": "mallory"}).to_string();
    let table = [
        ("/token", 503, "{}", 561, "AuthTokenEpRequestFailed"),
        ("/token", 200, "<html>", 561, "AuthInvalidTokenResponse"),
        ("/token", 200, &unsigned, 401, "AuthInvalidIdToken"),
        ("/me", 500, "{}", 561, "AuthUserinfoEpRequestFailed"),
        ("/me", 200, "a.b.c", 561, "AuthInvalidUserinfoResponse"),
        ("/me", 200, &foreign, 561, "AuthInvalidUserinfoResponse"),
    ];
    let mut expected = Vec::new();
    for (path, answered, body, status, reason) in table {
        site.provider.fail_once(path, answered, body);
        let page = site.browser().log_in(&site.url("/authenticate"), "alice");
        assert_eq!(page.response.status, status, "{reason}");
        expected.push((
            status.to_string(),
            "authenticate".to_owned(),
            reason.to_owned(),
        ));
    }
    let mut log = site.log(2 * expected.len());
    log.retain(|(status, _, _)| status != "302");
    log.sort();
    expected.sort();
    assert_eq!(log, expected);
    let error = ["result=\"error\""];
    site.elbow
        .wait_for_metric("elbow_authentications_total", &error, 6.0);
    assert!(site.target.requests().is_empty(), "nobody got in");
}

// Parity 1.10: 500 when the provider cannot be reached.
#[test]
fn provider_that_is_away_is_answered_500() {
    let away = Target::refusing();
    let url = format!("https://{}/token", away.addr());
    let change = |config: &mut Value| config["tokenEndpoint"] = json!(url);
    let Some(site) = Site::start(change) else {
        return;
    };
    let page = site.browser().log_in(&site.url("/authenticate"), "alice");
    assert_eq!(page.response.status, 500);
    let log = site.log(2);
    let refused = |(_, _, reason): &(String, String, String)| reason == "AuthTokenEpRequestTimeout";
    assert!(log.iter().any(refused), "{log:#?}");
}

// A page's requests arrive together, and a provider may take a refresh token only once.
#[test]
fn parallel_requests_share_one_refresh() {
    // Long enough for eight requests before the next refresh.
    let Some(site) = Site::start_with(|_| {}, &[("ACCESS_TTL", "5")]) else {
        return;
    };
    let told = |body: &[u8]| -> Value { serde_json::from_slice(body).unwrap() };
    let mut alice = site.browser();
    let page = alice.log_in(&site.url("/authenticate"), "alice");
    let first = told(&page.response.body)["accesstoken"].clone();
    let name = "AWSELBAuthSessionCookie-0";
    let (_, session) = alice.cookies(&site.host(), name).remove(0);
    let refreshes = || {
        let count = site
            .elbow
            .metric("elbow_authentication_refreshes_total", &[]);
        count.unwrap()
    };
    // Bob's access tokens are younger, so that alice's has expired when one of his is refreshed.
    let so_far = refreshes();
    let mut bob = site.browser();
    bob.log_in(&site.url("/authenticate"), "bob");
    wait::until("a refresh of bob's", || {
        bob.get(&site.url("/deny"));
        (refreshes() > so_far).then_some(())
    });
    let before = (site.provider.log("/token").len(), refreshes());
    let asked = site.url("/deny");
    let browser = |_| {
        let mut browser = site.browser();
        browser.set_cookie(&site.host(), name, &session);
        browser
    };
    let browsers: Vec<Browser> = (0..8).map(browser).collect();
    let ask = &|mut browser: Browser| {
        let page = browser.get(&asked);
        assert_eq!(page.status, 200);
        told(&page.body)["accesstoken"].clone()
    };
    let tokens: Vec<Value> = std::thread::scope(|scope| {
        let asking = browsers
            .into_iter()
            .map(|browser| scope.spawn(move || ask(browser)));
        let asking: Vec<_> = asking.collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_ne!(tokens[0], first);
    assert_eq!(tokens, vec![tokens[0].clone(); 8]);
    let counted = "elbow_authentication_refreshes_total";
    site.elbow.wait_for_metric(counted, &[], before.1 + 1.0);
    assert_eq!(site.provider.log("/token").len(), before.0 + 1);
}

// The switch `elbow.authentication.token_endpoint_method`: how the client shows its secret.
#[test]
fn secret_of_the_client_is_in_the_form_if_the_attribute_says_so() {
    let Some(site) = Site::start(|_| {}) else {
        return;
    };
    let page = site.browser().log_in(&site.url("/authenticate"), "alice");
    assert_eq!(page.response.status, 200);
    let mut config = site.config.clone();
    config["loadBalancers"][0]["attributes"] =
        json!({"elbow.authentication.token_endpoint_method": "client_secret_post"});
    site.elbow.reload(&config);
    let page = site.browser().log_in(&site.url("/authenticate"), "bob");
    assert_eq!(page.response.status, 200);
    let methods = site.provider.log("/token");
    let methods: Vec<&Value> = methods.iter().map(|request| &request["auth"]).collect();
    assert_eq!(methods, ["Basic", "none"]);
}

// ALB guide, authenticate users: the session gets another access token when the last one expires.
#[test]
fn session_is_refreshed_when_its_access_token_expires() {
    let Some(site) = Site::start_with(|_| {}, &[("ACCESS_TTL", "1")]) else {
        return;
    };
    let mut alice = site.browser();
    let page = alice.log_in(&site.url("/authenticate"), "alice");
    let told = |response: &elbow_tests::Response| -> Value {
        serde_json::from_slice(&response.body).unwrap()
    };
    let first = told(&page.response)["accesstoken"].clone();
    wait::until("another access token", || {
        let response = alice.get(&site.url("/deny"));
        assert_eq!(response.status, 200);
        (told(&response)["accesstoken"] != first).then_some(())
    });
    wait::until("the refresh to be counted", || {
        let refreshes = site
            .elbow
            .metric("elbow_authentication_refreshes_total", &[])?;
        (refreshes >= 1.0).then_some(())
    });
}
