//! The admin pages.

/// The start of the paths of public keys; the id of a key follows.
pub(crate) const PUBLIC_KEYS: &str = "/public-keys/";

/// A page for GET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    Live,
    Ready,
    Health,
    Metrics,
    Targets,
    Config,
    Status,
    /// The key that verifies `x-amzn-oidc-data`.
    PublicKey,
}

impl Page {
    const ALL: [(&str, Self); 7] = [
        ("/live", Self::Live),
        ("/ready", Self::Ready),
        ("/health", Self::Health),
        ("/metrics", Self::Metrics),
        ("/targets", Self::Targets),
        ("/config", Self::Config),
        ("/status", Self::Status),
    ];

    /// The page at `path`.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(at, _)| *at == path);
        found
            .map(|&(_, page)| page)
            .or_else(|| path.starts_with(PUBLIC_KEYS).then_some(Self::PublicKey))
    }

    /// Whether everybody may read the page, by whatever host name.
    pub(crate) fn is_free(self) -> bool {
        match self {
            Self::Live | Self::Ready | Self::Health | Self::Metrics | Self::PublicKey => true,
            Self::Targets | Self::Config | Self::Status => false,
        }
    }
}
