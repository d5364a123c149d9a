//! How a rule rewrites Host and the URL before a target sees them (ALB guide: transforms).

use elbow_model::Transforms;

use crate::endpoint::Endpoint;
use crate::h1::REQUEST_LIMITS;
use crate::header::head::RequestHead;
use crate::header::uri::split_port;

/// What targets get in place of what the client sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transformed {
    /// Host, without a port unless the rule put one there.
    pub(crate) host: Option<Vec<u8>>,
    /// Path and query.
    pub(crate) uri: Option<String>,
}

/// Why the result of a transform cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransformFailure {
    /// The host or the URL is longer than a request line may be.
    TooLong,
    /// The host is empty or has characters that no host has.
    Host,
    /// The URL does not start with `/` or is not UTF-8.
    Path,
}

impl TransformFailure {
    /// As in the field `request_transform_status` of the access log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "TransformBufferTooSmall",
            Self::Host => "TransformInvalidHost",
            Self::Path => "TransformInvalidPath",
        }
    }
}

impl Transformed {
    /// Whether a transform matched.
    pub(crate) fn is_change(&self) -> bool {
        *self != Self::default()
    }
}

/// Applies `transforms` of a rule. One that does not match changes nothing; one that matches and
/// has a result of no use fails the request.
pub(crate) fn apply(
    transforms: &Transforms,
    head: &RequestHead<'_>,
    endpoint: &Endpoint,
) -> Result<Transformed, TransformFailure> {
    let mut transformed = Transformed::default();
    if let Some(rewrite) = &transforms.host_header {
        let authority = head
            .authority()
            .filter(|authority| !authority.is_empty())
            .unwrap_or(endpoint.dns_name.as_bytes());
        let mut host = Vec::new();
        let (subject, _) = split_port(authority);
        if rewrite.regex.rewrite(&rewrite.replace, subject, &mut host) {
            let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-._~[]:".contains(b);
            if host.is_empty() || !host.iter().all(allowed) {
                return Err(TransformFailure::Host);
            }
            transformed.host = Some(host);
        }
    }
    if let Some(rewrite) = &transforms.url {
        let (mut subject, mut uri) = (Vec::new(), Vec::new());
        head.target.write_origin_form(&mut subject);
        if rewrite.regex.rewrite(&rewrite.replace, &subject, &mut uri) {
            if uri.first() != Some(&b'/') {
                return Err(TransformFailure::Path);
            }
            transformed.uri = Some(String::from_utf8(uri).map_err(|_| TransformFailure::Path)?);
        }
    }
    let length = |length: Option<usize>| length.unwrap_or_default();
    let host = length(transformed.host.as_ref().map(Vec::len));
    let uri = length(transformed.uri.as_ref().map(String::len));
    if host.max(uri) + "OPTIONS  HTTP/1.1\r\n".len() > REQUEST_LIMITS.first_line {
        return Err(TransformFailure::TooLong);
    }
    Ok(transformed)
}

#[cfg(test)]
mod tests;
