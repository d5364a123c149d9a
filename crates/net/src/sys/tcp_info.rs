use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsFd, AsRawFd};

/// `struct tcp_info` of Linux up to and with `tcpi_segs_in`, in words of 32 bits.
const WORDS: usize = 36;

/// How many segments, with or without data, a TCP socket has received: a keep-alive probe changes
/// nothing else that can be seen.
pub(crate) fn segments_in(socket: impl AsFd) -> io::Result<u32> {
    let mut info = [0_u32; WORDS];
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: `info` is writable memory of `len` bytes, which is all that the kernel writes to,
    // any bit pattern is a valid `u32`, and the descriptor is open while `socket` is borrowed.
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
    Ok(info[WORDS - 1])
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::segments_in;

    #[test]
    fn counts_what_comes_in() {
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

    #[test]
    fn refuses_what_is_not_tcp() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(segments_in(&socket).is_err());
    }
}
