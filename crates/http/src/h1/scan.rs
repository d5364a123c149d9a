//! Finds the end of a message head while its bytes arrive.

use memchr::memchr;

use super::Limits;
use super::simple::simple_target;

/// The progress of a search for the end of a head. Each byte is looked at once, however the input is
/// split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Where the search continues.
    position: usize,
    /// Where the current line begins.
    line: usize,
    /// Where the head begins, after empty lines.
    start: usize,
    /// Lines so far, the first one included.
    lines: usize,
}

/// A head that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where its first line begins: empty lines before it are skipped (RFC 9112, 2.2).
    pub start: usize,
    /// Where the bytes after it begin.
    pub end: usize,
    /// Its lines, without the empty one.
    pub lines: usize,
}

/// Why a head is refused before it is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanError {
    /// The first line is too long.
    FirstLineTooLong,
    /// Another line is too long.
    LineTooLong,
    /// The head is too long.
    HeadTooLong,
    /// The first line ends in LF without CR.
    BareLfInFirstLine,
    /// A later line ends in LF without CR.
    BareLf,
}

impl Scan {
    /// Continues the search. `bytes` is everything received since the head began. `None` while the
    /// head is incomplete.
    pub fn advance(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<Found>, ScanError> {
        while let Some(offset) = bytes.get(self.position..).and_then(|b| memchr(b'\n', b)) {
            let lf = self.position + offset;
            self.position = lf + 1;
            let content = bytes.get(self.line..lf).unwrap_or_default();
            let Some((b'\r', content)) = content.split_last() else {
                return Err(if self.lines == 0 {
                    ScanError::BareLfInFirstLine
                } else {
                    ScanError::BareLf
                });
            };
            let length = lf + 1 - self.line;
            self.line = lf + 1;
            if content.is_empty() {
                if self.lines > 0 {
                    self.check(lf + 1, 0, limits)?;
                    return Ok(Some(Found {
                        start: self.start,
                        end: lf + 1,
                        lines: self.lines,
                    }));
                }
                self.start = lf + 1;
            } else {
                self.check(lf + 1, length, limits)?;
                self.lines += 1;
            }
        }
        self.position = bytes.len();
        self.check(bytes.len(), bytes.len() - self.line, limits)?;
        Ok(None)
    }

    /// The first line as a whole head, if it is a Simple-Request of HTTP/0.9 (RFC 1945, 5): the client sends nothing else, or
    /// nothing that counts. `bytes` are those of the last search, whatever its result.
    pub fn simple_request(&self, bytes: &[u8]) -> Option<Found> {
        if self.lines == 0 {
            return None;
        }
        let line = bytes.get(self.start..)?;
        let length = memchr(b'\n', line)? + 1;
        simple_target(line.get(..length)?)?;
        Some(Found {
            start: self.start,
            end: self.start + length,
            lines: 1,
        })
    }

    /// Whether only empty lines were found so far.
    pub fn is_empty(&self) -> bool {
        self.lines == 0 && self.position == self.line
    }

    fn check(&self, end: usize, line: usize, limits: &Limits) -> Result<(), ScanError> {
        if self.lines == 0 && line > limits.first_line {
            return Err(ScanError::FirstLineTooLong);
        }
        if self.lines > 0 && line > limits.line {
            return Err(ScanError::LineTooLong);
        }
        if end > limits.head {
            return Err(ScanError::HeadTooLong);
        }
        Ok(())
    }
}
