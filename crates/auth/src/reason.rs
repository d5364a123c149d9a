//! Why a request is not let through: the words of ALB's access log (ALB guide: access logs, error reason codes).

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident: $blame:ident $name:literal,)*) => {
        /// Why a request is not let through.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $reason,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$reason,)*];

            /// `error_reason` of the access log.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)*
                }
            }

            /// Who is to blame, which decides the status.
            pub const fn blame(self) -> Blame {
                match self {
                    $(Self::$reason => Blame::$blame,)*
                }
            }
        }
    };
}

/// Who is to blame for a request that is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The client: 401.
    Client,
    /// The provider cannot be reached, is slow, or sends too much: 500.
    Unavailable,
    /// The provider answers with an error or with something that cannot be read: 562 when it was asked for keys.
    Keys,
}

reasons! {
    /// There is no `Authorization: Bearer`.
    JwtHeaderNotPresent: Client "JWTHeaderNotPresent",
    /// The token is not a JSON Web Token that is signed with RS256.
    JwtRequestFormatInvalid: Client "JWTRequestFormatInvalid",
    /// No key of the issuer made the signature.
    JwtSignatureValidationError: Client "JWTSignatureValidationError",
    /// A required claim is missing.
    JwtClaimNotPresent: Client "JWTClaimNotPresent",
    /// A claim has another type than it should.
    JwtClaimFormatInvalid: Client "JWTClaimFormatInvalid",
    /// A claim has another value than it should.
    JwtClaimValueInvalid: Client "JWTClaimValueInvalid",
    /// The keys did not arrive in time, or their server cannot be reached.
    JwksRequestTimeout: Unavailable "JWKSRequestTimeout",
    /// There are more keys than the limit.
    JwksResponseSizeExceeded: Unavailable "JWKSResponseSizeExceeded",
    /// The server of the keys answered with a status other than 2XX.
    JwksRequestFailed: Keys "JWKSRequestFailed",
    /// What the server of the keys sent are not keys.
    JwksResponseInvalid: Keys "JWKSResponseInvalid",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
