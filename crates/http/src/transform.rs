//! What a rule makes of Host and the URL before a target sees them (ALB guide: transforms).

use elbow_model::Transforms;

use crate::error::{Error, ErrorKind};
use crate::h1::REQUEST_LIMITS;
use crate::head::RequestHead;
use crate::listener::Listener;
use crate::record::Record;
use crate::rules::request_authority;
use crate::uri::{RequestTarget, split_port};

/// What targets get in place of what the client sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transformed {
    /// Host, without a port unless the rule put one there.
    pub(crate) host: Option<Vec<u8>>,
    /// Path and query.
    pub(crate) uri: Option<String>,
}

/// Why a transform that matched cannot be used, as in the field `request_transform_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    TooLong,
    Host,
    Path,
}

impl Failure {
    fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "TransformBufferTooSmall",
            Self::Host => "TransformInvalidHost",
            Self::Path => "TransformInvalidPath",
        }
    }
}

/// Applies the transforms of a rule; 500 when one matched and its result is of no use. What came of
/// it is noted for the log.
pub(crate) fn apply(
    transforms: &Transforms,
    head: &RequestHead<'_>,
    listener: &Listener,
    record: &mut Record,
) -> Result<Transformed, Error> {
    match transform(transforms, head, listener) {
        Ok(transformed) => {
            if transformed != Transformed::default() {
                record.action = Some("rewrite,forward");
                record.transform_status = Some("TransformSuccess");
            }
            Ok(transformed)
        }
        Err(failure) => {
            record.transform_status = Some(failure.as_str());
            Err(ErrorKind::Transform.into())
        }
    }
}

fn transform(
    transforms: &Transforms,
    head: &RequestHead<'_>,
    listener: &Listener,
) -> Result<Transformed, Failure> {
    let target = RequestTarget::parse(head.target);
    let mut transformed = Transformed::default();
    if let Some(rewrite) = &transforms.host_header {
        let authority = request_authority(head, &target)
            .filter(|authority| !authority.is_empty())
            .unwrap_or(listener.dns_name.as_bytes());
        let mut host = Vec::new();
        let (subject, _) = split_port(authority);
        if rewrite.regex.rewrite(&rewrite.replace, subject, &mut host) {
            let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-._~[]:".contains(b);
            if host.is_empty() || !host.iter().all(allowed) {
                return Err(Failure::Host);
            }
            transformed.host = Some(host);
        }
    }
    if let Some(rewrite) = &transforms.url {
        let (mut subject, mut uri) = (Vec::new(), Vec::new());
        target.write_origin_form(&mut subject);
        if rewrite.regex.rewrite(&rewrite.replace, &subject, &mut uri) {
            if uri.first() != Some(&b'/') {
                return Err(Failure::Path);
            }
            transformed.uri = Some(String::from_utf8(uri).map_err(|_| Failure::Path)?);
        }
    }
    let length = |length: Option<usize>| length.unwrap_or_default();
    let host = length(transformed.host.as_ref().map(Vec::len));
    let uri = length(transformed.uri.as_ref().map(String::len));
    if host.max(uri) + "OPTIONS  HTTP/1.1\r\n".len() > REQUEST_LIMITS.first_line {
        return Err(Failure::TooLong);
    }
    Ok(transformed)
}

#[cfg(test)]
mod tests;
