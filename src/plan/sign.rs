//! Signing: the connection's secrets are put where the manifest says, at the last moment before a request is sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, header};
use serde_json::Value;

use super::Ground;
use crate::error::{Error, Kind, Result};
use crate::model::Request;

/// Signs a request with the first way whose names all have values; `secret` gives the connection's secrets by name.
///
/// # Errors
/// If the connection lacks the secrets of every way.
pub fn sign<'a>(
    ground: &Ground,
    secret: &dyn Fn(&str) -> Option<&'a str>,
    request: &mut Request,
) -> Result<()> {
    let names = |name: &str| secret(name).or_else(|| ground.setting(name)).map(Value::from);
    for way in &ground.connector.sign {
        let headers: Option<Vec<_>> =
            way.headers.iter().map(|(name, text)| Some((name.clone(), text.render(&names)?))).collect();
        let query: Option<Vec<_>> =
            way.query.iter().map(|(name, text)| Some((name.clone(), text.render(&names)?))).collect();
        let basic =
            way.basic.as_ref().map(|(user, password)| Some((user.render(&names)?, password.render(&names)?)));
        let (Some(mut headers), Some(query)) = (headers, query) else { continue };
        match basic {
            Some(None) => continue,
            Some(Some((user, password))) => {
                headers.push((
                    header::AUTHORIZATION,
                    format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))),
                ));
            }
            None => {}
        }
        for (name, text) in headers {
            let mut value = HeaderValue::try_from(text).map_err(|_| missing(ground))?;
            value.set_sensitive(true);
            request.headers.retain(|(known, _)| *known != name);
            request.headers.push((name, value));
        }
        if !query.is_empty() {
            request.url.query_pairs_mut().extend_pairs(query);
        }
        return Ok(());
    }
    Err(missing(ground))
}

fn missing(ground: &Ground) -> Error {
    Error::new(
        Kind::ConnectorCredentialsError,
        format!("The connection to {} has no usable credentials.", ground.connector.manifest.name),
    )
}
