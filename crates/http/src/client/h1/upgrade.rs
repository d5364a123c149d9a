//! A connection that was upgraded to WebSocket: bytes are relayed both ways until it ends.

use std::sync::Arc;

use elbow_balance::InFlight;
use elbow_net::{Buffer, Connect, Early, Stream};

use crate::client::h1::Connection;
use crate::listener::Listener;
use crate::record::Record;

/// Relays between client and target until one of them closes or the idle timeout expires, and then
/// writes the log line (parity 1.15). `early` is what the target sent behind its head.
pub(crate) async fn relay<S: Stream, C: Connect>(
    connection: &mut Connection<S, C>,
    mut target: C::Io,
    early: Option<Buffer>,
    in_flight: &InFlight,
    listener: &Arc<Listener>,
    mut record: Record,
) {
    let early = Early {
        from_client: connection.input.take(),
        from_target: early,
    };
    let relayed = elbow_net::relay_until_idle(
        &connection.context.worker,
        &mut connection.io,
        &mut target,
        early,
        listener.attributes.idle_timeout,
        || in_flight.is_terminated(),
        |_, _| {},
    )
    .await;
    record.received += relayed.client_to_target;
    record.sent += relayed.target_to_client;
    let (context, meta) = (&connection.context, &connection.meta);
    record.finish(context, listener, meta, connection.id);
}
