//! Datagrams in batches: recvmmsg(2) and sendmmsg(2) with their control messages. The kernel joins datagrams of one sender
//! (`UDP_GRO`) and cuts a message into datagrams (`UDP_SEGMENT`), so that one message can carry 64 KiB.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

mod control;
mod inbox;
mod name;
mod outbox;
#[cfg(test)]
mod tests;

pub use inbox::Inbox;
pub use outbox::{Envelope, Outbox, Queue};

const NO_BYTES: libc::iovec = libc::iovec {
    iov_base: ptr::null_mut(),
    iov_len: 0,
};

/// A header to be filled in.
// SAFETY: integers and raw pointers, for which zeros are valid. The structure has private padding with some C libraries.
const NO_MESSAGE: libc::mmsghdr = unsafe { std::mem::zeroed() };

/// Lets the kernel join datagrams of one sender that wait in the socket.
pub(crate) fn join_datagrams(socket: impl AsFd) -> io::Result<()> {
    set(socket, libc::SOL_UDP, libc::UDP_GRO)
}

/// Makes the socket report the local address that each datagram was sent to.
pub(crate) fn report_local_address(socket: impl AsFd, is_ipv6: bool) -> io::Result<()> {
    if is_ipv6 {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
    } else {
        set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO)
    }
}

/// Turns on an option.
fn set(socket: impl AsFd, level: i32, option: i32) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the value is an integer of the given size, which the kernel only reads, and the descriptor is open while
    // `socket` is borrowed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
