//! A fake API server that shows on demand what a real one does rarely: it expires watches, cuts connections, returns stale lists.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// The page size of lists, whatever the client asks for.
const PAGE: usize = 2;

/// A running fake API server.
pub(crate) struct FakeApi {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: Option<JoinSet<()>>,
}

/// Its objects, and how it behaves.
#[derive(Default)]
pub(crate) struct State {
    version: u64,
    /// By plural, then by namespace and name.
    objects: BTreeMap<String, BTreeMap<(String, String), Value>>,
    /// Watches from before this version have expired.
    pub(crate) forgotten: u64,
    /// Whether an expired watch gets an error event instead of an error status.
    pub(crate) expires_by_event: bool,
    /// Whether it supports streaming lists.
    pub(crate) streams: bool,
    /// Plurals that may not be read.
    pub(crate) forbidden: BTreeSet<String>,
    /// Plurals that do not exist.
    pub(crate) absent: BTreeSet<String>,
    /// Plurals with lists that are not answered.
    pub(crate) stuck: BTreeSet<String>,
    /// Stale lists: their number, the plural of the kind, the version and the objects.
    pub(crate) stale: Option<(u32, String, u64, Vec<Value>)>,
    /// Path and query of all requests.
    pub(crate) asked: Vec<String>,
    log: Vec<(u64, String, Value)>,
    watches: Vec<(String, mpsc::UnboundedSender<Bytes>)>,
}

impl FakeApi {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            streams: true,
            version: 100,
            ..State::default()
        }));
        let mut api = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            state,
            serving: None,
        };
        api.come_back();
        api
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Stops listening, and cuts every connection.
    pub(crate) async fn go_away(&mut self) {
        if let Some(mut serving) = self.serving.take() {
            serving.shutdown().await;
        }
        self.state().watches.clear();
    }

    /// Listens again on the same address.
    pub(crate) fn come_back(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        let listener = socket.listen(64).unwrap();
        self.address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&self.state)));
        self.serving = Some(serving);
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(|request| {
                let state = Arc::clone(&state);
                async move { Ok::<_, Infallible>(answer(&request, &state).await) }
            });
            let http = hyper::server::conn::http1::Builder::new();
            // The client may close the connection at any time.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl State {
    /// Creates or changes an object.
    pub(crate) fn set(&mut self, plural: &str, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let objects = self.objects.entry(plural.to_owned()).or_default();
        let kind = match objects.insert(key(&object), object.clone()) {
            Some(_) => "MODIFIED",
            None => "ADDED",
        };
        self.send(plural, json!({"type": kind, "object": object}));
    }

    /// Deletes an object.
    pub(crate) fn remove(&mut self, plural: &str, namespace: &str, name: &str) {
        self.version += 1;
        let key = (namespace.to_owned(), name.to_owned());
        let mut object = self.objects.get_mut(plural).unwrap().remove(&key).unwrap();
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.send(plural, json!({"type": "DELETED", "object": object}));
    }

    /// Sends a bookmark with a new version to all watches of the kind.
    pub(crate) fn bookmark(&mut self, plural: &str) {
        self.version += 1;
        let version = self.version.to_string();
        let event =
            json!({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": version}}});
        self.raw(plural, &event.to_string());
    }

    fn send(&mut self, plural: &str, event: Value) {
        self.raw(plural, &event.to_string());
        self.log.push((self.version, plural.to_owned(), event));
    }

    /// Sends a line to the watches of the kind.
    pub(crate) fn raw(&mut self, plural: &str, line: &str) {
        let line = Bytes::from(format!("{line}\n"));
        self.watches
            .retain(|(kind, watch)| kind != plural || watch.send(line.clone()).is_ok());
    }

    /// Ends the watches of the kind.
    pub(crate) fn cut(&mut self, plural: &str) {
        self.watches.retain(|(kind, _)| kind != plural);
    }

    /// Cuts the watches of the kind, and expires all earlier versions.
    pub(crate) fn forget(&mut self, plural: &str) {
        self.version += 10;
        self.forgotten = self.version;
        self.cut(plural);
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The number of requests for `plural` with `part` in the query.
    pub(crate) fn count(&self, plural: &str, part: &str) -> usize {
        let asked = self.asked.iter().filter(|asked| {
            let (path, query) = asked.split_once('?').unwrap_or((asked, ""));
            path.ends_with(&format!("/{plural}")) && query.contains(part)
        });
        asked.count()
    }

    fn list(&mut self, plural: &str, query: &BTreeMap<String, String>) -> Answer {
        let stale = self.stale.take();
        if let Some((left, kind, version, items)) = stale {
            if kind == plural {
                if left > 1 {
                    self.stale = Some((left - 1, kind, version, items.clone()));
                }
                return list(version, &items, None);
            }
            self.stale = Some((left, kind, version, items));
        }
        let from: usize = query.get("continue").map_or(0, |c| c.parse().unwrap());
        let all = self
            .objects
            .get(plural)
            .into_iter()
            .flat_map(BTreeMap::values);
        let items: Vec<Value> = all.skip(from).take(PAGE).cloned().collect();
        let count = self.objects.get(plural).map_or(0, BTreeMap::len);
        let next = (from + PAGE < count).then_some(from + PAGE);
        list(self.version, &items, next)
    }

    fn watch(&mut self, plural: &str, query: &BTreeMap<String, String>) -> Answer {
        let (sender, lines) = mpsc::unbounded_channel();
        let send = |event: &Value| sender.send(Bytes::from(format!("{event}\n"))).unwrap();
        if query.contains_key("sendInitialEvents") {
            if !self.streams {
                return refuse(422, "sendInitialEvents is forbidden for watch");
            }
            for object in self
                .objects
                .get(plural)
                .into_iter()
                .flat_map(BTreeMap::values)
            {
                send(&json!({"type": "ADDED", "object": object}));
            }
            send(&json!({"type": "BOOKMARK", "object": {"metadata": {
                "resourceVersion": self.version.to_string(),
                "annotations": {"k8s.io/initial-events-end": "true"}}}}));
        } else {
            let from: u64 = query["resourceVersion"].parse().unwrap();
            if from < self.forgotten {
                let gone = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"});
                if !self.expires_by_event {
                    return refuse(410, "too old resource version");
                }
                send(&json!({"type": "ERROR", "object": gone}));
                return events(lines);
            }
            for (_, _, event) in self
                .log
                .iter()
                .filter(|(at, kind, _)| *at > from && kind == plural)
            {
                send(event);
            }
        }
        self.watches.push((plural.to_owned(), sender));
        events(lines)
    }
}

async fn answer(request: &Request<Incoming>, state: &Mutex<State>) -> Answer {
    let path = request.uri().path();
    let query = request.uri().query().unwrap_or_default();
    let plural = path.rsplit('/').next().unwrap_or_default().to_owned();
    let (stuck, answer) = {
        let mut state = state.lock().unwrap();
        state.asked.push(format!("{path}?{query}"));
        let answer = match path {
            "/version" => json_answer(200, &version()),
            _ if state.forbidden.contains(&plural) => refuse(403, "forbidden by RBAC"),
            _ if state.absent.contains(&plural) || request.method() != "GET" => {
                refuse(404, "404 page not found")
            }
            _ => {
                let query: BTreeMap<String, String> = pairs(query);
                if query.contains_key("watch") {
                    state.watch(&plural, &query)
                } else {
                    state.list(&plural, &query)
                }
            }
        };
        (state.stuck.contains(&plural), answer)
    };
    while stuck && state.lock().unwrap().stuck.contains(&plural) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    answer
}

fn pairs(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn version() -> Value {
    json!({"major": "1", "minor": "33", "gitVersion": "v1.33.0", "gitCommit": "", "gitTreeState": "", "buildDate": "",
        "goVersion": "", "compiler": "", "platform": ""})
}

fn list(version: u64, items: &[Value], next: Option<usize>) -> Answer {
    let next = next.map(|next| next.to_string());
    let metadata = json!({"resourceVersion": version.to_string(), "continue": next});
    json_answer(200, &json!({"metadata": metadata, "items": items}))
}

fn refuse(code: u16, message: &str) -> Answer {
    json_answer(
        code,
        &json!({"kind": "Status", "status": "Failure", "code": code, "message": message}),
    )
}

fn json_answer(code: u16, value: &Value) -> Answer {
    let body = Full::new(Bytes::from(value.to_string()));
    let mut answer = Response::new(body.boxed_unsync());
    *answer.status_mut() = code.try_into().unwrap();
    answer
}

fn events(lines: mpsc::UnboundedReceiver<Bytes>) -> Answer {
    Response::new(BodyExt::boxed_unsync(Frames(lines)))
}

fn key(object: &Value) -> (String, String) {
    let text = |field: &str| {
        object["metadata"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    (text("namespace"), text("name"))
}

/// The events of a watch; it ends when its sender is gone.
struct Frames(mpsc::UnboundedReceiver<Bytes>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.0.poll_recv(context);
        next.map(|bytes| bytes.map(Frame::data).map(Ok))
    }
}
