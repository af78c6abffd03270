//! The whole way in: key, address, endpoint, rate, quota, in this order; and what a reply says of the limits.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method};

use super::rate::Standing;
use super::{Access, Caller};
use crate::error::{Error, Kind, Result};
use crate::model::{Answer, AppId, ConsumerId, ServiceId};
use crate::storage::{CallsApi, now_ms};

/// A call at the door.
#[derive(Debug, Clone, Copy)]
pub struct Knock<'a> {
    /// The key shown: the text after `Bearer `.
    pub key: &'a str,
    /// The application named.
    pub app: &'a AppId,
    /// The consumer named.
    pub consumer: Option<&'a ConsumerId>,
    /// Where it comes from.
    pub remote: IpAddr,
    /// The method meant; HEAD is GET.
    pub method: &'a Method,
    /// The path as routed, its ids decoded.
    pub path: &'a str,
}

/// A call that was let in.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Who calls.
    pub caller: Caller,
    /// What is left of its tighter rate limit; none where there is none.
    standing: Option<Standing>,
}

const LIMIT: &str = "x-ratelimit-limit";
const REMAINING: &str = "x-ratelimit-remaining";
const RESET: &str = "x-ratelimit-reset";

impl Access {
    /// Lets a call in.
    ///
    /// # Errors
    /// `UnauthorizedError`; `ForbiddenError` where the key may not be used from there or for that;
    /// `TooManyRequestsError` with `Retry-After`; `RequestLimitError` where the month's calls are used up.
    pub async fn admit(&self, knock: Knock<'_>) -> Result<Admitted> {
        let (entries, at) = self.known(Some(knock.key), knock.app.as_str()).await?;
        let entry = entries.get(at).ok_or_else(|| Error::internal("a key that was found is gone"))?;
        let allowed = entry
            .allowed
            .as_ref()
            .ok_or_else(|| Error::internal(format!("limits of key {} cannot be read", entry.id)))?;
        if !allowed.address(knock.remote) {
            return Err(Error::new(
                Kind::ForbiddenError,
                format!("The API key may not be used from {}.", knock.remote.to_canonical()),
            ));
        }
        if !allowed.endpoint(knock.method, knock.path) {
            return Err(Error::new(
                Kind::ForbiddenError,
                format!("The API key may not be used for {} {}.", knock.method, knock.path),
            ));
        }
        let admitted = Admitted {
            standing: self.rate(&entry.id, knock.app, knock.consumer)?,
            caller: Caller { app: entry.key.app.clone(), key: entry.id.clone() },
        };
        if let Some(quota) = entry.calls_per_month
            && !self.counts.admit(&self.store, knock.app, quota, now_ms()).await?
        {
            let says = format!("The application's plan of {quota} calls a month is used up.");
            return Err(admitted.on_error(Error::new(Kind::RequestLimitError, says)));
        }
        Ok(admitted)
    }

    /// Counts a call of a consumer, however it was answered.
    pub fn count(&self, app: &AppId, consumer: &ConsumerId, api: CallsApi, service: Option<&ServiceId>) {
        self.counts.call(app, consumer, api, service, now_ms());
    }

    /// Writes down what was counted, so that it can be read.
    ///
    /// # Errors
    /// The database failed.
    pub async fn flush_counts(&self) -> Result<()> {
        self.counts.flush(&self.store).await
    }

    fn rate(&self, key: &Arc<str>, app: &AppId, consumer: Option<&ConsumerId>) -> Result<Option<Standing>> {
        if self.by_key.is_none() && self.by_consumer.is_none() {
            return Ok(None);
        }
        let now_ns = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX / 2);
        let of_key = self.by_key.as_ref().map(|limiter| limiter.take(key, now_ns));
        if let Some(refused) = of_key.filter(|standing| standing.wait_ms.is_some()) {
            return Err(too_many(refused, "the API key"));
        }
        let of_consumer = self.by_consumer.as_ref().zip(consumer);
        let of_consumer = of_consumer.map(|(limiter, consumer)| limiter.take(&(app, consumer), now_ns));
        if let Some(refused) = of_consumer.filter(|standing| standing.wait_ms.is_some()) {
            return Err(too_many(refused, "the consumer"));
        }
        Ok(of_key.into_iter().chain(of_consumer).min_by_key(|standing| standing.remaining))
    }
}

fn too_many(standing: Standing, whose: &str) -> Error {
    let says = format!("The limit of {} calls a minute of {whose} is reached.", standing.limit);
    let error = Error::new(Kind::TooManyRequestsError, says);
    headers(standing)
        .into_iter()
        .fold(error, |error, (name, value)| error.header(name, value.to_string()))
        .retry_after_ms(standing.wait_ms.unwrap_or(0).max(1))
}

fn headers(standing: Standing) -> [(&'static str, u64); 3] {
    [(LIMIT, standing.limit), (REMAINING, standing.remaining), (RESET, standing.reset_s)]
}

impl Admitted {
    /// The reply with what is left of the limits.
    ///
    /// # Errors
    /// The call's own, with the same.
    pub fn stamp(&self, result: Result<Answer>) -> Result<Answer> {
        let Some(standing) = self.standing else { return result };
        let mut answer = result.map_err(|error| self.on_error(error))?;
        let stamped =
            headers(standing).map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from(value)));
        answer.headers.extend(stamped);
        Ok(answer)
    }

    fn on_error(&self, error: Error) -> Error {
        let all = self.standing.map(headers).into_iter().flatten();
        all.fold(error, |error, (name, value)| error.header(name, value.to_string()))
    }
}
