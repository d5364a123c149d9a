//! A response of our own on a stream of HTTP/2.

use std::task::Context;

use elbow_net::Connect;

use super::guard::RequestGuard;
use super::link::Stream;
use crate::page::{self, LocalResponse, digits};

/// A response that is sent as the client takes it.
pub(super) struct Local<C: Connect> {
    guard: RequestGuard<C>,
    stream: Stream,
    response: LocalResponse,
    to_head: bool,
    /// The status and the message of a gRPC call that failed.
    grpc: Option<(&'static str, &'static str)>,
    has_sent_head: bool,
}

impl<C: Connect> Local<C> {
    pub(super) fn new(
        guard: RequestGuard<C>,
        stream: Stream,
        response: LocalResponse,
        to_head: bool,
        grpc: Option<(&'static str, &'static str)>,
    ) -> Self {
        Self {
            guard,
            stream,
            response,
            to_head,
            grpc,
            has_sent_head: false,
        }
    }

    /// Makes whatever happens to the stream wake the task of `cx`.
    pub(super) fn register(&self, cx: &Context<'_>) {
        self.stream.register(cx);
    }

    /// Whether the stream is gone.
    pub(super) fn is_reset(&self) -> bool {
        self.stream.is_reset()
    }

    /// Sends what the client takes now; true when all of the response is sent.
    pub(super) fn advance(&mut self) -> bool {
        if !self.has_sent_head {
            if !self.stream.takes_head() {
                return false;
            }
            self.send_head();
        }
        while !self.response.body.is_empty() {
            if self.stream.capacity() == 0 {
                return false;
            }
            let n = self.stream.send_data(&self.response.body);
            self.guard.connection.touch();
            self.guard.record().sent += n as u64;
            let _ = self.response.body.split_to(n);
        }
        self.stream.end();
        true
    }

    fn send_head(&mut self) {
        self.has_sent_head = true;
        let length = self.response.body.len();
        if self.to_head {
            self.response.body.clear();
        }
        let date = self.guard.connection.context.pools.date.now();
        let more = self.guard.listener.response_fields.as_deref();
        let response = &self.response;
        let sent = self.stream.send_head(response.body.is_empty(), |head| {
            head.status(response.status);
            let mut put = |name: &str, value: &[u8]| {
                if !more.is_some_and(|more| more.replaces(name)) {
                    head.put(name, value);
                }
            };
            if !more.is_some_and(|more| more.hides_server) {
                put("server", page::SERVER.as_bytes());
            }
            put("date", date.as_bytes());
            put("content-type", response.content_type.as_bytes());
            if let Some(location) = &response.location {
                put("location", location.as_bytes());
            }
            for cookie in &response.cookies {
                put("set-cookie", cookie.as_bytes());
            }
            put("content-length", digits(&mut [0; 20], length));
            for (name, value) in more.iter().flat_map(|more| more.iter()) {
                head.put(name, value.as_bytes());
            }
            if let Some((status, message)) = self.grpc {
                head.put("grpc-status", status.as_bytes());
                head.put("grpc-message", message.as_bytes());
            }
        });
        self.guard.record().sent += sent;
    }
}
