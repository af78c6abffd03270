//! Field definitions: the built-in ones and the customers' own, known by 40-digit keys.

use serde_json::{Value, json};

use crate::seed::Rng;

/// A field definition.
#[derive(Debug, Clone)]
pub struct Field {
    /// The built-in name, or a 40-digit key.
    pub code: String,
    /// What people see.
    pub name: String,
    /// Pipedrive's type name.
    pub kind: String,
    /// The options of an `enum` or `set`: id and label.
    pub options: Vec<(u64, String)>,
    /// Whether it is a customer's own.
    pub custom: bool,
    /// What it is for.
    pub description: Option<String>,
}

/// The types that fields can have.
pub const KINDS: &[&str] = &[
    "varchar",
    "varchar_auto",
    "text",
    "double",
    "monetary",
    "date",
    "set",
    "enum",
    "user",
    "org",
    "people",
    "phone",
    "time",
    "timerange",
    "daterange",
    "address",
    "boolean",
];

/// The customers' own fields that persons, organizations and deals have in every account: name, type, options.
const OWN: &[(&str, &str, &[&str])] = &[
    ("Nickname", "varchar", &[]),
    ("Source system", "varchar_auto", &[]),
    ("Remarks", "text", &[]),
    ("Score", "double", &[]),
    ("Yearly budget", "monetary", &[]),
    ("Renewal date", "date", &[]),
    ("Tier", "enum", &["Gold", "Silver", "Bronze"]),
    ("Interests", "set", &["Sailing", "Chess", "Cooking"]),
    ("Account manager", "user", &[]),
    ("Parent organization", "org", &[]),
    ("Referred by", "people", &[]),
    ("Backup phone", "phone", &[]),
    ("Best time to call", "time", &[]),
    ("Office hours", "timerange", &[]),
    ("Contract period", "daterange", &[]),
    ("Second address", "address", &[]),
    ("Newsletter", "boolean", &[]),
];

/// The key of one of the seeded custom fields, the same in every account: `entity` is `person`, `organization` or `deal`.
pub fn key(entity: &str, name: &str) -> String {
    Rng::new(0x5EED, &format!("{entity}/{name}"), 0).hash40()
}

/// The fields of an entity: built-in ones by lines `code | name | type`, then the customers' own.
pub fn seeded(entity: &str, lines: &str, with_own: bool, first_option: u64) -> Vec<Field> {
    let built_in = lines.lines().filter_map(|line| {
        let mut cells = line.split('|').map(str::trim);
        let (code, name, kind) = (cells.next()?, cells.next()?, cells.next()?);
        Some(Field {
            code: code.to_owned(),
            name: name.to_owned(),
            kind: kind.to_owned(),
            options: Vec::new(),
            custom: false,
            description: None,
        })
    });
    let mut option = first_option;
    let mut fields: Vec<Field> = built_in.collect();
    if with_own {
        for (name, kind, labels) in OWN {
            let options = labels.iter().map(|label| {
                option += 1;
                (option, (*label).to_owned())
            });
            let options = options.collect();
            fields.push(Field {
                code: key(entity, name),
                name: (*name).to_owned(),
                kind: (*kind).to_owned(),
                options,
                custom: true,
                description: None,
            });
        }
    }
    fields
}

impl Field {
    /// The definition on the wire.
    pub fn to_wire(&self) -> Value {
        let options: Vec<Value> =
            self.options.iter().map(|(id, label)| json!({ "id": id, "label": label })).collect();
        let part = |code: &str, name: &str, kind: &str| json!({ "field_code": code, "field_name": format!("{name} of {}", self.name), "field_type": kind });
        let subfields = match self.kind.as_str() {
            "monetary" => json!([part("value", "Amount", "double"), part("currency", "Currency", "varchar")]),
            "daterange" => json!([part("value", "Start", "date"), part("until", "End", "date")]),
            "timerange" => json!([part("value", "Start", "time"), part("until", "End", "time")]),
            "address" => json!([
                part("value", "Address value", "varchar"),
                part("street_number", "House number", "varchar"),
                part("route", "Street/road name", "varchar"),
                part("locality", "District", "varchar"),
                part("admin_area_level_1", "State/province", "varchar"),
                part("country", "Country", "varchar"),
                part("postal_code", "Postal code", "varchar"),
            ]),
            _ => Value::Null,
        };
        json!({
            "field_name": self.name,
            "field_code": self.code,
            "description": self.description,
            "field_type": self.kind,
            "options": if options.is_empty() { Value::Null } else { Value::Array(options) },
            "subfields": subfields,
            "is_custom_field": self.custom,
            "is_optional_response_field": false,
        })
    }
}
