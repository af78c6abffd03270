//! Checks the properties of a write against their definitions, all faults at once.

use serde_json::{Map, Value, json};

use super::account::{Account, TypeIndex};
use super::errors;
use super::property::Refused;
use crate::exchange::Reply;

/// Values by column, as they will be kept.
pub type Checked = Vec<(usize, Option<String>)>;

/// Checks properties; for a new record also that the required ones are there.
pub fn properties(
    account: &Account,
    at: TypeIndex,
    given: &Map<String, Value>,
    creating: bool,
) -> Result<Checked, Reply> {
    let Some(objects) = account.object(at) else { return Err(errors::not_found("")) };
    let mut checked = Vec::with_capacity(given.len());
    let mut faults: Vec<(&str, Refused)> = Vec::new();
    for (name, value) in given {
        let (Some(column), Some(property)) = (objects.column(name), objects.property(name)) else {
            let message = format!("Property \"{name}\" does not exist");
            faults.push((name, Refused { code: "PROPERTY_DOESNT_EXIST", message }));
            continue;
        };
        if property.read_only {
            let message = format!("\"{name}\" is a read only property; its value cannot be set.");
            faults.push((name, Refused { code: "READ_ONLY_VALUE", message }));
            continue;
        }
        match property.check(value).and_then(|kept| referenced(account, at, given, name, kept)) {
            Ok(kept) => checked.push((column, kept)),
            Err(refused) => faults.push((name, refused)),
        }
    }
    if !faults.is_empty() {
        return Err(refused(account, &faults));
    }
    if creating {
        let set = |name: &str| {
            objects.column(name).is_some_and(|column| {
                checked.iter().any(|(known, value)| *known == column && value.is_some())
            })
        };
        let missing: Vec<&str> =
            objects.required.iter().map(String::as_str).filter(|name| !set(name)).collect();
        if !missing.is_empty() {
            return Err(required(&objects.singular, &missing));
        }
    }
    Ok(checked)
}

/// Checks values that refer to owners, pipelines and stages.
fn referenced(
    account: &Account,
    at: TypeIndex,
    given: &Map<String, Value>,
    name: &str,
    kept: Option<String>,
) -> Result<Option<String>, Refused> {
    let Some(text) = kept.as_deref() else { return Ok(kept) };
    let owner =
        account.object(at).and_then(|objects| objects.property(name)).is_some_and(|known| known.owner);
    match name {
        _ if owner => {
            let known = account.owners.iter().any(|owner| owner["id"].as_str() == Some(text));
            if !known {
                return Err(Refused {
                    code: "INVALID_OWNER_ID",
                    message: format!("Owner {text} does not exist"),
                });
            }
        }
        "pipeline" | "hs_pipeline" => {
            let pipelines = account.pipelines.get(&at).map(Vec::as_slice).unwrap_or_default();
            if !pipelines.iter().any(|pipeline| !pipeline.archived && pipeline.id == text) {
                let allowed: Vec<&str> = pipelines.iter().map(|pipeline| pipeline.id.as_str()).collect();
                return Err(option(text, &allowed));
            }
        }
        "dealstage" | "hs_pipeline_stage" => {
            let pipelines = account.pipelines.get(&at).map(Vec::as_slice).unwrap_or_default();
            let wanted = given.get("pipeline").or(given.get("hs_pipeline")).and_then(Value::as_str);
            let fitting =
                pipelines.iter().filter(|pipeline| wanted.is_none_or(|wanted| pipeline.id == wanted));
            let stages: Vec<&str> =
                fitting.flat_map(|pipeline| &pipeline.stages).map(|stage| stage.id.as_str()).collect();
            if !stages.contains(&text) {
                return Err(option(text, &stages));
            }
        }
        _ => {}
    }
    Ok(kept)
}

fn option(text: &str, allowed: &[&str]) -> Refused {
    Refused {
        code: "INVALID_OPTION",
        message: format!("{text} was not one of the allowed options: [{}]", allowed.join(", ")),
    }
}

fn refused(account: &Account, faults: &[(&str, Refused)]) -> Reply {
    let long: Vec<Value> = faults
        .iter()
        .map(|(name, refused)| {
            json!({
                "isValid": false,
                "message": refused.message,
                "error": refused.code,
                "name": name,
                "localizedErrorMessage": refused.message,
                "portalId": account.portal_id,
            })
        })
        .collect();
    let short: Vec<Value> = faults
        .iter()
        .map(|(name, refused)| {
            json!({ "message": refused.message, "code": refused.code, "context": { "propertyName": [name] } })
        })
        .collect();
    let long = serde_json::to_string(&long).unwrap_or_default();
    let message = format!("Property values were not valid: {long}");
    errors::detailed(400, "VALIDATION_ERROR", &message, &json!({ "errors": short }))
}

/// 400 for properties that a new record must have.
pub fn required(singular: &str, missing: &[&str]) -> Reply {
    let message =
        format!("Error creating {}. Some required properties were not set.", singular.to_uppercase());
    let more = json!({
        "errors": [{ "message": message, "context": { "properties": missing } }],
        "context": { "properties": missing },
    });
    errors::detailed(400, "VALIDATION_ERROR", &message, &more)
}

/// 409 when another record holds one of the unique values.
pub fn conflict(account: &Account, at: TypeIndex, checked: &Checked, own: Option<u64>) -> Result<(), Reply> {
    let Some(objects) = account.object(at) else { return Ok(()) };
    for (column, value) in checked {
        let Some(value) = value else { continue };
        let Some(property) = objects.properties.get(*column).filter(|property| property.unique) else {
            continue;
        };
        let Some(holder) = objects.holder(*column, value).filter(|holder| Some(*holder) != own) else {
            continue;
        };
        if property.name == "email" {
            let message = format!("Contact already exists. Existing ID: {holder}");
            return Err(errors::error(409, "CONFLICT", &message));
        }
        let message = format!(
            "A {} with {}={value} already exists. Existing ID: {holder}",
            objects.singular, property.name
        );
        return Err(errors::error(409, "CONFLICT", &message));
    }
    Ok(())
}
