//! SETTINGS (RFC 9113, 6.5): this side's, and the peer's.

use crate::FRAME_MAX;
use crate::error::{ErrorCode, Fault};
use crate::frame::MAX_31;
use crate::window;

const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;
const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// What this side allows its peer, and the limits of its own memory.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Streams that the peer may have open.
    pub streams_max: u32,
    /// Receive window of a new stream in bytes, at most 2,147,483,647. A server's is at least 65,535, which a
    /// client may use before it reads the server's SETTINGS.
    pub stream_window: u32,
    /// Receive window of the connection in bytes: 65,535 to 2,147,483,647.
    pub connection_window: u32,
    /// Size of a header list in bytes, with 32 for each field (RFC 9113, 6.5.2). A larger list is
    /// reported without its fields.
    pub header_list_max: u32,
    /// Output in bytes beyond which no DATA is taken.
    pub output_max: usize,
}

impl Config {
    /// The same, with windows in their range.
    pub(crate) fn in_range(self, is_server: bool) -> Self {
        let least = if is_server { window::DEFAULT } else { 0 };
        Self {
            stream_window: self.stream_window.clamp(least, MAX_31),
            connection_window: self.connection_window.clamp(window::DEFAULT, MAX_31),
            ..self
        }
    }

    /// The payload of this side's SETTINGS.
    pub(crate) fn payload(&self, is_server: bool) -> Vec<u8> {
        let frame_max = u32::try_from(FRAME_MAX).unwrap_or(MAX_31);
        let first = if is_server {
            (MAX_CONCURRENT_STREAMS, self.streams_max)
        } else {
            (ENABLE_PUSH, 0)
        };
        let all = [
            first,
            (INITIAL_WINDOW_SIZE, self.stream_window),
            (MAX_FRAME_SIZE, frame_max),
            (MAX_HEADER_LIST_SIZE, self.header_list_max),
        ];
        let mut payload = Vec::with_capacity(6 * all.len());
        for (name, value) in all {
            payload.extend_from_slice(&name.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        payload
    }
}

/// What one SETTINGS frame of the peer changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The smallest value and the last one, since both must reach the peer (RFC 7541, 4.2).
    pub(crate) table_size: Option<(u32, u32)>,
    pub(crate) streams_max: Option<u32>,
    pub(crate) initial_window: Option<u32>,
}

impl Changes {
    /// Reads the payload of a frame. `from_server`: its sender is a server.
    pub(crate) fn read(payload: &[u8], from_server: bool) -> Result<Self, Fault> {
        let mut changes = Self::default();
        let mut rest = payload;
        while let Some((&[n0, n1, v0, v1, v2, v3], after)) = rest.split_first_chunk() {
            let (name, value) = (
                u16::from_be_bytes([n0, n1]),
                u32::from_be_bytes([v0, v1, v2, v3]),
            );
            match name {
                HEADER_TABLE_SIZE => {
                    let smallest = changes
                        .table_size
                        .map_or(value, |(least, _)| least.min(value));
                    changes.table_size = Some((smallest, value));
                }
                ENABLE_PUSH if value > u32::from(!from_server) => {
                    return Err(Fault::protocol("invalid SETTINGS_ENABLE_PUSH"));
                }
                MAX_CONCURRENT_STREAMS => changes.streams_max = Some(value),
                INITIAL_WINDOW_SIZE if value > MAX_31 => {
                    let code = ErrorCode::FLOW_CONTROL_ERROR;
                    return Err(Fault::connection(code, "initial window too large"));
                }
                INITIAL_WINDOW_SIZE => changes.initial_window = Some(value),
                // DATA is never larger than the least that a peer can set.
                MAX_FRAME_SIZE if !(16_384..1 << 24).contains(&value) => {
                    return Err(Fault::protocol("invalid SETTINGS_MAX_FRAME_SIZE"));
                }
                ENABLE_CONNECT_PROTOCOL if value > 1 => {
                    return Err(Fault::protocol("invalid SETTINGS_ENABLE_CONNECT_PROTOCOL"));
                }
                _ => {}
            }
            rest = after;
        }
        if rest.is_empty() {
            return Ok(changes);
        }
        let code = ErrorCode::FRAME_SIZE_ERROR;
        Err(Fault::connection(code, "SETTINGS of a partial setting"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(settings: &[(u16, u32)]) -> Vec<u8> {
        let bytes = settings
            .iter()
            .map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat());
        bytes.collect::<Vec<_>>().concat()
    }

    #[test]
    fn changes_keep_the_last_value_and_the_smallest_table() {
        let sent = [
            (1, 4096),
            (1, 0),
            (1, 100),
            (3, 7),
            (4, 5),
            (4, 9),
            (77, 1),
            (2, 0),
            (2, 1),
        ];
        let changes = Changes::read(&payload(&sent), false).unwrap();
        let expected = Changes {
            table_size: Some((0, 100)),
            streams_max: Some(7),
            initial_window: Some(9),
        };
        assert_eq!(changes, expected);
    }

    #[test]
    fn invalid_values_end_the_connection() {
        let table = [
            ((2, 2), false, ErrorCode::PROTOCOL_ERROR),
            ((2, 1), true, ErrorCode::PROTOCOL_ERROR),
            ((4, 1 << 31), false, ErrorCode::FLOW_CONTROL_ERROR),
            ((5, 16_383), false, ErrorCode::PROTOCOL_ERROR),
            ((5, 1 << 24), false, ErrorCode::PROTOCOL_ERROR),
            ((8, 2), true, ErrorCode::PROTOCOL_ERROR),
        ];
        for (setting, from_server, expected) in table {
            let read = Changes::read(&payload(&[setting]), from_server);
            assert!(
                matches!(read, Err(Fault::Connection(error)) if error.code == expected),
                "{setting:?}: {read:?}"
            );
        }
        assert!(Changes::read(&[0; 5], false).is_err());
    }
}
