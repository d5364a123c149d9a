//! A reader of chunked bodies, independent of elbow's.

/// A chunked body, or its received part.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunks {
    pub(crate) data: Vec<u8>,
    /// The length of the body in the input.
    pub(crate) used: usize,
    /// Whether the body is complete.
    pub(crate) is_whole: bool,
}

/// Whether the reader accepts chunk extensions and trailers. Elbow writes neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extras {
    Taken,
    Refused,
}

/// Reads the chunked body at the start of `input`. The error says what is invalid.
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
            Some(_) => return Err("an invalid chunk size"),
            None => {}
        }
        if digits > 16 {
            return Err("a chunk size of more than 16 digits");
        }
        let Some(line) = line(rest)? else {
            return Ok(part(data));
        };
        let size = std::str::from_utf8(&line[..digits]).map_err(|_| "an invalid chunk size")?;
        let size = u64::from_str_radix(size, 16).map_err(|_| "an invalid chunk size")?;
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
            _ => return Err("an invalid end of a chunk"),
        }
    }
    loop {
        let rest = &input[at..];
        let name = rest.iter().take_while(|b| is_token_byte(**b)).count();
        match rest.get(name) {
            None => {}
            Some(b':') if name > 0 => {}
            Some(b'\r') if name == 0 => {}
            Some(_) => return Err("an invalid trailer"),
        }
        match line(rest)? {
            None => return Ok(part(data)),
            Some([]) => {
                return Ok(Chunks {
                    data,
                    used: at + 2,
                    is_whole: true,
                });
            }
            Some(_) if extras == Extras::Refused => return Err("a body with trailers"),
            Some(line) => at += line.len() + 2,
        }
    }
}

/// Whether a byte may be in the name of a field (RFC 9110, 5.6.2).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Returns the line at the start of `input` without its end, or `None` while it is incomplete.
fn line(input: &[u8]) -> Result<Option<&[u8]>, &'static str> {
    for (at, byte) in input.iter().enumerate() {
        match (byte, input.get(at + 1)) {
            (b'\r', Some(b'\n')) => return Ok(Some(&input[..at])),
            (b'\r', None) => return Ok(None),
            (0..b' ' | 0x7f, _) if *byte != b'\t' => {
                return Err("an invalid line in a chunked body");
            }
            _ => {}
        }
    }
    Ok(None)
}
