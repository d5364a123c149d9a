//! The hybrid group SecP384r1MLKEM1024, which rustls does not have: its parts, put together.

use rustls::crypto::aws_lc_rs::kx_group;
use rustls::crypto::{ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};

#[cfg(test)]
mod tests;

/// The number of the group in the registry of IANA (draft-ietf-tls-ecdhe-mlkem, 4.3).
pub(crate) const SECP384R1_MLKEM1024: NamedGroup = NamedGroup::Unknown(0x11ed);

/// Length in bytes of an uncompressed point of P-384, with which each share begins. The rest is an encapsulation key of
/// ML-KEM-1024 from the client, and a ciphertext from the server.
const POINT: usize = 97;

/// The group. A share and the secret are that of ECDH, and that of ML-KEM behind it (same draft, 3.1 to 3.3).
#[derive(Debug)]
pub(crate) struct Secp384r1MlKem1024;

impl SupportedKxGroup for Secp384r1MlKem1024 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let classical = kx_group::SECP384R1.start()?;
        let post_quantum = kx_group::MLKEM1024.start()?;
        let share = [classical.pub_key(), post_quantum.pub_key()].concat();
        Ok(Box::new(Started {
            classical,
            post_quantum,
            share,
        }))
    }

    fn start_and_complete(&self, share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (point, key) = split(share)?;
        let classical = kx_group::SECP384R1.start_and_complete(point)?;
        let post_quantum = kx_group::MLKEM1024.start_and_complete(key)?;
        Ok(CompletedKeyExchange {
            group: self.name(),
            pub_key: [classical.pub_key, post_quantum.pub_key].concat(),
            secret: combined(&classical.secret, &post_quantum.secret),
        })
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        SECP384R1_MLKEM1024
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

/// A key exchange that waits for the share of the server.
struct Started {
    classical: Box<dyn ActiveKeyExchange>,
    post_quantum: Box<dyn ActiveKeyExchange>,
    share: Vec<u8>,
}

impl ActiveKeyExchange for Started {
    fn complete(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        let (point, ciphertext) = split(share)?;
        let classical = self.classical.complete(point)?;
        let post_quantum = self.post_quantum.complete(ciphertext)?;
        Ok(combined(&classical, &post_quantum))
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        SECP384R1_MLKEM1024
    }
}

/// The two shares of a peer. Each group checks the length of its own.
fn split(share: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let parts = share.split_at_checked(POINT);
    parts.ok_or_else(|| PeerMisbehaved::InvalidKeyShare.into())
}

fn combined(classical: &SharedSecret, post_quantum: &SharedSecret) -> SharedSecret {
    SharedSecret::from([classical.secret_bytes(), post_quantum.secret_bytes()].concat())
}
