use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;

/// Counts how often its task was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Woken {
    fn times(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn budget() -> (Rc<WorkerBudget>, Rc<Budget>) {
    let worker = Rc::<WorkerBudget>::default();
    (Rc::clone(&worker), Budget::new(worker))
}

/// Reads as much as there is room for and hands it out, until there is no room.
fn fill(share: &mut Share, woken: &Arc<Woken>) -> Vec<Piece> {
    let waker = Waker::from(Arc::clone(woken));
    let cx = Context::from_waker(&waker);
    let mut pieces = Vec::new();
    while let Poll::Ready(room) = share.poll_room(&cx) {
        let room = room.min(32 * 1024);
        share.read(room);
        pieces.push(share.hand_out(Bytes::from(vec![0; room]), false));
        assert!(sum(&pieces) <= CONNECTION, "there is always room");
    }
    pieces
}

fn sum(pieces: &[Piece]) -> usize {
    pieces.iter().map(Buf::remaining).sum()
}

#[test]
fn streams_that_are_stuck_hold_no_more_than_the_budget_and_their_minimum() {
    let (worker, _) = budget();
    let woken = Arc::<Woken>::default();
    let mut held = Vec::new();
    let mut shares = Vec::new();
    for _ in 0..60 {
        let connection = Budget::new(Rc::clone(&worker));
        for _ in 0..100 {
            let mut share = Share::new(Rc::clone(&connection));
            held.extend(fill(&mut share, &woken));
            shares.push(share);
        }
        assert!(connection.held.get() <= CONNECTION + 100 * STREAM_MIN);
    }
    assert_eq!(worker.held.get(), sum(&held));
    assert!(worker.held.get() <= WORKER + 6_000 * STREAM_MIN);
    // Each has something, so the clients that do read get on.
    assert!(worker.held.get() >= 6_000 * STREAM_MIN);
    assert_eq!(woken.times(), 0);
    drop((held, shares));
    assert_eq!(worker.held.get(), 0);
}

#[test]
fn a_stream_that_is_alone_reads_far_ahead() {
    let (_, connection) = budget();
    let mut share = Share::new(connection);
    let pieces = fill(&mut share, &Arc::default());
    assert!(sum(&pieces) > STREAM_MAX - STREAM_MIN, "{}", sum(&pieces));
    assert!(sum(&pieces) <= STREAM_MAX, "{}", sum(&pieces));
}

#[test]
fn a_stream_waits_for_its_own_bytes_alone() {
    let (_, connection) = budget();
    let (first, second) = (Arc::<Woken>::default(), Arc::<Woken>::default());
    let mut stuck = Share::new(Rc::clone(&connection));
    let mut reading = Share::new(Rc::clone(&connection));
    let kept = fill(&mut stuck, &first);
    let mut pieces = fill(&mut reading, &second);
    for _ in 0..100 {
        let before = second.times();
        let piece = pieces.remove(0);
        drop(piece);
        assert_eq!(second.times(), before + 1);
        pieces.extend(fill(&mut reading, &second));
    }
    assert_eq!(first.times(), 0, "nothing of it was taken");
    drop(kept);
    assert_eq!(first.times(), 1);
}

#[test]
fn what_is_used_or_dropped_is_given_back() {
    let (worker, connection) = budget();
    let mut share = Share::new(Rc::clone(&connection));
    share.read(300);
    share.used(100);
    assert_eq!(connection.held.get(), 200);
    let piece = share.hand_out(Bytes::from_static(b"hello"), true);
    assert_eq!(connection.held.get(), 200);
    drop(share);
    assert_eq!((connection.held.get(), worker.held.get()), (5, 5));
    drop(piece);
    assert_eq!((connection.held.get(), worker.held.get()), (0, 0));
    drop(Piece::from(Bytes::from_static(b"a page")));
    assert_eq!(worker.held.get(), 0);
}

#[test]
fn heads_that_wait_have_a_bound() {
    let worker = Rc::<WorkerBudget>::default();
    let head = 64 * 1024;
    let held: Vec<_> = (0..HEADS / head).map(|_| worker.hold_head(head)).collect();
    assert!(held.iter().all(Option::is_some));
    assert!(worker.hold_head(1).is_none());
    drop(held);
    assert!(worker.hold_head(HEADS).is_some());
    assert_eq!(worker.heads.get(), 0);
}

#[test]
fn a_piece_reads_as_its_bytes() {
    let mut piece = Piece::from(Bytes::from_static(b"hello"));
    piece.advance(2);
    assert_eq!((piece.remaining(), piece.chunk()), (3, b"llo".as_slice()));
}
