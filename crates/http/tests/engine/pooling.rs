//! Which open connections to a target serve the next request.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use elbow_balance::Group;
use elbow_http::{Context, Listener};
use elbow_model::{Action, Forward, LoadBalancerAttributes, Protocol};
use elbow_net::{ConnMeta, Connect, ConnectError, TcpConnector, Transport};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use crate::kit::{Alb, Pod, listener, read_to_end, run};

/// Connects in clear whatever is asked for, and notes what was.
struct Connector {
    tcp: TcpConnector,
    /// What makes the TLS of a connection.
    originator: Cell<u64>,
    opened: RefCell<Vec<Transport>>,
}

impl Connect for Connector {
    type Io = TcpStream;

    fn transport(&self, tls: bool) -> Transport {
        match tls {
            true => Transport::tls(self.originator.get()),
            false => Transport::CLEAR,
        }
    }

    async fn connect_with(
        &self,
        target: SocketAddr,
        tls: bool,
        preface: &[u8],
    ) -> Result<TcpStream, ConnectError> {
        self.opened.borrow_mut().push(self.transport(tls));
        self.tcp.connect_with(target, false, preface).await
    }
}

fn listening(alb: &Alb, protocol: Protocol) -> Arc<Listener> {
    let mut config = (*alb.group.config).clone();
    config.protocol = protocol;
    // Targets that stay outlive a change of their group.
    let group = Group::new(Arc::new(config), alb.group.targets.clone(), 1);
    let forward = Action::Forward(Forward::to("pods".into()));
    let attributes = LoadBalancerAttributes::default();
    Arc::new(listener(attributes, forward, &Arc::new(group)))
}

#[test]
fn a_connection_serves_only_requests_of_the_same_transport() {
    run(async {
        let pod = Pod::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        let alb = Alb::with_defaults(pod.address).await;
        let current = Rc::new(RefCell::new(listening(&alb, Protocol::Http)));
        let in_force = Rc::clone(&current);
        let connector = Rc::new(Connector {
            tcp: TcpConnector {
                timeout: Duration::from_secs(10),
            },
            originator: Cell::new(1),
            opened: RefCell::default(),
        });
        let context = Rc::new(Context {
            worker: Rc::clone(&alb.worker),
            connector: Rc::clone(&connector),
            pools: Rc::clone(&alb.pools),
            listener: Rc::new(move || Arc::clone(&in_force.borrow())),
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
            assert!(read_to_end(&mut client).await.ends_with("\r\n\r\nok"));
        };
        let (clear, first, second) = (Transport::CLEAR, Transport::tls(1), Transport::tls(2));
        request().await;
        request().await;
        assert_eq!(*connector.opened.borrow(), [clear]);
        // The group goes from HTTP to HTTPS.
        *current.borrow_mut() = listening(&alb, Protocol::Https);
        request().await;
        request().await;
        assert_eq!(*connector.opened.borrow(), [clear, first]);
        // Another listener forwards to it, with a policy that has no TLS 1.3.
        connector.originator.set(2);
        request().await;
        assert_eq!(*connector.opened.borrow(), [clear, first, second]);
        // And back.
        *current.borrow_mut() = listening(&alb, Protocol::Http);
        request().await;
        assert_eq!(connector.opened.borrow().len(), 3);
    });
}
