use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use super::{bind, bind_alone, connect};
use crate::listen::Locality::Assigned;
use crate::source::Source;

/// Not one of 127.0.0.1, whose ports other tests take.
fn free_address() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 21, 0, 1), 0)).unwrap();
    socket.local_addr().unwrap()
}

#[test]
fn workers_share_an_address_that_nobody_else_has() {
    let address = free_address();
    let _first = bind(address, Assigned).unwrap();
    let _second = bind(address, Assigned).unwrap();
    let taken = bind_alone(address, Assigned).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    // Another transport of the same port is free.
    crate::listen::bind_alone(address, Assigned).unwrap();
}

#[test]
fn connected_socket_hears_only_its_target() {
    let (target, other) = (free_address(), free_address());
    let target = UdpSocket::bind(target).unwrap();
    let other = UdpSocket::bind(other).unwrap();
    let socket = connect(Source::Any, target.local_addr().unwrap()).unwrap();
    let own = socket.local_addr().unwrap();
    other.send_to(b"no", own).unwrap();
    target.send_to(b"yes", own).unwrap();
    socket.set_nonblocking(false).unwrap();
    let mut buffer = [0; 9];
    let n = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..n], b"yes");
}

#[test]
fn target_sees_the_source() {
    let target = UdpSocket::bind(free_address()).unwrap();
    let address = target.local_addr().unwrap();
    let seen = |source| {
        connect(source, address).unwrap().send(b"?").unwrap();
        target.recv_from(&mut [0; 9]).unwrap().1
    };
    let own = Ipv4Addr::new(127, 0, 10, 4);
    assert_eq!(seen(Source::Any).ip(), Ipv4Addr::LOCALHOST);
    assert_eq!(seen(Source::Own(own.into())).ip(), own);
    // It is not on this machine.
    let elsewhere = Ipv4Addr::new(192, 0, 2, 1);
    assert_eq!(
        seen(Source::Own(elsewhere.into())).ip(),
        Ipv4Addr::LOCALHOST
    );
    if crate::source::may_be_transparent().is_ok() {
        let client = SocketAddr::from((own, 5353));
        assert_eq!(seen(Source::Client(client)), client);
        // The client has a flow by another listener.
        let _first = connect(Source::Client(client), address).unwrap();
        let second = seen(Source::Client(client));
        assert_eq!(second.ip(), client.ip());
        assert_ne!(second.port(), client.port());
        // The port of a client on this machine is taken.
        let other = UdpSocket::bind((own, 0)).unwrap();
        let taken = other.local_addr().unwrap();
        let seen = seen(Source::Client(taken));
        assert_eq!(seen.ip(), taken.ip());
        assert_ne!(seen.port(), taken.port());
    }
}
