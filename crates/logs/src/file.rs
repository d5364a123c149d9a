//! A log file while it is written.

use std::io::{self, Write};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::destination::Destination;

/// A file in memory, before it is delivered.
pub(crate) struct OpenFile {
    destination: Arc<Destination>,
    /// The end of its interval, in seconds since 1970.
    pub(crate) end: u64,
    body: Body,
    lines: u64,
}

enum Body {
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Plain(Vec<u8>),
}

/// A file that is ready to be delivered.
#[derive(Debug)]
pub(crate) struct FinishedFile {
    pub(crate) destination: Arc<Destination>,
    pub(crate) key: String,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) lines: u64,
}

impl OpenFile {
    /// An empty file of the interval that contains `now`.
    pub(crate) fn new(destination: Arc<Destination>, now: u64) -> Self {
        let interval = destination.interval.as_secs().max(1);
        let body = if destination.kind.is_compressed() {
            Body::Gzip(Box::new(GzEncoder::new(Vec::new(), Compression::fast())))
        } else {
            Body::Plain(Vec::new())
        };
        Self {
            end: (now / interval + 1) * interval,
            destination,
            body,
            lines: 0,
        }
    }

    /// Appends whole lines. Returns by how many bytes the file grew in memory.
    pub(crate) fn write(&mut self, bytes: &[u8], lines: u64) -> io::Result<usize> {
        let before = self.size();
        match &mut self.body {
            Body::Gzip(encoder) => encoder.write_all(bytes)?,
            Body::Plain(body) => body.extend_from_slice(bytes),
        }
        self.lines += lines;
        Ok(self.size() - before)
    }

    /// Its bytes in memory.
    pub(crate) fn size(&self) -> usize {
        match &self.body {
            Body::Gzip(encoder) => encoder.get_ref().len(),
            Body::Plain(body) => body.len(),
        }
    }

    /// Its lines.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// Ends the file. `random` becomes part of its name.
    pub(crate) fn finish(self, random: u64) -> io::Result<FinishedFile> {
        let bytes = match self.body {
            Body::Gzip(encoder) => encoder.finish()?,
            Body::Plain(body) => body,
        };
        Ok(FinishedFile {
            key: self.destination.key(self.end, random),
            destination: self.destination,
            bytes: bytes.into(),
            lines: self.lines,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use flate2::read::GzDecoder;

    use super::*;
    use crate::destination::Kind;
    use crate::destination::tests::{END, destination};

    #[test]
    fn file_belongs_to_the_interval_of_its_first_line() {
        let end = |now, interval| {
            let destination = Destination {
                interval: Duration::from_secs(interval),
                ..destination()
            };
            OpenFile::new(Arc::new(destination), now).end
        };
        assert_eq!(end(END - 1, 300), END);
        assert_eq!(end(END - 300, 300), END);
        assert_eq!(end(END, 300), END + 300);
        assert_eq!(end(END - 1, 3600), END + 1200);
    }

    #[test]
    fn compressed_lines_come_back() {
        let mut file = OpenFile::new(Arc::new(destination()), END - 1);
        let mut grown = 0;
        for line in ["first\n", "second\n"] {
            grown += file.write(line.as_bytes(), 1).unwrap();
        }
        assert_eq!(grown, file.size());
        let finished = file.finish(0).unwrap();
        let mut text = String::new();
        GzDecoder::new(&*finished.bytes)
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!((&*text, finished.lines), ("first\nsecond\n", 2));
        assert_eq!(finished.key, destination().key(END, 0));
    }

    #[test]
    fn classic_lines_are_not_compressed() {
        let classic = Destination {
            kind: Kind::ClassicAccess,
            ..destination()
        };
        let mut file = OpenFile::new(Arc::new(classic), END);
        file.write(b"line\n", 1).unwrap();
        assert_eq!(&*file.finish(0).unwrap().bytes, b"line\n");
    }
}
