use std::sync::Arc;

/// A listener rule (ALB guide: listener rules).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// 1-50000, unique per listener; the lowest that matches wins.
    pub priority: u32,
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// Ends in exactly one forward, redirect or fixed-response.
    pub actions: Vec<Action>,
}

/// A rule condition; values within one are alternatives (ALB guide: condition types).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `host-header`: case-insensitive patterns with `*` and `?`.
    HostHeader(Vec<Arc<str>>),
    /// `path-pattern`: case-sensitive patterns with `*` and `?`, on the path alone.
    PathPattern(Vec<Arc<str>>),
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send to one of 1-5 target groups by weight.
    Forward(Vec<WeightedTargetGroup>),
    /// Answer 301 or 302.
    Redirect(Redirect),
    /// Answer with a fixed body.
    FixedResponse(FixedResponse),
}

/// A target group of a forward action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedTargetGroup {
    /// Name of a target group of the model.
    pub target_group: Arc<str>,
    /// 0-999; the share is weight / sum.
    pub weight: u32,
}

/// `RedirectConfig`: fields may hold `#{protocol}`, `#{host}`, `#{port}`, `#{path}`, `#{query}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// `HTTP`, `HTTPS` or `#{protocol}` (the default).
    pub protocol: Arc<str>,
    /// 1-65535 or `#{port}` (the default).
    pub port: Arc<str>,
    /// 1-128 characters, `#{host}` by default.
    pub host: Arc<str>,
    /// Starts with `/`; `/#{path}` by default.
    pub path: Arc<str>,
    /// Without `?`; `#{query}` by default.
    pub query: Arc<str>,
    /// 301 or 302.
    pub status: RedirectStatus,
}

/// `StatusCode` of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectStatus {
    /// `HTTP_301`: permanent.
    Moved,
    /// `HTTP_302`: temporary.
    Found,
}

/// `FixedResponseConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedResponse {
    /// 2XX, 4XX or 5XX.
    pub status: u16,
    /// Of the body.
    pub content_type: ContentType,
    /// 0-1024 bytes.
    pub body: Arc<str>,
}

/// `ContentType` of a fixed response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentType {
    /// text/plain
    #[default]
    TextPlain,
    /// text/css
    TextCss,
    /// text/html
    TextHtml,
    /// application/javascript
    Javascript,
    /// application/json
    Json,
}

impl ContentType {
    /// As in the Content-Type header, without the charset.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TextPlain => "text/plain",
            Self::TextCss => "text/css",
            Self::TextHtml => "text/html",
            Self::Javascript => "application/javascript",
            Self::Json => "application/json",
        }
    }
}
