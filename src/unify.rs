//! The corridor: one unified request through every room; [`stream`] walks it once for each page of a long list.

mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::access::idempotency::{Claim, Turn};
use crate::app::{App, DefinitionsKey, Discovered, Service};
use crate::connector::compile::{DiscoverPlan, ResourcePlan};
use crate::downstream::{self, Scope};
use crate::envelope;
use crate::error::{Error, Kind, Result};
use crate::mapping::CustomMappings;
use crate::model::{
    Answer, Attempt, Call, Context, Credentials, FieldDefinitions, Format, Operation, Outcome, Query,
    Request, Resource, Secret, ServiceId, Trace, Trail, Verb, Warning,
};
use crate::normalise::{classify, raw};
use crate::plan::ask::Asked;
use crate::plan::discover::{Discovery, DiscoveryStep};
use crate::plan::rehearse::Rehearsal;
use crate::plan::{Data, Ground, Plan, Step, Unified, sign};
use crate::vault::{self, Resolved};

/// How long one call may take with all its downstream requests.
const CALL_TIME: Duration = Duration::from_secs(60);
/// How long a failed discovery is not tried again.
const DISCOVERY_BACKOFF: Duration = Duration::from_secs(15);

/// Answers one unified request of a caller who was let in.
///
/// # Errors
/// The row of the catalogue that the first fault on the way is.
pub async fn answer(
    app: Arc<App>,
    context: Context,
    call: impl Future<Output = Result<Call>> + Send,
) -> Result<Answer> {
    let mut call = call.await?;
    if call.query.format != Format::Json {
        return stream::start(app, context, call).await;
    }
    let mut line = Line::open(&app, &context).await?;
    line.warnings = vault::limit(&line.resolved, &mut call).map_err(|error| line.failure(error))?;
    let turn = line.claim(&call, &context).await?;
    line.warnings.extend(vault::fill(&line.resolved, &mut call));
    match turn {
        None => line.answered(&call, &context).await,
        Some(Turn::Replay(answer)) => Ok(answer),
        Some(Turn::Write(claim)) => {
            let claim = Arc::new(claim);
            line.claim = Some(Arc::clone(&claim));
            claim.settle(claim.held(line.answered(&call, &context)).await, &context).await
        }
    }
}

/// What a CRM says of its customer's own fields.
pub struct CustomFields {
    /// All its fields of the resource.
    pub definitions: Arc<FieldDefinitions>,
    /// The keys of its records under which they stand, joined by dots; none where they stand at the top.
    pub base: Option<String>,
}

/// Asks a consumer's CRM for its fields of a resource, past what is in memory.
///
/// # Errors
/// Those of resolving the connection; `ConnectorOperationUnsupportedError`: the CRM has no fields of its customers' there;
/// the CRM's own.
pub async fn custom_fields(
    app: &App,
    context: &Context,
    resource: Resource,
    parent: Option<String>,
) -> Result<CustomFields> {
    let mut line = Line::open(app, context).await?;
    let call = Call {
        operation: Operation::new(resource, Verb::List),
        id: None,
        parent,
        query: Query::default(),
        body: None,
        path: String::new(),
        raw_query: String::new(),
    };
    let connector = line.service.connector.clone();
    let plan = connector.resources.get(&resource);
    let plan = plan.and_then(|plan| Some((plan, plan.spec.fields.as_deref()?)));
    let Some((plan, name)) = plan else {
        let says = format!("{} has no custom fields of {resource}.", connector.manifest.name);
        return Err(Error::new(Kind::ConnectorOperationUnsupportedError, says));
    };
    let found = line.discover(&call, plan, name).await.map_err(|error| line.failure(error))?;
    let (definitions, _) = found.fields.map_err(|reason| {
        let says = format!("{} did not say which fields it has: {reason}", connector.manifest.name);
        line.failure(Error::new(Kind::ConnectorExecutionError, says))
    })?;
    Ok(CustomFields { definitions, base: plan.mapping.custom_base() })
}

/// Plan and downstream, in turns.
async fn run(line: &mut Line<'_>, ground: &Ground, call: &Call) -> Result<Unified> {
    let (mut plan, mut step) = Plan::start(call, ground)?;
    let mut rehearsal = call.query.dry_run.then(Rehearsal::default);
    loop {
        match (step, &mut rehearsal) {
            (Step::Ask(requests), None) => {
                let outcomes = line.send(ground, requests).await?;
                step = plan.feed(call, ground, outcomes)?;
            }
            (Step::Ask(requests), Some(rehearsal)) => {
                let (reads, waiting) = rehearsal.take(requests, call, ground)?;
                let outcomes = waiting.with(line.send(ground, reads).await?);
                step = plan.feed(call, ground, outcomes)?;
            }
            (Step::Done(mut unified), _) => {
                if let Some(rehearsal) = rehearsal {
                    unified.raw = None;
                    unified.data = Data::Requests(rehearsal.shown(|request| line.shown(ground, request))?);
                }
                return Ok(*unified);
            }
        }
    }
}

/// A CRM's fields, and what is asked for by name to read them.
type Known = (Arc<FieldDefinitions>, Arc<Asked>);

/// A request as people may see it: URL, headers, body.
type Shown = (String, Vec<(String, String)>, Option<Value>);

/// A call's line to its CRM: the connection with fresh credentials, and what has been sent over it.
struct Line<'a> {
    app: &'a App,
    service: Arc<Service>,
    resolved: Arc<Resolved>,
    scope: Scope,
    /// The caller's trace, continued downstream.
    trace: Vec<(HeaderName, HeaderValue)>,
    waited: Duration,
    /// The call's id, where each attempt is told of.
    told_as: Option<String>,
    trail: Trail,
    refreshed: bool,
    /// The idempotency key that the call holds.
    claim: Option<Arc<Claim>>,
    /// What the connection made of the call.
    warnings: Vec<Warning>,
}

impl<'a> Line<'a> {
    /// Finds the connection meant and makes its credentials fresh.
    async fn open(app: &'a App, context: &Context) -> Result<Line<'a>> {
        let services = app.services();
        let connectors =
            |id: &str| services.get(&ServiceId::new(id)).map(|service| service.required_settings.as_slice());
        let resolved =
            app.vault.resolve(&context.app, &context.consumer, context.service.as_ref(), &connectors).await?;
        let service = services
            .get(&resolved.connection.service)
            .cloned()
            .ok_or_else(|| Error::internal("the connection's connector is gone"))?;
        let resolved = match &service.oauth {
            Some(provider) => app.vault.fresh(resolved, provider).await?,
            None => resolved,
        };
        let scope =
            Scope { connection: resolved.connection.id.clone(), deadline: Instant::now() + CALL_TIME };
        Ok(Line {
            app,
            service,
            resolved,
            scope,
            trace: trace_headers(context.trace.as_ref()),
            waited: Duration::ZERO,
            told_as: tracing::enabled!(tracing::Level::DEBUG).then(|| context.request_id.clone()),
            trail: context.trail.clone(),
            refreshed: false,
            claim: None,
            warnings: Vec::new(),
        })
    }

    /// The call's turn under its idempotency key; none where it has none, or writes nothing.
    async fn claim(&self, call: &Call, context: &Context) -> Result<Option<Turn>> {
        let writes = call.operation.verb.writes() && !call.query.dry_run;
        let Some(key) = context.idempotency_key.as_ref().filter(|_| writes) else { return Ok(None) };
        let turn = self.app.idempotency.claim(key, &self.resolved.connection, call).await;
        turn.map(Some).map_err(|error| self.failure(error))
    }

    async fn answered(mut self, call: &Call, context: &Context) -> Result<Answer> {
        match self.unified(call).await {
            Ok(unified) => Ok(self.reply(&unified, call, context)),
            Err(error) => Err(self.failure(error)),
        }
    }

    /// The call's result in the unified shape.
    async fn unified(&mut self, call: &Call) -> Result<Unified> {
        let (known, warning) = self.definitions(call).await?;
        let ground = self.ground(call, known)?;
        let mut unified = run(self, &ground, call).await?;
        unified.warnings.extend(warning);
        unified.warnings.append(&mut self.warnings);
        Ok(unified)
    }

    /// An error with what the call has taken so far.
    fn failure(&self, error: Error) -> Error {
        let service = self.resolved.connection.service.clone();
        // The call keeps to the contract, so this is what the connector cannot take.
        let error = match error.kind() {
            Kind::RequestValidationError => error.detail_entry("service", service.as_str()),
            _ => error,
        };
        error.downstream_took(self.waited).service(service)
    }

    /// What a plan for that operation stands on.
    fn ground(&self, call: &Call, known: Option<Known>) -> Result<Ground> {
        let (definitions, asked) = known.unzip();
        let object = match self.service.objects.get(&call.operation.resource) {
            Some(object) if **object == *"{parent}" => call.parent.as_deref().map(Arc::from),
            object => object.cloned(),
        };
        Ok(Ground {
            connector: self.service.connector.clone(),
            connection: self.resolved.connection.clone(),
            base: self.service.base(&self.resolved.connection)?,
            object,
            definitions,
            custom_mappings: self.resolved.custom_mappings.get(&call.operation.resource).cloned(),
            asked,
            source: None,
            earlier: self.claim.as_ref().and_then(|claim| claim.earlier().cloned()),
            scan_pages: self.app.settings.limits.scan_pages,
            now: jiff::Timestamp::now(),
            cursor_key: self.app.cursor_key.clone(),
        })
    }

    /// What the CRM says about the fields of the call's resource, from memory where it is known; and a warning where it
    /// does not say.
    async fn definitions(&mut self, call: &Call) -> Result<(Option<Known>, Option<Warning>)> {
        let connector = self.service.connector.clone();
        let resource = call.operation.resource;
        let Some(plan) = connector.resources.get(&resource).filter(|plan| {
            let mapped = self.resolved.custom_mappings.contains_key(&resource);
            wants_definitions(call, plan, &connector.discover, mapped)
        }) else {
            return Ok((None, None));
        };
        let Some(name) = plan.spec.fields.as_deref() else { return Ok((None, None)) };
        let parent = call.parent.as_deref().map(Arc::from);
        let key = (self.resolved.connection.id.clone(), resource, parent);
        let found = match self.app.definitions.get(&key).await {
            Some(found) => found,
            None => {
                // A call that is refused anyway costs the CRM nothing.
                Plan::refuse(call, &self.ground(call, None)?)?;
                self.discover_once(key, call, plan, name).await?
            }
        };
        Ok(match found.fields {
            Ok(known) => (Some(known), None),
            Err(reason) => {
                let name = &connector.manifest.name;
                let message = format!(
                    "{name} did not say which fields it has, so custom fields may be missing: {reason}"
                );
                (
                    None,
                    Some(Warning::new("DiscoveryWarning", message).operation(format!("{resource}.fields"))),
                )
            }
        })
    }

    /// Discovers, or waits for the same discovery of another call.
    async fn discover_once(
        &mut self,
        key: DefinitionsKey,
        call: &Call,
        resource: &ResourcePlan,
        name: &str,
    ) -> Result<Discovered> {
        let app = self.app;
        let mut failure = None;
        let found = app.definitions.try_get_with(key, async {
            self.discover(call, resource, name).await.map_err(|error| {
                let reason = error.to_string();
                failure = Some(error);
                reason
            })
        });
        match (found.await, failure) {
            (Ok(found), _) => Ok(found),
            (Err(_), Some(error)) => Err(error),
            // What failed another call need not fail this one.
            (Err(reason), None) => {
                Ok(Discovered { fields: Err(reason.as_str().into()), keep: Duration::ZERO })
            }
        }
    }

    async fn discover(&mut self, call: &Call, resource: &ResourcePlan, name: &str) -> Result<Discovered> {
        let connector = self.service.connector.clone();
        let Some(plan) = connector.discover.get(name) else {
            return Err(Error::internal(format!("there is no discovery `{name}`")));
        };
        let ground = self.ground(call, None)?;
        let (mut discovery, mut request) = Discovery::start(plan, &ground)?;
        loop {
            let outcome = self.send(&ground, vec![request]).await?.pop();
            let outcome = outcome.ok_or_else(|| Error::internal("a request came back without an outcome"))?;
            match discovery.feed(plan, &ground, &outcome) {
                Ok(DiscoveryStep::Ask(next)) => request = next,
                Ok(DiscoveryStep::Done(fields)) => {
                    let limit = connector.manifest.url_limit_bytes;
                    let asked = Asked::new(resource, Some(&fields), None, limit);
                    let fields = Ok((Arc::new(fields), Arc::new(asked)));
                    return Ok(Discovered { fields, keep: Duration::from_secs(plan.spec.ttl_s) });
                }
                Err(error) => {
                    return Ok(Discovered { fields: Err(error.to_string().into()), keep: DISCOVERY_BACKOFF });
                }
            }
        }
    }

    /// Sends a batch, signed; what the CRM refuses for its credentials is sent once more with new ones.
    async fn send(&mut self, ground: &Ground, requests: Vec<Request>) -> Result<Vec<Outcome>> {
        if let Some(claim) = &self.claim {
            claim.about_to_send(&requests).await?;
        }
        let mut outcomes = self.send_signed(ground, requests.iter().collect()).await?;
        let refused = |outcome: &Outcome| {
            outcome.as_ref().is_ok_and(|reply| {
                classify::meaning(&ground.connector, reply)
                    == crate::connector::manifest::Meaning::Credentials
            })
        };
        let again: Vec<usize> = outcomes
            .iter()
            .enumerate()
            .filter(|(_, outcome)| refused(outcome))
            .map(|(index, _)| index)
            .collect();
        if again.is_empty() || self.refreshed || !self.refresh().await? {
            return Ok(outcomes);
        }
        let requests = again.iter().filter_map(|index| requests.get(*index)).collect();
        for (index, outcome) in again.into_iter().zip(self.send_signed(ground, requests).await?) {
            if let Some(place) = outcomes.get_mut(index) {
                *place = outcome;
            }
        }
        Ok(outcomes)
    }

    /// New credentials after a refusal; whether there are any.
    async fn refresh(&mut self) -> Result<bool> {
        let (
            Some(provider),
            Credentials::OAuth { access_token, .. } | Credentials::Granted { access_token, .. },
        ) = (&self.service.oauth, &self.resolved.credentials)
        else {
            return Ok(false);
        };
        self.refreshed = true;
        self.resolved = self.app.vault.refresh_after_401(&self.resolved, provider, access_token).await?;
        Ok(true)
    }

    async fn send_signed(&mut self, ground: &Ground, requests: Vec<&Request>) -> Result<Vec<Outcome>> {
        let started = Instant::now();
        let mut signed = Vec::with_capacity(requests.len());
        for request in requests {
            let mut request = request.clone();
            request.headers.extend(self.trace.iter().cloned());
            sign::sign(ground, &|name| secret(&self.resolved.credentials, name), &mut request)?;
            signed.push(request);
        }
        let sent = self.app.http.send_all(signed, &ground.connector.policy, &self.scope).await;
        self.waited += started.elapsed();
        Ok(sent
            .into_iter()
            .map(|sent| {
                self.trail.sent(&sent.attempts);
                self.tell(&sent.attempts);
                sent.outcome
            })
            .collect())
    }

    /// A request as it would be sent, without its secrets.
    fn shown(&self, ground: &Ground, request: &Request) -> Result<Shown> {
        let mut request = request.clone();
        let hidden = |name: &str| secret(&self.resolved.credentials, name).map(|_| "***");
        sign::sign(ground, &hidden, &mut request)?;
        let (url, headers) = downstream::shown(&request, &ground.connector.policy);
        Ok((url, headers, request.body.as_deref().map(raw::body)))
    }

    /// Tells of what was sent.
    fn tell(&self, attempts: &[Attempt]) {
        let Some(request_id) = &self.told_as else { return };
        for attempt in attempts {
            tracing::debug!(request_id, step = %attempt.step, method = %attempt.method, url = attempt.url,
                number = attempt.number, result = ?attempt.result, elapsed_ms = attempt.elapsed.as_millis(), "downstream");
        }
    }

    fn reply(self, unified: &Unified, call: &Call, context: &Context) -> Answer {
        let service = self.resolved.connection.service.clone();
        let (status, body) = envelope::success(unified, call, context, &service);
        let headers = rate_headers(unified);
        Answer { status, body: body.into(), headers, downstream: self.waited, service: Some(service) }
    }
}

/// What the CRM said about its rate limit, for the caller.
fn rate_headers(unified: &Unified) -> Vec<(HeaderName, HeaderValue)> {
    let header = |(name, value): &(&'static str, String)| {
        Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))
    };
    unified.rate.iter().filter_map(header).collect()
}

/// Whether a call reads or writes fields whose definitions matter.
fn wants_definitions(
    call: &Call,
    resource: &ResourcePlan,
    discoveries: &BTreeMap<String, DiscoverPlan>,
    mapped: bool,
) -> bool {
    let Some(field) = resource.mapping.custom_field() else { return false };
    let discovery = resource.spec.fields.as_ref().and_then(|name| discoveries.get(name));
    let requires = || discovery.is_some_and(|discovery| discovery.spec.says_required());
    let custom =
        || call.query.fields.as_ref().is_none_or(|fields| fields.is_all() || fields.below(field).is_some());
    let has = |field: &str| {
        let value = call.body.as_ref().and_then(|body| body.get(field));
        value.is_some_and(|value| !value.is_null())
    };
    match call.operation.verb {
        Verb::List | Verb::One => custom() || (mapped && CustomMappings::wanted(call.query.fields.as_ref())),
        Verb::Create if requires() => true,
        Verb::Create | Verb::Update => has(field) || (mapped && has("custom_mappings")),
        Verb::Delete => false,
    }
}

/// The caller's trace as headers of downstream requests.
fn trace_headers(trace: Option<&Trace>) -> Vec<(HeaderName, HeaderValue)> {
    let header = |name: &'static str, text: &str| {
        Some((HeaderName::from_static(name), HeaderValue::try_from(text).ok()?))
    };
    let parent = trace.and_then(|trace| header("traceparent", &trace.parent));
    let state = trace.and_then(|trace| header("tracestate", trace.state.as_deref()?));
    parent.into_iter().chain(state).collect()
}

fn secret<'s>(credentials: &'s Credentials, name: &str) -> Option<&'s str> {
    match credentials {
        Credentials::OAuth { access_token, .. } | Credentials::Granted { access_token, .. }
            if name == "access_token" =>
        {
            Some(access_token.expose()).filter(|token| !token.is_empty())
        }
        Credentials::OAuth { .. } => None,
        Credentials::Granted { values, .. } => values.get(name).map(Secret::expose),
        Credentials::Static { values } => values.get(name).map(Secret::expose),
    }
}
