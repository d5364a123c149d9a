//! The head of a frame (RFC 9113, 4.1).

pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

pub(crate) mod flag {
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// The highest stream id and the largest window.
pub(crate) const MAX_31: u32 = (1 << 31) - 1;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    /// Of the payload.
    pub(crate) length: usize,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    /// 0 is the connection.
    pub(crate) stream: u32,
}

impl FrameHead {
    pub(crate) const SIZE: usize = 9;

    /// The head at the start of `input`; `None` when there is only part of one.
    pub(crate) fn read(input: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, stream @ ..] = *input.first_chunk::<{ Self::SIZE }>()?;
        Some(Self {
            length: usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c),
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & MAX_31,
        })
    }

    /// The nine bytes.
    pub(crate) fn bytes(self) -> [u8; Self::SIZE] {
        // Payloads have at most 16,384 bytes.
        let length = u32::try_from(self.length).unwrap_or(u32::MAX);
        let ([_, a, b, c], [d, e, f, g]) = (length.to_be_bytes(), self.stream.to_be_bytes());
        [a, b, c, self.kind, self.flags, d, e, f, g]
    }

    pub(crate) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Removes the padding of a frame with `flags` (RFC 9113, 6.1 and 6.2); `None` when it is longer than
/// the payload.
pub(crate) fn unpadded(flags: u8, payload: &[u8]) -> Option<&[u8]> {
    if flags & flag::PADDED == 0 {
        return Some(payload);
    }
    let (padding, rest) = payload.split_first()?;
    rest.get(..rest.len().checked_sub(usize::from(*padding))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_reads_as_it_was_written() {
        let head = FrameHead {
            length: 16_384,
            kind: kind::HEADERS,
            flags: flag::END_HEADERS,
            stream: MAX_31,
        };
        let mut bytes = head.bytes();
        assert_eq!(bytes, [0, 0x40, 0, 1, 4, 0x7f, 0xff, 0xff, 0xff]);
        // The highest bit is reserved and ignored.
        bytes[5] |= 0x80;
        assert_eq!(FrameHead::read(&bytes), Some(head));
        assert_eq!(FrameHead::read(&bytes[..8]), None);
    }

    #[test]
    fn padding_is_removed() {
        assert_eq!(unpadded(0, b"\x02ab"), Some(b"\x02ab".as_slice()));
        assert_eq!(unpadded(flag::PADDED, b"\x02a00"), Some(b"a".as_slice()));
        assert_eq!(unpadded(flag::PADDED, b"\x01x"), Some(b"".as_slice()));
        assert_eq!(unpadded(flag::PADDED, b"\x02x"), None);
        assert_eq!(unpadded(flag::PADDED, b""), None);
    }
}
