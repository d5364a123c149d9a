//! Opens connections of HTTP/2 to targets, ahead of need.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use elbow_net::{Connect, timeout};
use elbow_telemetry::GroupCells;
use tokio::task::spawn_local;

use crate::context::Context;
use crate::error::{Error, ErrorKind};
use crate::multiplex::Opening;
use crate::multiplex::connection::Connection;
use crate::pool::Key;

/// How long a target may take to send its SETTINGS, which say how many streams it takes: as long as for a
/// connection.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(10);

/// A target, and how it is reached.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub(crate) key: Key,
    pub(crate) address: SocketAddr,
    pub(crate) is_tls: bool,
    /// How long a connection without streams stays open.
    pub(crate) idle_timeout: Duration,
    /// Counts connections that cannot be opened.
    pub(crate) group: Option<Arc<GroupCells>>,
}

/// Returns a connection to a target with room for a stream, and whether it was open already. Use it at
/// once.
pub(crate) async fn connection<C: Connect>(
    context: &Rc<Context<C>>,
    to: &Destination,
) -> Result<(Rc<Connection<C::Io>>, bool), Error> {
    let mut was_open = true;
    loop {
        let found = context.pools.multiplexed.find(to.key);
        let opening = match found.opening {
            None if found.is_scarce => Some(open(context, to.clone())),
            opening => opening,
        };
        if let Some(connection) = found.connection {
            return Ok((connection, was_open));
        }
        was_open = false;
        if let Some(opening) = opening {
            opening.wait().await?;
        }
    }
}

/// Opens a connection in a task of its own, which then drives it.
fn open<C: Connect>(context: &Rc<Context<C>>, to: Destination) -> Rc<Opening> {
    let opening = context.pools.multiplexed.add_opening(to.key);
    spawn_local(run(Rc::clone(context), to, Rc::clone(&opening)));
    opening
}

async fn run<C: Connect>(context: Rc<Context<C>>, to: Destination, opening: Rc<Opening>) {
    let count = |error: &Error| {
        tracing::debug!(%error, cause = ?error.source, "no connection to target");
        context.count_unreached(error, to.group.as_deref());
        error.kind
    };
    let connected = context.connector.connect_h2(to.address, to.is_tls).await;
    let pools = Rc::clone(&context.pools);
    let worker = Rc::clone(&context.worker);
    let connections = &pools.multiplexed;
    let connection = match connected {
        Ok(io) => {
            let (spares, budget) = (Rc::clone(&pools.spares), Rc::clone(&pools.h2));
            Rc::new(Connection::new(io, spares, budget))
        }
        Err(error) => {
            let kind = count(&error.into());
            connections.take_opening(to.key);
            return opening.finish(Some(kind));
        }
    };
    let mut drive = pin!(connection.drive(&worker, to.idle_timeout));
    let settings = poll_fn(|cx| {
        let is_over = drive.as_mut().poll(cx).is_ready();
        if is_over || connection.has_spoken() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    let is_late = timeout(SETTINGS_TIMEOUT, settings).await.is_err();
    let failure = match connection.failure() {
        Some(failure) => Some(count(&failure.into())),
        None if is_late => Some(count(&ErrorKind::ConnectTimeout.into())),
        None => None,
    };
    if failure.is_none() {
        context.cells().pool_opened.increment();
    }
    // The listener may go while its connections serve others.
    drop(context);
    connections.take_opening(to.key);
    if failure.is_none() {
        connections.add(to.key, Rc::clone(&connection));
    }
    opening.finish(failure);
    if failure.is_none() {
        drive.await;
        connections.remove(to.key, &connection);
    }
}
