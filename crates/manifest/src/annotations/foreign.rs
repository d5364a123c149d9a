//! Annotations of other controllers that restrict who gets in. On a load balancer of AWS nothing reads them, so access is
//! open to those whom they would keep out.

/// What an annotation restricts, and so what would replace it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restricts {
    /// The addresses of clients.
    Addresses,
    /// Clients without a password or a token.
    Logins,
    /// Clients without a certificate.
    Certificates,
    /// Requests that a firewall finds harmful.
    Requests,
    /// Clients outside the network.
    Network,
}

/// An annotation of another controller.
#[derive(Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Its key.
    pub key: &'static str,
    /// What it restricts.
    pub restricts: Restricts,
    /// The values that do; empty: all but `false`, `none` and the empty one.
    pub when: &'static [&'static str],
    /// Words of which the value contains one if it restricts something; empty: any.
    pub says: &'static [&'static str],
}

impl Foreign {
    const fn new(key: &'static str, restricts: Restricts) -> Self {
        Self {
            key,
            restricts,
            when: &[],
            says: &[],
        }
    }

    /// Whether the annotation restricts access with this value.
    pub fn restricts_with(&self, value: &str) -> bool {
        let value = value.trim().to_ascii_lowercase();
        let is_on = match self.when {
            [] => !matches!(&*value, "" | "false" | "none" | "off"),
            when => when.contains(&&*value),
        };
        is_on && (self.says.is_empty() || self.says.iter().any(|word| value.contains(word)))
    }
}

/// The names that middlewares and plugins have that restrict access.
const NAMES: &[&str] = &[
    "auth",
    "allow",
    "whitelist",
    "white-list",
    "deny",
    "ip-restriction",
    "acl",
    "oauth",
    "jwt",
    "oidc",
    "forward-auth",
];

const fn plugins(key: &'static str) -> Foreign {
    Foreign {
        says: NAMES,
        ..Foreign::new(key, Restricts::Logins)
    }
}

const fn internal(key: &'static str, when: &'static [&'static str]) -> Foreign {
    Foreign {
        when,
        ..Foreign::new(key, Restricts::Network)
    }
}

/// Those of Ingresses.
pub const INGRESS: &[Foreign] = &[
    Foreign::new(
        "nginx.ingress.kubernetes.io/whitelist-source-range",
        Restricts::Addresses,
    ),
    Foreign::new(
        "nginx.ingress.kubernetes.io/allowlist-source-range",
        Restricts::Addresses,
    ),
    Foreign::new(
        "nginx.ingress.kubernetes.io/denylist-source-range",
        Restricts::Addresses,
    ),
    Foreign::new("nginx.ingress.kubernetes.io/auth-type", Restricts::Logins),
    Foreign::new("nginx.ingress.kubernetes.io/auth-url", Restricts::Logins),
    Foreign::new(
        "nginx.ingress.kubernetes.io/auth-tls-secret",
        Restricts::Certificates,
    ),
    Foreign::new(
        "nginx.ingress.kubernetes.io/enable-modsecurity",
        Restricts::Requests,
    ),
    Foreign::new(
        "ingress.kubernetes.io/whitelist-source-range",
        Restricts::Addresses,
    ),
    Foreign::new("ingress.kubernetes.io/auth-type", Restricts::Logins),
    Foreign::new("nginx.org/basic-auth-secret", Restricts::Logins),
    Foreign::new("nginx.com/jwt-key", Restricts::Logins),
    Foreign::new("appprotect.f5.com/app-protect-enable", Restricts::Requests),
    plugins("traefik.ingress.kubernetes.io/router.middlewares"),
    Foreign::new(
        "traefik.ingress.kubernetes.io/whitelist-source-range",
        Restricts::Addresses,
    ),
    Foreign::new("haproxy.org/allow-list", Restricts::Addresses),
    Foreign::new("haproxy.org/whitelist", Restricts::Addresses),
    Foreign::new("haproxy.org/deny-list", Restricts::Addresses),
    Foreign::new("haproxy.org/blacklist", Restricts::Addresses),
    Foreign::new("haproxy.org/auth-type", Restricts::Logins),
    Foreign::new(
        "haproxy-ingress.github.io/allowlist-source-range",
        Restricts::Addresses,
    ),
    Foreign::new(
        "haproxy-ingress.github.io/whitelist-source-range",
        Restricts::Addresses,
    ),
    Foreign::new(
        "haproxy-ingress.github.io/denylist-source-range",
        Restricts::Addresses,
    ),
    Foreign::new("haproxy-ingress.github.io/auth-secret", Restricts::Logins),
    Foreign::new("haproxy-ingress.github.io/auth-url", Restricts::Logins),
    Foreign::new(
        "haproxy-ingress.github.io/auth-tls-secret",
        Restricts::Certificates,
    ),
    Foreign::new(
        "appgw.ingress.kubernetes.io/waf-policy-for-path",
        Restricts::Requests,
    ),
    internal("appgw.ingress.kubernetes.io/use-private-ip", &["true"]),
    plugins("konghq.com/plugins"),
];

/// Those of Services.
pub const SERVICE: &[Foreign] = &[
    internal(
        "service.beta.kubernetes.io/azure-load-balancer-internal",
        &["true"],
    ),
    Foreign::new(
        "service.beta.kubernetes.io/azure-allowed-ip-ranges",
        Restricts::Addresses,
    ),
    Foreign::new(
        "service.beta.kubernetes.io/azure-allowed-service-tags",
        Restricts::Addresses,
    ),
    internal("networking.gke.io/load-balancer-type", &["internal"]),
    internal("cloud.google.com/load-balancer-type", &["internal"]),
    internal(
        "service.beta.kubernetes.io/oci-load-balancer-internal",
        &["true"],
    ),
    internal(
        "service.beta.kubernetes.io/openstack-internal-load-balancer",
        &["true"],
    ),
    internal(
        "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type",
        &["intranet"],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn restricts(key: &str, value: &str) -> bool {
        let row = INGRESS.iter().chain(SERVICE).find(|row| row.key == key);
        row.unwrap().restricts_with(value)
    }

    #[test]
    fn values_that_restrict_nothing_are_left_alone() {
        let modsecurity = "nginx.ingress.kubernetes.io/enable-modsecurity";
        assert!(restricts(modsecurity, "true"));
        assert!(!restricts(modsecurity, "false"));
        let middlewares = "traefik.ingress.kubernetes.io/router.middlewares";
        assert!(restricts(middlewares, "web-basic-Auth@kubernetescrd"));
        assert!(!restricts(middlewares, "web-strip-prefix@kubernetescrd"));
        let internal = "networking.gke.io/load-balancer-type";
        assert!(restricts(internal, "Internal"));
        assert!(!restricts(internal, "External"));
    }
}
