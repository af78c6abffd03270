//! The token's text form: `base64url(version ‖ payload ‖ tag)`.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::Position;

/// The longest token that is looked at, in characters.
pub const MAX_LENGTH: usize = 4096;

const VERSION: u8 = 1;
const TAG_BYTES: usize = 16;
/// What earlier pages' positions may add to a token, in bytes of JSON.
const TRAIL_BYTES: usize = 1024;

/// The key that signs cursors; it never leaves the process.
#[derive(Clone)]
pub struct Key(hmac::Key);

impl Key {
    /// A key from secret bytes.
    pub fn new(secret: &[u8]) -> Key {
        Key(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(***)")
    }
}

/// What a cursor belongs to: connection, operation and query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding(Vec<u8>);

impl Binding {
    /// A binding to these parts, in this order.
    pub fn new(parts: &[&str]) -> Binding {
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        Binding(bytes)
    }
}

/// Where a page begins, and where the pages before it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Where the page begins.
    #[serde(rename = "p")]
    pub position: Position,
    /// Where earlier pages began, the nearest last; as many as fit.
    #[serde(rename = "t", default, skip_serializing_if = "Vec::is_empty")]
    pub trail: Vec<Position>,
    /// Whether the trail reaches back to the first page.
    #[serde(rename = "w", default)]
    pub whole: bool,
}

/// Why a cursor is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a token of ours, or cut short.
    #[error("the cursor is malformed")]
    Malformed,
    /// Made by a version of the gateway whose cursors are no longer read.
    #[error("the cursor is of an unknown version")]
    Version,
    /// Altered, forged, or of another connection, operation or query.
    #[error("the cursor is not one of this connection, operation and query")]
    Foreign,
}

impl Token {
    /// The first page.
    pub fn start() -> Token {
        Token { position: Position::Start, trail: Vec::new(), whole: true }
    }

    /// The page after this one.
    pub fn next(&self, position: Position) -> Token {
        let mut trail = self.trail.clone();
        let mut whole = self.whole;
        trail.push(self.position.clone());
        while serde_json::to_string(&trail).map_or(0, |text| text.len()) > TRAIL_BYTES {
            trail.remove(0);
            whole = false;
        }
        Token { position, trail, whole }
    }

    /// The page before this one, if it is known.
    pub fn previous(&self) -> Option<Token> {
        let mut trail = self.trail.clone();
        let position = trail.pop()?;
        Some(Token { position, trail, whole: self.whole })
    }

    /// The text for the caller.
    pub fn seal(&self, key: &Key, binding: &Binding) -> String {
        let mut bytes = vec![VERSION];
        // A token of plain enums and strings always serialises.
        bytes.extend(serde_json::to_vec(self).unwrap_or_default());
        let tag = sign(key, binding, &bytes);
        bytes.extend_from_slice(tag.as_ref().get(..TAG_BYTES).unwrap_or_default());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The token in a caller's text.
    ///
    /// # Errors
    /// If it is not one that this key signed for this binding.
    pub fn open(text: &str, key: &Key, binding: &Binding) -> Result<Token, Error> {
        if text.len() > MAX_LENGTH {
            return Err(Error::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Error::Malformed)?;
        let signed = bytes.len().checked_sub(TAG_BYTES).ok_or(Error::Malformed)?;
        let (signed, tag) = bytes.split_at(signed);
        let (version, payload) = signed.split_first().ok_or(Error::Malformed)?;
        if *version != VERSION {
            return Err(Error::Version);
        }
        let expected = sign(key, binding, signed);
        let expected = expected.as_ref().get(..TAG_BYTES).unwrap_or_default();
        if !bool::from(subtle::ConstantTimeEq::ct_eq(tag, expected)) {
            return Err(Error::Foreign);
        }
        serde_json::from_slice(payload).map_err(|_| Error::Malformed)
    }
}

fn sign(key: &Key, binding: &Binding, bytes: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&key.0);
    context.update(&binding.0);
    context.update(bytes);
    context.sign()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::Keyset;

    fn key() -> Key {
        Key::new(b"a key of the tests")
    }

    #[test]
    fn a_token_comes_back_as_it_was_sealed() {
        let binding = Binding::new(&["connection", "contacts.list", "q"]);
        let token = Token::start()
            .next(Position::Token { at: Some("7135".into()), skip: 3, size: 100 })
            .next(Position::Keyset(Keyset::Ties { key: "2026".into(), id: Some("9007199254740993".into()) }));
        let text = token.seal(&key(), &binding);
        assert_eq!(Token::open(&text, &key(), &binding), Ok(token));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let binding = Binding::new(&["a"]);
        let text = Token::start().seal(&key(), &binding);
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for index in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[index] ^= 1;
            assert!(Token::open(&URL_SAFE_NO_PAD.encode(altered), &key(), &binding).is_err(), "byte {index}");
        }
    }

    #[test]
    fn a_token_of_another_query_or_key_is_foreign() {
        let text = Token::start().seal(&key(), &Binding::new(&["ab", "c"]));
        assert_eq!(Token::open(&text, &key(), &Binding::new(&["a", "bc"])), Err(Error::Foreign));
        assert_eq!(Token::open(&text, &Key::new(b"other"), &Binding::new(&["ab", "c"])), Err(Error::Foreign));
    }

    #[test]
    fn the_trail_leads_back_page_by_page_and_stays_bounded() {
        let mut token = Token::start();
        for page in 1..=500_u64 {
            token = token.next(Position::Offset(page * 20));
        }
        let binding = Binding::new(&[]);
        assert!(token.seal(&key(), &binding).len() < MAX_LENGTH);
        let previous = token.previous().unwrap();
        assert_eq!(previous.position, Position::Offset(499 * 20));
        assert_eq!(previous.previous().unwrap().position, Position::Offset(498 * 20));
        assert_eq!(Token::start().previous(), None);
    }

    #[test]
    fn rubbish_is_malformed() {
        for text in ["", "x", "%%%", "AAAA", &"A".repeat(MAX_LENGTH + 1)] {
            assert!(Token::open(text, &key(), &Binding::new(&[])).is_err(), "{text:.20}");
        }
    }
}
