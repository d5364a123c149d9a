//! A request to a target, whichever version of HTTP the target speaks.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use elbow_net::{Buffer, Connect, Stream, Transfer, TransferError};

use super::{h1, h2};
use crate::error::Error;
use crate::exchange::side::{MoveError, Sink, Source, Turn, UpstreamSide};
use crate::h1::response::Response;
use crate::header::trailers::Trailers;

/// A request on its way to a target.
pub(crate) enum Upstream<C: Connect> {
    H1(h1::Request<C::Io>),
    H2(h2::Request<C>),
}

/// Calls the same function of either request.
macro_rules! either {
    ($self:ident, $request:ident => $call:expr) => {
        match $self {
            Self::H1($request) => $call,
            Self::H2($request) => $call,
        }
    };
}

impl<C: Connect> UpstreamSide for Upstream<C> {
    fn poll_head<K: Sink>(
        &mut self,
        cx: &mut Context<'_>,
        turn: Turn<'_>,
        client: &mut K,
    ) -> Poll<Result<(), Error>> {
        either!(self, request => request.poll_head(cx, turn, client))
    }

    fn take_head<R>(
        &mut self,
        then: impl FnOnce(&Response<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        either!(self, request => request.take_head(then))
    }

    fn is_reusable(&self) -> bool {
        either!(self, request => request.is_reusable())
    }

    fn request_over(&mut self) {
        either!(self, request => request.request_over());
    }
}

impl<C: Connect> Source for Upstream<C> {
    fn pass_received<K: Sink>(
        &mut self,
        cx: &mut Context<'_>,
        turn: Turn<'_>,
        sink: &mut K,
    ) -> Result<(), Error> {
        either!(self, request => request.pass_received(cx, turn, sink))
    }

    fn poll_receive<K: Sink>(
        &mut self,
        cx: &mut Context<'_>,
        turn: Turn<'_>,
        sink: &mut K,
    ) -> Poll<Result<(), MoveError>> {
        either!(self, request => request.poll_receive(cx, turn, sink))
    }

    fn take_failure(&mut self) -> Option<Error> {
        either!(self, request => request.take_failure())
    }

    fn has_failed(&self) -> bool {
        either!(self, request => request.has_failed())
    }

    fn is_ended(&self) -> bool {
        either!(self, request => request.is_ended())
    }

    fn is_awaited(&self) -> bool {
        either!(self, request => request.is_awaited())
    }

    fn received(&self) -> u64 {
        either!(self, request => request.received())
    }
}

impl<C: Connect> Sink for Upstream<C> {
    fn is_ready(&self) -> bool {
        either!(self, request => request.is_ready())
    }

    fn put(&mut self, data: &[u8]) {
        either!(self, request => request.put(data));
    }

    fn put_bytes(&mut self, data: Bytes) {
        either!(self, request => request.put_bytes(data));
    }

    fn put_buffer(&mut self, buffer: Buffer, n: usize) -> Option<Buffer> {
        either!(self, request => request.put_buffer(buffer, n))
    }

    fn end(&mut self, trailers: Option<&Trailers>) {
        either!(self, request => request.end(trailers));
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, turn: Turn<'_>) -> Poll<io::Result<()>> {
        either!(self, request => request.poll_write(cx, turn))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, request => request.poll_flush(cx))
    }

    fn is_drained(&self) -> bool {
        either!(self, request => request.is_drained())
    }

    fn poll_transfer<R: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        turn: Turn<'_>,
        transfer: &mut Transfer,
        from: &mut R,
    ) -> Option<Poll<Result<(), TransferError>>> {
        either!(self, request => request.poll_transfer(cx, turn, transfer, from))
    }
}
