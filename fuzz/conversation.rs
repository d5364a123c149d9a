//! What the conversations of clients and targets of HTTP/2 share.

use std::time::Duration;

use elbow_model::{DesyncMitigationMode, LoadBalancerAttributes, XffHeaderProcessingMode};

use crate::feed::Feed;

/// Maximum number of steps of a peer.
pub(crate) const STEPS_MAX: usize = 60;
/// Maximum number of scripted connections to the target.
pub(crate) const SCRIPTS_MAX: usize = 8;

/// Attributes that change what passes.
pub(crate) fn attributes(feed: &mut Feed<'_>) -> LoadBalancerAttributes {
    let bits = feed.byte();
    LoadBalancerAttributes {
        desync_mitigation_mode: match bits & 3 {
            0 => DesyncMitigationMode::Monitor,
            1 => DesyncMitigationMode::Strictest,
            _ => DesyncMitigationMode::Defensive,
        },
        idle_timeout: Duration::from_secs(5),
        drop_invalid_header_fields: bits & 4 != 0,
        preserve_host_header: bits & 8 != 0,
        xff_client_port: bits & 16 != 0,
        xff_header_processing_mode: match bits >> 5 & 3 {
            0 => XffHeaderProcessingMode::Preserve,
            1 => XffHeaderProcessingMode::Remove,
            _ => XffHeaderProcessingMode::Append,
        },
        tls_version_and_cipher_headers: bits & 128 != 0,
        ..LoadBalancerAttributes::default()
    }
}

/// Appends a literal field, with or without indexing (RFC 7541, 6.2).
pub(crate) fn literal(block: &mut Vec<u8>, mode: u8, name: &[u8], value: &[u8]) {
    block.push([0x00, 0x40, 0x10][usize::from(mode % 3)]);
    for text in [name, value] {
        let mut length = text.len();
        if length < 127 {
            block.push(length as u8);
        } else {
            block.push(127);
            length -= 127;
            while length >= 128 {
                block.push((length % 128) as u8 | 128);
                length /= 128;
            }
            block.push(length as u8);
        }
        block.extend_from_slice(text);
    }
}

/// Asserts that a peer receives complete frames of known kinds. Only the last may be incomplete.
pub(crate) fn assert_frames(mut rest: &[u8]) {
    while let [a, b, c, kind, _, _, _, _, _, after @ ..] = rest {
        assert!(*kind <= 9, "frame {:?}", &rest[..9]);
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some(next) = after.get(length..) else {
            return;
        };
        rest = next;
    }
}
