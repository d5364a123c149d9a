//! Passes descriptors to another process over a UNIX socket (`SCM_RIGHTS`).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// The most descriptors that the kernel passes in one message (`SCM_MAX_FD`).
const AT_ONCE: usize = 253;

/// Sends copies of `descriptors` in their order. The other side has to know their number.
///
/// # Errors
/// Errors of the socket.
pub fn send(socket: &UnixStream, descriptors: &[impl AsFd]) -> io::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    for chunk in descriptors.chunks(AT_ONCE) {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(AT_ONCE))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(chunk)) {
            return Err(io::Error::other("no room for descriptors"));
        }
        // Descriptors travel only with data. At most 253.
        let count = [u8::try_from(chunk.len()).unwrap_or(u8::MAX)];
        sendmsg(
            socket,
            &[IoSlice::new(&count)],
            &mut control,
            SendFlags::NOSIGNAL,
        )?;
    }
    Ok(())
}

/// Receives `count` descriptors in the order in which they were sent.
///
/// # Errors
/// Errors of the socket, its end, and messages that [`send`] does not send.
pub fn receive(socket: &UnixStream, count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut received = Vec::new();
    while received.len() < count {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(AT_ONCE))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut announced = [0];
        let message = recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut announced)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        if message.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let before = received.len();
        for ancillary in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = ancillary {
                received.extend(descriptors);
            }
        }
        // The kernel leaves out what exceeds the limit of open files.
        let [announced] = announced.map(usize::from);
        if announced == 0 || received.len() - before != announced {
            return Err(io::Error::other(format!(
                "expected {announced} descriptors, received {}; raise the limit of open files",
                received.len() - before
            )));
        }
    }
    Ok(received)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use rustix::fs::fstat;

    use super::{receive, send};

    #[test]
    fn many_descriptors_arrive_in_order() {
        let (one, other) = UnixStream::pair().unwrap();
        let sent: Vec<_> = (0..300).map(|_| UnixStream::pair().unwrap().0).collect();
        send(&one, &sent).unwrap();
        let received = receive(&other, sent.len()).unwrap();
        let inode = |fd: &dyn std::os::fd::AsFd| fstat(fd.as_fd()).unwrap().st_ino;
        assert_eq!(received.len(), 300);
        for (sent, received) in sent.iter().zip(&received) {
            assert_eq!(inode(sent), inode(received));
        }
    }

    #[test]
    fn missing_descriptors_are_an_error() {
        let (mut one, other) = UnixStream::pair().unwrap();
        one.write_all(&[2]).unwrap();
        let error = receive(&other, 2).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("expected 2 descriptors, received 0"),
            "{error}"
        );
        drop(one);
        assert!(receive(&other, 1).is_err());
    }
}
