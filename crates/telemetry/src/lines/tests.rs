use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::{Lines, QUEUE_BYTES};

/// Takes a write for each permission it gets.
struct Slow {
    permissions: Receiver<()>,
    written: Sender<Vec<u8>>,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.permissions.recv().map_err(io::Error::other)?;
        self.written
            .send(bytes.to_vec())
            .map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_reads_nothing_costs_lines_and_never_time() {
    let (permit, permissions) = channel();
    let (written, read) = channel();
    let lines = Lines::start(Slow {
        permissions,
        written,
    })
    .unwrap();
    let line = [&[b'x'; 1023][..], b"\n"].concat();
    let fits = QUEUE_BYTES / line.len();
    for _ in 0..fits + 7 {
        lines.push(line.clone());
    }
    assert_eq!(lines.lost(), 7);
    // It is not waited for in vain.
    lines.flush(Duration::ZERO);
    for _ in 0..fits + 9 {
        permit.send(()).unwrap();
    }
    lines.flush(Duration::from_secs(30));
    lines.push(line.clone());
    lines.flush(Duration::from_secs(30));
    assert_eq!(lines.lost(), 7, "there is room again");
    assert_eq!(read.try_iter().filter(|one| *one == line).count(), fits + 1);
}

#[test]
fn what_is_lost_is_told_where_it_is_missing() {
    let (permit, permissions) = channel();
    let (written, read) = channel();
    let lines = Lines::start(Slow {
        permissions,
        written,
    })
    .unwrap();
    let long = vec![b'\n'; QUEUE_BYTES];
    lines.push(long);
    lines.push(b"lost\n".to_vec());
    lines.push(b"lost\n".to_vec());
    assert_eq!(lines.lost(), 2);
    for _ in 0..9 {
        permit.send(()).unwrap();
    }
    lines.flush(Duration::from_secs(30));
    lines.push(b"found\n".to_vec());
    lines.flush(Duration::from_secs(30));
    let text: Vec<u8> = read.try_iter().flatten().collect();
    let text = String::from_utf8(text).unwrap();
    let told = "2 lines are missing here: nobody read them in time\n";
    assert_eq!(text.matches(told).count(), 1, "{:?}", text.trim());
    assert!(text.ends_with("found\n"));
}
