//! The API server's answer to a manifest, as `kubectl apply --dry-run=server` gets it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use elbow_schema::Cursor;
use elbow_tests::Client;
use elbow_tests::certificates::client_that_trusts;
use elbow_tests::cluster::Access;
use elbow_yaml::{Limits, parse_all};
use rustls::ClientConfig;
use serde_json::Value;

use crate::faults::Variant;

/// What the API server says of a manifest.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Accepted,
    Refused {
        /// Its message.
        message: String,
        /// The fields that it names.
        fields: Vec<String>,
    },
}

impl Answer {
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// The message of a refusal.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Accepted => "",
            Self::Refused { message, .. } => message,
        }
    }

    fn refused(message: impl Into<String>) -> Self {
        let (message, fields) = (message.into(), Vec::new());
        Self::Refused { message, fields }
    }
}

/// An API server, reached without kubectl.
pub(crate) struct Server {
    address: SocketAddr,
    token: String,
    config: Arc<ClientConfig>,
    /// By API version and kind: the resource, and whether it has namespaces.
    resources: BTreeMap<(String, String), (String, bool)>,
}

/// Parts of the messages of refusals that the API server calls internal errors.
const INTERNAL: [&str; 2] = [
    "reserved key was not removed",
    "failed to allocate requested HealthCheck NodePort",
];

/// Requests at a time.
const CONNECTIONS: usize = 8;

impl Server {
    pub(crate) fn new(access: &Access) -> Self {
        let kubeconfig = fs::read_to_string(access.kubeconfig()).unwrap();
        let between = |start: &str, end: char| {
            let (_, rest) = kubeconfig.split_once(start).unwrap();
            rest.split(end).next().unwrap().trim().to_owned()
        };
        let port = between("https://127.0.0.1:", '"').parse().unwrap();
        let authority = fs::read(between("certificate-authority:", '}')).unwrap();
        Self {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            token: between("token: \"", '"'),
            config: client_that_trusts(&authority),
            resources: resources(access),
        }
    }

    /// The answers to all manifests, in their order.
    pub(crate) fn ask_all(&self, variants: &[Variant]) -> Vec<Answer> {
        let next = AtomicUsize::new(0);
        let answers = Mutex::new(vec![None; variants.len()]);
        thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| {
                    let mut client = Client::tls(self.address, "localhost", &self.config).unwrap();
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(variant) = variants.get(index) else {
                            return;
                        };
                        let answer = self.ask(&mut client, variant);
                        answers.lock().unwrap()[index] = Some(answer);
                    }
                });
            }
        });
        let answers = answers.into_inner().unwrap();
        answers.into_iter().map(Option::unwrap).collect()
    }

    fn ask(&self, client: &mut Client, variant: &Variant) -> Answer {
        let path = match self.path(&variant.yaml) {
            Ok(path) => path,
            Err(refusal) => return refusal,
        };
        let body = &variant.yaml;
        let mut request = format!(
            "POST {path}?dryRun=All&fieldValidation=Strict&fieldManager=kubectl-client-side-apply HTTP/1.1\r\n"
        );
        write!(
            request,
            "Host: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/yaml\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        )
        .unwrap();
        let response = client.ask(request);
        if response.status == 201 {
            return Answer::Accepted;
        }
        let status: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let message = status["message"].as_str().unwrap_or_default();
        let is_known = INTERNAL.iter().any(|part| message.contains(part));
        assert!(
            response.status < 500 || is_known,
            "{}: {} {message}\n{body}",
            variant.name(),
            response.status
        );
        let causes = status["details"]["causes"].as_array();
        let fields = causes
            .into_iter()
            .flatten()
            .filter_map(|cause| cause["field"].as_str())
            // That rules were not checked, since the object was invalid.
            .filter(|field| *field != "<nil>");
        Answer::Refused {
            message: message.to_owned(),
            fields: fields.map(str::to_owned).collect(),
        }
    }

    /// Where kubectl sends a manifest, or why it does not.
    fn path(&self, yaml: &str) -> Result<String, Answer> {
        let (documents, _) = parse_all(yaml, Limits::OBJECTS);
        let Some(root) = documents.first().map(Cursor::root) else {
            return Err(Answer::refused("kubectl: no objects passed to apply"));
        };
        let text = |of: &Cursor<'_>, field: &str| of.text_of(field).unwrap_or_default().to_owned();
        let head = (text(&root, "apiVersion"), text(&root, "kind"));
        let Some((resource, is_namespaced)) = self.resources.get(&head) else {
            return Err(Answer::refused(format!("no matches for kind {head:?}")));
        };
        let metadata = root.get("metadata");
        if text(&metadata, "name").is_empty() {
            return Err(Answer::refused("kubectl: resource name may not be empty"));
        }
        let prefix = if head.0.contains('/') { "apis" } else { "api" };
        let namespace = text(&metadata, "namespace");
        let namespace = if namespace.is_empty() {
            "default".to_owned()
        } else {
            escape(&namespace)
        };
        Ok(if *is_namespaced {
            format!("/{prefix}/{}/namespaces/{namespace}/{resource}", head.0)
        } else {
            format!("/{prefix}/{}/{resource}", head.0)
        })
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").unwrap();
        }
    }
    escaped
}

fn resources(access: &Access) -> BTreeMap<(String, String), (String, bool)> {
    let table = access.ask(&["api-resources", "--no-headers"]);
    let mut found = BTreeMap::new();
    for line in table.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, .., version, is_namespaced, kind] = *words else {
            continue;
        };
        let key = (version.to_owned(), kind.to_owned());
        found.insert(key, (name.to_owned(), is_namespaced == "true"));
    }
    found
}
