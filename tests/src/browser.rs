//! A user with a browser: keeps cookies, follows redirects and fills in the login form of [`OidcProvider`].
//!
//! [`OidcProvider`]: crate::identity::OidcProvider

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;

use crate::{Ca, Client, Response};

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 20;

/// A browser that trusts one authority. Hosts of its URLs are IPv4 addresses or `localhost`.
pub struct Browser {
    tls: Arc<ClientConfig>,
    /// By host and name.
    cookies: BTreeMap<(String, String), String>,
    /// The URLs that it asked for.
    pub visited: Vec<String>,
}

/// A page, and where it is from.
#[derive(Debug)]
pub struct Page {
    /// Its URL.
    pub url: String,
    /// The response.
    pub response: Response,
}

impl Browser {
    /// A browser without cookies.
    pub fn new(ca: &Ca) -> Self {
        Self::with(ca.client(&[]))
    }

    /// A browser without cookies that makes connections like this.
    pub fn with(tls: Arc<ClientConfig>) -> Self {
        Self {
            tls,
            cookies: BTreeMap::new(),
            visited: Vec::new(),
        }
    }

    /// The page at `url`, without following redirects.
    pub fn get(&mut self, url: &str) -> Response {
        self.ask("GET", url, "")
    }

    /// The page at `url`, wherever redirects lead.
    pub fn open(&mut self, url: &str) -> Page {
        let response = self.get(url);
        self.follow(url, response)
    }

    /// The page that a form sent to `url` leads to.
    pub fn post(&mut self, url: &str, form: &str) -> Page {
        let response = self.ask("POST", url, form);
        self.follow(url, response)
    }

    /// Opens `url`, and logs in as `user` where the provider asks for it; returns the page that it gets to.
    pub fn log_in(&mut self, url: &str, user: &str) -> Page {
        let mut page = self.open(url);
        while let Some(action) = action(&page.response.text()) {
            let asks_for_name = page.response.text().contains("name=\"login\"");
            let form = if asks_for_name {
                format!("prompt=login&login={user}&password=secret")
            } else {
                "prompt=consent".to_owned()
            };
            let target = resolve(&page.url, &action);
            page = self.post(&target, &form);
        }
        page
    }

    /// The cookies of a host whose names start with `start`.
    pub fn cookies(&self, host: &str, start: &str) -> Vec<(String, String)> {
        let of_host = self.cookies.iter().filter(|((of, _), _)| of == host);
        of_host
            .filter(|((_, name), _)| name.starts_with(start))
            .map(|((_, name), value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Gives a cookie another value.
    pub fn set_cookie(&mut self, host: &str, name: &str, value: &str) {
        let key = (host.to_owned(), name.to_owned());
        self.cookies.insert(key, value.to_owned());
    }

    fn follow(&mut self, url: &str, mut response: Response) -> Page {
        let mut url = url.to_owned();
        for _ in 0..MAX_REDIRECTS {
            let is_redirect = matches!(response.status, 302 | 303);
            let Some(location) = response.header("location").filter(|_| is_redirect) else {
                return Page { url, response };
            };
            url = resolve(&url, location);
            response = self.get(&url);
        }
        panic!("more than {MAX_REDIRECTS} redirects; the last one leads to {url}");
    }

    fn ask(&mut self, method: &str, url: &str, form: &str) -> Response {
        self.visited.push(url.to_owned());
        let (authority, path) = split(url);
        let socket = authority.replace("localhost", "127.0.0.1");
        let address: SocketAddr = socket.parse().unwrap_or_else(|e| panic!("{url}: {e}"));
        let (host, _) = authority.rsplit_once(':').unwrap();
        let host = host.to_owned();
        let cookies: Vec<String> = self
            .cookies(&host, "")
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\n");
        if !cookies.is_empty() {
            request += &format!("Cookie: {}\r\n", cookies.join("; "));
        }
        if method == "POST" {
            request += &format!(
                "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
                form.len()
            );
        }
        request += &format!("\r\n{form}");
        let mut client = Client::tls(address, &host, &self.tls).unwrap();
        let response = client.send(request).try_response(method).unwrap();
        for value in set_cookies(&response) {
            let (pair, attributes) = value.split_once(';').unwrap_or((&value, ""));
            let (name, value) = pair.split_once('=').unwrap();
            let key = (host.clone(), name.to_owned());
            if attributes.contains("1970") {
                self.cookies.remove(&key);
            } else {
                self.cookies.insert(key, value.to_owned());
            }
        }
        response
    }
}

/// The values of Set-Cookie.
pub fn set_cookies(response: &Response) -> Vec<String> {
    let lines = response
        .head
        .lines()
        .filter_map(|line| line.split_once(": "));
    lines
        .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
        .map(|(_, value)| value.to_owned())
        .collect()
}

/// The authority and the rest of a URL.
fn split(url: &str) -> (&str, &str) {
    let rest = url
        .strip_prefix("https://")
        .unwrap_or_else(|| panic!("{url} is not HTTPS"));
    match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    }
}

/// `location` as seen from `base`.
fn resolve(base: &str, location: &str) -> String {
    if location.starts_with('/') {
        return format!("https://{}{location}", split(base).0);
    }
    location.to_owned()
}

/// Where the form of a page leads to.
fn action(page: &str) -> Option<String> {
    let (_, rest) = page.split_once("action=\"")?;
    Some(rest.split_once('"')?.0.replace("&amp;", "&"))
}
