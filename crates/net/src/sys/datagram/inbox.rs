use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use super::control::Control;
use super::name::Name;

/// Bytes of a received message: datagrams of one sender that the kernel has joined have less than 64 KiB together.
const SIZE: usize = 64 * 1024;

/// Messages received with few system calls, each in a buffer of its own.
pub struct Inbox {
    used: usize,
    has_senders: bool,
    buffers: Box<[u8]>,
    meta: Box<[Meta]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

/// What is known of a received message beside its bytes.
struct Meta {
    len: usize,
    is_truncated: bool,
    name: Name,
    control: Control,
}

impl Inbox {
    /// An empty inbox for `messages` messages with their senders. Its memory is touched only as far as messages arrive.
    pub fn new(messages: usize) -> Self {
        Self::with_senders(messages, true)
    }

    /// The same for connected sockets, whose only sender is known.
    pub fn of_connected(messages: usize) -> Self {
        Self::with_senders(messages, false)
    }

    fn with_senders(messages: usize, has_senders: bool) -> Self {
        let meta = || Meta {
            len: 0,
            is_truncated: false,
            name: Name::empty(),
            control: Control::EMPTY,
        };
        Self {
            used: 0,
            has_senders,
            buffers: vec![0; messages * SIZE].into(),
            meta: (0..messages).map(|_| meta()).collect(),
            vectors: vec![super::NO_BYTES; messages].into(),
            headers: vec![super::NO_MESSAGE; messages].into(),
        }
    }

    /// Number of received messages.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Whether no message can be added.
    pub fn is_full(&self) -> bool {
        self.used == self.meta.len()
    }

    /// Forgets the messages.
    pub fn clear(&mut self) {
        self.used = 0;
    }

    /// Adds the messages that wait in the socket, at most `most` and as far as there is room, and returns their number.
    ///
    /// # Errors
    /// If no datagram is waiting. An error that an earlier datagram caused, such as `ECONNREFUSED`, is returned once.
    pub fn receive(&mut self, socket: impl AsFd, most: usize) -> io::Result<usize> {
        let first = self.used;
        let buffers = self.buffers.chunks_exact_mut(SIZE).skip(first);
        let meta = self.meta.iter_mut().skip(first);
        let vectors = self.vectors.iter_mut().skip(first);
        let headers = self.headers.iter_mut().skip(first).take(most);
        let mut count = 0;
        for (((header, vector), meta), buffer) in headers.zip(vectors).zip(meta).zip(buffers) {
            *vector = libc::iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: buffer.len(),
            };
            let header = &mut header.msg_hdr;
            (header.msg_name, header.msg_namelen) = if self.has_senders {
                let size = size_of::<Name>() as libc::socklen_t;
                ((&raw mut meta.name).cast(), size)
            } else {
                (ptr::null_mut(), 0)
            };
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            let control = meta.control.space();
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = control.len() as _;
            count += 1;
        }
        // SAFETY: the first `count` headers from `first` on were set above. Each points to a name or none, a vector, a control buffer
        // and, through its vector, a buffer of its own, all of which `self` owns, and gives their lengths. The descriptor is
        // open while `socket` is borrowed. A null pointer as the timeout is allowed. System calls instead of libc's functions,
        // because these are cancellation points, which costs.
        let received = unsafe {
            libc::syscall(
                libc::SYS_recvmmsg,
                socket.as_fd().as_raw_fd(),
                self.headers[first..].as_mut_ptr(),
                count as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut::<libc::timespec>(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        let headers = self.headers[first..].iter();
        let meta = self.meta[first..].iter_mut();
        for (header, meta) in headers.zip(meta).take(received) {
            meta.len = SIZE.min(header.msg_len as usize);
            meta.is_truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            meta.control.set_used(header.msg_hdr.msg_controllen as _);
        }
        self.used += received;
        Ok(received)
    }

    /// The bytes of message `slot`.
    pub fn bytes(&self, slot: usize) -> &[u8] {
        let start = slot * SIZE;
        &self.buffers[start..start + self.meta[slot].len]
    }

    /// Whether bytes of message `slot` are missing.
    pub fn is_truncated(&self, slot: usize) -> bool {
        self.meta[slot].is_truncated
    }

    /// The sender of message `slot`; `None` in an inbox of connected sockets.
    pub fn sender(&self, slot: usize) -> Option<SocketAddr> {
        self.meta[slot].name.get()
    }

    /// The local address that message `slot` was sent to; see `report_local_address`.
    pub fn destination(&self, slot: usize) -> Option<IpAddr> {
        self.meta[slot].control.destination()
    }

    /// If message `slot` is several datagrams that the kernel has joined, the size of each; the last one may be shorter.
    pub fn segment(&self, slot: usize) -> Option<usize> {
        let meta = &self.meta[slot];
        meta.control.segment().filter(|size| *size < meta.len)
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox")
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}
