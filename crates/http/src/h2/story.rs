//! One request from its head to its line in the access log, however it ends.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use elbow_net::Connect;

use super::Connection;
use crate::error::{Error, ErrorKind};
use crate::listener::Listener;
use crate::record::Record;

/// The record of a request. It is closed when this is dropped, so that a stream that the client
/// resets is told of as well.
pub(super) struct Story<C: Connect> {
    pub(super) connection: Rc<Connection<C>>,
    /// As it was when the request came.
    pub(super) listener: Arc<Listener>,
    /// Taken when this is dropped, not before.
    record: Option<Record>,
}

impl<C: Connect> Story<C> {
    /// A request that came now.
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

    /// What is known so far.
    pub(super) fn record(&mut self) -> &mut Record {
        self.record
            .get_or_insert_with(|| Record::new(Instant::now(), 0))
    }
}

impl<C: Connect> Drop for Story<C> {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection.active.set(connection.active.get() - 1);
        let Some(mut record) = self.record.take() else {
            return;
        };
        if record.status.is_none() {
            // Nobody is left to be answered (parity 1.10: 460).
            let error = Error::from(ErrorKind::ClientGone);
            record.fail(&error, error.status());
        }
        record.finish(
            &connection.context,
            &self.listener,
            &connection.meta,
            connection.id,
        );
    }
}
