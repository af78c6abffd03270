//! Custom fields of every kind and made-up values of them, for the laws.

use serde_json::{Value, json};

use super::Custom;
use super::form::Form;
use crate::mapping::laws::Chance;
use crate::model::{FieldDefinition, FieldDefinitions, FieldKind, FieldLimits, FieldOption};

/// One custom field of every kind: `law_text`, `law_integer`, ….
pub(in super::super) fn definitions() -> FieldDefinitions {
    let field = |kind: FieldKind| FieldDefinition {
        id: format!("law_{}", kind.name()),
        name: format!("The {}", kind.name()),
        description: None,
        kind,
        custom: true,
        read_only: false,
        required: false,
        limits: FieldLimits::default(),
        options: ["11", "12", "13"]
            .iter()
            .filter(|_| kind.is_choice() || kind.is_choices())
            .map(|id| FieldOption { id: (*id).to_owned(), label: format!("Option {id}") })
            .collect(),
    };
    FieldDefinitions::new(FieldKind::ALL.into_iter().map(field).collect())
}

/// A body's list of custom fields, with values that the mapping can spell.
pub(in super::super) fn value(custom: &Custom, definitions: &FieldDefinitions, chance: &mut Chance) -> Value {
    let mut made = Vec::new();
    for field in definitions.fields.iter().filter(|_| !custom.read_only) {
        if !chance.one_in(3) {
            continue;
        }
        let Some(value) = one(custom, field.kind, chance) else { continue };
        made.push(match (custom.named, value) {
            (_, Value::Object(_)) if custom.named => continue,
            // Where fields are told by name, their values are text.
            (true, Value::String(text)) => json!({"name": field.id, "value": text}),
            (true, Value::Array(items)) => json!({"name": field.id, "value": items.first()}),
            (true, value) => json!({"name": field.id, "value": value.to_string()}),
            (false, value) => json!({"id": field.id, "value": value}),
        });
    }
    Value::Array(made)
}

/// A value of that kind; none where the CRM's wire has no place for one.
pub(super) fn one(custom: &Custom, kind: FieldKind, chance: &mut Chance) -> Option<Value> {
    let option = |chance: &mut Chance| {
        let id = 11 + chance.below(3);
        if custom.forms.number_options { Value::from(id) } else { Value::from(id.to_string()) }
    };
    let plain = matches!(custom.forms.of(kind), Form::Plain);
    let time = |chance: &mut Chance| {
        format!("{:02}:{:02}:{:02}", chance.below(24), chance.below(60), chance.below(60))
    };
    Some(match kind {
        FieldKind::Integer => json!(chance.below(1_000)),
        FieldKind::Number | FieldKind::Decimal => {
            let number = format!("{}.{:02}{}", chance.below(1_000), chance.below(100), 1 + chance.below(9));
            serde_json::from_str(&number).ok().filter(|_| chance.one_in(2)).unwrap_or(json!(chance.below(9)))
        }
        FieldKind::Money => json!({"amount": chance.below(1_000_000), "currency": "USD"}),
        FieldKind::Boolean => json!(chance.one_in(2)),
        FieldKind::Date => json!(chance.date()),
        FieldKind::Datetime => json!(format!("{}T{}Z", chance.date(), time(chance))),
        FieldKind::Time => json!(time(chance)),
        FieldKind::DateRange | FieldKind::TimeRange | FieldKind::Address if plain && custom.forms.text => {
            return None;
        }
        FieldKind::DateRange => {
            let (one, other) = (chance.date(), chance.date());
            let (start, end) = if one <= other { (one, other) } else { (other, one) };
            json!({"start": start, "end": end})
        }
        FieldKind::TimeRange => json!({"start": time(chance), "end": time(chance)}),
        FieldKind::Select | FieldKind::Radio => option(chance),
        FieldKind::Multiselect | FieldKind::Checkbox => Value::Array(vec![option(chance)]),
        FieldKind::Url => json!(format!("https://example.com/{}", chance.below(99))),
        FieldKind::Email => json!(format!("a{}@example.com", chance.below(99))),
        FieldKind::Phone => json!(format!("+1 202 555 01{:02}", chance.below(99))),
        FieldKind::Color => json!(format!("#{:06x}", chance.below(0x00FF_FFFF))),
        FieldKind::Timezone => json!(chance.pick(&["America/Toronto", "Europe/Brussels", "UTC"])?),
        FieldKind::User | FieldKind::Reference => json!((1 + chance.below(1_000)).to_string()),
        FieldKind::Address => json!({"line1": chance.word(), "city": chance.word(), "country": "BE"}),
        _ => json!(chance.text()),
    })
}
