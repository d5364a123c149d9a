use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::*;
use crate::bucket::Bucket;
use crate::destination::Kind;
use crate::destination::tests::destination;

/// A folder that is removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("elbow-logs-{test}-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    /// The files below it, with their contents.
    fn files(&self) -> Vec<(String, String)> {
        let mut files = Vec::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&self.0).unwrap().display().to_string();
                    files.push((name, fs::read_to_string(&path).unwrap()));
                }
            }
        }
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A destination whose files are plain text.
fn plain(place: Place, interval: u64) -> Destination {
    Destination {
        kind: Kind::ClassicAccess,
        place,
        interval: Duration::from_secs(interval),
        ..destination()
    }
}

fn folder(path: &Path) -> Place {
    Place::Folder(path.into())
}

fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "timed out");
        thread::sleep(Duration::from_millis(5));
    }
}

fn delivery() -> (Arc<Delivery>, Arc<DeliveryCounts>) {
    let counts = Arc::new(DeliveryCounts::default());
    (Delivery::new(Arc::clone(&counts)), counts)
}

#[test]
fn close_delivers_what_was_sent() {
    let root = Folder::new("close");
    let (delivery, counts) = delivery();
    let sink = delivery.to(plain(folder(&root.0), 3600));
    sink.send(b"a\n".to_vec(), 1);
    sink.send(b"b\nc\n".to_vec(), 2);
    delivery.close();
    let files = root.files();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].1, "a\nb\nc\n");
    let layout = "AWSLogs/123456789012/elasticloadbalancing/us-east-2/";
    assert!(files[0].0.starts_with(layout), "{files:?}");
    assert_eq!((counts.files.get(), counts.lines.get()), (1, 3));
    assert_eq!((counts.held(), counts.dropped.get()), (0, 0));
    sink.send(b"late\n".to_vec(), 1);
    delivery.close();
    assert_eq!(counts.dropped.get(), 1);
}

#[test]
fn end_of_an_interval_delivers_without_a_close() {
    let root = Folder::new("interval");
    let (delivery, counts) = delivery();
    delivery
        .to(plain(folder(&root.0), 1))
        .send(b"a\n".to_vec(), 1);
    wait_until(|| counts.files.get() == 1);
    assert_eq!(root.files()[0].1, "a\n");
    delivery.close();
    assert_eq!(root.files().len(), 1);
}

#[test]
fn bucket_is_looked_up_when_lines_come() {
    let root = Folder::new("bucket");
    let (delivery, counts) = delivery();
    let sink = delivery.to(plain(Place::Bucket("logs".into()), 3600));
    sink.send(b"nowhere\n".to_vec(), 1);
    assert_eq!(counts.dropped.get(), 1);
    delivery.set_buckets([("logs".into(), Bucket::Folder(root.0.clone()))].into());
    sink.send(b"here\n".to_vec(), 1);
    delivery.close();
    assert_eq!(root.files()[0].1, "here\n");
    assert_eq!(counts.dropped.get(), 1);
}

#[test]
fn place_that_refuses_is_tried_again_and_holds_up_no_other() {
    let (good, bad) = (Folder::new("good"), Folder::new("bad"));
    // No folder can be made below a file.
    fs::write(&bad.0, "").unwrap();
    let (delivery, counts) = delivery();
    delivery
        .to(plain(folder(&bad.0), 1))
        .send(b"bad\n".to_vec(), 1);
    wait_until(|| counts.failures.get() > 0);
    delivery
        .to(plain(folder(&good.0), 1))
        .send(b"good\n".to_vec(), 1);
    wait_until(|| counts.files.get() == 1);
    assert_eq!(good.files()[0].1, "good\n");
    fs::remove_file(&bad.0).unwrap();
    wait_until(|| counts.files.get() == 2);
    assert_eq!(bad.files()[0].1, "bad\n");
    delivery.close();
    assert_eq!((counts.held(), counts.dropped.get()), (0, 0));
}

#[test]
fn close_counts_lines_that_nobody_takes() {
    let bad = Folder::new("lost");
    fs::write(&bad.0, "").unwrap();
    let (delivery, counts) = delivery();
    delivery
        .to(plain(folder(&bad.0), 3600))
        .send(b"a\nb\n".to_vec(), 2);
    delivery.close();
    assert_eq!((counts.files.get(), counts.dropped.get()), (0, 2));
    assert_eq!((counts.failures.get(), counts.held()), (1, 0));
    fs::remove_file(&bad.0).unwrap();
}
