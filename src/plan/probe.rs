//! Looking for what an earlier try of a create has made: by what was sent, among records no older than the try. One that is
//! found is taken for it; of several none is guessed.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Ground;
use crate::connector::compile::{ProbePlan, WritePlan};
use crate::connector::dig::{dig, dig_text};
use crate::connector::manifest::Meaning;
use crate::error::{Error, Kind, Result};
use crate::mapping::Reading;
use crate::model::{Call, Earlier, Outcome, Request};
use crate::normalise::classify;

/// How far the CRM's clock may be behind ours.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// A search under way.
#[derive(Debug)]
pub struct Probe {
    /// Its position among the ways to look.
    index: usize,
    /// The body that was sent.
    sent: Value,
    /// No record made before is meant.
    since: Timestamp,
}

impl Probe {
    /// The search for what that request, or what was kept of the earlier one, has made.
    ///
    /// # Errors
    /// `uncertain`, if the manifest knows no way to look for it; `ConflictError`, if it is too early to tell.
    pub fn start(
        plan: &WritePlan,
        earlier: &Earlier,
        write: &Request,
        call: &Call,
        ground: &Ground,
    ) -> Result<(Probe, Request)> {
        let sent = earlier.sent.as_ref().or(write.body.as_ref());
        let sent: Value = sent.and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
        let has_all = |probe: &ProbePlan| {
            probe.spec.by.keys().all(|path| dig_text(&sent, path).is_some_and(|text| !text.trim().is_empty()))
        };
        let name = &ground.connector.manifest.name;
        let found = plan.probe.iter().enumerate().find(|(_, probe)| has_all(probe));
        let Some((index, probe)) = found else {
            return Err(undecided(format!(
                "An earlier try under this idempotency key may have made the record, and there is no way to look for it in {name} by what was sent. Look for it there; if it is missing, send the call with a new key."
            )));
        };
        let settled = earlier.last_sent + Duration::from_secs(probe.spec.settle_s);
        if ground.now < settled {
            let left_ms = settled.as_millisecond() - ground.now.as_millisecond();
            return Err(Error::new(
                Kind::ConflictError,
                format!("Whether an earlier try under this idempotency key has made the record cannot be told yet: {name} shows new records late."),
            )
            .retriable(true)
            .retry_after_ms(u64::try_from(left_ms).unwrap_or(0).max(1)));
        }
        let since = earlier.first_sent - CLOCK_SKEW;
        let request = ground.request(&probe.request, &|name: &str| match name {
            "parent" => call.parent.clone().map(Value::from),
            "since" => Some(json!(since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())),
            "since_ms" => Some(json!(since.as_millisecond().to_string())),
            name => name.strip_prefix("sent.").and_then(|path| dig(&sent, path)).cloned(),
        })?;
        Ok((Probe { index, sent, since }, request))
    }

    /// The id of what was made; none where nothing was.
    ///
    /// # Errors
    /// If the CRM could not be asked; `uncertain`, if several records may be it, or not all could be seen.
    pub fn feed(&self, call: &Call, ground: &Ground, outcome: &Outcome) -> Result<Option<String>> {
        let resource = ground.resource(call)?;
        let probes = resource.create.as_ref().map(|create| create.probe.as_slice()).unwrap_or_default();
        let probe = probes.get(self.index).ok_or_else(|| Error::internal("the chosen probe is gone"))?;
        if let Ok(reply) = outcome
            && classify::meaning(&ground.connector, reply) == Meaning::NotFound
        {
            return Ok(None);
        }
        let reply = classify::read(&ground.connector, outcome)?;
        if reply.body.is_empty() {
            return Ok(None);
        }
        let body: Value = serde_json::from_slice(&reply.body)
            .map_err(|fault| classify::malformed(&ground.connector, &fault.to_string()))?;
        let entries = match &probe.spec.records {
            None => vec![&body],
            Some(path) => dig(&body, path).and_then(Value::as_array).into_iter().flatten().collect(),
        };
        let records: Vec<&Value> = entries
            .iter()
            .filter_map(|entry| probe.spec.item.as_ref().map_or(Some(*entry), |item| dig(entry, item)))
            .collect();
        let ids: Vec<String> = records
            .iter()
            .filter(|record| self.is_meant(probe, record))
            .filter_map(|record| dig_text(record, &probe.spec.id))
            .collect();
        let name = &ground.connector.manifest.name;
        match ids.as_slice() {
            [id] => Ok(Some(id.clone())),
            // A full reply in order of time shows everything since the try if it reaches back beyond it.
            [] if probe.spec.full.is_some_and(|full| records.len() >= full)
                && records.iter().all(|record| self.is_recent(probe, record)) =>
            {
                Err(undecided(format!(
                    "{name} has made too many records since an earlier try under this idempotency key to tell whether its own is among them."
                )))
            }
            [] => Ok(None),
            several => {
                let prefix = resource.mapping.id_prefix();
                let ids: Vec<String> = several.iter().map(|id| format!("{prefix}{id}")).collect();
                Err(undecided(format!(
                    "{name} has several records that an earlier try under this idempotency key may have made."
                ))
                .detail_entry("candidates", ids))
            }
        }
    }

    fn is_meant(&self, probe: &ProbePlan, record: &Value) -> bool {
        self.is_recent(probe, record)
            && probe.spec.by.iter().all(|(sent, path)| {
                let (sent, path) = (dig_text(&self.sent, sent), dig_text(record, path));
                sent.zip(path).is_some_and(|(sent, found)| same(&sent, &found))
            })
    }

    /// Whether a record was made no earlier than the try; one that does not say when it was made may have been.
    fn is_recent(&self, probe: &ProbePlan, record: &Value) -> bool {
        let Some(path) = &probe.spec.created else { return true };
        let made = dig(record, path).and_then(|value| probe.created.read(value, &Reading::default()).ok());
        let made = made.as_ref().and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
        made.is_none_or(|made| made >= self.since)
    }
}

/// Whether a CRM that was sent one text may show the other: case, white space, markup and the form of times aside.
fn same(sent: &str, found: &str) -> bool {
    if let (Ok(sent), Ok(found)) = (sent.parse::<Timestamp>(), found.parse::<Timestamp>()) {
        return sent.as_millisecond() == found.as_millisecond();
    }
    folded(sent) == folded(found)
}

fn folded(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) =
        rest.split_once('<').and_then(|(before, tag)| Some((before, tag.split_once('>')?.1)))
    {
        plain.push_str(before);
        plain.push(' ');
        rest = after;
    }
    plain.push_str(rest);
    plain.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Nobody knows, and nobody guesses.
fn undecided(says: String) -> Error {
    Error::new(Kind::ConnectorExecutionError, says)
        .status(http::StatusCode::FAILED_DEPENDENCY)
        .retriable(false)
        .detail(json!({ "outcome": "uncertain" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_crm_may_make_of_a_text() {
        for (sent, found, is_same) in [
            ("Ada@Example.com", "ada@example.com", true),
            (" Analytical  Engines", "Analytical Engines ", true),
            ("<p>Said <b>yes</b></p>", "Said yes", true),
            ("2026-03-04T05:06:07Z", "2026-03-04T05:06:07.000Z", true),
            ("2026-03-04T05:06:07.001Z", "2026-03-04T05:06:07.000Z", false),
            ("Ada", "Ada Lovelace", false),
            ("5 < 6", "5 < 7", false),
        ] {
            assert_eq!(same(sent, found), is_same, "{sent} {found}");
        }
    }
}
