//! What the comparisons with the h2 crate share.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll};

use elbow_h2::{Config, Head};

/// Settings of both.
pub(crate) const CONFIG: Config = Config {
    streams_max: 128,
    stream_window: 256 * 1024,
    connection_window: 1024 * 1024,
    header_list_max: 128 * 1024,
    output_max: 128 * 1024,
};

/// Fields, sorted.
pub(crate) type Fields = Vec<(String, Vec<u8>)>;

/// The fields of one of our heads.
pub(crate) fn of_head(head: &Head) -> Fields {
    sorted(head.fields().map(|(n, v)| (n.to_owned(), v.to_vec())))
}

/// The fields of a map.
pub(crate) fn of_map(fields: &http::HeaderMap) -> Fields {
    let fields = fields.iter();
    sorted(fields.map(|(n, v)| (n.as_str().to_owned(), v.as_bytes().to_vec())))
}

fn sorted(fields: impl Iterator<Item = (String, Vec<u8>)>) -> Fields {
    let mut fields: Vec<_> = fields.collect();
    fields.sort();
    fields
}

/// What a side did with its peer.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// Streams that it reset.
    pub(crate) reset: Vec<u32>,
    /// The error that ended the connection.
    pub(crate) failed: Option<u32>,
}

impl Refusals {
    /// Notes RST_STREAM and GOAWAY among the frames that a side sent.
    pub(crate) fn note_frames(&mut self, mut rest: &[u8]) {
        while let [a, b, c, kind, _, id @ ..] = rest {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            let (Some(payload), Some(id)) = (rest.get(9..9 + length), id.first_chunk::<4>()) else {
                return;
            };
            match kind {
                3 => self.reset.push(u32::from_be_bytes(*id)),
                7 if payload[4..8] != [0; 4] => {
                    let code = payload[4..8].try_into().unwrap();
                    self.failed = Some(u32::from_be_bytes(code));
                }
                _ => {}
            }
            rest = &rest[9 + length..];
        }
    }

    /// Whether it refused a stream, or all that came after some time.
    pub(crate) fn has(&self, stream: u32) -> bool {
        self.failed.is_some() || self.reset.contains(&stream)
    }
}

/// Polls a future once.
pub(crate) fn poll<F: Future>(cx: &mut Context<'_>, future: F) -> Poll<F::Output> {
    pin!(future).poll(cx)
}
