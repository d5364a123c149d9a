//! What targets are told of a user (ALB guide: authenticate users, user claims encoding).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use elbow_model::AuthenticateOidc;
use serde_json::{Value, json};

use super::session::Session;
use crate::request::Identity;

/// Seconds that a target may take the claims for true.
const VALID: u64 = 120;

/// Signs the claims that targets get, with a key that lives as long as the process.
pub(crate) struct Signer {
    key: EcdsaKeyPair,
    id: String,
    pem: String,
}

impl Signer {
    /// A signer with a fresh key; `None` when the system has no random numbers.
    pub(crate) fn new() -> Option<Self> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok()?;
        let der: PublicKeyX509Der<'_> = key.public_key().as_der().ok()?;
        Some(Self {
            id: id(der.as_ref()),
            pem: pem(der.as_ref()),
            key,
        })
    }

    /// The public key that the id in tokens names, as PEM.
    pub(crate) fn public_key(&self, id: &str) -> Option<&str> {
        (self.id == id).then_some(&self.pem)
    }

    /// A JSON Web Token with padding, as ALB makes them.
    fn sign(&self, header: &Value, claims: &Value) -> Option<String> {
        let part = |value: &Value| URL_SAFE.encode(value.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes()).ok()?;
        Some(format!("{text}.{}", URL_SAFE.encode(signature)))
    }
}

/// What a target of the load balancer `signer_arn` is told of the user of `session` at `now`.
pub(super) fn identify(
    session: &Session,
    config: &AuthenticateOidc,
    signer: &Signer,
    signer_arn: &Arc<str>,
    now: u64,
) -> Option<Identity> {
    let expiry = now + VALID;
    let header = json!({"typ": "JWT", "kid": signer.id, "alg": "ES256", "iss": &*config.issuer,
            "client": &*config.client_id, "signer": &**signer_arn, "exp": expiry});
    let mut claims = session.claims.clone();
    claims.insert("exp".to_owned(), expiry.into());
    claims.insert("iss".to_owned(), (&*config.issuer).into());
    Some(Identity {
        access_token: session.access_token.clone(),
        subject: session.subject().to_owned(),
        data: signer.sign(&header, &claims.into())?,
    })
}

/// An id in the form of a UUID, made of the key.
fn id(key: &[u8]) -> String {
    let digest = digest(&SHA256, key);
    let mut text = String::new();
    for (at, byte) in digest.as_ref().iter().take(16).enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    pem
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
