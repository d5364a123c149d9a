//! A listener in force: its rules compiled, its attributes at hand.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use elbow_auth::{Callbacks, Gate, Providers};
use elbow_balance::Group;
use elbow_model::personality::HttpPersonality;
use elbow_model::{
    Account, ClientCertificateHeaders, LoadBalancer, LoadBalancerAttributes, Personality,
};
use elbow_telemetry::{LogStream, SurgeQueue, Telemetry};

use crate::action::{Actions, Surroundings};
use crate::endpoint::Endpoint;
use crate::error::ErrorKind;
use crate::header::head::RequestHead;
use crate::header::response_fields::ResponseFields;
use crate::page::{self, LocalResponse};
use crate::personality;
use crate::rules::subject::Subject;
use crate::rules::{Matched, Rules};

/// An HTTP or HTTPS listener; immutable.
#[derive(Clone, Debug)]
pub struct Listener {
    /// `app/name/id`, or a Classic load balancer's name, as in access logs.
    pub load_balancer_id: Arc<str>,
    /// What clients connect to.
    pub endpoint: Endpoint,
    /// How this kind of load balancer differs from the others.
    pub personality: &'static Personality,
    /// Of the load balancer.
    pub attributes: Arc<LoadBalancerAttributes>,
    /// The access log of the load balancer, if any.
    pub access_log: Option<Arc<LogStream>>,
    /// The connection log of the load balancer, if any.
    pub connection_log: Option<Arc<LogStream>>,
    /// Bounds the requests that wait for a connection to an instance, of a Classic load balancer.
    pub(crate) surge_queue: Option<Arc<SurgeQueue>>,
    /// What all responses get.
    pub(crate) response_fields: Option<Arc<ResponseFields>>,
    /// The field that tells targets the TLS version, when it is not `x-amzn-tls-version`.
    pub(crate) tls_version_header: Option<Arc<str>>,
    /// The field that tells targets the cipher, when it is not `x-amzn-tls-cipher-suite`.
    pub(crate) tls_cipher_header: Option<Arc<str>>,
    /// The fields that tell targets about client certificates, when they are not AWS's.
    pub(crate) client_certificate_headers: Option<Arc<ClientCertificateHeaders>>,
    /// Which rule takes a request.
    pub(crate) rules: Rules<Actions>,
    /// The rules whose users come back from a provider.
    pub(crate) callbacks: Callbacks,
}

impl Listener {
    /// Compiles `listener` of `lb` in `account`; `group` finds target groups by name, and `telemetry` has their metrics.
    /// `providers` outlives the listener.
    pub fn new(
        lb: &LoadBalancer,
        listener: &elbow_model::Listener,
        dns_name: Arc<str>,
        account: &Account,
        providers: &Providers,
        telemetry: &Telemetry,
        group: impl Fn(&str) -> Option<Arc<Group>>,
    ) -> Self {
        let id: Arc<str> = lb.resource_id().into();
        let arn = account
            .arn("elasticloadbalancing", &format!("loadbalancer/{id}"))
            .into();
        let surroundings = Surroundings {
            id: &id,
            arn: &arn,
            account,
            providers,
            telemetry,
            to_instances: listener.cookie_stickiness.as_ref(),
            authentication: lb.attributes.authentication,
            group,
        };
        let default = Actions::new(
            &listener.default_actions,
            &elbow_model::Transforms::default(),
            &surroundings,
        );
        let personality = lb.kind.personality();
        let callbacks = RefCell::new(Callbacks::default());
        let returns = |priority, actions: Actions| {
            if let Some(Gate::Oidc(gate)) = &actions.gate {
                callbacks.borrow_mut().add(priority, Arc::clone(gate));
            }
            actions
        };
        let rules = Rules::new(&listener.rules, returns(0, default), |rule| {
            let actions = Actions::new(&rule.actions, &rule.transforms, &surroundings);
            returns(rule.priority, actions)
        });
        Self {
            rules,
            callbacks: callbacks.into_inner(),
            load_balancer_id: id,
            endpoint: Endpoint {
                dns_name,
                port: listener.port,
                https: listener.protocol.is_tls(),
            },
            personality,
            attributes: Arc::new(attributes(&lb.attributes, &personality.http)),
            access_log: None,
            connection_log: None,
            surge_queue: personality
                .has_surge_queue
                .then(|| telemetry.surge_queue(&lb.name)),
            response_fields: ResponseFields::new(&listener.attributes),
            tls_version_header: listener.attributes.tls_version_header.clone(),
            tls_cipher_header: listener.attributes.tls_cipher_header.clone(),
            client_certificate_headers: renamed(&listener.attributes.client_certificate_headers),
        }
    }

    /// The first rule by priority whose conditions all hold, else the default action (parity 1.3).
    /// `client` is the peer of the connection.
    pub fn route(&self, head: &RequestHead<'_>, client: IpAddr) -> Matched<'_, Actions> {
        self.rules.find(&mut Subject::new(head, client), &mut ())
    }

    /// Why this kind of load balancer refuses `head`, whatever its rules say (parity 1.1 and
    /// section 4).
    pub(crate) fn refusal(&self, head: &RequestHead<'_>) -> Option<ErrorKind> {
        personality::refusal(&self.personality.http, head)
    }

    /// The status that the client gets for an error of `kind`.
    pub(crate) fn status(&self, kind: ErrorKind) -> u16 {
        personality::status(&self.personality.http, kind)
    }

    /// The response for an error with this status.
    pub(crate) fn page(&self, status: u16) -> LocalResponse {
        personality::page(&self.personality.http, status)
    }

    /// The response for an error of `kind`.
    pub(crate) fn error_page(&self, kind: ErrorKind) -> LocalResponse {
        match kind {
            ErrorKind::PlainHttp => page::plain_http(),
            _ => self.page(self.status(kind)),
        }
    }

    /// Whether a connection can become a WebSocket.
    pub(crate) fn has_websocket(&self) -> bool {
        self.personality.http.websocket
    }

    /// Whether targets read something that the load balancer says in the field `name`, by its
    /// configured name.
    pub(crate) fn has_renamed(&self, name: &str) -> bool {
        let is = |own: &Arc<str>| own.eq_ignore_ascii_case(name);
        let renamed = [&self.tls_version_header, &self.tls_cipher_header];
        let of_certificates = self.client_certificate_headers.iter();
        let of_certificates = of_certificates.flat_map(|headers| headers.names());
        renamed.into_iter().chain(of_certificates).flatten().any(is)
    }
}

/// `headers` if one of them has a name of its own.
fn renamed(headers: &ClientCertificateHeaders) -> Option<Arc<ClientCertificateHeaders>> {
    let is_renamed = headers.names().iter().any(|name| name.is_some());
    is_renamed.then(|| Arc::new(headers.clone()))
}

/// `attributes` with what `personality` fixes.
fn attributes(
    attributes: &LoadBalancerAttributes,
    personality: &HttpPersonality,
) -> LoadBalancerAttributes {
    LoadBalancerAttributes {
        preserve_host_header: personality.always_preserves_host || attributes.preserve_host_header,
        client_keep_alive: if personality.bounds_client_keep_alive {
            attributes.client_keep_alive
        } else {
            Duration::MAX
        },
        http2_enabled: personality.http2 && attributes.http2_enabled,
        ..attributes.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Parity section 4.
    #[test]
    fn personality_fixes_what_a_clb_cannot_configure() {
        let configured = LoadBalancerAttributes {
            preserve_host_header: false,
            http2_enabled: true,
            ..LoadBalancerAttributes::default()
        };
        let alb = attributes(&configured, &Personality::APPLICATION.http);
        assert!(!alb.preserve_host_header && alb.http2_enabled);
        assert_eq!(alb.client_keep_alive, configured.client_keep_alive);
        let clb = attributes(&configured, &Personality::CLASSIC.http);
        assert!(clb.preserve_host_header && !clb.http2_enabled);
        assert_eq!(clb.client_keep_alive, Duration::MAX);
        let preserved = LoadBalancerAttributes {
            preserve_host_header: true,
            http2_enabled: false,
            ..configured
        };
        let alb = attributes(&preserved, &Personality::APPLICATION.http);
        assert!(alb.preserve_host_header && !alb.http2_enabled);
    }
}
