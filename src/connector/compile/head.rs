//! What a manifest's head becomes: how requests are signed, repeated and paced.

use std::time::Duration;

use http::{HeaderName, StatusCode};

use super::SignTemplate;
use super::faults::Faults;
use crate::connector::manifest::{Manifest, Sign};
use crate::connector::template::Template;
use crate::model::{LimitHeaders, Policy};

pub(super) fn compile_policy(manifest: &Manifest, faults: &mut Faults) -> Policy {
    let retry = &manifest.retry;
    let mut statuses = |at: &str, statuses: &[u16]| {
        statuses
            .iter()
            .filter_map(|status| {
                faults.ok(at, StatusCode::from_u16(*status).map_err(|_| format!("{status} is no status")))
            })
            .collect()
    };
    let retry_read = statuses("/retry/statuses", &retry.statuses);
    let retry_write = statuses("/retry/write_statuses", &retry.write_statuses);
    let mut secret_headers = Vec::new();
    let mut secret_query = Vec::new();
    for sign in &manifest.auth.sign {
        secret_headers
            .extend(sign.headers.keys().filter_map(|name| HeaderName::try_from(name.as_str()).ok()));
        secret_query.extend(sign.query.keys().cloned());
    }
    let mut limits = Vec::new();
    if let Some(rate) = &manifest.rate_limit
        && let (Some(remaining), Some(reset), Some(unit)) = (&rate.remaining, &rate.reset, rate.reset_unit)
        && let (Ok(remaining), Ok(reset)) =
            (HeaderName::try_from(remaining.as_str()), HeaderName::try_from(reset.as_str()))
    {
        limits.push(LimitHeaders { remaining, reset, unit });
    }
    Policy {
        attempts: retry.attempts.max(1),
        backoff: Duration::from_millis(retry.base_ms),
        backoff_max: Duration::from_millis(retry.max_ms),
        retry_read,
        retry_write,
        secret_headers,
        secret_query,
        limits,
        ..Policy::default()
    }
}

pub(super) fn compile_sign(at: &str, sign: &Sign, faults: &mut Faults) -> SignTemplate {
    let headers = sign
        .headers
        .iter()
        .filter_map(|(name, text)| {
            let at = format!("{at}/headers/{name}");
            let header = faults
                .ok(&at, HeaderName::try_from(name.as_str()).map_err(|_| "not a header name".to_owned()))?;
            Some((header, faults.ok(&at, Template::parse(text))?))
        })
        .collect();
    let query = sign
        .query
        .iter()
        .filter_map(|(name, text)| {
            Some((name.clone(), faults.ok(&format!("{at}/query/{name}"), Template::parse(text))?))
        })
        .collect();
    let basic = sign.basic.as_ref().and_then(|basic| {
        let user = faults.ok(&format!("{at}/basic/user"), Template::parse(&basic.user))?;
        Some((user, faults.ok(&format!("{at}/basic/password"), Template::parse(&basic.password))?))
    });
    SignTemplate { headers, query, basic }
}
