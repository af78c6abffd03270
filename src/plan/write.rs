//! Creating, updating and deleting: the record first, then the associations and lists that are not part of its body.

use serde_json::{Map, Value, json};

use super::ground::Ground;
use super::links::Links;
use super::parts::{self, Named, Parts};
use super::probe::Probe;
use super::steps::Steps;
use super::{Data, Step, Unified, ask, pass_through};
use crate::connector::compile::{ResourcePlan, WritePlan};
use crate::connector::dig::{dig, dig_text};
use crate::connector::request::RequestTemplate;
use crate::error::{Error, Kind, Result};
use crate::mapping::{Link, Reading, Records, WriteMode, Writing, Written, read_page, write};
use crate::model::{Call, FieldMask, Outcome, Problem, Request, Severity, Verb, Warning};
use crate::normalise::{classify, raw};

/// The machine for a write.
#[derive(Debug)]
pub struct Write {
    stage: Stage,
    /// The body, without what it hands through.
    unified: Map<String, Value>,
    /// Associations still to be made once the record's id is known.
    links: Vec<Link>,
    /// Lists still to be written by calls of their own, the next one last.
    parts: Vec<Named>,
    /// What is handed through, what has happened, and what is told of it.
    steps: Steps,
    raw: Option<raw::Replies>,
    rate: Vec<(&'static str, String)>,
}

#[derive(Debug)]
enum Stage {
    Present(FieldMask),
    /// Looks for what an earlier try has made; the request that makes it waits.
    Probe(Box<(Probe, Request)>),
    Record,
    Links(String, Links),
    Parts(String, Parts),
}

impl Write {
    /// The machine for a call, and its first batch.
    ///
    /// # Errors
    /// If the body cannot be said in the CRM's words: every fault is listed, and nothing is sent.
    pub fn start(call: &Call, ground: &Ground) -> Result<(Write, Step)> {
        let mut unified = call.body.clone().unwrap_or_default();
        let extensions = pass_through::take(&mut unified, ground);
        let mut machine = Write {
            stage: Stage::Record,
            unified,
            links: Vec::new(),
            parts: Vec::new(),
            steps: Steps::new(extensions),
            raw: call.query.raw.then(raw::Replies::default),
            rate: Vec::new(),
        };
        let step = machine.prepare(None, call, ground)?;
        Ok((machine, step))
    }

    /// The request that writes the record; or, where an update names only a part of what the CRM keeps as a whole, the
    /// one that reads the rest first.
    fn prepare(
        &mut self,
        present: Option<&Map<String, Value>>,
        call: &Call,
        ground: &Ground,
    ) -> Result<Step> {
        let resource = ground.resource(call)?;
        let plan = plan(call, resource)?;
        let mut body = Map::new();
        if call.operation.verb != Verb::Delete {
            let mode =
                if call.operation.verb == Verb::Create { WriteMode::Create } else { WriteMode::Update };
            let writing = Writing {
                definitions: ground.definitions.as_deref(),
                custom_mappings: ground.custom_mappings.as_deref(),
                currency: ground.setting("currency"),
                timezone: ground.setting("timezone"),
                present,
                now: Some(ground.now),
            };
            let written = write(&resource.mapping, &self.unified, mode, &writing);
            if let (false, Some(one)) = (written.needs.is_empty(), &resource.one) {
                return self.read_present(&written.needs, &one.request, call, ground);
            }
            body = self.accept(written, call, ground)?;
            self.parts = parts::take(&resource.parts, &self.unified, &mut body, mode == WriteMode::Create);
        }
        self.check_links(ground)?;
        let in_create = self.links_in_create(call, resource);
        let extended = self.steps.extends_record(call, plan.request.step());
        if call.operation.verb == Verb::Update && !extended && is_empty(&body, plan) {
            return self.associate(call.id.clone().unwrap_or_default(), call, ground);
        }
        let body = Value::Object(body);
        let names = |name: &str| match name {
            "id" => call.id.clone().map(Value::from),
            "parent" => call.parent.clone().map(Value::from),
            "body" => Some(body.clone()),
            "links" => in_create.clone(),
            name => name.strip_prefix("body.").and_then(|path| dig(&body, path)).cloned(),
        };
        let mut request = ground.request(&plan.request, &names)?;
        self.steps.extend_record(call, &mut request)?;
        pass_through::query(call, &mut request);
        if let (Some(earlier), Verb::Create) = (&ground.earlier, call.operation.verb) {
            let (probe, ask) = Probe::start(plan, earlier, &request, call, ground)?;
            self.stage = Stage::Probe(Box::new((probe, request)));
            return Ok(Step::Ask(vec![ask]));
        }
        self.stage = Stage::Record;
        Ok(Step::Ask(vec![request]))
    }

    /// Asks for the present values of these fields.
    fn read_present(
        &mut self,
        needs: &[String],
        one: &RequestTemplate,
        call: &Call,
        ground: &Ground,
    ) -> Result<Step> {
        let mask = FieldMask::parse(&format!("id,{}", needs.join(",")));
        let asked = ask::properties(ground, ground.resource(call)?, Some(&mask), None);
        let properties = asked.parts.first().map(|part| part.text.as_str()).filter(|text| !text.is_empty());
        let request = ground.request(one, &|name: &str| match name {
            "id" => call.id.clone().map(Value::from),
            "parent" => call.parent.clone().map(Value::from),
            "properties" => properties.map(Value::from),
            _ => None,
        })?;
        self.stage = Stage::Present(mask);
        Ok(Step::Ask(vec![request]))
    }

    /// Takes the present values, and goes on with them.
    fn present(
        &mut self,
        mask: &FieldMask,
        call: &Call,
        ground: &Ground,
        outcomes: Vec<Outcome>,
    ) -> Result<Step> {
        let outcome =
            outcomes.into_iter().next().ok_or_else(|| Error::internal("a read came without a reply"))?;
        let reply = classify::record(&ground.connector, call, outcome)?;
        let resource = ground.resource(call)?;
        let one = resource.one.as_ref().ok_or_else(|| Error::internal("no way to read one"))?;
        let reading =
            Reading { fields: Some(mask), currency: ground.setting("currency"), ..Reading::default() };
        let mut records = Records::default();
        read_page(&resource.mapping, &one.frame, &reply.body, &reading, &mut records)
            .map_err(|fault| classify::malformed(&ground.connector, &fault.to_string()))?;
        let present: Map<String, Value> = serde_json::from_slice(&records.json).unwrap_or_default();
        self.prepare(Some(&present), call, ground)
    }

    /// The downstream body; its warnings and associations are kept.
    fn accept(&mut self, written: Written, call: &Call, ground: &Ground) -> Result<Map<String, Value>> {
        let (faults, mut warnings): (Vec<Problem>, Vec<Problem>) =
            written.problems.into_iter().partition(|problem| problem.severity == Severity::Fault);
        // The id of a part says which one is meant.
        let fields: Vec<String> =
            ground.resource(call)?.parts.values().map(|part| format!("/{}/", part.spec.field)).collect();
        warnings.retain(|warning| {
            let at = &warning.pointer;
            !(at.ends_with("/id") && fields.iter().any(|field| at.starts_with(field)))
        });
        if !faults.is_empty() {
            let errors: Vec<Value> = faults
                .iter()
                .map(|fault| json!({ "pointer": fault.pointer, "message": fault.message }))
                .collect();
            return Err(Error::new(
                Kind::RequestValidationError,
                format!(
                    "{} cannot take {} of the body's values.",
                    ground.connector.manifest.name,
                    faults.len()
                ),
            )
            .detail(errors));
        }
        self.steps.warnings.extend(
            warnings.into_iter().map(|problem| Warning::from(problem).operation(call.operation.to_string())),
        );
        self.links = written.links;
        Ok(written.body)
    }

    /// What a create's `{links}` holds; associations that a create cannot hold stay for afterwards.
    fn links_in_create(&mut self, call: &Call, resource: &ResourcePlan) -> Option<Value> {
        if call.operation.verb != Verb::Create {
            return None;
        }
        let mut items = Vec::new();
        self.links.retain(|link| {
            match resource.links.get(&link.name).and_then(|plan| plan.in_create.as_ref()) {
                Some(template) => {
                    let to = |id: &String| template.render(&|name: &str| (name == "to").then(|| json!(id)));
                    items.extend(link.ids.iter().filter_map(to));
                    false
                }
                None => !link.ids.is_empty(),
            }
        });
        (!items.is_empty()).then_some(Value::Array(items))
    }

    /// Takes the replies to the last batch.
    ///
    /// # Errors
    /// If the record was not written, or was and the rest was not.
    pub fn feed(&mut self, call: &Call, ground: &Ground, outcomes: Vec<Outcome>) -> Result<Step> {
        if let Some(raw) = &mut self.raw {
            raw.keep(&outcomes);
        }
        match std::mem::replace(&mut self.stage, Stage::Record) {
            Stage::Present(mask) => self.present(&mask, call, ground, outcomes),
            Stage::Probe(waiting) => {
                let (probe, request) = *waiting;
                let outcome = outcomes
                    .into_iter()
                    .next()
                    .ok_or_else(|| Error::internal("a read came without a reply"))?;
                match probe.feed(call, ground, &outcome)? {
                    Some(id) => {
                        self.steps.written = true;
                        self.associate(id, call, ground)
                    }
                    None => Ok(Step::Ask(vec![request])),
                }
            }
            Stage::Record => {
                let outcome = outcomes
                    .into_iter()
                    .next()
                    .ok_or_else(|| Error::internal("a write came without a reply"))?;
                let reply = match classify::write(&ground.connector, call, outcome) {
                    Err(error) if is_gone_already(&error, call, ground) => {
                        return Ok(self.done(call.id.clone().unwrap_or_default()));
                    }
                    reply => reply?,
                };
                self.rate = classify::rate(&ground.connector, &reply);
                self.steps.written = true;
                let id = written_id(call, ground, &reply.body)?;
                self.associate(id, call, ground)
            }
            Stage::Links(id, mut links) => {
                let requests = links.feed(&id, call, ground, outcomes, &mut self.steps);
                match requests.map_err(|error| self.fell_short(&id, error, ground))? {
                    requests if requests.is_empty() => self.next_part(id, call, ground),
                    requests => {
                        self.stage = Stage::Links(id, links);
                        Ok(Step::Ask(requests))
                    }
                }
            }
            Stage::Parts(id, mut parts) => {
                let requests = parts.feed(&id, call, ground, outcomes, &mut self.steps);
                match requests.map_err(|error| self.fell_short(&id, error, ground))? {
                    requests if requests.is_empty() => self.next_part(id, call, ground),
                    requests => {
                        self.stage = Stage::Parts(id, parts);
                        Ok(Step::Ask(requests))
                    }
                }
            }
        }
    }

    /// Makes the associations that remain.
    fn associate(&mut self, id: String, call: &Call, ground: &Ground) -> Result<Step> {
        let links = std::mem::take(&mut self.links);
        let started = Links::start(links, &id, call, ground, &mut self.steps);
        let (links, requests) = started.map_err(|error| self.fell_short(&id, error, ground))?;
        if requests.is_empty() {
            return self.next_part(id, call, ground);
        }
        self.stage = Stage::Links(id, links);
        Ok(Step::Ask(requests))
    }

    /// Writes the next list that calls of its own write.
    fn next_part(&mut self, id: String, call: &Call, ground: &Ground) -> Result<Step> {
        let Some(named) = self.parts.pop() else { return Ok(self.done(id)) };
        let started = Parts::start(named, &id, call, ground, &mut self.steps);
        let (parts, requests) = started.map_err(|error| self.fell_short(&id, error, ground))?;
        self.stage = Stage::Parts(id, parts);
        Ok(Step::Ask(requests))
    }

    /// Ids of other records stand in paths: what cannot be one is refused before anything is sent.
    fn check_links(&self, ground: &Ground) -> Result<()> {
        let Some(pattern) = &ground.connector.id else { return Ok(()) };
        let bad = |link: &Link| link.ids.iter().any(|id| !pattern.is_match(id));
        let faults: Vec<Value> = self
            .links
            .iter()
            .filter(|link| bad(link))
            .map(|link| json!({ "pointer": "", "message": format!("the id of the {} is none of this CRM", link.name) }))
            .collect();
        if faults.is_empty() {
            return Ok(());
        }
        let message = format!("{} has no records with such ids.", ground.connector.manifest.name);
        Err(Error::new(Kind::RequestValidationError, message).detail(faults))
    }

    /// The error of a step beside the record: its own while nothing has been written.
    fn fell_short(&self, id: &str, error: Error, ground: &Ground) -> Error {
        if self.steps.written { half_done(id, &error, ground) } else { error }
    }

    fn done(&mut self, id: String) -> Step {
        Step::Done(Box::new(Unified {
            data: Data::Id(id),
            warnings: std::mem::take(&mut self.steps).into_warnings(),
            raw: self.raw.take().map(raw::Replies::into_value),
            rate: std::mem::take(&mut self.rate),
            explained: None,
            scanned: None,
        }))
    }
}

fn plan<'a>(call: &Call, resource: &'a ResourcePlan) -> Result<&'a WritePlan> {
    let plan = match call.operation.verb {
        Verb::Create => &resource.create,
        Verb::Update => &resource.update,
        Verb::Delete => &resource.delete,
        Verb::List | Verb::One => &None,
    };
    plan.as_ref().ok_or_else(|| Error::internal(format!("{} has no plan to write", call.operation)))
}

/// Whether a delete finds nothing because an earlier try has deleted it.
fn is_gone_already(error: &Error, call: &Call, ground: &Ground) -> bool {
    call.operation.verb == Verb::Delete
        && ground.earlier.is_some()
        && error.kind() == Kind::EntityNotFoundError
}

/// Whether an update has nothing to say about the record itself.
fn is_empty(body: &Map<String, Value>, plan: &WritePlan) -> bool {
    let empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
    match &plan.spec.skip_when_empty {
        Some(path) => dig(&Value::Object(body.clone()), path).is_none_or(empty),
        None => body.is_empty(),
    }
}

/// The id of what was written. It happened, so a reply that cannot be read is told as such.
fn written_id(call: &Call, ground: &Ground, body: &[u8]) -> Result<String> {
    if let Some(id) = &call.id {
        return Ok(id.clone());
    }
    let resource = ground.resource(call)?;
    let path = plan(call, resource)?.spec.id.as_deref().unwrap_or("id");
    serde_json::from_slice::<Value>(body).ok().and_then(|body| dig_text(&body, path)).ok_or_else(|| {
        Error::new(
            Kind::PostWriteProcessingError,
            format!(
                "{} has written the record, but its reply does not say under which id.",
                ground.connector.manifest.name
            ),
        )
        .detail(json!({ "outcome": "written" }))
    })
}

fn half_done(id: &str, error: &Error, ground: &Ground) -> Error {
    Error::new(
        Kind::PostWriteProcessingError,
        format!(
            "{} has written the record, but not all that belongs to it: {error}",
            ground.connector.manifest.name
        ),
    )
    .detail(
        json!({ "outcome": "written", "id": id, "error": error.kind().name(), "message": error.to_string() }),
    )
}
