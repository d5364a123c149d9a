//! Strict readers of HTTP/1.1, independent of those of elbow. They know one spelling of everything, so
//! whatever they accept has one meaning (RFC 9112). Elbow may refuse whatever they refuse.

use chunks::{Chunks, chunks};

pub(crate) use chunks::Extras;

mod chunks;

/// A request with the parts that decide its routing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Vec<u8>,
    /// The request target as sent.
    pub(crate) target: Vec<u8>,
    /// The value of the Host field.
    pub(crate) host: Vec<u8>,
    pub(crate) body: Vec<u8>,
    /// The offset of its start.
    pub(crate) at: usize,
    pub(crate) is_whole: bool,
}

/// The state after the last request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing follows, or the last request is incomplete.
    Open,
    /// The last request closes the connection or switches protocols.
    Closed,
    /// The reader rejects the next bytes for this reason.
    Unread(&'static str),
}

/// Reads consecutive requests. With `Extras::Refused` it only accepts what a load balancer has a reason
/// to write.
pub(crate) fn requests(bytes: &[u8], extras: Extras) -> (Vec<Request>, End) {
    let mut all: Vec<Request> = Vec::new();
    let mut at = 0;
    // After a request to switch protocols, bytes are a request only if the target refused the switch. Otherwise they
    // may be anything.
    let mut may_have_switched = false;
    let unread = |may_have_switched, error| match extras {
        Extras::Refused if may_have_switched => End::Closed,
        _ => End::Unread(error),
    };
    loop {
        while extras == Extras::Taken && bytes[at..].starts_with(b"\r\n") {
            at += 2;
        }
        let head = match head(&bytes[at..], extras) {
            Ok(Some(head)) => head,
            Ok(None) => return (all, End::Open),
            Err(error) => return (all, unread(may_have_switched, error)),
        };
        let (mut request, upgrade, close) = match request(&head, extras) {
            Ok(request) => request,
            Err(error) => return (all, unread(may_have_switched, error)),
        };
        request.at = at;
        at += head.size;
        match body(&head, &bytes[at..], Some(0), extras) {
            Err(error) => return (all, unread(may_have_switched, error)),
            Ok(body) => {
                at += body.used;
                (request.body, request.is_whole) = (body.data, body.is_whole);
            }
        }
        let is_whole = request.is_whole;
        all.push(request);
        if !is_whole {
            return (all, End::Open);
        }
        if close {
            return (all, End::Closed);
        }
        may_have_switched |= upgrade;
    }
}

/// Returns the request of `head`, and whether it switches protocols and closes the connection.
fn request(head: &Head<'_>, extras: Extras) -> Result<(Request, bool, bool), &'static str> {
    let parts: Vec<&[u8]> = head.first.split(|b| *b == b' ').collect();
    let [method, target, b"HTTP/1.1"] = parts[..] else {
        return Err("an invalid request line");
    };
    let is_visible = |b: &u8| *b > b' ' && *b != 0x7f;
    if !is_token(method) || method == b"CONNECT" || target.is_empty() {
        return Err("an invalid request line");
    }
    if !target.iter().all(is_visible) || std::str::from_utf8(target).is_err() {
        return Err("an invalid request target");
    }
    let hosts: Vec<&[u8]> = head.values("host").collect();
    let [host] = hosts[..] else {
        return Err("no Host or several");
    };
    if head.fields.iter().any(|(name, _)| looks_like_framing(name)) {
        return Err("an invalid framing");
    }
    let has_body = head
        .values("content-length")
        .chain(head.values("transfer-encoding"))
        .next();
    if extras == Extras::Taken && has_body.is_some() && matches!(method, b"GET" | b"HEAD") {
        return Err("a GET or HEAD request with a body");
    }
    let lists = |name: &str| {
        let mut options = head
            .values("connection")
            .flat_map(|v| v.split(|b| *b == b','));
        options.any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
    };
    let request = Request {
        method: method.to_vec(),
        target: target.to_vec(),
        host: host.to_vec(),
        body: Vec::new(),
        at: 0,
        is_whole: false,
    };
    Ok((request, lists("upgrade"), lists("close")))
}

/// Reads the responses of a client. `to_head` tells whether the final response with the given number
/// answers HEAD. Returns the number of complete final responses, the number of all final responses, and
/// whether the connection switched protocols after them.
pub(crate) fn responses(
    bytes: &[u8],
    to_head: impl Fn(usize) -> bool,
) -> Result<(usize, usize, bool), &'static str> {
    let (mut at, mut whole, mut count) = (0, 0, 0);
    let mut closed = false;
    while let Some(head) = head(&bytes[at..], Extras::Refused)? {
        let Some(
            [
                b'H',
                b'T',
                b'T',
                b'P',
                b'/',
                b'1',
                b'.',
                b'1',
                b' ',
                status @ ..,
            ],
        ) = head.first.get(..12)
        else {
            return Err("an invalid status line");
        };
        if closed {
            return Err("a response after Connection: close");
        }
        at += head.size;
        match status {
            b"101" => return Ok((whole, count, true)),
            b"100" => continue,
            [b'2'..=b'9', ..] => {}
            _ => return Err("an invalid status"),
        }
        let empty = to_head(count) || matches!(status, b"204" | b"304");
        let body = if empty {
            Chunks {
                data: Vec::new(),
                used: 0,
                is_whole: true,
            }
        } else {
            body(&head, &bytes[at..], None, Extras::Refused)?
        };
        closed = head
            .values("connection")
            .any(|v| v.eq_ignore_ascii_case(b"close"));
        at += body.used;
        count += 1;
        if !body.is_whole {
            if at == bytes.len() {
                return Ok((whole, count, false));
            }
            return Err("bytes after an incomplete response");
        }
        whole += 1;
    }
    Ok((whole, count, false))
}

/// A message head.
struct Head<'b> {
    first: &'b [u8],
    fields: Vec<(&'b [u8], &'b [u8])>,
    /// The length with the empty line.
    size: usize,
}

impl<'b> Head<'b> {
    fn values(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        let fields = self
            .fields
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
        fields.map(|(_, value)| *value)
    }
}

/// Returns the head at the start of `bytes`, or `None` while it is incomplete.
fn head(bytes: &[u8], extras: Extras) -> Result<Option<Head<'_>>, &'static str> {
    let mut lines = Vec::new();
    let mut at = 0;
    loop {
        let Some(length) = bytes[at..].iter().position(|b| *b == b'\n') else {
            return Ok(None);
        };
        let Some(line) = bytes[at..at + length].strip_suffix(b"\r") else {
            return Err("a line without CR LF");
        };
        at += length + 1;
        match line {
            [] => break,
            line => lines.push(line),
        }
    }
    let mut lines = lines.into_iter();
    let first = lines.next().ok_or("a head without a first line")?;
    let fields: Option<_> = lines.map(|line| field(line, extras)).collect();
    Ok(Some(Head {
        first,
        fields: fields.ok_or("an invalid field")?,
        size: at,
    }))
}

fn field(line: &[u8], extras: Extras) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|b| *b == b':')?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let is_text = |b: &u8| match extras {
        Extras::Taken => matches!(b, b'\t' | b' '..=b'~'),
        // Forwarded unchanged, such a value cannot end the line.
        Extras::Refused => !matches!(b, 0 | b'\r'),
    };
    (is_token(name) && line.iter().all(is_text)).then_some((name, value))
}

/// Whether a lenient reader may take `name` for the name of a framing field.
fn looks_like_framing(name: &[u8]) -> bool {
    let letters = name.iter().filter(|b| b.is_ascii_alphanumeric());
    let letters: Vec<u8> = letters.map(u8::to_ascii_lowercase).collect();
    let is_exact = name.len() == letters.len() + 1 && name.contains(&b'-');
    (letters == b"contentlength" || letters == b"transferencoding") && !is_exact
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(chunks::is_token_byte)
}

/// Reads the body after `head`. Without framing it has `unframed` bytes, or ends with the input.
fn body(
    head: &Head<'_>,
    bytes: &[u8],
    unframed: Option<u64>,
    extras: Extras,
) -> Result<Chunks, &'static str> {
    let lengths: Vec<&[u8]> = head.values("content-length").collect();
    let codings: Vec<&[u8]> = head.values("transfer-encoding").collect();
    let length = match (&lengths[..], &codings[..]) {
        ([], []) => unframed.unwrap_or(bytes.len() as u64),
        ([length], []) if length.iter().all(u8::is_ascii_digit) => {
            let length = std::str::from_utf8(length)
                .ok()
                .and_then(|text| text.parse().ok());
            length.ok_or("an invalid Content-Length")?
        }
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => {
            return chunks(bytes, extras);
        }
        _ => return Err("an invalid framing"),
    };
    let here = usize::try_from(length).map_or(bytes.len(), |n| n.min(bytes.len()));
    Ok(Chunks {
        data: bytes[..here].to_vec(),
        used: here,
        is_whole: here as u64 == length,
    })
}
