//! Custom fields: their definitions and what each of the fourteen types takes.

use serde_json::{Value, json};

use crate::clock::{iso_s, parse, parse_date, spaced};

/// The custom fields that every installation begins with: resource, id, label, type, options.
const SEEDED: &[(&str, &str, &str, &str, &[&str])] = &[
    ("contacts", "cf_newsletter", "Newsletter", "Boolean", &[]),
    ("contacts", "cf_badge", "Badge", "ColorSwatch", &[]),
    ("contacts", "cf_interests", "Interests", "Checkbox", &["Wine", "Opera", "Sailing", "日本茶"]),
    ("contacts", "cf_birthday", "Birthday", "Date", &[]),
    ("contacts", "cf_last_visit", "Last visit", "DateTime", &[]),
    ("contacts", "cf_regions", "Regions", "MultiSelect", &["North", "South", "Överallt"]),
    ("contacts", "cf_children", "Children", "Number", &[]),
    ("contacts", "cf_budget", "Budget", "Numeric", &[]),
    ("contacts", "cf_gender", "Form of address", "Radio", &["Ms", "Mr", "Mx"]),
    ("contacts", "cf_tier", "Tier", "Select", &["Gold", "Silver", "Bronze"]),
    ("contacts", "cf_homepage", "Homepage", "Url", &[]),
    ("contacts", "cf_nickname", "Nickname", "Text", &[]),
    ("contacts", "cf_remarks", "Remarks", "Textarea", &[]),
    ("contacts", "cf_timezone", "Time zone", "Timezone", &[]),
    ("companies", "cf_tier", "Tier", "Select", &["Gold", "Silver", "Bronze"]),
    ("companies", "cf_founded", "Founded", "Date", &[]),
    ("companies", "cf_fleet", "Fleet size", "Number", &[]),
    ("deals", "cf_budget", "Budget", "Numeric", &[]),
    ("deals", "cf_channels", "Channels", "Checkbox", &["Web", "Phone", "Fair"]),
    ("deals", "cf_signed", "Signed", "Boolean", &[]),
    ("activities", "cf_room", "Room", "Text", &[]),
];

/// One custom field.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its number among the definitions.
    pub id: u64,
    /// The resource that has it.
    pub resource: &'static str,
    /// Its key in records.
    pub field_id: String,
    /// What people see.
    pub label: String,
    /// Its type.
    pub kind: String,
    /// Its options: id and name.
    pub options: Vec<(u64, String)>,
}

/// The fields that every installation begins with.
pub fn seeded() -> Vec<Field> {
    let mut option = 0;
    let fields = SEEDED.iter().zip(1..).map(|((resource, field_id, label, kind, options), id)| Field {
        id,
        resource,
        field_id: (*field_id).to_owned(),
        label: (*label).to_owned(),
        kind: (*kind).to_owned(),
        options: options
            .iter()
            .map(|name| {
                option += 1;
                (option, (*name).to_owned())
            })
            .collect(),
    });
    fields.collect()
}

impl Field {
    /// The definition as on the wire.
    pub fn wire(&self) -> Value {
        let options: Vec<Value> = self
            .options
            .iter()
            .zip(1..)
            .map(|((id, name), at)| json!({ "id": id, "name": name, "display_order": at, "swatch_color": null }))
            .collect();
        let mut wire = json!({
            "id": self.id, "field_type": self.kind, "resource_name": self.resource, "field_id": self.field_id,
            "label": self.label, "is_unique": false,
            "created_at": iso_s(1_672_531_200_000), "updated_at": iso_s(1_672_531_200_000),
        });
        if !options.is_empty() {
            crate::json::put(&mut wire, "options", options);
        }
        wire
    }

    fn option(&self, value: &Value) -> Option<Value> {
        let id = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let found = self.options.iter().find(|(known, _)| Some(*known) == id)?;
        Some(json!({ "id": found.0, "name": found.1, "swatch_color": null }))
    }

    /// What is stored for a value that came in, or what is wrong with it.
    pub fn take(&self, value: &Value) -> Result<Value, String> {
        let wrong = |says: &str| Err(format!("The {} {says}", self.label.to_lowercase()));
        if value.is_null() || value == "" {
            return Ok(if matches!(self.kind.as_str(), "Checkbox" | "MultiSelect") {
                json!([])
            } else {
                Value::Null
            });
        }
        match self.kind.as_str() {
            "Boolean" => match value {
                Value::Bool(_) => Ok(value.clone()),
                _ if value == 0 || value == 1 => Ok(json!(value == 1)),
                _ => wrong("field must be true or false."),
            },
            "ColorSwatch" => match value.as_str() {
                Some(text)
                    if text.len() == 7
                        && text.starts_with('#')
                        && text.bytes().skip(1).all(|byte| byte.is_ascii_hexdigit()) =>
                {
                    Ok(value.clone())
                }
                _ => wrong("format is invalid."),
            },
            "Checkbox" | "MultiSelect" => match value.as_array() {
                Some(list) => {
                    let found: Vec<Value> = list.iter().filter_map(|one| self.option(one)).collect();
                    if found.len() == list.len() { Ok(json!(found)) } else { wrong("is invalid.") }
                }
                None => wrong("must be an array."),
            },
            "Radio" | "Select" => match self.option(value) {
                Some(option) => Ok(crate::json::dig(&option, "/id").clone()),
                None => wrong("is invalid."),
            },
            "Date" => match value.as_str().and_then(parse_date) {
                Some(_) => Ok(value.clone()),
                None => wrong("is not a valid date."),
            },
            "DateTime" => match value.as_str().and_then(parse) {
                Some(at) => Ok(json!(super::table::stamp(parse(&spaced(at)).unwrap_or(at)))),
                None => wrong("is not a valid date."),
            },
            "Number" => match value.as_i64().or_else(|| value.as_str()?.parse().ok()) {
                Some(number) => Ok(json!(number)),
                None => wrong("must be an integer."),
            },
            "Numeric" => match value.as_f64().or_else(|| value.as_str()?.parse().ok()) {
                Some(number) if number.abs() < 1e12 => Ok(json!(format!("{number:.3}"))),
                _ => wrong("must be a number."),
            },
            "Timezone" => match value.as_str() {
                Some(text) if text.contains('/') || text == "UTC" => Ok(value.clone()),
                _ => wrong("must be a valid timezone."),
            },
            "Url" | "Text" => match value.as_str() {
                Some(text) if text.chars().count() <= 191 => Ok(value.clone()),
                Some(_) => wrong("may not be greater than 191 characters."),
                None => wrong("must be a string."),
            },
            _ if value.is_string() => Ok(value.clone()),
            _ => wrong("must be a string."),
        }
    }
}
