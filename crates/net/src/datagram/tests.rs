use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use super::{bind, bind_alone, connect};
use crate::listen::Locality::Assigned;

fn free_address() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
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
    let socket = connect(target.local_addr().unwrap()).unwrap();
    let own = socket.local_addr().unwrap();
    other.send_to(b"no", own).unwrap();
    target.send_to(b"yes", own).unwrap();
    socket.set_nonblocking(false).unwrap();
    let mut buffer = [0; 9];
    let n = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..n], b"yes");
}
