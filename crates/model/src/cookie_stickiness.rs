//! Sticky sessions of Classic load balancers (CLB guide: sticky sessions).

use std::sync::Arc;
use std::time::Duration;

use crate::invalid::Place;
use crate::kinds::Protocol;
use crate::spec::ListenerSpec;

/// How the clients of a listener stay with an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CookieStickiness {
    /// By a cookie of the load balancer.
    LoadBalancer {
        /// After which browsers forget the cookie; `None`: at the end of their session.
        expiration: Option<Duration>,
    },
    /// By a cookie of the load balancer that follows one of the application.
    Application {
        /// The name of the application's cookie.
        name: Arc<str>,
    },
}

const OF_BALANCER: &str = "lbCookieStickinessPolicy";
const OF_APPLICATION: &str = "appCookieStickinessPolicy";

impl CookieStickiness {
    pub(crate) fn build(
        spec: &ListenerSpec,
        protocol: Option<Protocol>,
        at: &Place<'_>,
    ) -> Option<Self> {
        let of_balancer = spec.lb_cookie_stickiness_policy.as_ref();
        let of_application = spec.app_cookie_stickiness_policy.as_ref();
        let name = match (of_balancer, of_application) {
            (None, None) => return None,
            (Some(_), Some(_)) => {
                let reason = "a listener has one stickiness policy";
                let hint = format!("leave out {OF_BALANCER} or {OF_APPLICATION}");
                at.field(OF_APPLICATION)
                    .error_with("invalid-combination", reason.to_owned(), hint);
                return None;
            }
            (Some(_), None) => OF_BALANCER,
            (None, Some(_)) => OF_APPLICATION,
        };
        let at = at.field(name);
        if let Some(protocol) = protocol.filter(|protocol| !protocol.is_http()) {
            let reason = format!("a listener of {} knows no cookies", protocol.as_str());
            let hint = "listeners of HTTP and HTTPS have sticky sessions".to_owned();
            at.error_with("invalid-combination", reason, hint);
            return None;
        }
        if let Some(policy) = of_balancer {
            let seconds = policy
                .cookie_expiration_period
                .filter(|seconds| *seconds > 0);
            return Some(Self::LoadBalancer {
                expiration: seconds.map(|seconds| Duration::from_secs(seconds.into())),
            });
        }
        let Some(name) = of_application?.cookie_name.as_deref() else {
            at.missing("cookieName");
            return None;
        };
        if !is_cookie_name(name) {
            let reason = format!("{name:?} is not the name of a cookie");
            at.field("cookieName").error("invalid-value", reason);
            return None;
        }
        Some(Self::Application { name: name.into() })
    }
}

/// A token (RFC 6265, section 4.1.1).
fn is_cookie_name(name: &str) -> bool {
    let is_token = |b: u8| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&b);
    !name.is_empty() && name.bytes().all(is_token)
}
