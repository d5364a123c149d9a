//! A connection to a target for which elbow has no descriptor, port or memory.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use elbow_http::Context;
use elbow_model::{Action, Forward, LoadBalancerAttributes};
use elbow_net::{ConnMeta, Connect, ConnectError, ConnectErrorKind, Lack, TcpConnector};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use crate::kit::{Alb, Pod, error_page, listener, read_to_end, run};

/// Lacks something at first, and connects later.
struct Connector {
    tcp: TcpConnector,
    lack: Cell<Option<Lack>>,
    asked: Cell<usize>,
}

impl Connect for Connector {
    type Io = TcpStream;

    async fn connect_with(
        &self,
        target: SocketAddr,
        tls: bool,
        preface: &[u8],
    ) -> Result<TcpStream, ConnectError> {
        self.asked.set(self.asked.get() + 1);
        match self.lack.get() {
            Some(lack) => Err(ConnectError {
                kind: ConnectErrorKind::Exhausted(lack),
                source: None,
            }),
            None => self.tcp.connect_with(target, tls, preface).await,
        }
    }
}

#[test]
fn what_elbow_lacks_is_503_and_no_target_is_blamed() {
    run(async {
        let (one, two) = (Pod::answering(OK).await, Pod::answering(OK).await);
        let targets = [one.address, two.address];
        let alb = Alb::new(&targets, LoadBalancerAttributes::default()).await;
        let forward = Action::Forward(Forward::to("pods".into()));
        let attributes = LoadBalancerAttributes::default();
        let in_force = Arc::new(listener(attributes, forward, &alb.group));
        let connector = Rc::new(Connector {
            tcp: TcpConnector {
                timeout: Duration::from_secs(10),
            },
            lack: Cell::new(None),
            asked: Cell::new(0),
        });
        let context = Rc::new(Context {
            worker: Rc::clone(&alb.worker),
            connector: Rc::clone(&connector),
            pools: Rc::clone(&alb.pools),
            listener: Rc::new(move || Arc::clone(&in_force)),
            metrics: Arc::clone(&alb.metrics),
            log: None,
        });
        let request = async || {
            let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let server = socket.local_addr().unwrap();
            let mut client = TcpStream::connect(server).await.unwrap();
            let (stream, peer) = socket.accept().await.unwrap();
            let meta = ConnMeta {
                client: peer,
                server,
                accepted: Instant::now(),
                tls: None,
            };
            spawn_local(elbow_http::serve(Rc::clone(&context), stream, meta));
            let head = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
            client.write_all(head).await.unwrap();
            read_to_end(&mut client).await
        };
        for lack in [Lack::OpenFiles, Lack::LocalPorts, Lack::Memory] {
            connector.lack.set(Some(lack));
            let page = error_page(503, "Service Temporarily Unavailable", true);
            assert_eq!(request().await, page, "{lack}");
        }
        assert_eq!(connector.asked.get(), 3, "another target would not help");
        let cells = alb.metrics.worker(0);
        assert_eq!(cells.elb_responses.get(503), 3);
        assert_eq!(cells.connect_errors.get(), 0);
        connector.lack.set(None);
        assert!(request().await.starts_with("HTTP/1.1 200 OK\r\n"));
    });
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
