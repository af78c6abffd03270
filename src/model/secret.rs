//! Secrets and the credentials made of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A text that must not be seen: its `Debug` is `***`, it has no `Display`, compares in constant time and is wiped
/// when the last holder lets go.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes the text in.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Arc::new(Zeroizing::new(text.into())))
    }

    /// The text itself: to sign a request or to seal it, for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

/// What signs a connection's requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Tokens of an OAuth grant.
    OAuth {
        /// Sent with each request; empty until the first refresh where only a refresh token was imported.
        access_token: Secret,
        /// Gets the next access token; none where the CRM gives none.
        refresh_token: Option<Secret>,
        /// When the access token ends, in seconds since 1970; none where the CRM does not say.
        expires_at: Option<i64>,
        /// The scopes granted, separated by spaces; empty where the CRM does not say.
        scope: String,
    },
    /// What gets access tokens without a browser (client credentials, password), and the token in use.
    Granted {
        /// The values that the consumer entered, by form-field id; empty where the application's OAuth client is enough.
        values: BTreeMap<String, Secret>,
        /// Sent with each request.
        access_token: Secret,
        /// When it ends, in seconds since 1970; none where the CRM does not say.
        expires_at: Option<i64>,
        /// The scopes granted, separated by spaces; empty where the CRM does not say.
        scope: String,
    },
    /// Values that the consumer entered, by name: an API key, both halves of a two-part key, a user name and password.
    Static {
        /// The values by form-field id.
        values: BTreeMap<String, Secret>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let credentials = Credentials::OAuth {
            access_token: Secret::new("at-1"),
            refresh_token: Some(Secret::new("rt-1")),
            expires_at: None,
            scope: String::new(),
        };
        let shown = format!(
            "{credentials:?} {:?}",
            Credentials::Static { values: BTreeMap::from([("api_key".to_owned(), Secret::new("ak-1"))]) }
        );
        assert!(!shown.contains("at-1") && !shown.contains("rt-1") && !shown.contains("ak-1"), "{shown}");
        assert!(shown.contains("***") && shown.contains("api_key"));
    }

    #[test]
    fn compares_by_text() {
        assert_eq!(Secret::new("a"), Secret::new("a"));
        assert_ne!(Secret::new("a"), Secret::new("b"));
        assert_ne!(Secret::new("a"), Secret::new("aa"));
    }
}
