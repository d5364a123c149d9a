//! The login in a real browser.

use elbow_tests::chromium::Chromium;
use elbow_tests::need;
use serde_json::{Value, json};

use crate::site::Site;

impl Site {
    /// Opens `url` and logs in as alice, as the forms of the provider ask for it.
    fn log_in(&self, browser: &mut Chromium, url: &str) {
        browser.open(url);
        browser.wait_for("document.querySelector('[name=login]') !== null");
        let typed = "document.querySelector('[name=login]').value = 'alice';
            document.querySelector('[name=password]').value = 'secret';
            document.querySelector('button[type=submit]').click()";
        browser.evaluate(typed);
        browser.wait_for("document.querySelector('[name=prompt][value=consent]') !== null");
        browser.evaluate("document.querySelector('button[type=submit]').click()");
        browser.wait_for(&format!("location.href === {}", json!(url)));
    }
}

// Parity 1.4: what browsers keep of a session.
#[test]
fn user_logs_in_with_a_real_browser() {
    let chromium = need!("chromium");
    let Some(site) = Site::start(|_| {}) else {
        return;
    };
    let mut browser = Chromium::start(&chromium);
    site.log_in(&mut browser, &site.url("/authenticate/a?b=c%20d&e"));
    let text = browser.evaluate("document.body.innerText");
    let told: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
    assert_eq!(told["identity"], "alice");

    let cookies = browser.cookies();
    let named = |name: &str| cookies.iter().find(|cookie| cookie["name"] == name);
    let session = named("AWSELBAuthSessionCookie-0").unwrap();
    for (field, value) in [
        ("domain", json!(site.host())),
        ("path", json!("/")),
        ("secure", json!(true)),
        ("httpOnly", json!(true)),
        ("sameSite", json!("None")),
    ] {
        assert_eq!(session[field], value, "{session}");
    }
    assert!(named("AWSALBAuthNonce").is_some(), "{cookies:#?}");
    let visible = browser.evaluate("document.cookie");
    assert_eq!(visible, "", "scripts see no cookie of the login");

    // The page's own requests have the session, and so has another page of the same client.
    let asked = "fetch('/deny').then(answer => answer.status)";
    assert_eq!(browser.evaluate(asked), 200);
    browser.open(&site.url("/authenticate/other"));
    browser.wait_for("location.pathname === '/authenticate/other'");
}
