use std::io;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use super::control::Control;
use super::name::Name;

/// Space for messages that are sent with few system calls.
pub struct Outbox {
    meta: Box<[Meta]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

/// What a message to send has beside its bytes.
struct Meta {
    name: Name,
    name_len: libc::socklen_t,
    control: Control,
    /// Number of its vectors, which follow those of the message before it.
    parts: usize,
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Envelope {
    /// The receiver; `None` on a connected socket.
    pub to: Option<SocketAddr>,
    /// The local address to send from; `None` leaves the choice to the kernel.
    pub from: Option<IpAddr>,
    /// The message is several datagrams of this size, the last of which may be shorter.
    pub segment: Option<u16>,
}

impl Outbox {
    /// Space for `messages` messages that have as many parts together.
    pub fn new(messages: usize) -> Self {
        let meta = || Meta {
            name: Name::empty(),
            name_len: 0,
            control: Control::EMPTY,
            parts: 0,
        };
        Self {
            meta: (0..messages).map(|_| meta()).collect(),
            vectors: vec![super::NO_BYTES; messages].into(),
            headers: vec![super::NO_MESSAGE; messages].into(),
        }
    }

    /// An empty queue of messages whose bytes are borrowed, not copied.
    pub fn queue<'b>(&mut self) -> Queue<'_, 'b> {
        Queue {
            outbox: self,
            messages: 0,
            parts: 0,
            first: 0,
            first_part: 0,
            bytes: PhantomData,
        }
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

/// Messages to send.
pub struct Queue<'o, 'b> {
    outbox: &'o mut Outbox,
    messages: usize,
    parts: usize,
    /// The first message that is not sent yet, and its first part.
    first: usize,
    first_part: usize,
    bytes: PhantomData<&'b [u8]>,
}

impl<'b> Queue<'_, 'b> {
    /// Adds a message made of `parts`. Returns `false`, without adding it, if there is no room.
    pub fn push(&mut self, envelope: &Envelope, parts: impl Iterator<Item = &'b [u8]>) -> bool {
        let Some(meta) = self.outbox.meta.get_mut(self.messages) else {
            return false;
        };
        let mut vectors = self.outbox.vectors[self.parts..].iter_mut();
        let mut count = 0;
        for part in parts {
            let Some(vector) = vectors.next() else {
                return false;
            };
            *vector = libc::iovec {
                iov_base: part.as_ptr().cast_mut().cast(),
                iov_len: part.len(),
            };
            count += 1;
        }
        meta.parts = count;
        meta.name_len = envelope.to.map_or(0, |to| meta.name.set(to));
        meta.control = Control::EMPTY;
        if let Some(size) = envelope.segment {
            meta.control.push_segment(size);
        }
        if let Some(from) = envelope.from {
            meta.control.push_source(from);
        }
        self.messages += 1;
        self.parts += count;
        true
    }

    /// Number of messages that are not sent yet.
    pub fn len(&self) -> usize {
        self.messages - self.first
    }

    /// Whether all messages are sent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends messages in order, at least one, and returns their number.
    ///
    /// # Errors
    /// If the first message was not sent. An error that an earlier datagram caused, such as `ECONNREFUSED`, is returned once.
    pub fn send(&mut self, socket: impl AsFd) -> io::Result<usize> {
        if self.is_empty() {
            return Ok(0);
        }
        let Outbox {
            meta,
            vectors,
            headers,
        } = &mut *self.outbox;
        let range = self.first..self.messages;
        let mut rest = &mut vectors[self.first_part..self.parts];
        for (header, meta) in headers[range.clone()]
            .iter_mut()
            .zip(&mut meta[range.clone()])
        {
            let (own, others) = rest.split_at_mut(meta.parts);
            rest = others;
            let header = &mut header.msg_hdr;
            header.msg_name = if meta.name_len == 0 {
                ptr::null_mut()
            } else {
                (&raw mut meta.name).cast()
            };
            header.msg_namelen = meta.name_len;
            header.msg_iov = own.as_mut_ptr();
            header.msg_iovlen = own.len() as _;
            let control = meta.control.bytes();
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = control.len() as _;
        }
        // SAFETY: the headers of `range` were set above. Each points to a name, a control buffer and vectors that the outbox
        // owns, and gives their lengths; each vector points to bytes that are borrowed for 'b, which outlives `self`, and that
        // the kernel only reads. The descriptor is open while `socket` is borrowed.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_sendmmsg,
                socket.as_fd().as_raw_fd(),
                headers[range.clone()].as_mut_ptr(),
                range.len() as libc::c_uint,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
        for _ in 0..sent {
            self.skip();
        }
        Ok(sent)
    }

    /// Leaves out the first message that is not sent yet.
    pub fn skip(&mut self) {
        if let Some(meta) = self.outbox.meta[..self.messages].get(self.first) {
            self.first_part += meta.parts;
            self.first += 1;
        }
    }
}

impl std::fmt::Debug for Queue<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
