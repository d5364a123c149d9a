/// For one of the [`Transforms`](crate::Transforms) of a rule (`RuleTransform`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransformSpec {
    /// Required, `type`: `host-header-rewrite` or `url-rewrite`.
    pub kind: Option<String>,
    /// Required for `host-header-rewrite`.
    pub host_header_rewrite_config: Option<RewritesSpec>,
    /// Required for `url-rewrite`.
    pub url_rewrite_config: Option<RewritesSpec>,
}

/// `HostHeaderRewriteConfig` and `UrlRewriteConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RewritesSpec {
    /// Required: exactly one.
    pub rewrites: Option<Vec<RewriteSpec>>,
}

/// For a [`Rewrite`](crate::Rewrite) (`RewriteConfig`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RewriteSpec {
    /// Required.
    pub regex: Option<String>,
    /// Required.
    pub replace: Option<String>,
}
