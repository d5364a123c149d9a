//! A strict decoder of `Transfer-Encoding: chunked` (RFC 9112, 7.1), and the lines of an encoder.

use elbow_h2::is_token_byte;

/// The most bytes of chunk extensions in one body. Extensions are dropped.
pub const EXTENSIONS_MAX: usize = 16 * 1024;
/// The most bytes of trailers behind one body.
pub const TRAILERS_MAX: usize = 16 * 1024;
/// The most digits of a chunk size: 64 bits.
const DIGITS_MAX: u8 = 16;
/// The most bytes that [`size_line`] returns.
pub const SIZE_LINE_MAX: usize = 18;
/// The end of a chunked body without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Why a chunked body is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// No hex digits, other bytes between them, or white space.
    #[error("malformed chunk size")]
    Size,
    /// More than 64 bits.
    #[error("chunk size too large")]
    SizeOverflow,
    /// A control byte in an extension.
    #[error("malformed chunk extension")]
    Extension,
    /// More than [`EXTENSIONS_MAX`].
    #[error("too many chunk extensions")]
    ExtensionsTooLong,
    /// CR without LF, LF without CR, or data longer than its size.
    #[error("malformed line end in chunked body")]
    LineEnd,
    /// A trailer without a name and a colon, or a control byte in it.
    #[error("malformed trailer")]
    Trailer,
    /// More than [`TRAILERS_MAX`].
    #[error("trailers too long")]
    TrailersTooLong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the first digit of a size.
    SizeStart,
    /// After a digit.
    Size,
    /// In an extension.
    Extension,
    /// After the CR of a size line.
    SizeLf,
    /// In data.
    Data,
    /// After data.
    DataCr,
    /// After the CR that follows data.
    DataLf,
    /// At the start of a trailer line, or of the empty line.
    TrailerStart,
    /// In the name of a trailer.
    TrailerName,
    /// In a trailer line, after its colon.
    Trailer,
    /// After the CR of a trailer line.
    TrailerLf,
    /// After the CR of the empty line.
    EndLf,
    /// After everything.
    Done,
}

/// Decodes one body, however its bytes are split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoder {
    state: State,
    /// The size of the current chunk, then the bytes of data yet to come.
    left: u64,
    /// Digits of the current size so far.
    digits: u8,
    extensions: usize,
    trailers: usize,
    /// The lines of the trailers, if they are kept.
    kept: Option<Vec<u8>>,
}

/// What [`Decoder::decode`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes used of the input.
    pub used: usize,
    /// How many of them are data; these come last.
    pub data: usize,
}

/// What [`Decoder::compact`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes used of the input.
    pub used: usize,
    /// Bytes of data, now at the front of the input.
    pub data: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            state: State::SizeStart,
            left: 0,
            digits: 0,
            extensions: 0,
            trailers: 0,
            kept: None,
        }
    }
}

impl Decoder {
    /// A decoder that keeps the trailers for [`Decoder::take_trailers`]; by default they are dropped.
    pub fn keeping_trailers() -> Self {
        Self {
            kept: Some(Vec::new()),
            ..Self::default()
        }
    }

    /// The lines of the trailers, without the empty one, once the body is over: each has a name, a
    /// colon, and no control bytes.
    pub fn take_trailers(&mut self) -> Option<Vec<u8>> {
        self.kept.take()
    }

    /// Whether the body and its trailers are over.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Decodes up to the end of the next run of data, of the body, or of the input.
    pub fn decode(&mut self, input: &[u8]) -> Result<Decoded, ChunkError> {
        let mut used = 0;
        while let Some(&byte) = input.get(used) {
            match self.state {
                State::Done => break,
                State::Data => {
                    let rest = input.len() - used;
                    let data = usize::try_from(self.left).map_or(rest, |left| left.min(rest));
                    self.left -= data as u64;
                    if self.left == 0 {
                        self.state = State::DataCr;
                    }
                    return Ok(Decoded {
                        used: used + data,
                        data,
                    });
                }
                _ => self.framing(byte)?,
            }
            used += 1;
        }
        Ok(Decoded { used, data: 0 })
    }

    /// Decodes all of `input` up to the end of the body, and moves the data to its front.
    pub fn compact(&mut self, input: &mut [u8]) -> Result<Compacted, ChunkError> {
        let (mut used, mut data) = (0, 0);
        while let Some(rest) = input.get(used..).filter(|rest| !rest.is_empty()) {
            if self.is_done() {
                break;
            }
            let step = self.decode(rest)?;
            used += step.used;
            let from = used - step.data;
            if from != data {
                input.copy_within(from..used, data);
            }
            data += step.data;
        }
        Ok(Compacted { used, data })
    }

    fn framing(&mut self, byte: u8) -> Result<(), ChunkError> {
        let state = self.next(byte)?;
        if let Some(kept) = &mut self.kept
            && (matches!(
                state,
                State::TrailerName | State::Trailer | State::TrailerLf
            ) || self.state == State::TrailerLf)
        {
            kept.push(byte);
        }
        self.state = state;
        Ok(())
    }

    /// The state after `byte` of framing.
    fn next(&mut self, byte: u8) -> Result<State, ChunkError> {
        Ok(match (self.state, byte) {
            (State::SizeStart, _) => {
                (self.left, self.digits) = (0, 0);
                self.digit(byte)?;
                State::Size
            }
            (State::Size, b'\r') | (State::Extension, b'\r') => State::SizeLf,
            (State::Size, b';') => {
                self.extension()?;
                State::Extension
            }
            (State::Size, _) => {
                self.digit(byte)?;
                State::Size
            }
            (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => {
                self.extension()?;
                State::Extension
            }
            (State::Extension, _) => return Err(ChunkError::Extension),
            (State::SizeLf, b'\n') if self.left == 0 => State::TrailerStart,
            (State::SizeLf, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::SizeStart,
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::TrailerName, b':') => {
                self.trailer()?;
                State::Trailer
            }
            (State::TrailerStart | State::TrailerName, _) if is_token_byte(byte) => {
                self.trailer()?;
                State::TrailerName
            }
            (State::Trailer, b'\t' | b' '..=b'~' | 0x80..) => {
                self.trailer()?;
                State::Trailer
            }
            (State::TrailerStart | State::TrailerName | State::Trailer, _) => {
                return Err(ChunkError::Trailer);
            }
            (State::EndLf, b'\n') => State::Done,
            _ => return Err(ChunkError::LineEnd),
        })
    }

    fn digit(&mut self, byte: u8) -> Result<(), ChunkError> {
        let digit = (byte as char).to_digit(16).ok_or(ChunkError::Size)?;
        if self.digits == DIGITS_MAX {
            return Err(ChunkError::SizeOverflow);
        }
        self.digits += 1;
        self.left = (self.left << 4) | u64::from(digit);
        Ok(())
    }

    fn trailer(&mut self) -> Result<(), ChunkError> {
        self.trailers += 1;
        if self.trailers > TRAILERS_MAX {
            return Err(ChunkError::TrailersTooLong);
        }
        Ok(())
    }

    fn extension(&mut self) -> Result<(), ChunkError> {
        self.extensions += 1;
        if self.extensions > EXTENSIONS_MAX {
            return Err(ChunkError::ExtensionsTooLong);
        }
        Ok(())
    }
}

/// The size line of a chunk of `size` bytes: the line and its length.
pub fn size_line(size: usize) -> ([u8; SIZE_LINE_MAX], usize) {
    let mut line = [0; SIZE_LINE_MAX];
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1) as usize;
    for (i, place) in line.iter_mut().take(digits).enumerate() {
        let digit = (size >> ((digits - 1 - i) * 4)) & 0xf;
        *place = b"0123456789abcdef".get(digit).copied().unwrap_or(b'0');
    }
    for (place, byte) in line.iter_mut().skip(digits).zip(*b"\r\n") {
        *place = byte;
    }
    (line, digits + 2)
}

#[cfg(test)]
mod tests;
