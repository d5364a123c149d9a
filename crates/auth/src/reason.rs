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
    /// The provider does not send its keys: 562.
    Keys,
    /// The provider answers with an error, or with something that cannot be read: 561.
    Provider,
}

reasons! {
    /// There is no session, and the action says deny; or the user was denied by the provider. AWS has no word for it.
    AuthDenied: Client "-",
    /// The provider sent the user back with an error. AWS has no word for it.
    AuthProviderError: Provider "-",
    /// The session cookie is damaged, or of another configuration.
    AuthInvalidCookie: Client "AuthInvalidCookie",
    /// The provider does not take the code, which may have been used before.
    AuthInvalidGrantError: Provider "AuthInvalidGrantError",
    /// There is no ID token, or it is not for this login.
    AuthInvalidIdToken: Client "AuthInvalidIdToken",
    /// The login was not begun here, by another browser or too long ago.
    AuthInvalidStateParam: Client "AuthInvalidStateParam",
    /// What the token endpoint answered are no tokens.
    AuthInvalidTokenResponse: Provider "AuthInvalidTokenResponse",
    /// What the user-info endpoint answered are no claims of the user.
    AuthInvalidUserinfoResponse: Provider "AuthInvalidUserinfoResponse",
    /// The user was sent back without a code.
    AuthMissingCodeParam: Client "AuthMissingCodeParam",
    /// The request has no host that the user could be sent back to.
    AuthMissingHostHeader: Client "AuthMissingHostHeader",
    /// The user was sent back without a state.
    AuthMissingStateParam: Client "AuthMissingStateParam",
    /// The token endpoint answered with a status other than 2XX.
    AuthTokenEpRequestFailed: Provider "AuthTokenEpRequestFailed",
    /// The token endpoint is slow or cannot be reached.
    AuthTokenEpRequestTimeout: Unavailable "AuthTokenEpRequestTimeout",
    /// A fault of elbow's own.
    AuthUnhandledException: Unavailable "AuthUnhandledException",
    /// The user-info endpoint answered with a status other than 2XX.
    AuthUserinfoEpRequestFailed: Provider "AuthUserinfoEpRequestFailed",
    /// The user-info endpoint is slow or cannot be reached.
    AuthUserinfoEpRequestTimeout: Unavailable "AuthUserinfoEpRequestTimeout",
    /// The claims of the user are too large for cookies.
    AuthUserinfoResponseSizeExceeded: Unavailable "AuthUserinfoResponseSizeExceeded",
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

impl Reason {
    /// Whether it is about a JSON Web Token of the client.
    pub const fn is_jwt(self) -> bool {
        matches!(
            self,
            Self::JwtHeaderNotPresent
                | Self::JwtRequestFormatInvalid
                | Self::JwtSignatureValidationError
                | Self::JwtClaimNotPresent
                | Self::JwtClaimFormatInvalid
                | Self::JwtClaimValueInvalid
                | Self::JwksRequestTimeout
                | Self::JwksResponseSizeExceeded
                | Self::JwksRequestFailed
                | Self::JwksResponseInvalid
        )
    }
}
