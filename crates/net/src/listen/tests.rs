use std::cell::{Cell, RefCell};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

use super::{Locality, accept, bind, is_connection_error};
use crate::Worker;
use crate::testing::{settle, soon};

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[tokio::test]
async fn workers_share_an_address() {
    let first = bind(any(), Locality::Assigned).unwrap();
    let second = bind(first.local_addr().unwrap(), Locality::Assigned).unwrap();
    assert_eq!(first.local_addr().unwrap(), second.local_addr().unwrap());
}

#[tokio::test]
async fn ipv6_listener_does_not_accept_ipv4() {
    let v6 = bind("[::]:0".parse().unwrap(), Locality::Assigned).unwrap();
    let port = v6.local_addr().unwrap().port();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    assert!(TcpStream::connect(("::1", port)).await.is_ok());
}

#[test]
fn accepts_with_nodelay_until_it_drains() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let worker = Worker::new(0);
        let listener = TcpListener::from_std(bind(any(), Locality::Assigned).unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Rc::new(RefCell::new(Vec::new()));
        let (of_task, into) = (Rc::clone(&worker), Rc::clone(&accepted));
        let accepting = spawn_local(async move {
            let on = |stream: TcpStream, peer| into.borrow_mut().push((stream, peer));
            accept(&listener, &of_task, on, |e| panic!("{e}")).await;
        });
        let mut clients = Vec::new();
        // More than one batch.
        for _ in 0..50 {
            clients.push(soon(TcpStream::connect(address)).await.unwrap());
        }
        let all = async {
            while accepted.borrow().len() < 50 {
                tokio::task::yield_now().await;
            }
        };
        soon(all).await;
        let (mut stream, peer) = accepted.borrow_mut().remove(0);
        assert!(stream.nodelay().unwrap());
        let client = clients
            .iter_mut()
            .find(|c| c.local_addr().unwrap() == peer)
            .unwrap();
        client.write_all(b"x").await.unwrap();
        assert_eq!(soon(stream.read_u8()).await.unwrap(), b'x');

        // Queued when the worker drains, and still accepted.
        let queued = std::net::TcpStream::connect(address).unwrap();
        worker.drain();
        soon(accepting).await.unwrap();
        let last = accepted.borrow().last().unwrap().1;
        assert_eq!(last, queued.local_addr().unwrap());
        assert!(
            TcpStream::connect(address).await.is_err(),
            "the listener is closed"
        );
    });
}

#[test]
fn connection_error_is_not_a_listener_error() {
    let of = |errno: rustix::io::Errno| is_connection_error(&errno.into());
    assert!(of(rustix::io::Errno::CONNABORTED));
    assert!(!of(rustix::io::Errno::MFILE));
    assert!(!of(rustix::io::Errno::NFILE));
    assert!(!of(rustix::io::Errno::NOBUFS));
    assert!(!of(rustix::io::Errno::NOMEM));
}

#[test]
fn backs_off_when_the_listener_fails_and_then_continues() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let worker = Worker::new(0);
        let listener = bind(any(), Locality::Assigned).unwrap();
        // Accept fails on a socket that does not listen, until it listens again.
        let again = SockRef::from(&listener).try_clone().unwrap();
        again.shutdown(Shutdown::Both).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let (failures, accepted) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let of_task = Rc::clone(&worker);
        let (failing, accepting) = (Rc::clone(&failures), Rc::clone(&accepted));
        spawn_local(async move {
            let on = |_, _| accepting.set(accepting.get() + 1);
            accept(&listener, &of_task, on, |_| failing.set(failing.get() + 1)).await;
        });
        let first = async {
            while failures.get() == 0 {
                tokio::task::yield_now().await;
            }
        };
        soon(first).await;
        settle().await;
        assert_eq!(failures.get(), 1, "one attempt per back-off");
        worker.timers.advance(2);
        settle().await;
        assert_eq!(failures.get(), 2);
        again.listen(1).unwrap();
        let address = again.local_addr().unwrap().as_socket().unwrap();
        let _client = soon(TcpStream::connect(address)).await.unwrap();
        settle().await;
        assert_eq!(accepted.get(), 0, "still backing off");
        worker.timers.advance(4);
        let taken = async {
            while accepted.get() == 0 {
                tokio::task::yield_now().await;
            }
        };
        soon(taken).await;
        assert_eq!(failures.get(), 2);
    });
}
