//! Connects to targets that fail because elbow has no descriptor, port or memory left.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use elbow_model::{Action, Forward, LoadBalancerAttributes};
use elbow_net::{Connect, ConnectError, ConnectErrorKind, Resource, TcpConnector};
use tokio::net::TcpStream;

use crate::kit::{Alb, Pod, ask, error_page, listener, run};

/// Lacks a resource at first, and connects later.
struct Connector {
    tcp: TcpConnector,
    exhausted: Cell<Option<Resource>>,
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
        match self.exhausted.get() {
            Some(exhausted) => Err(ConnectError {
                kind: ConnectErrorKind::Exhausted(exhausted),
                source: None,
            }),
            None => self.tcp.connect_with(target, tls, preface).await,
        }
    }
}

#[test]
fn exhausted_resources_are_503_and_blame_no_target() {
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
            exhausted: Cell::new(None),
            asked: Cell::new(0),
        });
        let context = alb.context_with(&connector, move || Arc::clone(&in_force));
        for exhausted in [Resource::OpenFiles, Resource::LocalPorts, Resource::Memory] {
            connector.exhausted.set(Some(exhausted));
            let page = error_page(503, "Service Temporarily Unavailable", true);
            assert_eq!(ask(&context).await, page, "{exhausted}");
        }
        assert_eq!(connector.asked.get(), 3, "another target would not help");
        let cells = alb.metrics.worker(0);
        assert_eq!(cells.elb_responses.get(503), 3);
        assert_eq!(cells.connect_errors.get(), 0);
        connector.exhausted.set(None);
        assert!(ask(&context).await.starts_with("HTTP/1.1 200 OK\r\n"));
    });
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
