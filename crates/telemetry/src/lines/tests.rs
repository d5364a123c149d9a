use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::{LineQueue, QUEUE_BYTES};

/// Accepts one write per permission.
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
fn stalled_reader_costs_lines_but_never_blocks() {
    let (permit, permissions) = channel();
    let (written, read) = channel();
    let lines = LineQueue::start(Slow {
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
    // Does not wait for the stalled reader.
    lines.flush(Duration::ZERO);
    for _ in 0..fits + 9 {
        permit.send(()).unwrap();
    }
    lines.flush(Duration::from_secs(30));
    lines.push(line.clone());
    lines.flush(Duration::from_secs(30));
    assert_eq!(lines.lost(), 7, "the queue has capacity again");
    assert_eq!(read.try_iter().filter(|one| *one == line).count(), fits + 1);
}

#[test]
fn lost_lines_are_reported_where_they_are_missing() {
    let (permit, permissions) = channel();
    let (written, read) = channel();
    let lines = LineQueue::start(Slow {
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
    let report = "2 lines were dropped here because the reader was too slow\n";
    assert_eq!(text.matches(report).count(), 1, "{:?}", text.trim());
    assert!(text.ends_with("found\n"));
}
