//! HTTP/2 frames as bytes, valid or not (RFC 9113, 4 and 6).

/// DATA.
pub const DATA: u8 = 0;
/// HEADERS.
pub const HEADERS: u8 = 1;
/// RST_STREAM.
pub const RST_STREAM: u8 = 3;
/// SETTINGS.
pub const SETTINGS: u8 = 4;
/// PING.
pub const PING: u8 = 6;
/// GOAWAY.
pub const GOAWAY: u8 = 7;
/// WINDOW_UPDATE.
pub const WINDOW_UPDATE: u8 = 8;
/// CONTINUATION.
pub const CONTINUATION: u8 = 9;

/// Flag: the last frame of the stream.
pub const END_STREAM: u8 = 1;
/// Flag: the field block is complete.
pub const END_HEADERS: u8 = 4;

/// Error code: the peer causes excessive load.
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// Setting: the initial window of streams.
pub const INITIAL_WINDOW_SIZE: u16 = 4;
/// The largest window.
pub const WINDOW_MAX: u32 = (1 << 31) - 1;

/// The default window.
const WINDOW: u32 = 65_535;

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// SETTINGS with these values.
pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let entry = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    frame(
        SETTINGS,
        0,
        0,
        &values.iter().flat_map(entry).collect::<Vec<_>>(),
    )
}

/// A client's start: preface, settings, and the window of the connection.
pub fn preface(stream_window: u32, connection_window: u32) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(settings(&[(INITIAL_WINDOW_SIZE, stream_window)]));
    let more = connection_window.saturating_sub(WINDOW);
    if more > 0 {
        bytes.extend(frame(WINDOW_UPDATE, 0, 0, &more.to_be_bytes()));
    }
    bytes
}

/// An uncompressed field block (RFC 7541, 6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name);
        string(&mut block, value);
    }
    block
}

/// HEADERS and CONTINUATION of a request for `path` on `a.example` with additional fields.
pub fn request(
    stream: u32,
    method: &str,
    path: &str,
    more: &[(&str, &str)],
    ends: bool,
) -> Vec<u8> {
    let mut fields = vec![
        (":method", method),
        (":scheme", "https"),
        (":authority", "a.example"),
        (":path", path),
    ];
    fields.extend_from_slice(more);
    let block = block(&fields);
    let mut bytes = Vec::new();
    let mut pieces = block.chunks(16 * 1024).peekable();
    let mut kind = HEADERS;
    while let Some(piece) = pieces.next() {
        let end_stream = if ends && kind == HEADERS {
            END_STREAM
        } else {
            0
        };
        let end_headers = if pieces.peek().is_none() {
            END_HEADERS
        } else {
            0
        };
        bytes.extend(frame(kind, end_stream | end_headers, stream, piece));
        kind = CONTINUATION;
    }
    bytes
}

/// A whole GET.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    request(stream, "GET", path, &[], true)
}

/// A string with its length as an integer of a 7-bit prefix (RFC 7541, 5.1).
fn string(block: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    if length < 127 {
        block.push(u8::try_from(length).unwrap());
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push(u8::try_from(length % 128).unwrap() | 128);
            length /= 128;
        }
        block.push(u8::try_from(length).unwrap());
    }
    block.extend_from_slice(text.as_bytes());
}
