//! Leaves the choice of a local port to connect(2).

use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsFd, AsRawFd};

/// Makes a later bind(2) to port 0 reserve no port (`IP_BIND_ADDRESS_NO_PORT`, for IPv6 as well), so that connections to different targets
/// can share one.
pub(crate) fn choose_port_late(socket: impl AsFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: `on` is readable memory of the given length, and the descriptor is open while `socket` is borrowed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use socket2::{Domain, Socket, Type};

    use super::choose_port_late;

    #[test]
    fn port_is_chosen_by_connect() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        choose_port_late(&socket).unwrap();
        let from: SocketAddr = "127.0.0.9:0".parse().unwrap();
        socket.bind(&from.into()).unwrap();
        let local = || socket.local_addr().unwrap().as_socket().unwrap();
        assert_eq!(local(), from);
        socket.connect(&to.into()).unwrap();
        assert_eq!(local().ip(), from.ip());
        assert_ne!(local().port(), 0);
        assert!(choose_port_late(std::io::stdin()).is_err());
    }
}
