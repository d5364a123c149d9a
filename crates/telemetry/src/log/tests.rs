use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::*;
use crate::{RequestLine, RequestType};

fn record(elb: &str) -> AccessRecord<'_> {
    AccessRecord {
        kind: RequestType::Http,
        time: UNIX_EPOCH,
        elb,
        client: SocketAddr::from(([127, 0, 0, 1], 1)),
        target: None,
        request_processing_time: None,
        target_processing_time: None,
        response_processing_time: None,
        elb_status_code: Some(404),
        target_status_code: None,
        received_bytes: 1,
        sent_bytes: 2,
        request: RequestLine::default(),
        user_agent: None,
        ssl_cipher: None,
        ssl_protocol: None,
        target_group_arn: None,
        trace_id: None,
        domain_name: None,
        chosen_cert_arn: None,
        matched_rule_priority: None,
        request_creation_time: UNIX_EPOCH,
        actions_executed: None,
        redirect_url: None,
        error_reason: None,
        target_list: &[],
        target_status_code_list: &[],
        classification: None,
        classification_reason: None,
        conn_trace_id: None,
        transformed_host: None,
        transformed_uri: None,
        request_transform_status: None,
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
    let (first, second) = (log.buffer(), log.buffer());
    first.record(&record("a"));
    second.record(&record("b"));
    first.record(&record("c"));
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
    let buffer = log.buffer();
    log.close();
    buffer.record(&record("late"));
    buffer.flush();
    log.close();
    assert_eq!((log.written(), log.dropped()), (0, 1));
}

#[test]
fn full_batch_is_sent_without_a_tick() {
    let folder = Folder::new("batch");
    let path = folder.file("log");
    let log = AccessLog::start(Sink::File(path.clone()), 4).unwrap();
    let buffer = log.buffer();
    let long = "x".repeat(1_000);
    for _ in 0..64 {
        buffer.record(&record(&long));
    }
    wait_until(|| log.written() > 0);
    assert!(fs::metadata(&path).unwrap().len() >= BATCH as u64);
    log.close();
}

#[test]
fn file_is_created_again_after_it_was_moved_away() {
    let folder = Folder::new("rotate");
    let (path, old) = (folder.file("access.log"), folder.file("access.log.1"));
    let log = AccessLog::start(Sink::File(path.clone()), 4).unwrap();
    let buffer = log.buffer();
    let write = |name| {
        let before = log.written();
        buffer.record(&record(name));
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
        let buffer = log.buffer();
        buffer.record(&record(name));
        buffer.flush();
        log.close();
    }
    assert_eq!(names(&path), ["first", "second"]);
}

#[test]
#[cfg(target_os = "linux")]
fn full_disk_only_drops_lines() {
    let log = AccessLog::start(Sink::File("/dev/full".into()), 4).unwrap();
    let buffer = log.buffer();
    buffer.record(&record("lost"));
    buffer.flush();
    wait_until(|| log.dropped() == 1);
    log.close();
    assert_eq!(log.written(), 0);
}

#[test]
fn full_queue_drops_and_counts_lines() {
    // Nothing reads from this queue.
    let (queue, _batches) = mpsc::sync_channel(1);
    let log = Arc::new(AccessLog {
        queue,
        counts: Arc::default(),
        thread: Mutex::new(None),
    });
    let buffer = log.buffer();
    for lines in [1, 2, 3] {
        for _ in 0..lines {
            buffer.record(&record("x"));
        }
        buffer.flush();
    }
    assert_eq!(log.dropped(), 5);
}

#[test]
fn missing_folder_is_an_error() {
    let error = AccessLog::start(Sink::File("/nonexistent/access.log".into()), 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
