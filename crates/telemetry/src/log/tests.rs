use std::fs;
use std::path::Path;
use std::time::Instant;

use super::queue::WAKE;
use super::*;
use crate::record::tests::record;
use crate::{LogBuffers, LogStream};

/// The lines of one worker.
struct Buffer(LogBuffers, Arc<LogStream>);

impl Buffer {
    fn of(log: &Arc<AccessLog>) -> Self {
        let stream = LogStream::new(vec![Arc::clone(log) as _]);
        Self(LogBuffers::default(), stream)
    }

    fn record(&self, elb: &str) {
        self.0.record(&self.1, &record(elb));
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// A temporary folder, removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("elbow-telemetry-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The third field of each line.
fn names(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text
        .lines()
        .map(|l| l.split(' ').nth(2).unwrap().to_owned());
    lines.collect()
}

/// Polls for a condition, because the writer does not signal when it has written.
fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "timed out");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn close_writes_flushed_lines() {
    let folder = Folder::new("close");
    let path = folder.file("access.log");
    let log = AccessLog::start(Sink::File(path.clone()), 4).unwrap();
    let (first, second) = (Buffer::of(&log), Buffer::of(&log));
    first.record("a");
    second.record("b");
    first.record("c");
    assert_eq!(log.written(), 0);
    first.flush();
    drop(second);
    log.close();
    assert_eq!(names(&path), ["a", "c", "b"]);
    assert_eq!((log.written(), log.dropped()), (3, 0));
}

#[test]
fn lines_after_close_are_counted_as_dropped() {
    let folder = Folder::new("after");
    let log = AccessLog::start(Sink::File(folder.file("log")), 4).unwrap();
    let buffer = Buffer::of(&log);
    log.close();
    buffer.record("late");
    buffer.flush();
    log.close();
    assert_eq!((log.written(), log.dropped()), (0, 1));
}

#[test]
fn file_is_created_again_after_it_was_moved_away() {
    let folder = Folder::new("rotate");
    let (path, old) = (folder.file("access.log"), folder.file("access.log.1"));
    let log = AccessLog::start(Sink::File(path.clone()), 4).unwrap();
    let buffer = Buffer::of(&log);
    let write = |name| {
        let before = log.written();
        buffer.record(name);
        buffer.flush();
        wait_until(|| log.written() > before);
    };
    write("before");
    fs::rename(&path, &old).unwrap();
    write("after");
    fs::remove_file(&path).unwrap();
    write("again");
    assert_eq!(
        (names(&old), names(&path)),
        (vec!["before".into()], vec!["again".into()])
    );
    assert_eq!((log.written(), log.dropped()), (3, 0));
}

#[test]
fn existing_file_is_appended_to() {
    let folder = Folder::new("append");
    let path = folder.file("log");
    for name in ["first", "second"] {
        let log = AccessLog::start(Sink::File(path.clone()), 4).unwrap();
        let buffer = Buffer::of(&log);
        buffer.record(name);
        buffer.flush();
        log.close();
    }
    assert_eq!(names(&path), ["first", "second"]);
}

#[test]
#[cfg(target_os = "linux")]
fn full_disk_only_drops_lines() {
    let log = AccessLog::start(Sink::File("/dev/full".into()), 4).unwrap();
    let buffer = Buffer::of(&log);
    buffer.record("lost");
    buffer.flush();
    wait_until(|| log.dropped() == 1);
    log.close();
    assert_eq!(log.written(), 0);
}

#[test]
fn full_queue_drops_and_counts_lines() {
    // Nothing reads from this queue.
    let log = Arc::new(AccessLog {
        queue: Arc::new(Queue::new(1)),
        counts: Arc::default(),
        thread: Mutex::new(None),
    });
    let buffer = Buffer::of(&log);
    for lines in [1, 2, 3] {
        for _ in 0..lines {
            buffer.record("x");
        }
        buffer.flush();
    }
    assert_eq!(log.dropped(), 5);
}

#[test]
fn several_full_batches_are_written_without_a_flush() {
    let folder = Folder::new("batches");
    let log = AccessLog::start(Sink::File(folder.file("log")), 16).unwrap();
    let buffer = Buffer::of(&log);
    let long = "x".repeat(1_000);
    // After it, the thread waits.
    buffer.record("first");
    buffer.flush();
    wait_until(|| log.written() == 1);
    let lines = 64 * WAKE as u64;
    for _ in 0..lines {
        buffer.record(&long);
    }
    wait_until(|| log.written() > 1);
    buffer.flush();
    log.close();
    assert_eq!((log.written(), log.dropped()), (1 + lines, 0));
}

#[test]
fn full_queue_refuses_batches_and_buffers_of_written_ones_are_used_again() {
    let queue = Queue::new(2);
    let batch = || Batch {
        bytes: Vec::with_capacity(100),
        lines: 1,
    };
    for _ in 0..2 {
        assert_eq!(queue.push(batch()).unwrap().capacity(), 0);
    }
    assert!(queue.push(batch()).is_err());
    let mut batches = VecDeque::new();
    assert!(queue.take(&mut batches));
    assert_eq!(batches.len(), 2);
    queue.push(batch()).unwrap();
    assert!(queue.take(&mut batches));
    for _ in 0..2 {
        assert_eq!(queue.push(batch()).unwrap().capacity(), 100);
    }
}

#[test]
fn missing_folder_is_an_error() {
    let error = AccessLog::start(Sink::File("/nonexistent/access.log".into()), 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
