//! Streams (RFC 9113, 5.1): their states, and the table of a connection.

use std::collections::VecDeque;

use slab::Slab;

use crate::window::{ReceiveWindow, SendWindow};

/// Closed streams that are remembered, so that late frames are told from wrong ones.
pub(crate) const CLOSED_MAX: usize = 128;

/// Names a stream of a connection until [`Connection::close`](crate::Connection::close).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamKey {
    index: u32,
    id: u32,
}

impl StreamKey {
    /// The stream's id.
    pub fn id(self) -> u32 {
        self.id
    }

    /// A small number that no other stream of the connection has at the same time.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// How far this side has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Nothing,
    Head,
    Everything,
}

/// How far the peer has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Nothing,
    Head,
    Everything,
}

/// What a stream waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Room in the output.
    Room,
    /// Room, and both windows.
    Capacity,
}

/// Who reset a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResetBy {
    /// Nothing may follow.
    Peer,
    /// Frames may have been on their way.
    Us,
}

/// One stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: u32,
    pub(crate) sent: Sent,
    pub(crate) got: Got,
    /// One side has reset it.
    pub(crate) reset: Option<ResetBy>,
    pub(crate) send_window: SendWindow,
    pub(crate) receive_window: ReceiveWindow,
    /// Bytes given to the owner and not released.
    pub(crate) held: usize,
    /// Bytes of the body yet to come, when the peer announced a length.
    pub(crate) content_left: Option<u64>,
    /// The response to this request has no body, whatever it announces.
    pub(crate) to_head: bool,
    pub(crate) wait: Option<Wait>,
    /// It is in the list of streams whose window may need an update.
    pub(crate) is_listed: bool,
    /// Its owner knows of it.
    pub(crate) is_known: bool,
}

impl Stream {
    pub(crate) fn is_reset(&self) -> bool {
        self.reset.is_some()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_reset() || (self.sent == Sent::Everything && self.got == Got::Everything)
    }

    /// Whether the peer may send DATA.
    pub(crate) fn is_receiving(&self) -> bool {
        !self.is_reset() && self.got == Got::Head
    }
}

/// How a stream was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// By both sides' END_STREAM, or by a reset of the peer: nothing may follow.
    Ended,
    /// By a reset of this side: frames may have been on their way.
    Reset,
    /// By a complete response, before the end of the request. The client may send so many more bytes of it.
    Answered(u32),
}

/// The streams of a connection.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    slab: Slab<Stream>,
    /// Ids in ascending order, with their keys in the slab. One side alone opens streams.
    ids: Vec<(u32, u32)>,
    closed: VecDeque<(u32, Closed)>,
    /// Streams that are not closed.
    open: u32,
}

impl Streams {
    /// Streams that are not closed.
    pub(crate) fn open(&self) -> u32 {
        self.open
    }

    /// Streams that the owner has not closed.
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Adds a stream; its id is higher than all before.
    pub(crate) fn add(&mut self, stream: Stream) -> StreamKey {
        let id = stream.id;
        let index = u32::try_from(self.slab.insert(stream)).unwrap_or(u32::MAX);
        self.ids.push((id, index));
        self.open += 1;
        StreamKey { index, id }
    }

    pub(crate) fn find(&self, id: u32) -> Option<StreamKey> {
        let at = self.ids.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        let (id, index) = *self.ids.get(at)?;
        Some(StreamKey { index, id })
    }

    pub(crate) fn get(&mut self, key: StreamKey) -> Option<&mut Stream> {
        let stream = self.slab.get_mut(key.index());
        stream.filter(|stream| stream.id == key.id)
    }

    /// Changes a stream, and counts it when the change closes it.
    pub(crate) fn change(&mut self, key: StreamKey, change: impl FnOnce(&mut Stream)) {
        let Some(stream) = self.get(key) else {
            return;
        };
        let was_closed = stream.is_closed();
        change(stream);
        if !was_closed && stream.is_closed() {
            self.open -= 1;
        }
    }

    /// Removes a stream that is closed.
    pub(crate) fn remove(&mut self, key: StreamKey) {
        if self.get(key).is_none() {
            return;
        }
        if let Ok(at) = self.ids.binary_search_by_key(&key.id, |(id, _)| *id) {
            self.ids.remove(at);
        }
        self.slab.try_remove(key.index());
    }

    /// Remembers how a stream was closed. Returns the stream that is forgotten for it, if its client may
    /// still send.
    pub(crate) fn remember(&mut self, id: u32, how: Closed) -> Option<u32> {
        let forgotten = if self.closed.len() == CLOSED_MAX {
            self.closed.pop_front()
        } else {
            None
        };
        self.closed.push_back((id, how));
        match forgotten {
            Some((id, Closed::Answered(_))) => Some(id),
            _ => None,
        }
    }

    /// How a stream was closed, unless that is forgotten.
    pub(crate) fn closed(&mut self, id: u32) -> Option<&mut Closed> {
        let found = self.closed.iter_mut().rev().find(|(of, _)| *of == id);
        found.map(|(_, how)| how)
    }

    /// Notes that no request is awaited any more, and reports those whose clients may still send.
    pub(crate) fn forget_answered(&mut self, mut forgotten: impl FnMut(u32)) {
        for (id, how) in &mut self.closed {
            if let Closed::Answered(_) = how {
                *how = Closed::Reset;
                forgotten(*id);
            }
        }
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.slab.iter_mut().map(|(_, stream)| stream)
    }

    /// All streams, in the order of their ids.
    pub(crate) fn keys(&self) -> impl Iterator<Item = StreamKey> {
        let ids = self.ids.iter();
        ids.map(|(id, index)| StreamKey {
            index: *index,
            id: *id,
        })
    }

    /// Gives back memory that only many streams need.
    pub(crate) fn shrink(&mut self) {
        const FEW: usize = 32;
        if self.slab.is_empty() && self.slab.capacity() > FEW {
            (self.slab, self.ids) = (Slab::new(), Vec::new());
        }
    }
}
