//! Authenticated encryption of what is stored, and the keys it takes.
//!
//! The master key stays outside the database. It wraps one root key (API-key hashes and cursors are made with keys
//! derived from it, so they outlive a change of the master key) and one data key per application and per consumer.
//! Data keys seal the secrets; deleting one makes what it sealed unreadable.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hkdf, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::{Zeroize, Zeroizing};

use super::Error;

/// The layout of a sealed value: this byte, eight bytes of key id, the nonce, ciphertext with tag.
const FORMAT: u8 = 1;
const KEY_ID_LEN: usize = 8;
const HEAD_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;

/// Which key sealed a value.
pub type KeyId = [u8; KEY_ID_LEN];

/// The key that sealed a value; none where it is no sealed value.
pub fn key_id(sealed: &[u8]) -> Option<KeyId> {
    sealed.get(1..=KEY_ID_LEN)?.try_into().ok()
}

/// A 256-bit key. Its `Debug` is `***`; it is wiped when dropped.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// A new random key.
    pub fn random() -> Result<Key, Error> {
        let mut bytes = Zeroizing::new([0u8; 32]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| Error::Sealed("the system gives no random bytes"))?;
        Ok(Key(bytes))
    }

    /// A key from its 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Key, Error> {
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| Error::Sealed("a key is not 32 bytes long"))?;
        Ok(Key(Zeroizing::new(bytes)))
    }

    /// A key from base64 text, standard or URL-safe, padded or not. None unless that is 32 bytes.
    pub fn from_base64(text: &str) -> Option<Key> {
        let text = text.trim();
        [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD].into_iter().find_map(|engine| {
            let bytes = Zeroizing::new(engine.decode(text).ok()?);
            Key::from_bytes(&bytes).ok()
        })
    }

    /// The key as base64 text, for a key file.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.0.as_slice()))
    }

    /// The bytes, for a room that signs with them.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key's own id: says which key, reveals nothing of it.
    pub fn id(&self) -> KeyId {
        let tag = hmac::sign(&self.hmac(), b"crosswalk key id");
        let mut id = KeyId::default();
        id.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        id
    }

    /// A key for one purpose, derived by HKDF-SHA256 from this one and the label.
    pub fn derive(&self, label: &str) -> Result<Key, Error> {
        struct Len;
        impl hkdf::KeyType for Len {
            fn len(&self) -> usize {
                32
            }
        }
        let fails = |_| Error::Sealed("a key could not be derived");
        let mut bytes = Zeroizing::new([0u8; 32]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"crosswalk")
            .extract(self.0.as_slice())
            .expand(&[label.as_bytes()], Len)
            .and_then(|okm| okm.fill(bytes.as_mut_slice()))
            .map_err(fails)?;
        Ok(Key(bytes))
    }

    /// The key as one for HMAC-SHA256.
    pub fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice())
    }

    fn aead(&self) -> Result<RandomizedNonceKey, Error> {
        RandomizedNonceKey::new(&AES_256_GCM, self.0.as_slice())
            .map_err(|_| Error::Sealed("a key cannot be used for AES-256-GCM"))
    }

    /// Seals bytes for one place: opening them for any other fails. Limits: 2^32 values per key.
    pub fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let mut body = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
        body.extend_from_slice(plain);
        let Ok(nonce) = self.aead()?.seal_in_place_append_tag(Aad::from(place.bytes()), &mut body) else {
            body.zeroize();
            return Err(Error::Sealed("a value could not be sealed"));
        };
        let mut sealed = Vec::with_capacity(HEAD_LEN + body.len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.id());
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Opens what [`Key::seal`] made for the same place. Errors: another key, another place, an altered value.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let short = || Error::Sealed("a sealed value is too short");
        let (head, body) = sealed.split_at_checked(HEAD_LEN).ok_or_else(short)?;
        let (format, head) = head.split_first().ok_or_else(short)?;
        let (id, nonce) = head.split_at_checked(KEY_ID_LEN).ok_or_else(short)?;
        if *format != FORMAT {
            return Err(Error::Sealed("a sealed value is of an unknown format"));
        }
        if id != self.id() {
            return Err(Error::Sealed("a value was sealed with another key"));
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| short())?;
        let mut body = Zeroizing::new(body.to_vec());
        let len = self
            .aead()?
            .open_in_place(nonce, Aad::from(place.bytes()), &mut body)
            .map_err(|_| Error::Sealed("a sealed value was altered, or belongs elsewhere"))?
            .len();
        body.truncate(len);
        Ok(body)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What a sealed value is and whose: bound to it, so that a value moved to another row does not open.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// What it is, such as `credentials`.
    pub purpose: &'static str,
    /// The application.
    pub app: &'a str,
    /// What within the application: a consumer, a connection, a service.
    pub owner: &'a str,
}

impl Place<'_> {
    fn bytes(&self) -> Vec<u8> {
        let parts = [self.purpose, self.app, self.owner];
        let mut bytes = vec![FORMAT];
        for part in parts {
            // The length goes first, so that no two different places have the same bytes.
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place<'static> = Place { purpose: "credentials", app: "a", owner: "bc" };

    #[test]
    fn opens_what_it_sealed() {
        let key = Key::random().unwrap();
        let sealed = key.seal(&HERE, b"token").unwrap();
        assert_eq!(key.open(&HERE, &sealed).unwrap().as_slice(), b"token");
        assert!(!sealed.windows(5).any(|window| window == b"token"));
        assert_ne!(sealed, key.seal(&HERE, b"token").unwrap(), "the nonce is new each time");
    }

    #[test]
    fn opens_nowhere_else() {
        let key = Key::random().unwrap();
        let sealed = key.seal(&HERE, b"token").unwrap();
        for other in [
            Place { purpose: "client_secret", ..HERE },
            Place { app: "b", ..HERE },
            Place { owner: "c", ..HERE },
            Place { app: "ab", owner: "c", ..HERE },
        ] {
            assert!(key.open(&other, &sealed).is_err(), "{other:?}");
        }
        assert!(Key::random().unwrap().open(&HERE, &sealed).is_err());
    }

    #[test]
    fn every_altered_byte_is_noticed() {
        let key = Key::random().unwrap();
        let sealed = key.seal(&HERE, b"token").unwrap();
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(key.open(&HERE, &altered).is_err(), "byte {at}");
            assert!(key.open(&HERE, &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn derived_keys_differ_by_label_and_repeat() {
        let root = Key::random().unwrap();
        assert_eq!(root.derive("cursor").unwrap().bytes(), root.derive("cursor").unwrap().bytes());
        assert_ne!(root.derive("cursor").unwrap().bytes(), root.derive("api-key").unwrap().bytes());
        assert_ne!(root.derive("cursor").unwrap().bytes(), root.bytes());
    }

    #[test]
    fn base64_in_every_spelling() {
        let key = Key::from_bytes(&[0xfb; 32]).unwrap();
        let standard = key.to_base64();
        let url_safe = standard.replace('+', "-").replace('/', "_");
        for text in
            [standard.as_str(), standard.trim_end_matches('='), &url_safe, url_safe.trim_end_matches('=')]
        {
            assert_eq!(Key::from_base64(&format!(" {text}\n")).unwrap().bytes(), key.bytes(), "{text}");
        }
        assert!(Key::from_base64("c2hvcnQ=").is_none());
        assert!(Key::from_base64("not base64!").is_none());
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Key::random().unwrap()), "***");
    }
}
