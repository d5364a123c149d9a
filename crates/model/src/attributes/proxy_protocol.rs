/// The header before a connection's first byte that tells a target the client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// As text (CLB).
    V1,
    /// In binary (NLB).
    V2,
}

/// `proxy_protocol_v2.client_to_server.header_placement`: when the target gets the header of version 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeaderPlacement {
    /// As soon as it is connected.
    OnFirstAck,
    /// Together with the first data of the client.
    OnFirstAckWithPayload,
}
