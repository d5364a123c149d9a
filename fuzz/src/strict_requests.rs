//! A strict reader of the requests at a target, independent of those of elbow. It knows one spelling of
//! everything, so whatever it accepts has one meaning (RFC 9112).

/// A request.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The target, as it is.
    pub target: String,
    /// The fields, with names in lower case.
    pub fields: Vec<(String, Vec<u8>)>,
}

/// The requests on a connection.
#[derive(Debug, Default)]
pub struct Requests {
    /// The requests with complete heads.
    pub all: Vec<Request>,
    /// The number of complete requests.
    pub whole: usize,
}

/// Reads all requests. The error says what is invalid.
pub fn read(bytes: &[u8]) -> Result<Requests, &'static str> {
    let mut requests = Requests::default();
    let mut rest = bytes;
    while let Some(end) = find(rest, b"\r\n\r\n") {
        let (head, body) = (&rest[..end], &rest[end + 4..]);
        let request = head_of(head)?;
        let body = body_of(&request, body)?;
        requests.all.push(request);
        let Some(after) = body else {
            return Ok(requests);
        };
        requests.whole += 1;
        rest = after;
    }
    Ok(requests)
}

fn head_of(head: &[u8]) -> Result<Request, &'static str> {
    let mut lines = lines(head);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let first = text(lines.next().unwrap_or_default());
    let parts: Vec<&str> = first.split(' ').collect();
    let [method, target, "HTTP/1.1"] = parts[..] else {
        return Err("an invalid request line");
    };
    if !is_token(method) {
        return Err("an invalid method");
    }
    if target.is_empty() || target.bytes().any(|b| b <= b' ' || b == 0x7f) {
        return Err("an invalid target");
    }
    let mut fields = Vec::new();
    for line in lines {
        let colon = find(line, b":").ok_or("a field without a colon")?;
        let (name, value) = (text(&line[..colon]), line[colon + 1..].trim_ascii());
        if !is_token(&name) {
            return Err("an invalid field name");
        }
        if value.iter().any(|b| matches!(b, 0 | b'\r' | b'\n')) {
            return Err("an invalid field value");
        }
        fields.push((name.to_ascii_lowercase(), value.to_vec()));
    }
    Ok(Request {
        method: method.to_owned(),
        target: target.to_owned(),
        fields,
    })
}

/// Returns the lines of a head. A lone CR or LF does not end a line.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(head);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let Some(end) = find(bytes, b"\r\n") else {
            rest = None;
            return Some(bytes);
        };
        rest = Some(&bytes[end + 2..]);
        Some(&bytes[..end])
    })
}

/// Returns the bytes after the body, or `None` while the body is incomplete.
fn body_of<'b>(request: &Request, rest: &'b [u8]) -> Result<Option<&'b [u8]>, &'static str> {
    let values = |name: &str| -> Vec<&[u8]> {
        let of_name = request.fields.iter().filter(|(n, _)| n == name);
        of_name.map(|(_, value)| &value[..]).collect()
    };
    match (
        &values("content-length")[..],
        &values("transfer-encoding")[..],
    ) {
        ([], []) => Ok(Some(rest)),
        ([length], []) => {
            let digits = length.iter().all(u8::is_ascii_digit) && !length.is_empty();
            let text = std::str::from_utf8(length).ok().filter(|_| digits);
            let length: usize = text
                .and_then(|t| t.parse().ok())
                .ok_or("an invalid Content-Length")?;
            Ok(rest.get(length..))
        }
        ([], [b"chunked"]) => after_chunks(rest),
        _ => Err("an invalid framing"),
    }
}

/// Returns the bytes after a chunked body without extensions and trailers.
fn after_chunks(mut rest: &[u8]) -> Result<Option<&[u8]>, &'static str> {
    loop {
        let Some(end) = find(rest, b"\r\n") else {
            let digits = rest.iter().all(|b| b.is_ascii_hexdigit() || *b == b'\r');
            return digits.then_some(None).ok_or("an invalid chunk size");
        };
        let size = std::str::from_utf8(&rest[..end]).unwrap_or_default();
        let size = usize::from_str_radix(size, 16).or(Err("an invalid chunk size"))?;
        rest = &rest[end + 2..];
        let Some(end) = rest.get(size..) else {
            return Ok(None);
        };
        match end {
            [b'\r', b'\n', after @ ..] if size == 0 => return Ok(Some(after)),
            [b'\r', b'\n', after @ ..] => rest = after,
            [] | [b'\r'] => return Ok(None),
            _ => return Err("an invalid end of a chunk"),
        }
    }
}

fn is_token(text: &str) -> bool {
    let is_of = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(is_of)
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
}
