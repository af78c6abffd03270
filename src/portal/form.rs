//! The form of a connection: its fields, from the manifest's settings and secrets, and what is entered into it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::app::Service;
use crate::connector::manifest::Setting;
use crate::error::{Error, Kind, Result};
use crate::model::Secret;

/// What was entered: settings that may be seen and secrets that may not; none clears.
#[derive(Debug, Default)]
pub struct Entered {
    /// Settings by id.
    pub settings: BTreeMap<String, Option<String>>,
    /// Secrets by id.
    pub secrets: BTreeMap<String, Option<Secret>>,
}

/// The form's fields.
pub fn fields(service: &Service) -> Vec<Value> {
    let manifest = &service.connector.manifest;
    let settings = manifest.settings.iter().map(|setting| field(setting, false));
    settings.chain(manifest.auth.secrets.iter().map(|secret| field(secret, true))).collect()
}

fn field(setting: &Setting, sensitive: bool) -> Value {
    json!({
        "id": setting.id,
        "label": setting.label,
        "type": if sensitive { "password" } else { setting.kind.name() },
        "required": setting.required,
        "placeholder": setting.placeholder,
        "description": setting.description,
        "custom_field": false,
        "allow_custom_values": false,
        "disabled": false,
        "hidden": false,
        "sensitive": sensitive,
        "options": setting.options.iter().map(|option| json!({
            "label": option.label, "value": option.value, "option_type": "simple",
        })).collect::<Vec<_>>(),
    })
}

/// Reads what was entered: `null` and the empty text clear.
///
/// # Errors
/// `RequestValidationError` with every fault: unknown ids, values that are no text, number or boolean, and choices that
/// are not offered.
pub fn read(service: &Service, given: &Map<String, Value>) -> Result<Entered> {
    let manifest = &service.connector.manifest;
    let mut entered = Entered::default();
    let mut faults = Vec::new();
    for (id, value) in given {
        let mut fault = |message: String| {
            faults.push(json!({ "pointer": format!("/settings/{}", escaped(id)), "message": message }));
        };
        let text = match value {
            Value::Null => None,
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(yes) => Some(yes.to_string()),
            Value::Array(_) | Value::Object(_) => {
                fault("Must be a text, number, boolean or null.".to_owned());
                continue;
            }
        };
        if manifest.auth.secrets.iter().any(|secret| secret.id == *id) {
            entered.secrets.insert(id.clone(), text.map(Secret::new));
            continue;
        }
        let Some(setting) = manifest.settings.iter().find(|setting| setting.id == *id) else {
            let known = manifest.settings.iter().chain(&manifest.auth.secrets);
            let known: Vec<&str> = known.map(|setting| setting.id.as_str()).collect();
            fault(format!("This setting is unknown; {} has {}.", manifest.name, known.join(", ")));
            continue;
        };
        let offered = |text: &String| setting.options.iter().any(|option| option.value == *text);
        if text.as_ref().is_some_and(|text| !setting.options.is_empty() && !offered(text)) {
            let values: Vec<&str> = setting.options.iter().map(|option| option.value.as_str()).collect();
            fault(format!("Must be one of {}.", values.join(", ")));
            continue;
        }
        entered.settings.insert(id.clone(), text);
    }
    match faults.as_slice() {
        [] => Ok(entered),
        _ => {
            Err(Error::new(Kind::RequestValidationError, "Some settings cannot be taken; detail lists them.")
                .detail(json!({ "errors": faults })))
        }
    }
}

/// Whether those secrets are enough to sign with: some are there, and all that are required.
pub fn complete(service: &Service, secrets: &BTreeMap<String, Secret>) -> bool {
    let there = |id: &str| secrets.get(id).is_some_and(|secret| !secret.is_empty());
    let all = &service.connector.manifest.auth.secrets;
    all.iter().any(|secret| there(&secret.id))
        && all.iter().filter(|secret| secret.required).all(|secret| there(&secret.id))
}

/// A key as a part of a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
