//! Waits for a descriptor to become readable.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers `descriptor`, which must be in non-blocking mode, with the runtime of this thread for readability.
///
/// # Errors
/// If the descriptor cannot be polled, like that of a regular file.
///
/// # Panics
/// Outside a runtime that drives I/O.
pub fn readable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is the same open descriptor until it is dropped; the AsyncFd owns it and deregisters it from
    // the runtime before that.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    registered.map_err(|refused| refused.into_parts().1)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use rustix::pipe::{PipeFlags, pipe_with};

    use super::readable;

    #[tokio::test]
    async fn descriptor_becomes_readable_and_is_closed_on_drop() {
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).unwrap();
        let reader = readable(reader).unwrap();
        let mut writer = File::from(writer);
        writer.write_all(b"a").unwrap();
        let mut ready = reader.readable().await.unwrap();
        let read = ready.try_io(|fd| {
            let mut byte = [0];
            File::from(fd.get_ref().try_clone()?).read_exact(&mut byte)?;
            Ok(byte)
        });
        assert_eq!(read.unwrap().unwrap(), *b"a");
        drop(reader);
        assert!(writer.write_all(b"b").is_err(), "the reader is closed");
    }

    #[tokio::test]
    async fn regular_file_is_refused() {
        let file = File::open("/proc/self/exe").unwrap();
        assert!(readable(file.into()).is_err());
    }
}
