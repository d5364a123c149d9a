//! Encrypts session tickets with keys that can move to another process.

use std::fmt;
use std::sync::{RwLock, RwLockReadGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use rustls::Error;
use rustls::crypto::GetRandomFailed;
use rustls::server::ProducesTickets;

/// Seconds until a key is replaced. It decrypts for as long again.
const ROTATION: u64 = 6 * 3600;
/// Length of the name of a key, which a ticket starts with.
const NAME: usize = 16;
const SECRET: usize = 32;

/// Length of a key in the form for another process: name, secret, time of creation.
pub const EXPORTED: usize = NAME + SECRET + 8;

/// Encrypts and decrypts session tickets: the name of the key, a nonce, and AES-256-GCM.
pub(crate) struct Ticketer {
    keys: RwLock<Keys>,
}

struct Keys {
    current: Key,
    previous: Option<Key>,
}

struct Key {
    name: [u8; NAME],
    secret: [u8; SECRET],
    /// In seconds of UNIX time, which another process can compare.
    created: u64,
    cipher: LessSafeKey,
}

impl Ticketer {
    /// A ticketer with the first two of `exported` keys that are still valid, else with a new one.
    pub(crate) fn new(exported: &[Vec<u8>]) -> Result<Self, Error> {
        let now = now();
        let keys = exported.iter().filter_map(|bytes| Key::import(bytes));
        let mut keys = keys.filter(|key| key.is_valid(now));
        let current = match keys.next() {
            Some(key) => key,
            None => Key::generate(now).ok_or(GetRandomFailed)?,
        };
        Ok(Self {
            keys: RwLock::new(Keys {
                current,
                previous: keys.next(),
            }),
        })
    }

    /// The keys, the current one first.
    pub(crate) fn export(&self) -> Vec<Vec<u8>> {
        let keys = self.read();
        let all = [&keys.current].into_iter().chain(&keys.previous);
        all.map(Key::export).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Keys> {
        // A panic cannot leave the keys inconsistent: they are replaced in one step.
        self.keys
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Replaces the current key if it is old.
    pub(crate) fn rotate(&self, now: u64) {
        if now < self.read().current.created + ROTATION {
            return;
        }
        let Some(new) = Key::generate(now) else {
            return;
        };
        let mut keys = self
            .keys
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Another thread may have been faster.
        if now >= keys.current.created + ROTATION {
            let old = std::mem::replace(&mut keys.current, new);
            keys.previous = Some(old);
        }
    }

    fn encrypt_at(&self, now: u64, plain: &[u8]) -> Option<Vec<u8>> {
        self.rotate(now);
        self.read().current.seal(plain)
    }

    fn decrypt_at(&self, now: u64, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, sealed) = ticket.split_first_chunk::<NAME>()?;
        let keys = self.read();
        let mut all = [&keys.current].into_iter().chain(&keys.previous);
        let key = all.find(|key| key.name == *name && key.is_valid(now))?;
        key.open(sealed)
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        // At least for this long a ticket can be decrypted.
        u32::try_from(ROTATION).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.encrypt_at(now(), plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.decrypt_at(now(), cipher)
    }
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticketer").finish_non_exhaustive()
    }
}

impl Key {
    /// A random key; `None` if the system has no random numbers.
    fn generate(now: u64) -> Option<Self> {
        let (mut name, mut secret) = ([0; NAME], [0; SECRET]);
        rand::fill(&mut name).ok()?;
        rand::fill(&mut secret).ok()?;
        Self::new(name, secret, now)
    }

    fn new(name: [u8; NAME], secret: [u8; SECRET], created: u64) -> Option<Self> {
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &secret).ok()?);
        Some(Self {
            name,
            secret,
            created,
            cipher,
        })
    }

    fn export(&self) -> Vec<u8> {
        [&self.name[..], &self.secret, &self.created.to_be_bytes()].concat()
    }

    fn import(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; EXPORTED] = bytes.try_into().ok()?;
        let (name, rest) = bytes.split_first_chunk()?;
        let (secret, created) = rest.split_first_chunk()?;
        Self::new(*name, *secret, u64::from_be_bytes(created.try_into().ok()?))
    }

    fn is_valid(&self, now: u64) -> bool {
        now < self.created.saturating_add(2 * ROTATION)
    }

    fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = plain.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.cipher
            .seal_in_place_append_tag(unique, Aad::from(self.name), &mut sealed)
            .ok()?;
        Some([&self.name[..], &nonce, &sealed].concat())
    }

    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut plain = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self
            .cipher
            .open_in_place(nonce, Aad::from(self.name), &mut plain);
        let length = opened.ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

pub(crate) fn now() -> u64 {
    // A clock before 1970 makes all keys equally old.
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::{EXPORTED, ROTATION, Ticketer, now};

    #[test]
    fn another_process_decrypts_with_exported_keys() {
        let old = Ticketer::new(&[]).unwrap();
        let at = now();
        let first = old.encrypt_at(at, b"first").unwrap();
        let second = old.encrypt_at(at + ROTATION, b"second").unwrap();
        let keys = old.export();
        assert_eq!(keys.iter().map(Vec::len).collect::<Vec<_>>(), [EXPORTED; 2]);
        let new = Ticketer::new(&keys).unwrap();
        for (ticket, plain) in [(first, &b"first"[..]), (second, b"second")] {
            assert_eq!(
                new.decrypt_at(at + ROTATION, &ticket).as_deref(),
                Some(plain)
            );
        }
        let stranger = Ticketer::new(&[]).unwrap();
        let ticket = new.encrypt_at(at, b"x").unwrap();
        assert_eq!(stranger.decrypt_at(at, &ticket), None);
    }

    #[test]
    fn key_decrypts_for_two_rotations() {
        let ticketer = Ticketer::new(&[]).unwrap();
        let at = now();
        let ticket = ticketer.encrypt_at(at, b"session").unwrap();
        let open = |at| ticketer.decrypt_at(at, &ticket);
        assert!(open(at + 2 * ROTATION - 60).is_some());
        assert!(open(at + 2 * ROTATION + 60).is_none());
        // The key after the next one displaces it.
        ticketer.encrypt_at(at + ROTATION, b"a").unwrap();
        assert!(open(at + ROTATION).is_some());
        ticketer.encrypt_at(at + 2 * ROTATION, b"b").unwrap();
        assert!(open(at + ROTATION).is_none());
    }

    #[test]
    fn changed_tickets_and_old_keys_are_refused() {
        let ticketer = Ticketer::new(&[]).unwrap();
        let at = now();
        let ticket = ticketer.encrypt_at(at, b"session").unwrap();
        for index in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[index] ^= 1;
            assert_eq!(ticketer.decrypt_at(at, &changed), None, "{index}");
            assert_eq!(ticketer.decrypt_at(at, &ticket[..index]), None, "{index}");
        }
        let mut old = ticketer.export().remove(0);
        old[EXPORTED - 8..].copy_from_slice(&(at - 2 * ROTATION).to_be_bytes());
        let fresh = Ticketer::new(&[old.clone(), vec![1; 3]]).unwrap().export();
        assert_eq!(fresh.len(), 1);
        assert_ne!(fresh[0], old);
    }
}
