use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsFd, AsRawFd};

/// Length of Linux's `struct tcp_info` up to and including `tcpi_notsent_bytes`, in 32-bit words.
const WORDS: usize = 37;

/// Offsets of fields in words.
const UNACKED: usize = 6;
const SEGS_IN: usize = 35;
const NOTSENT_BYTES: usize = 36;

/// `TCP_CLOSE`: the connection is closed, for example after a reset.
const CLOSE: u8 = 7;

/// The number of segments, with or without data, that a TCP socket has received. It is the only visible
/// trace of a keep-alive probe.
pub(crate) fn segments_in(socket: impl AsFd) -> io::Result<u32> {
    Ok(tcp_info(socket)?[SEGS_IN])
}

/// Whether the peer has acknowledged everything written to a TCP socket, including FIN, or never will
/// because the connection is closed.
pub(crate) fn is_acknowledged(socket: impl AsFd) -> io::Result<bool> {
    let info = tcp_info(socket)?;
    let [state, ..] = info[0].to_ne_bytes();
    Ok(state == CLOSE || info[UNACKED] == 0 && info[NOTSENT_BYTES] == 0)
}

fn tcp_info(socket: impl AsFd) -> io::Result<[u32; WORDS]> {
    let mut info = [0_u32; WORDS];
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: `info` is writable memory of `len` bytes and the kernel writes no more than that; any bit
    // pattern is a valid `u32`; and the descriptor is open while `socket` is borrowed.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(info)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::{is_acknowledged, segments_in};

    #[test]
    fn received_segments_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let before = segments_in(&server).unwrap();
        assert!(before < 8, "only the handshake so far, not {before}");
        for n in 1..=10 {
            client.write_all(b"x").unwrap();
            server.read_exact(&mut [0]).unwrap();
            assert_eq!(segments_in(&server).unwrap(), before + n);
        }
    }

    /// Writes until the window of the reader and the local send buffer are full.
    fn fill(socket: &mut TcpStream) {
        socket.set_nonblocking(true).unwrap();
        while socket.write(&[0; 65536]).is_ok() {}
    }

    #[test]
    fn full_send_queue_is_acknowledged_once_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        assert!(is_acknowledged(&client).unwrap());
        fill(&mut client);
        assert!(!is_acknowledged(&client).unwrap());
        server.set_nonblocking(true).unwrap();
        // No timeout here: the test runner ends a test that hangs.
        while !is_acknowledged(&client).unwrap() {
            let _ = server.read(&mut [0; 65536]);
        }
    }

    #[test]
    fn closed_connection_counts_as_acknowledged() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        fill(&mut client);
        // Closed with unread data: a reset.
        drop(server);
        while !is_acknowledged(&client).unwrap() {}
    }

    #[test]
    fn refuses_sockets_other_than_tcp() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(segments_in(&socket).is_err());
        assert!(is_acknowledged(&socket).is_err());
    }
}
