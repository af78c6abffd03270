//! Credentials as they are sealed: JSON that exists for a moment, bound to its connection.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Error, Key, Place};
use crate::model::{Credentials, Secret};

/// What is sealed, as JSON: opened and gone at once.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Sealed<'a> {
    OAuth {
        #[serde(borrow)]
        access_token: Cow<'a, str>,
        #[serde(borrow)]
        refresh_token: Option<Cow<'a, str>>,
        expires_at: Option<i64>,
        scope: String,
    },
    Granted {
        values: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
        #[serde(borrow)]
        access_token: Cow<'a, str>,
        expires_at: Option<i64>,
        scope: String,
    },
    Static {
        values: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    },
}

fn exposed(values: &BTreeMap<String, Secret>) -> BTreeMap<Cow<'_, str>, Cow<'_, str>> {
    values.iter().map(|(name, value)| (name.as_str().into(), value.expose().into())).collect()
}

fn hidden(values: BTreeMap<Cow<'_, str>, Cow<'_, str>>) -> BTreeMap<String, Secret> {
    values.into_iter().map(|(name, value)| (name.into_owned(), Secret::new(value))).collect()
}

/// Seals a connection's credentials.
pub(super) fn seal(
    key: &Key,
    app: &str,
    connection: &str,
    credentials: &Credentials,
) -> Result<Vec<u8>, Error> {
    let place = Place { purpose: "credentials", app, owner: connection };
    let json = match credentials {
        Credentials::OAuth { access_token, refresh_token, expires_at, scope } => {
            secret_json(&Sealed::OAuth {
                access_token: access_token.expose().into(),
                refresh_token: refresh_token.as_ref().map(|token| token.expose().into()),
                expires_at: *expires_at,
                scope: scope.clone(),
            })?
        }
        Credentials::Granted { values, access_token, expires_at, scope } => secret_json(&Sealed::Granted {
            values: exposed(values),
            access_token: access_token.expose().into(),
            expires_at: *expires_at,
            scope: scope.clone(),
        })?,
        Credentials::Static { values } => secret_json(&Sealed::Static { values: exposed(values) })?,
    };
    key.seal(&place, &json)
}

/// Opens a connection's credentials.
pub(super) fn open(key: &Key, app: &str, connection: &str, sealed: &[u8]) -> Result<Credentials, Error> {
    let place = Place { purpose: "credentials", app, owner: connection };
    let json = key.open(&place, sealed)?;
    Ok(
        match serde_json::from_slice(&json).map_err(|_| Error::Sealed("sealed credentials are malformed"))? {
            Sealed::OAuth { access_token, refresh_token, expires_at, scope } => Credentials::OAuth {
                access_token: Secret::new(access_token),
                refresh_token: refresh_token.map(Secret::new),
                expires_at,
                scope,
            },
            Sealed::Granted { values, access_token, expires_at, scope } => Credentials::Granted {
                values: hidden(values),
                access_token: Secret::new(access_token),
                expires_at,
                scope,
            },
            Sealed::Static { values } => Credentials::Static { values: hidden(values) },
        },
    )
}

/// JSON in memory that is wiped after use.
pub(super) fn secret_json<T: Serialize>(value: &T) -> Result<Zeroizing<Vec<u8>>, Error> {
    // Room for what tokens take, so that growing leaves no copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(16 * 1024));
    serde_json::to_writer(&mut *text, value)?;
    Ok(text)
}
