//! What a downstream reply means, and which row of the catalogue a failure is.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::raw;
use crate::connector::compile::Connector;
use crate::connector::dig::{dig, dig_text};
use crate::connector::manifest::{ErrorRule, Meaning};
use crate::error::{DownstreamError, Error, Fault, Kind, Result};
use crate::model::{Call, Failure, Outcome, Reply, Verb};

/// What of a vendor's error body is shown, in bytes.
const SHOWN_BYTES: usize = 16 * 1024;
/// The longest sentence taken from a vendor, in characters.
const SENTENCE: usize = 500;

/// What is at stake when a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stake {
    /// Nothing: it was a read.
    Read,
    /// Nothing, and the call names a record, so that "not found" is about it.
    Record,
    /// A write that may have happened; the flag says whether the call names a record.
    Write(bool),
}

/// What a reply means.
pub fn meaning(connector: &Connector, reply: &Reply) -> Meaning {
    let body = lazy(reply);
    let rule = connector.manifest.errors.rules.iter().find(|rule| fits(rule, connector, reply, &body));
    match (rule, reply.status.as_u16()) {
        (Some(rule), _) => rule.is,
        (None, 204) => Meaning::Empty,
        (None, 200..=299) => Meaning::Success,
        (None, 401) => Meaning::Credentials,
        (None, 403) => Meaning::Forbidden,
        (None, 404 | 410) => Meaning::NotFound,
        (None, 409) => Meaning::Conflict,
        (None, 429) => Meaning::RateLimit,
        (None, 400..=499) => Meaning::Invalid,
        _ => Meaning::Failed,
    }
}

fn lazy(reply: &Reply) -> std::cell::LazyCell<Option<Value>, impl FnOnce() -> Option<Value>> {
    let body = reply.body.clone();
    std::cell::LazyCell::new(move || serde_json::from_slice(&body).ok())
}

fn fits<F: FnOnce() -> Option<Value>>(
    rule: &ErrorRule,
    connector: &Connector,
    reply: &Reply,
    body: &std::cell::LazyCell<Option<Value>, F>,
) -> bool {
    if rule.status.is_some_and(|status| status != reply.status.as_u16()) {
        return false;
    }
    if rule.when.is_empty() && rule.says.is_none() {
        return true;
    }
    // A key and its value stand side by side in the text or not at all: most bodies need no parsing.
    if !rule.when.iter().all(|(path, text)| may_hold(&reply.body, path, text)) {
        return false;
    }
    let Some(body) = body.as_ref() else { return false };
    rule.when.iter().all(|(path, text)| dig_text(body, path).as_deref() == Some(text.as_str()))
        && rule.says.as_ref().is_none_or(|says| {
            message(connector, body)
                .is_some_and(|message| message.to_lowercase().contains(&says.to_lowercase()))
        })
}

/// Whether a body may have that text at that path: its last key, a colon, and the text, quoted or not.
fn may_hold(body: &[u8], path: &str, text: &str) -> bool {
    let key = path.rsplit(['.', ']']).next().unwrap_or(path).split('[').next().unwrap_or(path);
    let key = format!("\"{key}\"");
    memchr::memmem::find_iter(body, key.as_bytes()).any(|at| {
        let after = body.get(at + key.len()..).unwrap_or_default().trim_ascii_start();
        let value = after.strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        value.is_some_and(|value| value.strip_prefix(b"\"").unwrap_or(value).starts_with(text.as_bytes()))
    })
}

/// A list's reply; none where it is empty.
///
/// # Errors
/// The catalogue row of a failure.
pub fn list(connector: &Connector, call: &Call, outcome: Outcome) -> Result<Option<Reply>> {
    // What the list lives in is a record too.
    let stake = if call.parent.is_some() { Stake::Record } else { Stake::Read };
    let reply = outcome.map_err(|failure| no_reply(connector, &failure, stake))?;
    match meaning(connector, &reply) {
        Meaning::Success => Ok(Some(reply)),
        Meaning::Empty => Ok(None),
        meaning => Err(refused(connector, &reply, meaning, stake)),
    }
}

/// The reply to a read that the answer can do without.
///
/// # Errors
/// The catalogue row of a failure.
pub fn read<'a>(connector: &Connector, outcome: &'a Outcome) -> Result<&'a Reply> {
    let reply = outcome.as_ref().map_err(|failure| no_reply(connector, failure, Stake::Read))?;
    match meaning(connector, reply) {
        Meaning::Success | Meaning::Empty => Ok(reply),
        meaning => Err(refused(connector, reply, meaning, Stake::Read)),
    }
}

/// The reply to a request about the call's record that changes nothing, or nothing twice.
///
/// # Errors
/// The catalogue row of a failure; "not found" is about the record.
pub fn record(connector: &Connector, call: &Call, outcome: Outcome) -> Result<Reply> {
    let stake = if call.id.is_some() { Stake::Record } else { Stake::Read };
    let reply = outcome.map_err(|failure| no_reply(connector, &failure, stake))?;
    match meaning(connector, &reply) {
        Meaning::Success | Meaning::Empty => Ok(reply),
        meaning => Err(refused(connector, &reply, meaning, stake)),
    }
}

/// The reply to a write.
///
/// # Errors
/// The catalogue row of a failure; a write that may have happened is `uncertain` and never answers with a status after
/// which clients repeat it.
pub fn write(connector: &Connector, call: &Call, outcome: Outcome) -> Result<Reply> {
    let stake = Stake::Write(call.operation.verb != Verb::Create);
    let reply = outcome.map_err(|failure| no_reply(connector, &failure, stake))?;
    match meaning(connector, &reply) {
        // A page of something in between says nothing about the record, whatever its status.
        Meaning::Success | Meaning::Empty if !is_json(&reply.body) => {
            let error = malformed(connector, "the reply to the write is not JSON")
                .detail_entry("status_code", reply.status.as_u16())
                .detail_entry("response", shown(&reply));
            Err(uncertain(error))
        }
        Meaning::Success | Meaning::Empty => Ok(reply),
        meaning => Err(refused(connector, &reply, meaning, stake)),
    }
}

/// Whether a body is JSON, or nothing.
fn is_json(body: &[u8]) -> bool {
    body.is_empty() || serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

/// A reply that should be JSON and is not.
pub fn malformed(connector: &Connector, fault: &str) -> Error {
    Error::new(
        Kind::ConnectorExecutionError,
        format!("{} answered with something that is not the JSON it should be.", connector.manifest.name),
    )
    .retriable(true)
    .detail(json!({ "reason": fault }))
}

/// The error of a request that has no reply.
fn no_reply(connector: &Connector, failure: &Failure, stake: Stake) -> Error {
    let name = &connector.manifest.name;
    let (says, reason, happened) = match failure {
        Failure::NotSent(reason) => (format!("{name} could not be reached."), reason.clone(), false),
        Failure::Dropped(reason) => {
            (format!("{name} ended the connection before its reply was complete."), reason.clone(), true)
        }
        Failure::TimedOut(after) => (
            format!("{name} did not answer in time."),
            format!("no reply after {} ms", after.as_millis()),
            true,
        ),
        Failure::TooLarge(limit) => {
            (format!("{name}'s reply is too large."), format!("more than {limit} bytes"), true)
        }
    };
    let error = Error::new(Kind::ConnectorExecutionError, says).detail(json!({ "reason": reason }));
    match (stake, failure) {
        (Stake::Write(_), _) if happened => uncertain(error),
        (_, Failure::TimedOut(_)) => error.status(StatusCode::GATEWAY_TIMEOUT).retriable(true),
        (_, Failure::TooLarge(_)) => error.retriable(false),
        _ => error.retriable(true),
    }
}

/// A write that may have happened.
fn uncertain(error: Error) -> Error {
    error.status(StatusCode::FAILED_DEPENDENCY).retriable(false).detail_entry("outcome", "uncertain")
}

/// The error of a reply that is not what was asked for.
fn refused(connector: &Connector, reply: &Reply, meaning: Meaning, stake: Stake) -> Error {
    let name = &connector.manifest.name;
    let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let said = body.as_ref().and_then(|body| message(connector, body));
    let says = |what: &str| match &said {
        Some(said) => format!("{name} {what}: {said}"),
        None => format!("{name} {what}."),
    };
    let status = reply.status;
    let passed = |fallback: StatusCode| if status.is_client_error() { status } else { fallback };
    let execution = |what: &str| Error::new(Kind::ConnectorExecutionError, says(what));
    let error = match meaning {
        Meaning::Credentials => {
            Error::new(Kind::ConnectorCredentialsError, says("does not accept the connection's credentials"))
        }
        Meaning::RateLimit => {
            let error = Error::new(Kind::ConnectorRateLimitError, says("allows no more requests for now"));
            match retry_after(&reply.headers) {
                Some(after) => error.retry_after_ms(millis(after)),
                None => error,
            }
        }
        Meaning::NotFound if matches!(stake, Stake::Record | Stake::Write(true)) => {
            Error::new(Kind::EntityNotFoundError, says("has no such record"))
        }
        Meaning::NotFound => {
            execution("found nothing").status(passed(StatusCode::NOT_FOUND)).fault(Fault::Caller)
        }
        Meaning::Forbidden => execution("does not allow this with the connection's credentials")
            .status(passed(StatusCode::FORBIDDEN))
            .fault(Fault::Connection),
        Meaning::Conflict => {
            execution("has such a record already").status(passed(StatusCode::CONFLICT)).fault(Fault::Caller)
        }
        Meaning::Invalid => match status {
            // Clients repeat a call after 408; a read is told as a time-out, a write as uncertain.
            StatusCode::REQUEST_TIMEOUT => {
                after_failure(execution("gave up waiting"), StatusCode::GATEWAY_TIMEOUT, stake)
            }
            _ => execution("does not accept the request")
                .status(passed(StatusCode::UNPROCESSABLE_ENTITY))
                .fault(Fault::Caller),
        },
        Meaning::Success | Meaning::Empty | Meaning::Failed => {
            let timed_out = matches!(status.as_u16(), 504 | 524 | 598);
            let surely_not = connector.manifest.retry.write_statuses.contains(&status.as_u16());
            let status = if timed_out { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
            let stake = if surely_not { Stake::Read } else { stake };
            match (stake, retry_after(&reply.headers)) {
                (Stake::Read | Stake::Record, Some(after)) => {
                    after_failure(execution("failed"), status, stake).retry_after_ms(millis(after))
                }
                _ => after_failure(execution("failed"), status, stake),
            }
        }
    };
    let shown = shown(reply);
    let error = error.downstream(errors(connector, body.as_ref(), said.as_deref(), status));
    let error =
        rate(connector, reply).into_iter().fold(error, |error, (name, value)| error.header(name, value));
    if error.http_status() == StatusCode::PAYMENT_REQUIRED {
        // SDKs take only text as the detail of a 402.
        return error.detail(shown.to_string());
    }
    let error = error.detail_entry("status_code", status.as_u16());
    // A success that means "gone" holds the record that is: no data of it goes out.
    if meaning == Meaning::NotFound && status.is_success() {
        return error;
    }
    error.detail_entry("response", shown)
}

/// What of a reply's body an error shows, secrets blotted out.
fn shown(reply: &Reply) -> Value {
    raw::body(reply.body.get(..SHOWN_BYTES.min(reply.body.len())).unwrap_or_default())
}

fn after_failure(error: Error, status: StatusCode, stake: Stake) -> Error {
    match stake {
        Stake::Write(_) => uncertain(error),
        Stake::Read | Stake::Record => error.status(status).retriable(true),
    }
}

fn message(connector: &Connector, body: &Value) -> Option<String> {
    let said = connector.manifest.errors.message.iter().find_map(|path| dig_text(body, path))?;
    let said = said.trim();
    (!said.is_empty()).then(|| said.chars().take(SENTENCE).collect())
}

fn errors(
    connector: &Connector,
    body: Option<&Value>,
    said: Option<&str>,
    status: StatusCode,
) -> Vec<DownstreamError> {
    let spec = &connector.manifest.errors;
    let Some(body) = body else { return Vec::new() };
    let code =
        spec.code.iter().find_map(|path| dig_text(body, path)).unwrap_or_else(|| status.as_u16().to_string());
    let entries = spec.each.as_ref().and_then(|each| Some((each, dig(body, &each.at)?.as_array()?)));
    let mut errors: Vec<DownstreamError> = entries
        .into_iter()
        .flat_map(|(each, entries)| {
            let text = |entry: &Value, path: &Option<String>| {
                path.as_ref().and_then(|path| dig(entry, path)).map(|value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                })
            };
            entries.iter().take(50).map(move |entry| DownstreamError {
                code: text(entry, &each.code).unwrap_or_default(),
                message: text(entry, &each.message)
                    .or_else(|| entry.as_str().map(str::to_owned))
                    .unwrap_or_default(),
                detail: text(entry, &each.detail).unwrap_or_default(),
            })
        })
        .collect();
    for error in &mut errors {
        if error.code.is_empty() {
            error.code.clone_from(&code);
        }
    }
    if errors.is_empty()
        && let Some(said) = said
    {
        errors.push(DownstreamError { code, message: said.to_owned(), detail: String::new() });
    }
    errors
}

/// When the CRM wants to be asked again; a date cannot be read without a clock and is left to the client.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    text.parse::<f64>()
        .ok()
        .filter(|seconds| (0.0..86_400.0 * 31.0).contains(seconds))
        .map(Duration::from_secs_f64)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What a reply says about the CRM's rate limit, as headers for the caller.
pub fn rate(connector: &Connector, reply: &Reply) -> Vec<(&'static str, String)> {
    let Some(spec) = &connector.manifest.rate_limit else { return Vec::new() };
    [
        ("x-downstream-ratelimit-limit", &spec.limit),
        ("x-downstream-ratelimit-remaining", &spec.remaining),
        ("x-downstream-ratelimit-reset", &spec.reset),
    ]
    .into_iter()
    .filter_map(|(name, header)| {
        Some((name, reply.headers.get(header.as_deref()?)?.to_str().ok()?.to_owned()))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_found_without_parsing() {
        assert!(may_hold(b"{\"success\" : false}", "success", "false"));
        assert!(may_hold(b"{\"a\":{\"code\":\"X\"}}", "a.code", "X"));
        assert!(!may_hold(b"{\"success\":true,\"x\":false}", "success", "false"));
        assert!(!may_hold(b"", "success", "false"));
    }
}
