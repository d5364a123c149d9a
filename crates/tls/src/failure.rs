//! Why TLS handshakes with clients fail.

use std::fmt;

macro_rules! failures {
    ($($(#[$doc:meta])* $kind:ident $label:literal $text:literal,)*) => {
        /// Why a TLS handshake with a client failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum HandshakeFailure {
            $($(#[$doc])* $kind,)*
        }

        impl HandshakeFailure {
            /// All kinds, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// A bounded label for metrics.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$kind => $label,)*
                }
            }
        }

        impl fmt::Display for HandshakeFailure {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$kind => $text,)*
                })
            }
        }
    };
}

failures! {
    /// The handshake did not complete in time.
    Timeout "timeout" "TLS handshake timed out",
    /// The client supports no TLS version of the policy.
    NoSharedVersion "no_shared_version" "no TLS version in common with the client",
    /// The client supports no cipher suite, group or signature scheme of the policy and certificate.
    NoSharedSuite "no_shared_suite" "no cipher suite in common with the client",
    /// The client does not speak TLS but for example plain HTTP.
    NotTls "not_tls" "the client does not speak TLS",
    /// The client aborted with an alert, for example because it does not trust the certificate.
    ClientAlert "client_alert" "the client refused the TLS handshake",
    /// The client closed or reset the connection.
    ClientClosed "client_closed" "the client closed the connection during the TLS handshake",
    /// The client violated the protocol.
    Protocol "protocol" "the client violated the TLS protocol",
    /// The listener verifies client certificates, and the client sent none.
    NoClientCert "no_client_cert" "the client sent no certificate",
    /// The chain of the client's certificate has too many certificates.
    ClientCertMaxChainDepthExceeded "client_cert_max_chain_depth_exceeded" "the chain of the client's certificate is too long",
    /// The client's certificate message is too large.
    ClientCertMaxSizeExceeded "client_cert_max_size_exceeded" "the chain of the client's certificate is too large",
    /// A revocation list has the client's certificate or one of its chain.
    ClientCertCrlHit "client_cert_crl_hit" "the client's certificate is revoked",
    /// A revocation list cannot be used.
    ClientCertCrlProcessingError "client_cert_crl_processing_error" "a revocation list for the client's certificate cannot be used",
    /// The trust store has no issuer of the client's certificate.
    ClientCertUntrusted "client_cert_untrusted" "no authority of the trust store issued the client's certificate",
    /// The client's certificate is not valid yet.
    ClientCertNotYetValid "client_cert_not_yet_valid" "the client's certificate is not valid yet",
    /// The client's certificate has expired.
    ClientCertExpired "client_cert_expired" "the client's certificate has expired",
    /// The key or the signature of the client's certificate is of an unsupported type.
    ClientCertTypeUnsupported "client_cert_type_unsupported" "the key or signature of the client's certificate is of an unsupported type",
    /// The client's certificate is malformed, or breaks a rule of X.509.
    ClientCertInvalid "client_cert_invalid" "the client's certificate is invalid",
    /// The client's certificate is for another purpose, such as servers.
    ClientCertPurposeInvalid "client_cert_purpose_invalid" "the client's certificate is not for clients",
    /// The client's certificate matches no identity filter of the listener.
    ClientCertRejected "client_cert_rejected" "the client's certificate matches no identity filter",
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_kind_has_its_own_place_and_label() {
        let all = HandshakeFailure::ALL;
        for (place, &kind) in all.iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
        let labels: HashSet<_> = all.iter().map(|kind| kind.label()).collect();
        assert_eq!(labels.len(), all.len());
    }
}
