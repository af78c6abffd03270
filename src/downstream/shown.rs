//! A request as people may see it.

use super::attempt::{is_secret_header, without_secrets};
use crate::model::{Policy, Request};

/// The URL and headers of a request, with `***` for whatever is a secret.
pub fn shown(request: &Request, policy: &Policy) -> (String, Vec<(String, String)>) {
    let headers = request.headers.iter().map(|(name, value)| {
        let hidden = value.is_sensitive() || is_secret_header(name, policy);
        let value =
            if hidden { "***".to_owned() } else { String::from_utf8_lossy(value.as_bytes()).into_owned() };
        (name.as_str().to_owned(), value)
    });
    (without_secrets(request, policy), headers.collect())
}
