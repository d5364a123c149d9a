//! Values of the load balancer's own cookies: opaque to clients, and accepted back only unchanged.

use std::hash::Hasher;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hasher128, SipHasher24 as Tagger};

/// Version, time, choice, tag.
const SIZE: usize = 1 + 8 + 8 + 16;

/// Bytes of a value. `SIZE` is a multiple of three, so that base64 needs no padding.
pub const LENGTH: usize = SIZE / 3 * 4;

const VERSION: u8 = 1;

/// Makes and reads the cookies of one load balancer or target group.
///
/// The key is derived from the name, so that cookies outlive a reload and a restart, and every process
/// with the same configuration honours them. Whoever knows the configuration could forge one, which
/// wins nothing but a choice among targets that anyone may get.
#[derive(Clone, Debug)]
pub struct Seal {
    cipher: SipHasher24,
    tagger: Tagger,
}

/// The content of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The key of the target or group that was chosen.
    pub choice: u64,
    /// When it was chosen, in seconds since the epoch.
    pub made: u64,
}

impl Seal {
    /// The seal of `owner`, which is unique among load balancers and groups.
    pub fn new(owner: &str) -> Self {
        let key = |purpose: u64| {
            let mut hasher = Tagger::new_with_keys(0x656c_626f_7720_7365, purpose);
            hasher.write(owner.as_bytes());
            let key = hasher.finish128();
            (key.h1, key.h2)
        };
        let (cipher, tag) = (key(1), key(2));
        Self {
            cipher: SipHasher24::new_with_keys(cipher.0, cipher.1),
            tagger: Tagger::new_with_keys(tag.0, tag.1),
        }
    }

    /// The value for a `choice` made at `now`.
    pub fn close(&self, choice: u64, now: u64) -> [u8; LENGTH] {
        let mut text = [0; LENGTH];
        // `LENGTH` is the length of the bytes in base64.
        let _ = STANDARD.encode_slice(self.bytes(choice, now), &mut text);
        text
    }

    /// As [`Self::close`], in the hexadecimal digits of Classic load balancers.
    pub fn close_hex(&self, choice: u64, now: u64) -> String {
        let bytes = self.bytes(choice, now);
        bytes.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    fn bytes(&self, choice: u64, now: u64) -> [u8; SIZE] {
        let now = now.to_be_bytes();
        let choice = (choice ^ self.cipher.hash(&now)).to_be_bytes();
        let mut bytes = [0; SIZE];
        let parts = [VERSION].into_iter().chain(now).chain(choice);
        for (slot, byte) in bytes.iter_mut().zip(parts) {
            *slot = byte;
        }
        if let Some((said, tag)) = bytes.split_last_chunk_mut::<16>() {
            *tag = self.tag(said);
        }
        bytes
    }

    /// The content of `text`; `None` when it is from another seal or was changed.
    pub fn open(&self, text: &[u8]) -> Option<Token> {
        let mut bytes = [0; SIZE];
        if text.len() != LENGTH || STANDARD.decode_slice(text, &mut bytes) != Ok(SIZE) {
            return None;
        }
        self.read(&bytes)
    }

    /// As [`Self::open`], for a value of [`Self::close_hex`].
    pub fn open_hex(&self, text: &[u8]) -> Option<Token> {
        let mut bytes = [0; SIZE];
        let (pairs, rest) = text.as_chunks::<2>();
        if pairs.len() != SIZE || !rest.is_empty() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
            *byte = u8::try_from(high? << 4 | low?).ok()?;
        }
        self.read(&bytes)
    }

    fn read(&self, bytes: &[u8; SIZE]) -> Option<Token> {
        let (said, tag) = bytes.split_last_chunk::<16>()?;
        let ([VERSION], rest) = said.split_first_chunk::<1>()? else {
            return None;
        };
        let (now, choice) = rest.split_first_chunk::<8>()?;
        (self.tag(said) == *tag).then_some(Token {
            choice: u64::from_be_bytes(choice.try_into().ok()?) ^ self.cipher.hash(now),
            made: u64::from_be_bytes(*now),
        })
    }

    fn tag(&self, said: &[u8]) -> [u8; 16] {
        let mut hasher = self.tagger;
        hasher.write(said);
        hasher.finish128().as_bytes()
    }
}

/// The number that stands for a name in cookies.
pub fn key_of(name: &str) -> u64 {
    SipHasher24::new_with_keys(0x656c_626f_7720_6e61, 0).hash(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seal_reads_values_of_any_seal_of_the_same_owner() {
        let text = Seal::new("a").close(42, 1_700_000_000);
        let token = Token {
            choice: 42,
            made: 1_700_000_000,
        };
        assert_eq!(Seal::new("a").open(&text), Some(token));
        assert_eq!(Seal::new("b").open(&text), None);
        let later = Seal::new("a").close(42, 1_700_000_001);
        assert_ne!(text[12..24], later[12..24], "the choice shows");
    }

    #[test]
    fn hexadecimal_values_have_the_same_content() {
        let seal = Seal::new("a");
        let text = seal.close_hex(42, 7);
        assert_eq!(text.len(), 66);
        let token = Token {
            choice: 42,
            made: 7,
        };
        assert_eq!(seal.open_hex(text.as_bytes()), Some(token));
        assert_eq!(Seal::new("b").open_hex(text.as_bytes()), None);
        for other in [
            &text[1..],
            &text[2..],
            "",
            &text.replace('A', "G"),
            &"0".repeat(66),
        ] {
            assert_eq!(seal.open_hex(other.as_bytes()), None, "{other}");
        }
    }

    // Parity 1.8: undecodable, URL-encoded: a new target.
    #[test]
    fn changed_values_are_refused() {
        let seal = Seal::new("a");
        let text = seal.close(u64::MAX, 0);
        for at in 0..text.len() {
            let mut damaged = text;
            damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(seal.open(&damaged), None, "{at}");
        }
        assert_eq!(seal.open(&text[1..]), None);
        assert_eq!(seal.open(b""), None);
        assert_eq!(seal.open(&[b'%'; LENGTH]), None);
        assert_eq!(seal.open(&[0xff; LENGTH]), None);
        assert_eq!(seal.open(&[b'A'; LENGTH * 2]), None);
    }
}
