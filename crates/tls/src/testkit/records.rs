//! Records of TLS 1.2 with AES-128-GCM, for messages that no client would send (RFC 5288, 3).

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::{ConnectionTrafficSecrets, ExtractedSecrets};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The record layer of a client after its handshake.
pub(crate) struct Records {
    tx: Direction,
    rx: Direction,
}

struct Direction {
    sequence: u64,
    key: LessSafeKey,
    /// The part of the nonce that is not in the record.
    salt: [u8; 4],
}

impl Records {
    pub(crate) fn new(secrets: ExtractedSecrets) -> Self {
        Self {
            tx: Direction::new(secrets.tx),
            rx: Direction::new(secrets.rx),
        }
    }

    /// A record with `content` of type `kind`.
    pub(crate) fn seal(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        let explicit = self.tx.sequence.to_be_bytes();
        let aad = self.tx.aad(kind, content.len());
        let mut sealed = content.to_vec();
        let nonce = self.tx.nonce(&explicit);
        let key = &self.tx.key;
        key.seal_in_place_append_tag(nonce, aad, &mut sealed)
            .unwrap();
        self.tx.sequence += 1;
        let length = (explicit.len() + sealed.len()) as u16;
        [&[kind, 3, 3][..], &length.to_be_bytes(), &explicit, &sealed].concat()
    }

    /// The type and content of the next record.
    pub(crate) async fn read(&mut self, socket: &mut TcpStream) -> (u8, Vec<u8>) {
        let mut header = [0; 5];
        socket.read_exact(&mut header).await.unwrap();
        let [kind, _, _, high, low] = header;
        let mut sealed = vec![0; usize::from(u16::from_be_bytes([high, low]))];
        socket.read_exact(&mut sealed).await.unwrap();
        let (explicit, content) = sealed.split_at_mut(8);
        let aad = self.rx.aad(kind, content.len() - AES_128_GCM.tag_len());
        let nonce = self.rx.nonce(explicit);
        let opened = self.rx.key.open_in_place(nonce, aad, content).unwrap();
        self.rx.sequence += 1;
        (kind, opened.to_vec())
    }
}

impl Direction {
    fn new((sequence, secrets): (u64, ConnectionTrafficSecrets)) -> Self {
        let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else {
            panic!("another suite");
        };
        Self {
            sequence,
            key: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key.as_ref()).unwrap()),
            salt: iv.as_ref()[..4].try_into().unwrap(),
        }
    }

    fn nonce(&self, explicit: &[u8]) -> Nonce {
        let nonce = [&self.salt[..], explicit].concat();
        Nonce::try_assume_unique_for_key(&nonce).unwrap()
    }

    fn aad(&self, kind: u8, length: usize) -> Aad<Vec<u8>> {
        let length = (length as u16).to_be_bytes();
        Aad::from([&self.sequence.to_be_bytes()[..], &[kind, 3, 3], &length].concat())
    }
}
