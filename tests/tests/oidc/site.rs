//! Load balancers that authenticate users, with their provider.

use std::net::Ipv4Addr;

use elbow_tests::browser::Browser;
use elbow_tests::config::{alb, file, fixed, forward, group, listener, rule};
use elbow_tests::elbow::log_fields;
use elbow_tests::identity::OidcProvider;
use elbow_tests::target::ok;
use elbow_tests::{Ca, Elbow, Request, Target, TempDir, address};
use serde_json::{Value, json};

/// What the target answers: the fields of the user that it got.
pub(crate) fn echo(request: &Request) -> Vec<u8> {
    let fields = ["identity", "accesstoken", "data"];
    let values = fields.map(|name| (name, request.header(&format!("x-amzn-oidc-{name}"))));
    let values: serde_json::Map<String, Value> = values
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), json!(value?))))
        .collect();
    ok(&Value::from(values).to_string())
}

/// An ALB in front of a target, whose rules authenticate users of a provider.
pub(crate) struct Site {
    pub(crate) elbow: Elbow,
    pub(crate) ip: Ipv4Addr,
    pub(crate) provider: OidcProvider,
    pub(crate) target: Target,
    pub(crate) config: Value,
}

impl Site {
    /// `None`: the provider cannot be started, and the test is skipped.
    pub(crate) fn start(change: impl Fn(&mut Value)) -> Option<Self> {
        Self::start_with(change, &[])
    }

    /// Like [`Self::start`], with variables of the provider's environment.
    pub(crate) fn start_with(
        change: impl Fn(&mut Value),
        environment: &[(&str, &str)],
    ) -> Option<Self> {
        let action = |issuer: &str, on_unauthenticated: &str| {
            let mut config = json!({
                "issuer": issuer,
                "authorizationEndpoint": format!("{issuer}/auth"),
                "tokenEndpoint": format!("{issuer}/token"),
                "userInfoEndpoint": format!("{issuer}/me"),
                "clientID": "alb-basic",
                "clientSecret": "alb-secret",
                "scope": "openid email profile",
                "onUnauthenticatedRequest": on_unauthenticated,
                "authenticationRequestExtraParams": {"ui_locales": "de en"},
            });
            change(&mut config);
            json!({"type": "authenticate-oidc", "authenticateOIDCConfig": config})
        };
        Self::start_in(&action, environment, &|_| json!({}))
    }

    /// A site whose rules have `action`, made of the URL of the provider and of what they do with requests without a
    /// session. `described` is the environment file, made of that URL.
    pub(crate) fn start_in(
        action: &dyn Fn(&str, &str) -> Value,
        environment: &[(&str, &str)],
        described: &dyn Fn(&str) -> Value,
    ) -> Option<Self> {
        let ip = address();
        let redirect = format!("https://{ip}:8443/oauth2/idpresponse");
        let provider = OidcProvider::start(Ca::new(), &[redirect], environment)?;
        let target = Target::http(echo);
        let dir = TempDir::new();
        provider.ca().leaf(&[&ip.to_string()]).write(&dir, "main");
        let mut rules = Vec::new();
        for (priority, name) in (1..).zip(["deny", "allow", "authenticate"]) {
            let path = format!("/{name}*");
            let mut rule = rule(priority, "path-pattern", &path, &forward("web"));
            rule["actions"] = json!([action(&provider.url(), name), forward("web")]);
            rules.push(rule);
        }
        let mut listener = listener(8443, "HTTPS", &fixed(404, "default"));
        listener["rules"] = json!(rules);
        listener["certificates"] = json!(["main"]);
        listener["sslPolicy"] = json!("ELBSecurityPolicy-TLS13-1-2-Res-2021-06");
        let mut config = file(
            &[alb("alb", ip, &[listener])],
            &[group("web", "HTTP", &[target.addr()])],
        );
        config["certificates"] =
            json!([{"name": "main", "certificateFile": "main.pem", "privateKeyFile": "main.key"}]);
        let described = dir.write("environment.yaml", described(&provider.url()).to_string());
        let args = ["--environment", described.to_str().unwrap()];
        let elbow = Elbow::run_trusting(dir, &config, provider.ca(), &args);
        elbow.wait_for_state("web", target.addr(), "healthy");
        Some(Self {
            elbow,
            ip,
            provider,
            target,
            config,
        })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}:8443{path}", self.ip)
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.provider.ca())
    }

    pub(crate) fn host(&self) -> String {
        self.ip.to_string()
    }

    /// Status, `actions_executed` and `error_reason` of the requests in the access log.
    pub(crate) fn log(&self, n: usize) -> Vec<(String, String, String)> {
        let log = self.elbow.access_log(n);
        let fields = log.iter().map(|line| log_fields(line));
        fields
            .map(|f| (f[8].clone(), f[22].clone(), f[24].clone()))
            .collect()
    }
}
