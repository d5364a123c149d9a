//! One request, counted and logged however it ends.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use elbow_net::Connect;

use super::Connection;
use crate::error::ErrorKind;
use crate::listener::Listener;
use crate::record::Record;

/// Holds the record of a request and finishes it when dropped, so that a stream which the client
/// resets is logged as well.
pub(super) struct RequestGuard<C: Connect> {
    pub(super) connection: Rc<Connection<C>>,
    /// The listener in force when the request arrived.
    pub(super) listener: Arc<Listener>,
    /// Taken by the drop, not before.
    record: Option<Record>,
}

impl<C: Connect> RequestGuard<C> {
    /// Starts the record of a request that arrives now.
    pub(super) fn begin(connection: Rc<Connection<C>>) -> Self {
        let now = Instant::now();
        connection.count(now);
        connection.active.set(connection.active.get() + 1);
        Self {
            listener: (connection.context.listener)(),
            connection,
            record: Some(Record::new(now, 0)),
        }
    }

    /// The record so far.
    pub(super) fn record(&mut self) -> &mut Record {
        self.record
            .get_or_insert_with(|| Record::new(Instant::now(), 0))
    }
}

impl<C: Connect> Drop for RequestGuard<C> {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection.active.set(connection.active.get() - 1);
        let Some(mut record) = self.record.take() else {
            return;
        };
        if !record.is_settled() {
            let kind = if connection.link.is_exceeded() {
                ErrorKind::NoBuffer
            } else {
                // The client went away before any response (parity 1.10: 460).
                ErrorKind::ClientGone
            };
            record.fail(kind.into(), &self.listener);
        }
        record.finish(
            &connection.context,
            &self.listener,
            &connection.meta,
            connection.id,
        );
    }
}
