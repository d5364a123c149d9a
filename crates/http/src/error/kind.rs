//! The kinds of error, and what follows from each: one table.

use elbow_telemetry::Kind;

use super::Side;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident: $status:literal $side:ident $after:ident $label:literal $text:literal,)*) => {
        /// The kinds of error, in the words of ALB's guide (troubleshooting).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ErrorKind {
            $($(#[$doc])* $kind,)*
        }

        impl ErrorKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// Every kind for the metrics, in the order of [`Self::ALL`].
            pub(crate) const COUNTED: &[Kind] = &[$(Kind {
                kind: $label,
                side: Side::$side.label(),
            },)*];

            /// The status that an ALB answers with.
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$kind => $status,)*
                }
            }

            /// Who caused it.
            pub const fn side(self) -> Side {
                match self {
                    $(Self::$kind => Side::$side,)*
                }
            }

            /// Whether the client connection is closed after the response: its next request cannot be
            /// found, or the client is gone.
            pub const fn closes_client(self) -> bool {
                match self {
                    $(Self::$kind => matches!(After::$after, After::Close),)*
                }
            }

            /// A bounded label for logs and metrics.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$kind => $label,)*
                }
            }

            /// For a person.
            pub(super) const fn text(self) -> &'static str {
                match self {
                    $(Self::$kind => $text,)*
                }
            }
        }
    };
}

/// What becomes of the client connection.
enum After {
    Keep,
    Close,
}

kinds! {
    /// The request is malformed, or contradicts itself.
    BadRequest: 400 Client Close "bad_request" "malformed request",
    /// A request without TLS at an HTTPS listener.
    PlainHttp: 400 Client Close "plain_http" "plain HTTP request to an HTTPS listener",
    /// The request was blocked by the desync mitigation mode.
    Desync: 400 Client Close "desync" "request blocked as ambiguous",
    /// A header line or the whole head is too large.
    HeaderTooLarge: 400 Client Close "header_too_large" "request header too large",
    /// The request line is too large.
    UriTooLarge: 414 Client Close "uri_too_large" "request line too large",
    /// The action of the rule that authenticates does not let the request through.
    Unauthenticated: 401 Client Keep "unauthenticated" "request is not authenticated",
    /// TRACE, or on a Classic load balancer a method that is too long.
    MethodNotAllowed: 405 Client Keep "method_not_allowed" "method not allowed",
    /// The client sent part of a request, and then nothing until the idle timeout.
    RequestTimeout: 408 Client Close "request_timeout" "request did not arrive in time",
    /// The client closed while it was still sending its body.
    BodyAborted: 400 Client Close "body_aborted" "client closed before its body ended",
    /// The client closed while the target was awaited.
    ClientGone: 460 Client Close "client_gone" "client closed before the response",
    /// More than 30 addresses in X-Forwarded-For.
    TooManyForwardedAddresses: 463 Client Keep "too_many_forwarded_addresses" "more than 30 addresses in X-Forwarded-For",
    /// The client's protocol and the group's protocol version clash.
    IncompatibleProtocol: 464 Client Keep "incompatible_protocol" "protocol does not fit the target group",
    /// A transfer coding other than chunked and identity.
    UnsupportedTransferCoding: 501 Client Close "unsupported_transfer_coding" "transfer coding is not supported",
    /// An HTTP version that is not supported.
    UnsupportedVersion: 505 Client Close "unsupported_version" "unexpected HTTP version",
    /// A redirect would have a Location of more than 8 K.
    RedirectTooLong: 507 Local Keep "redirect_too_long" "redirect URL too long",
    /// All buffers for large request heads are in use.
    NoBuffer: 503 Local Close "no_buffer" "no buffer left for a large request head",
    /// There is no file descriptor left for a connection to a target.
    NoDescriptor: 503 Local Keep "no_descriptor" "no file descriptor left for a connection to a target",
    /// There is no local port left for a connection to a target.
    NoLocalPort: 503 Local Keep "no_local_port" "no local port left for a connection to a target",
    /// The kernel has no memory left for a connection to a target.
    NoKernelMemory: 503 Local Keep "no_kernel_memory" "no kernel memory left for a connection to a target",
    /// The group has no target that may be used.
    NoTargets: 503 Local Keep "no_targets" "no target may be used",
    /// 1,024 requests wait for a connection to an instance already.
    SurgeQueueFull: 503 Local Keep "surge_queue_full" "surge queue is full",
    /// The target refused the connection, or cannot be reached.
    ConnectFailed: 502 Target Keep "connect_failed" "connection to target failed",
    /// The connection to the target took too long.
    ConnectTimeout: 504 Target Keep "connect_timeout" "connection to target timed out",
    /// The TLS handshake with the target failed.
    TargetTls: 502 Target Keep "target_tls" "TLS handshake with target failed",
    /// The certificate of the target has a public key that elbow does not trust.
    TargetPublicKey: 502 Target Keep "target_public_key" "the target's public key is not in the policy",
    /// The TLS handshake with the target took too long.
    TargetTlsTimeout: 504 Target Keep "target_tls_timeout" "TLS handshake with target timed out",
    /// The target closed or reset with a request outstanding.
    TargetClosed: 502 Target Keep "target_closed" "target closed the connection",
    /// The target's response cannot be read.
    BadResponse: 502 Target Keep "bad_response" "malformed response",
    /// The target breaks the rules of HTTP/2, or speaks another protocol.
    TargetProtocol: 502 Target Keep "target_protocol" "target does not speak HTTP/2",
    /// The head of the target's response is larger than 32 K.
    ResponseHeaderTooLarge: 502 Target Keep "response_header_too_large" "response header too large",
    /// The target was silent for the idle timeout.
    TargetTimeout: 504 Target Keep "target_timeout" "target did not answer in time",
    /// The client's body was shorter than its length until the idle timeout.
    BodyTimeout: 504 Client Close "body_timeout" "request body did not arrive in time",
    /// The deregistration delay ended with the request in progress.
    TargetCut: 502 Target Keep "target_cut" "deregistration delay ended",
    /// The result of a rule's transform is not a valid host or path.
    Transform: 500 Local Keep "transform" "transform failed",
    /// The identity provider cannot be reached, is slow, or sends too much.
    ProviderUnavailable: 500 Local Keep "provider_unavailable" "identity provider cannot be reached",
    /// The identity provider answers with an error, or with something that cannot be read.
    ProviderFailed: 561 Local Keep "provider_failed" "identity provider answered an error",
    /// The identity provider does not send its keys.
    KeysFailed: 562 Local Keep "keys_failed" "identity provider sent no usable keys",
    /// The drain timeout ended with the request in progress.
    Stopping: 503 Local Close "stopping" "drain timeout ended",
    /// A fault of elbow's own.
    Internal: 500 Local Close "internal" "internal error",
}
