//! Which pooled connections to a target serve the next request.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use elbow_balance::Group;
use elbow_http::Listener;
use elbow_model::{Action, Forward, LoadBalancerAttributes, Protocol};
use elbow_net::{Connect, ConnectError, TcpConnector, Transport};
use tokio::net::TcpStream;

use crate::kit::{Alb, Pod, ask, listener, run};

/// Always connects in clear, and records the transports asked for.
struct Connector {
    tcp: TcpConnector,
    /// Identifies the TLS settings of a connection.
    originator: Cell<u64>,
    opened: RefCell<Vec<Transport>>,
}

impl Connect for Connector {
    type Io = TcpStream;

    fn transport(&self, tls: bool) -> Transport {
        if tls {
            Transport::tls(self.originator.get())
        } else {
            Transport::CLEAR
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
    // A target outlives a change of its group.
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
        let context = alb.context_with(&connector, move || Arc::clone(&in_force.borrow()));
        let request = async || assert!(ask(&context).await.ends_with("\r\n\r\nok"));
        let (clear, first, second) = (Transport::CLEAR, Transport::tls(1), Transport::tls(2));
        request().await;
        request().await;
        assert_eq!(*connector.opened.borrow(), [clear]);
        // The group changes from HTTP to HTTPS.
        *current.borrow_mut() = listening(&alb, Protocol::Https);
        request().await;
        request().await;
        assert_eq!(*connector.opened.borrow(), [clear, first]);
        // A listener with another TLS policy forwards to it.
        connector.originator.set(2);
        request().await;
        assert_eq!(*connector.opened.borrow(), [clear, first, second]);
        // And back.
        *current.borrow_mut() = listening(&alb, Protocol::Http);
        request().await;
        assert_eq!(connector.opened.borrow().len(), 3);
    });
}
