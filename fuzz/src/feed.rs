//! Turns the bytes of the fuzzer into decisions. Bytes after the end read as zero, so every input is valid and a longer one
//! decides more.

/// The remaining bytes.
pub struct Feed<'a>(&'a [u8]);

impl<'a> Feed<'a> {
    /// Reads decisions from `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    /// Whether all bytes are used.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the next byte, if there is one.
    pub fn next(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    /// Returns the next byte.
    pub fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// Returns true for one in `n` byte values; at the end of the input only if `n` is 1.
    pub fn one_in(&mut self, n: u8) -> bool {
        self.byte() % n == n - 1
    }

    /// Returns a 32-bit number.
    pub fn number(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// Returns at most 255 bytes.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    /// Returns a text of at most 255 bytes.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// Returns one of `all`, which must not be empty.
    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }
}
