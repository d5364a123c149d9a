use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::Sink;

/// The output of the access log, owned by the writer thread.
#[derive(Debug)]
pub(super) struct Writer {
    output: Output,
    /// Whether its path refers to it, as far as is known.
    is_in_place: bool,
    /// Whether a write failed, so that the output may end in the middle of a line.
    torn: bool,
}

#[derive(Debug)]
enum Output {
    Stdout,
    File { path: PathBuf, file: File },
}

impl Writer {
    pub(super) fn open(sink: Sink) -> io::Result<Self> {
        let output = match sink {
            Sink::Stdout => Output::Stdout,
            Sink::File(path) => Output::File {
                file: append_to(&path)?,
                path,
            },
        };
        Ok(Self {
            output,
            is_in_place: true,
            torn: false,
        })
    }

    /// The next write looks whether the file was moved away.
    pub(super) fn look(&mut self) {
        self.is_in_place = false;
    }

    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if let Output::File { path, file } = &mut self.output
            && !self.is_in_place
            && !is_at(file, path)
        {
            *file = append_to(path)?;
            self.torn = false;
        }
        self.is_in_place = true;
        let torn = std::mem::replace(&mut self.torn, true);
        match &mut self.output {
            Output::Stdout => write_lines(&mut io::stdout().lock(), torn, lines)?,
            Output::File { file, .. } => write_lines(file, torn, lines)?,
        }
        self.torn = false;
        Ok(())
    }
}

fn write_lines(out: &mut impl Write, torn: bool, lines: &[u8]) -> io::Result<()> {
    if torn {
        out.write_all(b"\n")?;
    }
    out.write_all(lines)?;
    out.flush()
}

/// Opens `path` for appending. Never blocks: a named pipe without a reader is refused.
fn append_to(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    // Writes may block, because this thread has a queue in front of it.
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(file)
}

/// Whether `path` still refers to `file`, that is, the file was not renamed or removed.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.metadata()) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}
