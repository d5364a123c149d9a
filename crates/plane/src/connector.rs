//! Opens connections to targets.

use std::cell::{Cell, Ref, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use elbow_net::networks::Networks;
use elbow_net::open_files::Slot;
use elbow_net::source::Source;
use elbow_net::{Connect, ConnectError, ConnectErrorKind, Resource, TcpConnector, Transport};
use elbow_telemetry::{ListenerLabels, ListenerMetrics, ShedReason};
use elbow_tls::Originator;
use tokio::net::TcpStream;
use tracing::warn;

use crate::clients::Clients;
use crate::descriptors::Descriptors;
use crate::seldom::is_due;
use crate::target_stream::TargetStream;

/// Time limit of a TCP connect to a target; fixed (ALB guide: troubleshooting, HTTP 504).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit of a TLS handshake with a target; fixed (same page).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens connections to targets. Like ALB and NLB, it does not verify certificates of targets, unless the instances of a Classic
/// load balancer authenticate.
pub(crate) struct Connector {
    tcp: TcpConnector,
    /// As of the last connection.
    originator: RefCell<Originator>,
    /// Brings the originator up to date.
    update: Option<Update>,
    origin: Origin,
    /// `None` uses reserved descriptors.
    traffic: Option<Traffic>,
}

/// Replaces an originator whose listener has another one.
pub(crate) type Update = Box<dyn Fn(&mut Originator)>;

/// The load balancer that connections come from.
#[derive(Clone)]
pub(crate) struct Origin {
    /// Its address, which targets see where that can be; `None` if it is not known.
    pub(crate) address: Option<IpAddr>,
    /// The networks of this machine.
    pub(crate) networks: Arc<ArcSwap<Networks>>,
}

impl Origin {
    /// The address that `target` sees.
    fn source(&self, target: SocketAddr) -> Source {
        let source = |own| self.networks.load().source(own, target);
        self.address.map_or(Source::Any, source)
    }
}

/// The traffic that a connector serves.
struct Traffic {
    descriptors: Rc<Descriptors>,
    clients: Arc<Clients>,
    listener: Arc<ListenerMetrics>,
    /// When a target without a public key of the policy was last logged.
    warned: Cell<Option<Instant>>,
}

impl Connector {
    /// A connector for the clients of `listener`.
    pub(crate) fn new(
        (originator, update): (Originator, Update),
        descriptors: Rc<Descriptors>,
        clients: Arc<Clients>,
        listener: Arc<ListenerMetrics>,
        origin: Origin,
    ) -> Self {
        let traffic = Some(Traffic {
            descriptors,
            clients,
            listener,
            warned: Cell::new(None),
        });
        Self {
            traffic,
            update: Some(update),
            ..Self::for_health_checks(originator, origin)
        }
    }

    /// A connector for health checks, which use reserved descriptors.
    pub(crate) fn for_health_checks(originator: Originator, origin: Origin) -> Self {
        Self {
            origin,
            traffic: None,
            tcp: TcpConnector {
                timeout: CONNECT_TIMEOUT,
            },
            originator: RefCell::new(originator),
            update: None,
        }
    }

    /// The current originator.
    fn originator(&self) -> Ref<'_, Originator> {
        if let Some(update) = &self.update {
            update(&mut self.originator.borrow_mut());
        }
        self.originator.borrow()
    }
}

impl Connect for Connector {
    type Io = TargetStream;

    fn transport(&self, tls: bool) -> Transport {
        if tls {
            self.originator().transport()
        } else {
            Transport::CLEAR
        }
    }

    // Not an async function: it would embed the other's future once more.
    fn connect_with(
        &self,
        target: SocketAddr,
        tls: bool,
        preface: &[u8],
    ) -> impl Future<Output = Result<TargetStream, ConnectError>> {
        self.connect_from(&Source::Any, target, tls, preface)
    }

    async fn connect_from(
        &self,
        source: &Source,
        target: SocketAddr,
        tls: bool,
        preface: &[u8],
    ) -> Result<TargetStream, ConnectError> {
        let (stream, slot) = self.open(source, target, preface).await?;
        if !tls {
            return Ok(TargetStream::Plain {
                stream,
                _slot: slot,
            });
        }
        let originator = self.originator().clone();
        let handshake = originator.connect(stream, target, HANDSHAKE_TIMEOUT).await;
        let stream = handshake.inspect_err(|error| self.count_unauthenticated(error, target))?;
        Ok(TargetStream::Tls {
            stream: Box::new(stream),
            _slot: slot,
        })
    }

    async fn connect_h2(
        &self,
        target: SocketAddr,
        tls: bool,
    ) -> Result<TargetStream, ConnectError> {
        if !tls {
            return self.connect(target, false).await;
        }
        let (stream, slot) = self.open(&Source::Any, target, &[]).await?;
        let originator = self.originator().clone();
        let handshake = originator.connect_h2(stream, target, HANDSHAKE_TIMEOUT);
        Ok(TargetStream::Tls {
            stream: Box::new(handshake.await?),
            _slot: slot,
        })
    }

    async fn connect_as(
        &self,
        client: SocketAddr,
        target: SocketAddr,
    ) -> Result<TargetStream, ConnectError> {
        let Some(traffic) = &self.traffic else {
            return self.connect(target, false).await;
        };
        let slot = self.slot()?;
        let mut noted = None;
        let note = |end| noted = Some(traffic.clients.note(end, client));
        let stream = self.tcp.connect_bound(target, note).await;
        let stream = stream.inspect_err(|error| self.count(error))?;
        Ok(match noted {
            Some(client) => TargetStream::Balancer {
                stream,
                _slot: slot,
                _client: Box::new(client),
            },
            None => TargetStream::Plain {
                stream,
                _slot: slot,
            },
        })
    }
}

impl Connector {
    /// Opens a connection that begins with `preface`.
    async fn open(
        &self,
        source: &Source,
        target: SocketAddr,
        preface: &[u8],
    ) -> Result<(TcpStream, Option<Slot>), ConnectError> {
        let slot = self.slot()?;
        let source = match source {
            Source::Any => self.origin.source(target),
            source => *source,
        };
        let stream = self.tcp.connect_from(&source, target, false, preface).await;
        let stream = stream.inspect_err(|error| self.count(error))?;
        Ok((stream, slot))
    }

    /// Takes a descriptor of the budget for a connection.
    fn slot(&self) -> Result<Option<Slot>, ConnectError> {
        let Some(traffic) = &self.traffic else {
            return Ok(None);
        };
        let slot = traffic.descriptors.target();
        if slot.is_none() {
            let error = ConnectError {
                kind: ConnectErrorKind::Exhausted(Resource::OpenFiles),
                source: None,
            };
            self.count(&error);
            return Err(error);
        }
        Ok(slot)
    }

    /// Counts and logs a target without a public key of the policy.
    fn count_unauthenticated(&self, error: &ConnectError, target: SocketAddr) {
        let Some(traffic) = &self.traffic else {
            return;
        };
        if error.kind != ConnectErrorKind::TlsPublicKey {
            return;
        }
        let cells = traffic.listener.worker(traffic.descriptors.worker());
        cells.target_public_key_errors.increment();
        if is_due(&traffic.warned) {
            let ListenerLabels {
                load_balancer,
                port,
                ..
            } = traffic.listener.labels();
            warn!(
                %load_balancer, port, %target,
                "connection to target refused: {error}; see docs/classic.md"
            );
        }
    }

    /// Counts an error caused by an exhausted local resource.
    fn count(&self, error: &ConnectError) {
        if let (Some(traffic), ConnectErrorKind::Exhausted(resource)) = (&self.traffic, error.kind)
        {
            traffic.listener.shed(match resource {
                Resource::OpenFiles => ShedReason::OpenFiles,
                Resource::LocalPorts => ShedReason::LocalPorts,
                Resource::Memory => ShedReason::KernelMemory,
            });
        }
    }
}
