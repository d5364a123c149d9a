//! ClientHellos that no client would send.

/// A ClientHello, in parts.
#[derive(Clone, Debug)]
pub(crate) struct RawHello {
    /// `legacy_version`.
    pub(crate) version: u16,
    pub(crate) suites: Vec<u16>,
    pub(crate) compressions: Vec<u8>,
    /// By number.
    pub(crate) extensions: Vec<(u16, Vec<u8>)>,
}

pub(crate) const SUPPORTED_GROUPS: u16 = 10;
pub(crate) const SIGNATURE_ALGORITHMS: u16 = 13;
pub(crate) const SUPPORTED_VERSIONS: u16 = 43;
pub(crate) const KEY_SHARE: u16 = 51;

impl RawHello {
    /// One of TLS 1.2 alone, with ECDHE-ECDSA-AES128-GCM-SHA256, X25519, and ECDSA with P-256.
    pub(crate) fn tls12() -> Self {
        Self {
            version: 0x0303,
            suites: vec![0xc02b],
            compressions: vec![0],
            extensions: vec![
                (SUPPORTED_GROUPS, vec![0, 2, 0, 0x1d]),
                (SIGNATURE_ALGORITHMS, vec![0, 2, 4, 3]),
            ],
        }
    }

    /// One of TLS 1.3 alone, with `TLS_AES_128_GCM_SHA256` and a share of X25519.
    pub(crate) fn tls13() -> Self {
        let mut hello = Self::tls12();
        hello.suites = vec![0x1301];
        let share = [&[0, 36, 0, 0x1d, 0, 32][..], &[9; 32]].concat();
        hello.extensions.push((SUPPORTED_VERSIONS, vec![2, 3, 4]));
        hello.extensions.push((KEY_SHARE, share));
        hello
    }

    pub(crate) fn without(mut self, extension: u16) -> Self {
        self.extensions.retain(|(number, _)| *number != extension);
        self
    }

    pub(crate) fn with(mut self, extension: u16, content: &[u8]) -> Self {
        self.extensions.push((extension, content.to_vec()));
        self
    }

    /// The handshake message.
    pub(crate) fn message(&self) -> Vec<u8> {
        let extensions = self.extensions.iter();
        let extensions = extensions.flat_map(|(number, content)| {
            let number = number.to_be_bytes();
            [&number[..], &prefixed(content)].concat()
        });
        let suites: Vec<u8> = self.suites.iter().flat_map(|s| s.to_be_bytes()).collect();
        let body = [
            &self.version.to_be_bytes()[..],
            &[7; 32],
            &[0],
            &prefixed(&suites),
            &[self.compressions.len() as u8],
            &self.compressions,
            &prefixed(&extensions.collect::<Vec<u8>>()),
        ]
        .concat();
        [&[1, 0][..], &prefixed(&body)].concat()
    }

    /// The record.
    pub(crate) fn record(&self) -> Vec<u8> {
        [&[0x16, 3, 1][..], &prefixed(&self.message())].concat()
    }
}

/// `content` behind its length in two bytes.
fn prefixed(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes()[..], content].concat()
}
