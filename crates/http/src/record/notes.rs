//! What the access log quotes from the head of a request, which is gone by then.

use std::ops::Range;

use crate::endpoint::Endpoint;
use crate::header::head::{RequestHead, Version};
use crate::spare::Spare;

/// Bytes of most requests, with room for the trace ID: one allocation when all spare vectors are in use.
const CAPACITY: usize = 384;

/// Pieces of a request head, one after another in one vector.
pub(crate) struct Notes {
    text: Spare,
    method: usize,
    host: usize,
    uri: usize,
    agent: Option<usize>,
    trace: Option<usize>,
    version: Version,
}

impl Notes {
    /// Notes what the log quotes, in `text`, which is empty.
    pub(crate) fn take(mut text: Spare, head: &RequestHead<'_>, endpoint: &Endpoint) -> Self {
        text.reserve(CAPACITY);
        text.extend_from_slice(head.method.as_bytes());
        let method = text.len();
        let host = head.authority().unwrap_or(endpoint.dns_name.as_bytes());
        text.extend_from_slice(host);
        let host = text.len();
        head.target.write_origin_form(&mut text);
        let uri = text.len();
        let agent = head.value("user-agent").map(|agent| {
            text.extend_from_slice(agent);
            text.len()
        });
        Self {
            method,
            host,
            uri,
            agent,
            trace: None,
            version: head.version,
            text,
        }
    }

    /// Adds X-Amzn-Trace-Id as the target gets it.
    pub(crate) fn trace(&mut self, value: &[u8]) {
        self.text.extend_from_slice(value);
        self.trace = Some(self.text.len());
    }

    pub(super) fn method(&self) -> &[u8] {
        self.piece(0..self.method)
    }

    pub(super) fn host(&self) -> &[u8] {
        self.piece(self.method..self.host)
    }

    pub(super) fn uri(&self) -> &[u8] {
        self.piece(self.host..self.uri)
    }

    pub(super) fn agent(&self) -> Option<&[u8]> {
        Some(self.piece(self.uri..self.agent?))
    }

    pub(super) fn trace_id(&self) -> Option<&[u8]> {
        Some(self.piece(self.agent.unwrap_or(self.uri)..self.trace?))
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    fn piece(&self, range: Range<usize>) -> &[u8] {
        self.text.get(range).unwrap_or_default()
    }
}
