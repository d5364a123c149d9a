//! A reader of chunked bodies, written apart from elbow's.

/// A chunked body as far as it has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunks {
    pub(crate) data: Vec<u8>,
    /// Bytes of the input that belong to it.
    pub(crate) used: usize,
    /// Its last byte is there.
    pub(crate) is_whole: bool,
}

/// Whether extensions of chunks and trailers are taken; nobody writes any here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extras {
    Taken,
    Refused,
}

/// Reads the chunked body at the beginning of `input`; the error says what it is not.
pub(crate) fn chunks(input: &[u8], extras: Extras) -> Result<Chunks, &'static str> {
    let mut data = Vec::new();
    let part = |data| Chunks {
        data,
        used: input.len(),
        is_whole: false,
    };
    let mut at = 0;
    loop {
        let rest = &input[at..];
        let digits = rest.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        match rest.get(digits) {
            Some(b'\r') if digits > 0 => {}
            Some(b';') if digits > 0 && extras == Extras::Taken => {}
            Some(_) => return Err("size of a chunk"),
            None => {}
        }
        if digits > 16 {
            return Err("size of a chunk in 16 digits");
        }
        let Some(line) = line(rest)? else {
            return Ok(part(data));
        };
        let size = std::str::from_utf8(&line[..digits]).map_err(|_| "size of a chunk")?;
        let size = u64::from_str_radix(size, 16).map_err(|_| "size of a chunk")?;
        at += line.len() + 2;
        if size == 0 {
            break;
        }
        let here = usize::try_from(size).map_or(input.len() - at, |n| n.min(input.len() - at));
        data.extend_from_slice(&input[at..at + here]);
        at += here;
        match &input[at..] {
            [b'\r', b'\n', ..] => at += 2,
            [] | [b'\r'] => return Ok(part(data)),
            _ => return Err("end of a chunk"),
        }
    }
    loop {
        match line(&input[at..])? {
            None => return Ok(part(data)),
            Some([]) => {
                return Ok(Chunks {
                    data,
                    used: at + 2,
                    is_whole: true,
                });
            }
            Some(_) if extras == Extras::Refused => return Err("body without trailers"),
            Some(line) => at += line.len() + 2,
        }
    }
}

/// The line at the beginning of `input`, without its end; `None` when that is not there.
fn line(input: &[u8]) -> Result<Option<&[u8]>, &'static str> {
    for (at, byte) in input.iter().enumerate() {
        match (byte, input.get(at + 1)) {
            (b'\r', Some(b'\n')) => return Ok(Some(&input[..at])),
            (b'\r', None) => return Ok(None),
            (0..b' ' | 0x7f, _) if *byte != b'\t' => return Err("line of a chunked body"),
            _ => {}
        }
    }
    Ok(None)
}
