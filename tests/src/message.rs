//! HTTP/1.1 messages as raw bytes, with minimal parsing.

use std::io::{self, Read};

/// A response as read by a client.
#[derive(Clone, Debug)]
pub struct Response {
    /// The code of the status line.
    pub status: u16,
    /// The raw head, with the empty line.
    pub head: String,
    /// The body, without chunk framing.
    pub body: Vec<u8>,
}

/// A request as read by a target.
#[derive(Clone, Debug)]
pub struct Request {
    /// The raw head, with the empty line.
    pub head: String,
    /// The body, without chunk framing.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of the first header called `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Request {
    /// The request line.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or("")
    }

    /// The value of the first header called `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// Whether a load balancer's health checker sent it.
    pub fn is_health_check(&self) -> bool {
        self.header("user-agent")
            .is_some_and(|agent| agent.starts_with("ELB-HealthChecker"))
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Reads whole messages from a byte stream and keeps surplus bytes.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    /// The next request; `None` if the peer closed.
    pub fn request(&mut self, from: &mut dyn Read) -> io::Result<Option<Request>> {
        self.request_with(from, |_| Ok(()))
    }

    /// The next request; calls `on_head` before it reads the body.
    pub fn request_with(
        &mut self,
        from: &mut dyn Read,
        on_head: impl FnOnce(&str) -> io::Result<()>,
    ) -> io::Result<Option<Request>> {
        let Some(head) = self.head(from)? else {
            return Ok(None);
        };
        on_head(&head)?;
        let body = match framing(&head) {
            Framing::Chunked => self.chunked(from)?,
            Framing::Length(n) => self.exactly(from, n)?,
            Framing::UntilClose => Vec::new(),
        };
        Ok(Some(Request { head, body }))
    }

    /// The next response to a request of `method`; 100 Continue is a response of its own.
    pub fn response(&mut self, from: &mut dyn Read, method: &str) -> io::Result<Response> {
        let Some(head) = self.head(from)? else {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the connection closed before a response",
            ));
        };
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.get(..3))
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| invalid(&head))?;
        let bodiless = method == "HEAD" || status < 200 || status == 204 || status == 304;
        let body = match framing(&head) {
            _ if bodiless => Vec::new(),
            Framing::Chunked => self.chunked(from)?,
            Framing::Length(n) => self.exactly(from, n)?,
            Framing::UntilClose => self.rest(from)?,
        };
        Ok(Response { status, head, body })
    }

    /// Everything until the peer closes.
    pub fn rest(&mut self, from: &mut dyn Read) -> io::Result<Vec<u8>> {
        while self.fill(from)? {}
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Exactly `n` bytes.
    pub fn exactly(&mut self, from: &mut dyn Read, n: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < n {
            self.fill_some(from)?;
        }
        let rest = self.buffer.split_off(n);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    fn head(&mut self, from: &mut dyn Read) -> io::Result<Option<String>> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if !self.fill(from)? {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                return Err(invalid(&String::from_utf8_lossy(&self.buffer)));
            }
        };
        let head = self.exactly(from, end)?;
        // Latin-1, so that a test can assert every byte.
        Ok(Some(head.into_iter().map(char::from).collect()))
    }

    fn chunked(&mut self, from: &mut dyn Read) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line(from)?;
            let size = line.split(';').next().unwrap_or("").trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| invalid(&line))?;
            body.extend(self.exactly(from, size)?);
            if size == 0 {
                while !self.line(from)?.is_empty() {}
                return Ok(body);
            }
            self.exactly(from, 2)?;
        }
    }

    fn line(&mut self, from: &mut dyn Read) -> io::Result<String> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                break at + 2;
            }
            self.fill_some(from)?;
        };
        let mut line = self.exactly(from, end)?;
        line.truncate(end - 2);
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn fill_some(&mut self, from: &mut dyn Read) -> io::Result<()> {
        if self.fill(from)? {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!(
                "the connection closed inside a message; left over: {:?}",
                String::from_utf8_lossy(&self.buffer)
            ),
        ))
    }

    fn fill(&mut self, from: &mut dyn Read) -> io::Result<bool> {
        let mut chunk = [0; 64 * 1024];
        let n = from.read(&mut chunk)?;
        self.buffer.extend_from_slice(&chunk[..n]);
        Ok(n > 0)
    }
}

enum Framing {
    Chunked,
    Length(usize),
    UntilClose,
}

fn framing(head: &str) -> Framing {
    if header(head, "transfer-encoding").is_some_and(|v| v.to_lowercase().contains("chunked")) {
        return Framing::Chunked;
    }
    header(head, "content-length")
        .and_then(|v| v.parse().ok())
        .map_or(Framing::UntilClose, Framing::Length)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("not a message: {what:?}"),
    )
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_one_by_one_with_any_framing() {
        let mut bytes: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n\
            Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\nHTTP/1.1 204 No\r\n\r\n";
        let mut reader = Reader::default();
        let mut next = |method| {
            reader
                .response(&mut bytes, method)
                .map(|r| (r.status, r.text()))
        };
        assert_eq!(next("GET").unwrap(), (200, "hi".into()));
        assert_eq!(next("GET").unwrap(), (200, "abc".into()));
        assert_eq!(next("GET").unwrap(), (204, String::new()));
        assert!(next("GET").is_err());
    }
}
