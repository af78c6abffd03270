//! What a write may hold: Laravel's validation, all faults at once.

use serde_json::{Map, Value, json};

use super::account::Account;
use super::resource::{Resource, Takes};
use super::table::stamp;
use crate::clock::{date, parse, parse_date};

/// A checked write.
#[derive(Debug, Default)]
pub struct Checked {
    /// Members to store.
    pub members: Map<String, Value>,
    /// Links to replace: the other resource, the ids.
    pub links: Vec<(&'static str, Vec<u64>)>,
    /// The stages of a pipeline to replace.
    pub stages: Option<Vec<Map<String, Value>>>,
}

type Faults = Vec<(String, String)>;

/// Checks a body; members that the resource does not know are passed over, as Laravel does.
pub fn body(
    account: &Account,
    resource: &Resource,
    body: &Map<String, Value>,
    new: bool,
) -> Result<Checked, Faults> {
    let mut faults = Faults::new();
    let mut checked = Checked::default();
    let given = |name: &str| body.get(name).filter(|value| !value.is_null() && **value != "");
    for name in resource.required {
        let must = new || (body.contains_key(*name) && !name.starts_with("via_"));
        if must && given(name).is_none() {
            faults.push(((*name).to_owned(), format!("The {} field is required.", spoken(name))));
        }
    }
    for (name, takes) in resource.writes {
        let Some(value) = body.get(*name) else { continue };
        match take(account, *takes, value) {
            Ok(Taken::Member(value)) => {
                checked.members.insert((*name).to_owned(), value);
            }
            Ok(Taken::Links(other, ids)) => checked.links.push((other, ids)),
            Ok(Taken::Stages(stages)) => checked.stages = Some(stages),
            Err(says) => faults.push(((*name).to_owned(), format!("The {} {says}", spoken(name)))),
        }
    }
    for field in account.fields.iter().filter(|field| field.resource == resource.name) {
        let Some(value) = body.get(&field.field_id) else { continue };
        match field.take(value) {
            Ok(value) => {
                checked.members.insert(field.field_id.clone(), value);
            }
            Err(says) => faults.push((field.field_id.clone(), says)),
        }
    }
    stage_of_pipeline(account, &mut checked, &mut faults);
    if faults.is_empty() { Ok(checked) } else { Err(faults) }
}

/// A stage brings its pipeline; one of another pipeline is refused.
fn stage_of_pipeline(account: &Account, checked: &mut Checked, faults: &mut Faults) {
    let Some(stage) = checked.members.get("stage_id").and_then(Value::as_u64) else { return };
    let stage = account.tables.get("pipeline-stages").and_then(|table| table.live(stage));
    let Some(pipeline) = stage.map(|stage| stage.get("pipeline_id").clone()) else { return };
    match checked.members.get("pipeline_id") {
        Some(given) if !given.is_null() && *given != pipeline => {
            faults.push(("stage_id".to_owned(), "The stage does not belong to the pipeline.".to_owned()));
        }
        _ => {
            checked.members.insert("pipeline_id".to_owned(), pipeline);
        }
    }
}

fn spoken(name: &str) -> String {
    name.replace('_', " ")
}

enum Taken {
    Member(Value),
    Links(&'static str, Vec<u64>),
    Stages(Vec<Map<String, Value>>),
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn take(account: &Account, takes: Takes, value: &Value) -> Result<Taken, &'static str> {
    let member = |value: Value| Ok(Taken::Member(value));
    if let Takes::Links(other) = takes {
        let ids: Option<Vec<u64>> = value.as_array().map(|list| {
            list.iter().filter_map(|id| whole(id).and_then(|id| u64::try_from(id).ok())).collect()
        });
        let Some(ids) = ids else { return Err("must be an array.") };
        let table = account.tables.get(other);
        return match ids.iter().all(|id| table.is_some_and(|table| table.live(*id).is_some())) {
            true => Ok(Taken::Links(other, ids)),
            false => Err("contain records that do not exist."),
        };
    }
    if value.is_null() || value == "" {
        return member(match takes {
            Takes::Phones | Takes::Tags => json!([]),
            Takes::Flag => json!(false),
            _ => Value::Null,
        });
    }
    let text = value.as_str();
    match takes {
        Takes::Text | Takes::Zone => match text {
            Some(text) if text.chars().count() <= 191 => member(value.clone()),
            Some(_) => Err("may not be greater than 191 characters."),
            None => Err("must be a string."),
        },
        Takes::Long => text.map_or(Err("must be a string."), |_| member(value.clone())),
        Takes::Email => match text.and_then(|text| text.split_once('@')) {
            Some((before, after)) if !before.is_empty() && after.contains('.') && !after.contains(' ') => {
                member(value.clone())
            }
            _ => Err("must be a valid email address."),
        },
        Takes::Whole => whole(value).map_or(Err("must be an integer."), |number| member(json!(number))),
        Takes::Number => match value.as_f64().or_else(|| text?.parse().ok()) {
            Some(number) => member(json!(format!("{number:.3}"))),
            None => Err("must be a number."),
        },
        Takes::Flag => match value {
            Value::Bool(_) => member(value.clone()),
            _ if whole(value).is_some_and(|number| (0..=1).contains(&number)) => {
                member(json!(whole(value) == Some(1)))
            }
            _ => Err("field must be true or false."),
        },
        Takes::Date => match text.and_then(|text| parse_date(text).or_else(|| parse(text))) {
            Some(at) => member(json!(format!("{}T00:00:00.000000Z", date(at)))),
            None => Err("is not a valid date."),
        },
        Takes::Stamp => {
            text.and_then(parse).map_or(Err("is not a valid date."), |at| member(json!(stamp(at))))
        }
        Takes::Clock => match text {
            Some(text) if matches!(text.len(), 5 | 8) && text.parse::<jiff::civil::Time>().is_ok() => {
                member(json!(text.chars().take(5).collect::<String>()))
            }
            _ => Err("does not match the format H:i."),
        },
        Takes::Ref(table) => {
            let id = whole(value).and_then(|id| u64::try_from(id).ok());
            match id.filter(|id| account.tables.get(table).is_some_and(|table| table.live(*id).is_some())) {
                Some(id) => member(json!(id)),
                None => Err("is invalid."),
            }
        }
        Takes::Phones => phones(value),
        Takes::Tags => match value.as_array() {
            Some(list) if list.iter().all(Value::is_string) => {
                let tags = list.iter().zip(1..).map(|(name, id)| {
                    json!({ "id": id, "name": name, "swatch_color": "#4f46e5", "display_order": 1000 })
                });
                member(tags.collect())
            }
            _ => Err("must be an array."),
        },
        Takes::Choice(names) => match text.filter(|text| names.contains(text)) {
            Some(text) => member(json!(text)),
            None => Err("is invalid."),
        },
        Takes::Stages => match value.as_array() {
            Some(list) if list.iter().all(|stage| stage["name"].is_string()) => {
                Ok(Taken::Stages(list.iter().filter_map(Value::as_object).cloned().collect()))
            }
            _ => Err("must be an array."),
        },
        Takes::Guests if value.is_object() || value.is_array() => member(value.clone()),
        Takes::Guests => Err("must be an array."),
        Takes::Links(_) => Err("must be an array."),
    }
}

fn phones(value: &Value) -> Result<Taken, &'static str> {
    let Some(list) = value.as_array() else { return Err("must be an array.") };
    let phones: Option<Vec<Value>> = list
        .iter()
        .zip(1..)
        .map(|(phone, id)| {
            let number = phone.get("number")?.as_str().filter(|number| !number.is_empty())?;
            let kind = phone.get("type").and_then(Value::as_str).unwrap_or("mobile");
            matches!(kind, "mobile" | "work" | "other")
                .then(|| json!({ "id": id, "number": number, "type": kind }))
        })
        .collect();
    phones.map_or(Err("are invalid."), |phones| Ok(Taken::Member(json!(phones))))
}
