//! Desync classes of HTTP/1.x requests (ALB guide: edit attributes, desync mitigation mode).

use elbow_model::DesyncMitigationMode;

/// How far a request departs from the standard. A compliant request has no tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Not compliant, but harmless.
    Acceptable,
    /// Implementations may read it differently.
    Ambiguous,
    /// An attack or a bug.
    Severe,
}

impl Tier {
    /// As the access log names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acceptable => "Acceptable",
            Self::Ambiguous => "Ambiguous",
            Self::Severe => "Severe",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident: $tier:ident,)*) => {
        /// Why a request is not compliant.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// The tier that it puts a request in.
            pub fn tier(self) -> Tier {
                match self {
                    $(Self::$name => Tier::$tier,)*
                }
            }

            /// As the access log names it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

reasons! {
    /// A control or non-ASCII byte in a field that does not frame the message.
    NonCompliantHeader: Acceptable,
    /// A space in the URI.
    SpaceInUri: Acceptable,
    /// HTTP/1.2 to 1.9, or extra spaces around it.
    NonCompliantVersion: Acceptable,
    /// GET or HEAD with `Content-Length: 0`.
    GetHeadZeroContentLength: Acceptable,
    /// A control byte in the URI.
    AmbiguousUri: Ambiguous,
    /// `Transfer-Encoding` and `Content-Length`.
    BothTeClPresent: Ambiguous,
    /// `Content-Length` repeated with the same value.
    DuplicateContentLength: Ambiguous,
    /// A field without a name, or a line of white space.
    EmptyHeader: Ambiguous,
    /// A name that some implementation takes for `Transfer-Encoding` or `Content-Length`.
    SuspiciousHeader: Ambiguous,
    /// GET or HEAD with a body by `Content-Length`.
    UndefinedContentLengthSemantics: Ambiguous,
    /// `Transfer-Encoding` on GET, HEAD or HTTP/1.0.
    UndefinedTransferEncodingSemantics: Ambiguous,
    /// A `Content-Length` that is not a number.
    BadContentLength: Severe,
    /// NUL, CR or LF inside a field, or a folded field.
    BadHeader: Severe,
    /// An unknown or damaged transfer coding.
    BadTransferEncoding: Severe,
    /// NUL, CR or LF in the URI.
    BadUri: Severe,
    /// A method that is not a token.
    BadMethod: Severe,
    /// A malformed version.
    BadVersion: Severe,
    /// Differing `Content-Length`s.
    MultipleContentLength: Severe,
    /// `chunked` twice.
    MultipleTransferEncodingChunked: Severe,
    /// `Transfer-Encoding` and `Content-Length`, one of them only by a look-alike.
    SuspiciousTeClPresent: Severe,
}

/// The worst reason so far, the first one within a tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict(pub Option<Reason>);

impl Verdict {
    /// Adds a reason.
    pub fn add(&mut self, reason: Reason) {
        if self.0.is_none_or(|worst| worst.tier() < reason.tier()) {
            self.0 = Some(reason);
        }
    }

    /// Its tier; `None` when compliant.
    pub fn tier(self) -> Option<Tier> {
        self.0.map(Reason::tier)
    }

    /// Whether `mode` refuses such a request.
    pub fn blocked(self, mode: DesyncMitigationMode) -> bool {
        match mode {
            DesyncMitigationMode::Monitor => false,
            DesyncMitigationMode::Defensive => self.tier() == Some(Tier::Severe),
            DesyncMitigationMode::Strictest => self.0.is_some(),
        }
    }

    /// Whether `mode` ends both connections after such a request.
    pub fn closes(self, mode: DesyncMitigationMode) -> bool {
        mode != DesyncMitigationMode::Monitor && self.tier() >= Some(Tier::Ambiguous)
    }
}
