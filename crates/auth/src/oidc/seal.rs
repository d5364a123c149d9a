//! What clients keep for us and can neither read nor change.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand;
use elbow_model::AuthenticateOidc;

use crate::encoding::{decode, encode};

/// Seals the cookies and states of one client of one provider.
///
/// The key is derived from the secret of the client. So cookies outlive a reload and a restart, every process with the
/// same configuration honours them, and a new secret ends all sessions.
pub(super) struct Seal {
    key: LessSafeKey,
    /// What a seal belongs to: values of another are refused.
    owner: Vec<u8>,
}

/// What a value is for, so that none can stand in for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Session,
    State,
}

impl Seal {
    /// `None` if the library refuses the key, which it does not.
    pub(super) fn new(config: &AuthenticateOidc) -> Option<Self> {
        let salt = Salt::new(HKDF_SHA256, b"elbow authenticate-oidc");
        let secret = salt.extract(config.client_secret.expose().as_bytes());
        let parts: [&[u8]; 2] = [config.issuer.as_bytes(), config.client_id.as_bytes()];
        let mut key = [0; 32];
        let derived = secret.expand(&parts, Length(key.len())).ok()?;
        derived.fill(&mut key).ok()?;
        let mut owner = Vec::new();
        for part in [
            &config.issuer,
            &config.client_id,
            &config.authorization_endpoint,
            &config.session_cookie_name,
        ] {
            owner.extend_from_slice(part.as_bytes());
            owner.push(0);
        }
        Some(Self {
            key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).ok()?),
            owner,
        })
    }

    /// The sealed form of `content`: Base64 that URLs and cookies can hold.
    pub(super) fn close(&self, purpose: Purpose, content: &[u8]) -> Option<String> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = content.to_vec();
        let aad = Aad::from(self.aad(purpose));
        let unique = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(unique, aad, &mut sealed)
            .ok()?;
        Some(encode([&nonce[..], &sealed].concat()))
    }

    /// The content of `text`; `None` when it is of another seal or purpose, or was changed.
    pub(super) fn open(&self, purpose: Purpose, text: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = decode(text)?;
        let (nonce, sealed) = bytes.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let aad = Aad::from(self.aad(purpose));
        let content = self.key.open_in_place(nonce, aad, sealed).ok()?;
        Some(content.to_vec())
    }

    fn aad(&self, purpose: Purpose) -> Vec<u8> {
        let purpose: &[u8] = match purpose {
            Purpose::Session => b"session",
            Purpose::State => b"state",
        };
        [&self.owner[..], purpose].concat()
    }
}

/// A number of bytes to derive.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}
