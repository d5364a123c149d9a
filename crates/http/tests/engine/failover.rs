//! Connections that targets refuse, before any byte is sent.

use elbow_model::LoadBalancerAttributes;
use tokio::net::TcpListener;

use crate::forwarding::{OK, OK_CLOSED};
use crate::kit::{Alb, Pod, error_page, run};

const GET_LAST: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/// An address that refuses connections.
async fn nobody() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

// `elbow.connect_failover.enabled`, on by default.
#[test]
fn a_refused_request_goes_to_the_next_target_once() {
    run(async {
        let pod = Pod::answering(OK).await;
        let targets = [nobody().await, nobody().await, pod.address];
        let alb = Alb::new(&targets, LoadBalancerAttributes::default()).await;
        for _ in 0..4 {
            assert_eq!(alb.talk(GET_LAST).await, OK_CLOSED);
        }
        assert_eq!(pod.seen().len(), 4);
        assert!(alb.metrics.worker(0).connect_errors.get() >= 4);
        let in_flight: u32 = alb.group.targets.iter().map(|t| t.in_flight()).sum();
        assert_eq!(in_flight, 0);
    });
}

// Parity check 2: 502 at once when no target is left.
#[test]
fn when_every_target_refuses_it_is_502() {
    run(async {
        let targets = [nobody().await, nobody().await];
        let alb = Alb::new(&targets, LoadBalancerAttributes::default()).await;
        assert_eq!(
            alb.talk(GET_LAST).await,
            error_page(502, "Bad Gateway", true)
        );
        assert_eq!(alb.metrics.worker(0).connect_errors.get(), 2);
    });
}
