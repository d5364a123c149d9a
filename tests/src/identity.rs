//! Identity providers: keys that sign tokens, and the npm package `oidc-provider`.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize, SigningKey};
use serde_json::{Value, json};

use crate::command::{Running, stdout};
use crate::tools::{find, folder, repository, skipped};
use crate::{Ca, Client, Response, TempDir, address, client, wait};

/// The port of an [`OidcProvider`].
const PORT: u16 = 18557;

/// Signs tokens as an issuer does.
pub struct Signer(KeyPair);

impl Signer {
    /// A signer with a fresh RSA key of 2,048 bits.
    pub fn new() -> Self {
        Self(KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap())
    }

    /// Its public key as a set of keys; `id` is the name of the key.
    pub fn keys(&self, id: &str) -> Value {
        // An RSAPublicKey in DER: nine bytes of headers, the modulus, and the exponent 65537.
        let modulus = &self.0.public_key_raw()[9..265];
        json!({"keys": [{"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256",
            "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB"}]})
    }

    /// A token with these claims, signed with RS256.
    pub fn token(&self, id: &str, claims: &Value) -> String {
        let header = json!({"alg": "RS256", "kid": id}).to_string();
        let part = |text: String| URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", part(header), part(claims.to_string()));
        let signature = self.0.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

impl Default for Signer {
    fn default() -> Self {
        Self::new()
    }
}

/// A running `oidc-provider`, on its own address.
pub struct OidcProvider {
    ip: Ipv4Addr,
    ca: Ca,
    _running: Running,
    _dir: TempDir,
}

impl OidcProvider {
    /// Starts it with a certificate of `ca`, for clients that return to one of `redirects`. Without node, npm or the
    /// package the running test is skipped.
    pub fn start(ca: Ca, redirects: &[String], environment: &[(&str, &str)]) -> Option<Self> {
        let (node, modules) = (find("node"), modules());
        let (Some(node), Some(modules)) = (node, modules) else {
            skipped("node, npm and tests/identity/install.sh");
            return None;
        };
        let ip = address();
        let dir = TempDir::new();
        let (certificate, key) = ca.leaf(&[&ip.to_string()]).write(&dir, "provider");
        let mut command = Command::new(node);
        command
            .arg(modules.join("provider.mjs"))
            .args([certificate, key])
            .args([PORT.to_string(), ip.to_string()])
            .env("NODE_NO_WARNINGS", "1")
            .env("REDIRECT_URIS", redirects.join(","))
            .envs(environment.iter().copied());
        let running = Running::start(&mut command);
        // It generates a key of RSA first, which may take many attempts.
        let line = running.line_within(wait::TIMEOUT * 2);
        assert!(line.starts_with("ready "), "{line}");
        Some(Self {
            ip,
            ca,
            _running: running,
            _dir: dir,
        })
    }

    /// The start of its URLs, and its issuer unless its environment names another.
    pub fn url(&self) -> String {
        format!("https://{}:{PORT}", self.ip)
    }

    /// The authority of its certificate.
    pub fn ca(&self) -> &Ca {
        &self.ca
    }

    /// Sends a request and reads its response.
    pub fn ask(&self, request: impl AsRef<[u8]>) -> Response {
        let ip = self.ip.to_string();
        let client = Client::tls((self.ip, PORT), &ip, &self.ca.client(&[]));
        client.unwrap().ask(request)
    }

    /// The answer to a form that is posted with these credentials, as JSON.
    pub fn post(&self, path: &str, credentials: &str, form: &str) -> Value {
        let basic = base64::engine::general_purpose::STANDARD.encode(credentials);
        let more = format!(
            "Authorization: Basic {basic}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        let host = format!("{}:{PORT}", self.ip);
        let request = client::get(&host, path).replacen("GET", "POST", 1);
        let response = self.ask(request.replace("\r\n\r\n", "\r\n") + &more);
        assert_eq!(response.status, 200, "{}", response.text());
        serde_json::from_slice(&response.body).unwrap()
    }

    /// Makes the next answer at `path` this one.
    pub fn fail_once(&self, path: &str, status: u16, body: &str) {
        let fault = json!({"path": path, "status": status, "body": body}).to_string();
        let host = format!("{}:{PORT}", self.ip);
        let request = client::get(&host, "/_test/fault").replacen("GET", "POST", 1);
        let more = format!("\r\nContent-Length: {}\r\n\r\n{fault}", fault.len());
        let response = self.ask(request.replace("\r\n\r\n", &more));
        assert_eq!(response.status, 200, "{}", response.text());
    }

    /// The requests to `path`, its token or user-info endpoint: how the client authenticated and what it sent.
    pub fn log(&self, path: &str) -> Vec<Value> {
        let host = format!("{}:{PORT}", self.ip);
        let shown = self.ask(client::get(&host, "/_test/log"));
        let all: Vec<Value> = serde_json::from_slice(&shown.body).unwrap();
        all.into_iter().filter(|one| one["path"] == path).collect()
    }

    /// Changes its keys; the ones before stay published.
    pub fn rotate(&self) {
        let host = format!("{}:{PORT}", self.ip);
        let request = client::get(&host, "/_test/rotate").replacen("GET", "POST", 1);
        let length = "\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(self.ask(request.replace("\r\n\r\n", length)).status, 200);
    }
}

/// The folder with `provider.mjs` beside its `node_modules`, installed by the first test that needs it.
fn modules() -> Option<PathBuf> {
    find("npm")?;
    let home = folder().join("identity");
    std::fs::create_dir_all(&home).ok()?;
    let lock = File::create(home.join("lock")).ok()?;
    lock.lock().ok()?;
    let mut install = Command::new(repository().join("tests/identity/install.sh"));
    install.arg(&home);
    let installed = install.output().ok()?.status.success();
    installed.then_some(home)
}

/// The header of a token, without a check of its signature.
pub fn header(token: &str) -> Value {
    part(token, 0)
}

/// The claims of a token, without a check of its signature.
pub fn claims(token: &str) -> Value {
    part(token, 1)
}

fn part(token: &str, at: usize) -> Value {
    let part = token.split('.').nth(at).unwrap().trim_end_matches('=');
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// Seconds since the epoch, by the clock of `date`.
pub fn now() -> u64 {
    stdout(Command::new("date").arg("+%s"))
        .trim()
        .parse()
        .unwrap()
}
