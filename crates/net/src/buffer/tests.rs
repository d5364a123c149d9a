use std::task::{Context, Poll, Waker};

use tokio::io::AsyncWriteExt;

use super::{
    Buffer, Buffers, HEAD, HEADS_KEPT, HEADS_OUT, LARGE, LARGE_KEPT, LARGE_OUT, SMALL, SMALL_KEPT,
    poll_read_pooled,
};
use crate::testing::pair;

#[test]
fn fills_at_the_back_and_consumes_at_the_front() {
    let buffers = Buffers::new();
    for (mut buffer, size) in [(buffers.take(), SMALL), (buffers.take_large(), LARGE)] {
        assert_eq!((buffer.len(), buffer.capacity()), (0, size));
        assert_eq!((buffer.room(), buffer.spare().len()), (size, size));
        assert_eq!(buffer.extend(b"hello world"), 11);
        buffer.consume(6);
        assert_eq!(&*buffer, b"world");
        assert_eq!(buffer.room(), size - 11);
        buffer.compact();
        assert_eq!((&*buffer, buffer.room()), (&b"world"[..], size - 5));
        buffer.spare()[..2].copy_from_slice(b"!!");
        buffer.commit(2);
        assert_eq!(&*buffer, b"world!!");
        buffer.filled_mut()[0] = b'W';
        assert_eq!(&*buffer, b"World!!");
        buffer.consume(100);
        assert_eq!((buffer.len(), buffer.room()), (0, size));
        assert_eq!(buffer.extend(&vec![7; size + 1]), size);
        assert_eq!(buffer.extend(b"more"), 0);
        buffer.commit(1);
        assert_eq!(buffer.len(), size);
    }
}

/// rustls copies what it encrypts to five bytes behind the beginning of a page. AMD's `rep movsb` is slow if that is up to 15
/// bytes further in its page than the source.
#[test]
fn content_of_a_large_buffer_begins_where_copies_to_a_record_are_fast() {
    const PAGE: usize = 4096;
    const RECORD_HEADER: usize = 5;
    let buffers = Buffers::new();
    let assert_fast = |buffer: &mut Buffer, after: &str| {
        assert!(buffer.is_empty());
        // As if the allocation began with a page. mimalloc's do, glibc's do not.
        let source = buffer.spare().as_ptr().addr() - buffer.bytes.as_ptr().addr();
        let further = (PAGE + RECORD_HEADER - source % PAGE) % PAGE;
        assert!(further > 15, "{after}: {further} bytes further");
    };
    let mut buffer = buffers.take_large();
    assert_fast(&mut buffer, "taken");
    buffer.extend(b"first");
    buffer.clear();
    assert_fast(&mut buffer, "cleared");
    buffer.extend(b"second");
    buffer.consume(6);
    assert_fast(&mut buffer, "consumed");
    drop(buffer);
    assert_fast(&mut buffers.take_large(), "taken again");
}

#[test]
fn reused_buffer_is_empty_but_not_zeroed() {
    let buffers = Buffers::new();
    let mut buffer = buffers.take();
    buffer.extend(b"left over");
    let at = buffer.as_ptr();
    drop(buffer);
    let mut buffer = buffers.take();
    assert_eq!(buffer.as_ptr(), at, "the buffer dropped last is used again");
    assert!(buffer.is_empty());
    assert_eq!(&buffer.spare()[..9], b"left over");
}

#[test]
fn pool_is_bounded() {
    let buffers = Buffers::new();
    let many: Vec<_> = (0..SMALL_KEPT * 2).map(|_| buffers.take()).collect();
    let large: Vec<_> = (0..LARGE_OUT + 10).map(|_| buffers.take_large()).collect();
    assert_eq!(
        large.iter().filter(|b| b.capacity() == LARGE).count(),
        LARGE_OUT
    );
    assert_eq!(large.iter().filter(|b| b.capacity() == SMALL).count(), 10);
    assert_eq!(buffers.in_use(), many.len() + large.len());
    drop((many, large));
    assert_eq!(buffers.in_use(), 0);
    assert_eq!(buffers.pools.small.kept.borrow().len(), SMALL_KEPT);
    assert_eq!(buffers.pools.large.kept.borrow().len(), LARGE_KEPT);
}

#[test]
fn head_buffers_have_their_own_bounded_pool() {
    let buffers = Buffers::new();
    let large: Vec<_> = (0..LARGE_OUT).map(|_| buffers.take_large()).collect();
    let heads: Vec<_> = (0..HEADS_OUT).map_while(|_| buffers.take_head()).collect();
    assert_eq!(heads.len(), HEADS_OUT);
    assert!(heads.iter().all(|b| b.capacity() == HEAD));
    assert!(buffers.take_head().is_none());
    assert_eq!(buffers.in_use(), LARGE_OUT + HEADS_OUT);
    drop((heads, large));
    assert_eq!(buffers.in_use(), 0);
    assert_eq!(buffers.pools.heads.kept.borrow().len(), HEADS_KEPT);
    let mut head = buffers.take_head().unwrap();
    head.extend(b"of the next request");
    assert_eq!(head.shrink().capacity(), SMALL);
    assert_eq!(buffers.pools.heads.out.get(), 0);
}

#[test]
fn waiting_connection_keeps_a_small_buffer_when_the_bytes_fit() {
    let buffers = Buffers::new();
    let mut buffer = buffers.take_large();
    buffer.extend(&[1; SMALL + 5]);
    buffer.consume(5);
    let buffer = buffer.shrink();
    assert_eq!((buffer.capacity(), &*buffer), (SMALL, &[1; SMALL][..]));
    assert_eq!(buffers.pools.large.out.get(), 0);

    let mut buffer = buffers.take_large();
    buffer.extend(&[1; SMALL + 1]);
    assert_eq!(buffer.shrink().capacity(), LARGE);
}

#[tokio::test]
async fn waiting_read_holds_no_buffer() {
    let buffers = Buffers::new();
    let (mut near, mut far) = pair().await;
    let mut slot = None;
    let mut cx = Context::from_waker(Waker::noop());

    assert!(poll_read_pooled(&mut cx, &buffers, &mut near, &mut slot).is_pending());
    assert!(slot.is_none());
    assert_eq!(buffers.in_use(), 0);

    far.write_all(b"GET").await.unwrap();
    near.readable().await.unwrap();
    let read = poll_read_pooled(&mut cx, &buffers, &mut near, &mut slot);
    assert!(matches!(read, Poll::Ready(Ok(3))));
    assert!(poll_read_pooled(&mut cx, &buffers, &mut near, &mut slot).is_pending());
    assert_eq!(slot.as_deref(), Some(&b"GET"[..]), "half a head stays");

    far.write_all(&[b'x'; SMALL]).await.unwrap();
    while near.peek(&mut [0; SMALL]).await.unwrap() < SMALL {}
    let read = poll_read_pooled(&mut cx, &buffers, &mut near, &mut slot);
    assert!(matches!(read, Poll::Ready(Ok(n)) if n == SMALL - 3));
    let read = poll_read_pooled(&mut cx, &buffers, &mut near, &mut slot);
    assert!(
        matches!(read, Poll::Ready(Err(_))),
        "a full buffer is not the end of the stream"
    );

    slot = None;
    drop(far);
    let read = poll_read_pooled(&mut cx, &buffers, &mut near, &mut slot);
    assert!(matches!(read, Poll::Ready(Ok(3))));
    slot = None;
    near.readable().await.unwrap();
    let read = poll_read_pooled(&mut cx, &buffers, &mut near, &mut slot);
    assert!(matches!(read, Poll::Ready(Ok(0))));
    assert!(slot.is_none());
}
