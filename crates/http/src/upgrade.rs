//! A connection that has become a WebSocket: bytes both ways until it ends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use elbow_balance::InFlight;
use elbow_net::{Buffer, Connect, Stream};
use tokio::io::AsyncWriteExt;

use crate::listener::Listener;
use crate::record::Record;
use crate::serve::Connection;

/// Relays between client and target until one of them or the idle timeout ends it; the log line is
/// written then (parity 1.15). `early` is what the target sent behind its head.
pub(crate) async fn relay<S: Stream, C: Connect>(
    connection: &mut Connection<S, C>,
    mut target: C::Io,
    early: Option<Buffer>,
    in_flight: &InFlight,
    listener: &Arc<Listener>,
    mut record: Record,
) {
    let from_client = connection.input.take();
    if pass(&mut connection.io, early, &mut record.sent)
        .await
        .is_ok()
        && pass(&mut target, from_client, &mut record.received)
            .await
            .is_ok()
    {
        let worker = &connection.context.worker;
        let relayed = elbow_net::relay_until_idle(
            worker,
            &mut connection.io,
            &mut target,
            listener.attributes.idle_timeout,
            || in_flight.is_cut(),
            |_, _| {},
        )
        .await;
        record.received += relayed.client_to_target;
        record.sent += relayed.target_to_client;
    }
    let (context, meta) = (&connection.context, &connection.meta);
    record.finish(context, listener, meta, connection.id);
}

/// Writes what came before the relay began.
async fn pass<W: Stream>(to: &mut W, bytes: Option<Buffer>, count: &mut u64) -> io::Result<()> {
    if let Some(bytes) = bytes {
        *count += bytes.len() as u64;
        let mut to = Pin::new(to);
        to.write_all(&bytes).await?;
        to.flush().await?;
    }
    Ok(())
}
