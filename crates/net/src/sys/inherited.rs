//! Descriptors that the process was started with.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

/// The first descriptor that is not a standard stream.
const FIRST: RawFd = 3;

/// Takes ownership of an open descriptor with which this process was started (`LISTEN_FDS` of systemd).
///
/// # Errors
/// Nothing is open under this number, or it was not inherited.
pub fn take_inherited(number: RawFd) -> io::Result<OwnedFd> {
    // Two threads must not find the same descriptor free.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if number < FIRST {
        return Err(io::Error::other("a standard stream"));
    }
    // SAFETY: F_GETFD takes no pointer and fails with EBADF for a number that is not open.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    if flags & libc::FD_CLOEXEC != 0 {
        return Err(io::Error::other("not inherited"));
    }
    // SAFETY: F_SETFD takes no pointer.
    if unsafe { libc::fcntl(number, libc::F_SETFD, flags | libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open. It survived exec, while the standard library and every crate of this project open
    // descriptors with CLOEXEC, so nothing in this process owns it; and it is closed on exec from now on, so that the check
    // above refuses to hand it out again.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::{AsRawFd, IntoRawFd};

    use rustix::io::{FdFlags, fcntl_setfd};
    use rustix::pipe::{PipeFlags, pipe_with};

    use super::take_inherited;

    #[test]
    fn inherited_descriptor_is_taken_once() {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let number = writer.as_raw_fd();
        assert!(take_inherited(number).is_err(), "it has an owner here");
        fcntl_setfd(&writer, FdFlags::empty()).unwrap();
        assert_eq!(writer.into_raw_fd(), number);
        let mut taken = File::from(take_inherited(number).unwrap());
        assert!(take_inherited(number).is_err(), "it has an owner now");
        taken.write_all(b"a").unwrap();
        drop((taken, reader));
    }

    #[test]
    fn standard_streams_and_closed_numbers_are_refused() {
        for number in [-1, 0, 1, 2, 1 << 20] {
            assert!(take_inherited(number).is_err(), "{number}");
        }
    }
}
