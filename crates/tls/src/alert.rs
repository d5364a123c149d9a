//! Alerts for ClientHellos that are refused, where rustls has another one than the RFC, or none.

use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible};

#[cfg(test)]
mod tests;

/// The alert that RFC 8446 asks for; `None`: that of rustls. `lacks_groups` says whether the client offers TLS 1.3 without
/// any group.
pub(crate) fn description(error: &Error, lacks_groups: bool) -> Option<AlertDescription> {
    match error {
        // Sections 5 and 6.2: a record or message that does not belong there.
        Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Some(AlertDescription::UnexpectedMessage)
        }
        // Section 5.1.
        Error::InvalidMessage(InvalidMessage::MessageTooLarge) => {
            Some(AlertDescription::RecordOverflow)
        }
        Error::InvalidMessage(malformed) => Some(AlertDescription::from(*malformed)),
        // Section 6.2.
        Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered) => {
            Some(AlertDescription::ProtocolVersion)
        }
        // Section 9.2.
        Error::PeerIncompatible(
            PeerIncompatible::KeyShareExtensionRequired
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired,
        ) => Some(AlertDescription::MissingExtension),
        Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon) if lacks_groups => {
            Some(AlertDescription::MissingExtension)
        }
        _ => None,
    }
}

/// An unencrypted record with a fatal alert.
pub(crate) fn record(description: AlertDescription) -> [u8; 7] {
    [0x15, 3, 3, 0, 2, 2, u8::from(description)]
}
