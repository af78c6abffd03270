//! Pipelines and their stages.

use std::sync::RwLock;

use http::Method;
use serde_json::{Map, Value, json};

use super::account::{Account, TypeIndex};
use super::{errors, objects, unknown_object};
use crate::clock::{iso_ms, now_ms};
use crate::exchange::{Outcome, Reply, Request};
use crate::world::{read, write};

/// A pipeline.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Its id.
    pub id: String,
    /// What people see.
    pub label: String,
    /// Its place among the pipelines.
    pub order: i64,
    /// Whether it was archived.
    pub archived: bool,
    /// Its stages.
    pub stages: Vec<Stage>,
    /// When it was made.
    pub created_ms: i64,
    /// When it last changed.
    pub updated_ms: i64,
}

/// A stage of a pipeline.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Its id.
    pub id: String,
    /// What people see.
    pub label: String,
    /// Its place in the pipeline.
    pub order: i64,
    /// Its facts: all values are texts.
    pub facts: Map<String, Value>,
    /// When it was made.
    pub created_ms: i64,
    /// When it last changed.
    pub updated_ms: i64,
}

impl Stage {
    /// One of its facts.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.facts.get(name).and_then(Value::as_str)
    }

    fn to_wire(&self) -> Value {
        json!({
            "label": self.label,
            "displayOrder": self.order,
            "metadata": self.facts,
            "id": self.id,
            "createdAt": iso_ms(self.created_ms),
            "updatedAt": iso_ms(self.updated_ms),
            "archived": false,
            "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
        })
    }
}

impl Pipeline {
    fn to_wire(&self) -> Value {
        json!({
            "label": self.label,
            "displayOrder": self.order,
            "id": self.id,
            "stages": self.stages.iter().map(Stage::to_wire).collect::<Vec<_>>(),
            "createdAt": iso_ms(self.created_ms),
            "updatedAt": iso_ms(self.updated_ms),
            "archived": self.archived,
        })
    }
}

/// Finds a stage in any of the pipelines.
pub fn stage<'a>(pipelines: &'a [Pipeline], id: &str) -> Option<&'a Stage> {
    pipelines.iter().flat_map(|pipeline| &pipeline.stages).find(|stage| stage.id == id)
}

const MADE_MS: i64 = 1_640_995_200_000;

/// A stage's id, label and facts.
type Seed<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

fn seeded(id: &str, label: &str, order: i64, stages: &[Seed<'_>]) -> Pipeline {
    let stages = stages.iter().zip(0_i64..).map(|((id, label, facts), order)| Stage {
        id: (*id).to_owned(),
        label: (*label).to_owned(),
        order,
        facts: facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect(),
        created_ms: MADE_MS,
        updated_ms: MADE_MS,
    });
    Pipeline {
        id: id.to_owned(),
        label: label.to_owned(),
        order,
        archived: false,
        stages: stages.collect(),
        created_ms: MADE_MS,
        updated_ms: MADE_MS,
    }
}

/// The deal pipelines of every account.
pub fn of_deals() -> Vec<Pipeline> {
    let open = |probability: &'static str| [("isClosed", "false"), ("probability", probability)];
    let (won, lost) =
        ([("isClosed", "true"), ("probability", "1.0")], [("isClosed", "true"), ("probability", "0.0")]);
    vec![
        seeded(
            "default",
            "Sales Pipeline",
            0,
            &[
                ("appointmentscheduled", "Appointment Scheduled", &open("0.2")),
                ("qualifiedtobuy", "Qualified To Buy", &open("0.4")),
                ("presentationscheduled", "Presentation Scheduled", &open("0.6")),
                ("decisionmakerboughtin", "Decision Maker Bought-In", &open("0.8")),
                ("contractsent", "Contract Sent", &open("0.9")),
                ("closedwon", "Closed Won", &won),
                ("closedlost", "Closed Lost", &lost),
            ],
        ),
        seeded(
            "74193287",
            "Renewals",
            1,
            &[
                ("150238471", "Up for renewal", &open("0.5")),
                ("150238472", "Negotiation", &open("0.75")),
                ("150238473", "Renewed", &won),
                ("150238474", "Churned", &lost),
            ],
        ),
    ]
}

/// The ticket pipeline of every account.
pub fn of_tickets() -> Vec<Pipeline> {
    let open = [("ticketState", "OPEN"), ("isClosed", "false")];
    vec![seeded(
        "0",
        "Support Pipeline",
        0,
        &[
            ("1", "New", &open),
            ("2", "Waiting on contact", &open),
            ("3", "Waiting on us", &open),
            ("4", "Closed", &[("ticketState", "CLOSED"), ("isClosed", "true")]),
        ],
    )]
}

/// The lead pipeline of every account.
pub fn of_leads() -> Vec<Pipeline> {
    vec![seeded(
        "lead-pipeline-id",
        "Lead pipeline",
        0,
        &[
            ("new-stage-id", "New", &[("leadState", "NEW")]),
            ("attempting-stage-id", "Attempting", &[("leadState", "IN_PROGRESS")]),
            ("connected-stage-id", "Connected", &[("leadState", "IN_PROGRESS")]),
            ("qualified-stage-id", "Qualified", &[("leadState", "QUALIFIED")]),
            ("unqualified-stage-id", "Disqualified", &[("leadState", "UNQUALIFIED")]),
        ],
    )]
}

/// Answers below `/crm/v3/pipelines/{object}`.
pub fn answer(request: &Request, account: &RwLock<Account>, object: &str, rest: &[&str]) -> Outcome {
    if request.method == Method::GET {
        let account = read(account);
        let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
        return show(account.pipelines.get(&at).map(Vec::as_slice).unwrap_or_default(), rest);
    }
    let body = objects::object_body(request)?;
    let mut account = write(account);
    let at = account.type_of(object).ok_or_else(|| unknown_object(object))?;
    let id = account.custom_made * 1000 + 150_300_000 + total(&account);
    if request.method == Method::DELETE && request.param("validateReferencesBeforeDelete") == Some("true") {
        check_unused(&account, at, rest)?;
    }
    change(request, account.pipelines.entry(at).or_default(), rest, &body, id)
}

fn total(account: &Account) -> u64 {
    let pipelines = account.pipelines.values().flatten();
    pipelines.map(|pipeline| 1 + pipeline.stages.len() as u64).sum::<u64>()
        + crate::clock::now_ms().unsigned_abs() % 900_000
}

fn check_unused(account: &Account, at: TypeIndex, rest: &[&str]) -> Result<(), Reply> {
    let Some(objects) = account.object(at) else { return Ok(()) };
    let (names, id): (&[&str], &str) = match rest {
        [pipeline] => (&["pipeline", "hs_pipeline"], pipeline),
        [_, "stages", stage] => (&["dealstage", "hs_pipeline_stage"], stage),
        _ => return Ok(()),
    };
    let used = objects
        .records
        .values()
        .filter(|record| record.archived_ms.is_none())
        .any(|record| names.iter().any(|name| objects.value(record, name) == Some(id)));
    if used { Err(errors::invalid(&format!("{id} is still in use"))) } else { Ok(()) }
}

fn show(pipelines: &[Pipeline], rest: &[&str]) -> Outcome {
    let find = |id: &str| {
        let found = pipelines.iter().find(|pipeline| pipeline.id == id && !pipeline.archived);
        found.ok_or_else(|| errors::not_found(id))
    };
    let body = match rest {
        [] => {
            let live = pipelines.iter().filter(|pipeline| !pipeline.archived);
            json!({ "results": live.map(Pipeline::to_wire).collect::<Vec<_>>() })
        }
        [id] => find(id)?.to_wire(),
        [id, "stages"] => {
            json!({ "results": find(id)?.stages.iter().map(Stage::to_wire).collect::<Vec<_>>() })
        }
        [id, "stages", stage] => {
            let found = find(id)?.stages.iter().find(|known| known.id == *stage);
            found.ok_or_else(|| errors::not_found(stage))?.to_wire()
        }
        _ => return Err(errors::no_endpoint()),
    };
    Ok(Reply::json(200, &body))
}

fn label(body: &Map<String, Value>) -> Result<String, Reply> {
    let label = body.get("label").and_then(Value::as_str).filter(|label| !label.is_empty());
    label.map(str::to_owned).ok_or_else(|| errors::bad_json("Some required fields were not set: [label]"))
}

/// What a new pipeline or stage must say, besides its label.
fn needs(body: &Map<String, Value>, names: &[&str]) -> Result<(), Reply> {
    let missing: Vec<&str> =
        names.iter().copied().filter(|name| body.get(*name).is_none_or(Value::is_null)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(errors::bad_json(&format!("Some required fields were not set: [{}]", missing.join(", "))))
}

fn order(body: &Map<String, Value>, default: i64) -> i64 {
    body.get("displayOrder").and_then(Value::as_i64).unwrap_or(default)
}

fn new_stage(body: &Map<String, Value>, id: u64, default_order: i64) -> Result<Stage, Reply> {
    let now = now_ms();
    needs(body, &["displayOrder", "metadata"])?;
    let mut facts = body.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(probability) = facts.get("probability").and_then(Value::as_str) {
        let probability: f64 = probability
            .parse()
            .map_err(|_| errors::invalid(&format!("{probability} is not a probability")))?;
        let closed = probability == 0.0 || (probability - 1.0).abs() < f64::EPSILON;
        facts.entry("isClosed").or_insert_with(|| json!(closed.to_string()));
    }
    let given = body.get("stageId").and_then(Value::as_str).map(str::to_owned);
    Ok(Stage {
        id: given.unwrap_or_else(|| id.to_string()),
        label: label(body)?,
        order: order(body, default_order),
        facts,
        created_ms: now,
        updated_ms: now,
    })
}

fn stages(body: &Map<String, Value>, id: u64) -> Result<Vec<Stage>, Reply> {
    let list = body.get("stages").and_then(Value::as_array).into_iter().flatten();
    list.zip(1_u32..)
        .map(|(stage, place)| {
            let fields = stage.as_object().ok_or_else(|| errors::bad_json("stages must be objects"))?;
            new_stage(fields, id + u64::from(place), i64::from(place) - 1)
        })
        .collect()
}

fn change(
    request: &Request,
    pipelines: &mut Vec<Pipeline>,
    rest: &[&str],
    body: &Map<String, Value>,
    id: u64,
) -> Outcome {
    let method = request.method.as_str();
    let now = now_ms();
    if let ("POST", []) = (method, rest) {
        let label = label(body)?;
        needs(body, &["displayOrder", "stages"])?;
        if pipelines.iter().any(|pipeline| !pipeline.archived && pipeline.label == label) {
            return Err(errors::error(409, "CONFLICT", &format!("A pipeline named {label} exists already")));
        }
        let given = body.get("pipelineId").and_then(Value::as_str).map(str::to_owned);
        let pipeline = Pipeline {
            id: given.unwrap_or_else(|| id.to_string()),
            label,
            order: order(body, i64::try_from(pipelines.len()).unwrap_or(0)),
            archived: false,
            stages: stages(body, id)?,
            created_ms: now,
            updated_ms: now,
        };
        let reply = Reply::json(201, &pipeline.to_wire());
        pipelines.push(pipeline);
        return Ok(reply);
    }
    let Some((pipeline_id, rest)) = rest.split_first() else { return Err(errors::bad_method()) };
    let found = pipelines.iter_mut().find(|pipeline| pipeline.id == *pipeline_id && !pipeline.archived);
    let pipeline = found.ok_or_else(|| errors::not_found(pipeline_id))?;
    pipeline.updated_ms = now;
    match (method, rest) {
        ("PATCH", []) => {
            if body.contains_key("label") {
                pipeline.label = label(body)?;
            }
            pipeline.order = order(body, pipeline.order);
            Ok(Reply::json(200, &pipeline.to_wire()))
        }
        ("PUT", []) => {
            pipeline.label = label(body)?;
            pipeline.order = order(body, pipeline.order);
            pipeline.stages = stages(body, id)?;
            Ok(Reply::json(200, &pipeline.to_wire()))
        }
        ("DELETE", []) => {
            pipeline.archived = true;
            Ok(Reply::empty(204))
        }
        ("POST", ["stages"]) => {
            let stage = new_stage(body, id, i64::try_from(pipeline.stages.len()).unwrap_or(0))?;
            let reply = Reply::json(201, &stage.to_wire());
            pipeline.stages.push(stage);
            Ok(reply)
        }
        ("PATCH" | "PUT", ["stages", stage_id]) => {
            needs(body, &["metadata"])?;
            let found = pipeline.stages.iter_mut().find(|stage| stage.id == *stage_id);
            let stage = found.ok_or_else(|| errors::not_found(stage_id))?;
            if body.contains_key("label") || method == "PUT" {
                stage.label = label(body)?;
            }
            stage.order = order(body, stage.order);
            if let Some(Value::Object(facts)) = body.get("metadata") {
                stage.facts.extend(facts.clone());
            }
            stage.updated_ms = now;
            Ok(Reply::json(200, &stage.to_wire()))
        }
        ("DELETE", ["stages", stage_id]) => {
            let before = pipeline.stages.len();
            pipeline.stages.retain(|stage| stage.id != *stage_id);
            if before == pipeline.stages.len() {
                Err(errors::not_found(stage_id))
            } else {
                Ok(Reply::empty(204))
            }
        }
        _ => Err(errors::bad_method()),
    }
}
