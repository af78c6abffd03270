//! Property definitions and the checks that values must pass.

use serde_json::{Value, json};

use crate::clock::{date, iso_ms, parse, parse_date};

/// What a property holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A day.
    Date,
    /// An instant.
    Datetime,
    /// One or several of the options.
    Enumeration,
    /// A decimal number.
    Number,
    /// Text.
    Text,
    /// A telephone number.
    Phone,
}

impl Kind {
    /// The kind of a wire name.
    pub fn of(name: &str) -> Option<Kind> {
        Some(match name {
            "bool" => Kind::Bool,
            "date" => Kind::Date,
            "datetime" => Kind::Datetime,
            "enumeration" => Kind::Enumeration,
            "number" => Kind::Number,
            "string" => Kind::Text,
            "phone_number" => Kind::Phone,
            _ => return None,
        })
    }

    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Date => "date",
            Kind::Datetime => "datetime",
            Kind::Enumeration => "enumeration",
            Kind::Number => "number",
            Kind::Text => "string",
            Kind::Phone => "phone_number",
        }
    }
}

/// One choice of an enumeration.
#[derive(Debug, Clone)]
pub struct Choice {
    /// What people see.
    pub label: String,
    /// What records hold.
    pub value: String,
    /// Whether forms hide it.
    pub hidden: bool,
}

/// A property definition.
#[derive(Debug, Clone)]
pub struct Property {
    /// The internal name.
    pub name: String,
    /// What people see.
    pub label: String,
    /// What it holds.
    pub kind: Kind,
    /// How forms show it.
    pub field_type: String,
    /// The group it is listed in.
    pub group: String,
    /// What it is for.
    pub description: String,
    /// The choices of an enumeration.
    pub choices: Vec<Choice>,
    /// Whether only HubSpot writes its values.
    pub read_only: bool,
    /// Whether HubSpot computes it.
    pub calculated: bool,
    /// Whether no two records may share a value.
    pub unique: bool,
    /// Whether its values are ids of owners.
    pub owner: bool,
    /// Whether HubSpot defined it.
    pub hubspot_defined: bool,
    /// Whether it was archived.
    pub archived: bool,
    /// When it was defined.
    pub created_ms: i64,
    /// When its definition last changed.
    pub updated_ms: i64,
}

/// Why a value was refused.
#[derive(Debug, Clone)]
pub struct Refused {
    /// HubSpot's code.
    pub code: &'static str,
    /// What it says.
    pub message: String,
}

fn refused<T>(code: &'static str, message: String) -> Result<T, Refused> {
    Err(Refused { code, message })
}

impl Property {
    /// Reads a line `name | label | kind field | group | flags | choice, choice`; flags are r(ead only), c(alculated),
    /// u(nique), o(wner's id) and x (a customer's own). A choice is `value` or `value=label`.
    pub fn from_line(line: &str) -> Option<Property> {
        let mut cells = line.split('|').map(str::trim);
        let name = cells.next()?.to_owned();
        let label = cells.next()?.to_owned();
        let (kind, field_type) = cells.next()?.split_once(' ')?;
        let group = cells.next().unwrap_or("").to_owned();
        let flags = cells.next().unwrap_or("");
        let choices =
            cells.next().unwrap_or("").split(',').map(str::trim).filter(|choice| !choice.is_empty());
        let choices = choices.map(|choice| {
            let (value, label) = choice.split_once('=').unwrap_or((choice, choice));
            Choice { label: label.to_owned(), value: value.to_owned(), hidden: false }
        });
        Some(Property {
            name,
            label,
            kind: Kind::of(kind)?,
            field_type: field_type.to_owned(),
            group,
            description: String::new(),
            choices: choices.collect(),
            read_only: flags.contains('r') || flags.contains('c'),
            calculated: flags.contains('c'),
            unique: flags.contains('u'),
            owner: flags.contains('o') || line.trim_start().starts_with("hubspot_owner_id "),
            hubspot_defined: !flags.contains('x'),
            archived: false,
            created_ms: 1_577_836_800_000,
            updated_ms: 1_609_459_200_000,
        })
    }

    /// The definition on the wire.
    pub fn to_wire(&self) -> Value {
        let options: Vec<Value> = self
            .choices
            .iter()
            .enumerate()
            .map(|(order, choice)| {
                json!({
                    "label": choice.label,
                    "value": choice.value,
                    "description": "",
                    "displayOrder": order,
                    "hidden": choice.hidden,
                })
            })
            .collect();
        let mut wire = json!({
            "updatedAt": iso_ms(self.updated_ms),
            "createdAt": iso_ms(self.created_ms),
            "name": self.name,
            "label": self.label,
            "type": self.kind.name(),
            "fieldType": self.field_type,
            "description": self.description,
            "groupName": self.group,
            "options": options,
            "displayOrder": -1,
            "calculated": self.calculated,
            "externalOptions": self.owner,
            "archived": self.archived,
            "hasUniqueValue": self.unique,
            "hidden": false,
            "hubspotDefined": self.hubspot_defined,
            "modificationMetadata": {
                "archivable": !self.hubspot_defined,
                "readOnlyDefinition": self.hubspot_defined,
                "readOnlyOptions": self.hubspot_defined && !self.choices.is_empty(),
                "readOnlyValue": self.read_only,
            },
            "formField": !self.read_only,
            "dataSensitivity": "non_sensitive",
        });
        if let Some(wire) = wire.as_object_mut() {
            if !self.hubspot_defined {
                // HubSpot leaves the flag out for a customer's own properties.
                wire.shift_remove("hubspotDefined");
                wire.insert("createdUserId".to_owned(), json!("2620022"));
                wire.insert("updatedUserId".to_owned(), json!("2620022"));
            }
            if self.owner {
                wire.insert("referencedObjectType".to_owned(), json!("OWNER"));
            }
        }
        wire
    }

    /// Checks a value as a client wrote it and gives it in the form that is kept; `None` clears.
    pub fn check(&self, value: &Value) -> Result<Option<String>, Refused> {
        let text = match value {
            Value::Null => return Ok(None),
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Array(_) | Value::Object(_) => {
                return refused("INVALID_JSON", format!("{} must be a string", self.name));
            }
        };
        if text.is_empty() {
            return Ok(None);
        }
        match self.kind {
            Kind::Text | Kind::Phone => match self.name.as_str() {
                "email" if !looks_like_email(&text) => {
                    refused("INVALID_EMAIL", format!("Email address {text} is invalid"))
                }
                "email" => Ok(Some(text.to_lowercase())),
                _ if text.len() > 65_536 => refused(
                    "PROPERTY_VALUE_TOO_LONG",
                    format!("{} is too long: the limit is 65536 characters", self.name),
                ),
                _ => Ok(Some(text)),
            },
            Kind::Number => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Some(text)),
                _ => refused("INVALID_DOUBLE", format!("{text} was not a valid number.")),
            },
            Kind::Bool => match text.to_lowercase().as_str() {
                flag @ ("true" | "false") => Ok(Some(flag.to_owned())),
                _ => refused(
                    "INVALID_BOOLEAN",
                    format!("{text} was not one of the allowed options: [true, false]"),
                ),
            },
            Kind::Date => self.check_date(&text),
            Kind::Datetime => match text.parse::<i64>().ok().or_else(|| parse(&text)) {
                Some(ms) => Ok(Some(iso_ms(ms))),
                None => refused("INVALID_LONG", format!("{text} was not a valid long.")),
            },
            Kind::Enumeration => self.check_choice(&text),
        }
    }

    fn check_date(&self, text: &str) -> Result<Option<String>, Refused> {
        let ms = parse_date(text).or_else(|| text.parse::<i64>().ok()).or_else(|| parse(text));
        match ms {
            None => refused("INVALID_LONG", format!("{text} was not a valid long.")),
            Some(ms) if ms.rem_euclid(crate::clock::DAY_MS) != 0 => {
                refused("INVALID_DATE", format!("{} is at {} UTC, not midnight!", ms, iso_ms(ms)))
            }
            Some(ms) => Ok(Some(date(ms))),
        }
    }

    fn check_choice(&self, text: &str) -> Result<Option<String>, Refused> {
        if self.choices.is_empty() {
            return Ok(Some(text.to_owned()));
        }
        let many = self.field_type == "checkbox";
        let given: Vec<&str> = if many { text.split(';').collect() } else { vec![text] };
        for one in given.iter().filter(|one| !one.is_empty()) {
            if !self.choices.iter().any(|choice| choice.value == *one) {
                let allowed: Vec<&str> = self.choices.iter().map(|choice| choice.value.as_str()).collect();
                return refused(
                    "INVALID_OPTION",
                    format!("{one} was not one of the allowed options: [{}]", allowed.join(", ")),
                );
            }
        }
        Ok(Some(text.to_owned()))
    }
}

fn looks_like_email(text: &str) -> bool {
    let Some((mailbox, domain)) = text.rsplit_once('@') else { return false };
    !mailbox.is_empty()
        && !mailbox.contains(['@', ' '])
        && domain.contains('.')
        && domain.split('.').all(|label| !label.is_empty())
        && !domain.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(line: &str, value: Value) -> Result<Option<String>, &'static str> {
        Property::from_line(line).unwrap().check(&value).map_err(|refused| refused.code)
    }

    #[test]
    fn values() {
        type Row = (&'static str, Value, Result<Option<&'static str>, &'static str>);
        let rows: [Row; 14] = [
            ("email | E | string text", json!("MAYA@Example.com"), Ok(Some("maya@example.com"))),
            ("email | E | string text", json!("maya@example"), Err("INVALID_EMAIL")),
            ("n | N | number number", json!(12.5), Ok(Some("12.5"))),
            ("n | N | number number", json!("12,5"), Err("INVALID_DOUBLE")),
            ("n | N | number number", json!(""), Ok(None)),
            ("b | B | bool booleancheckbox", json!(true), Ok(Some("true"))),
            ("b | B | bool booleancheckbox", json!("yes"), Err("INVALID_BOOLEAN")),
            ("d | D | date date", json!("1957-03-02"), Ok(Some("1957-03-02"))),
            ("d | D | date date", json!("86400000"), Ok(Some("1970-01-02"))),
            ("d | D | date date", json!("1970-01-02T01:00:00Z"), Err("INVALID_DATE")),
            ("t | T | datetime date", json!("1500"), Ok(Some("1970-01-01T00:00:01.500Z"))),
            ("s | S | enumeration select | | | a, b=Bee", json!("b"), Ok(Some("b"))),
            ("s | S | enumeration select | | | a, b=Bee", json!("a;b"), Err("INVALID_OPTION")),
            ("s | S | enumeration checkbox | | | a, b=Bee", json!("a;b"), Ok(Some("a;b"))),
        ];
        for (line, value, expected) in rows {
            assert_eq!(
                checked(line, value.clone()),
                expected.map(|kept| kept.map(str::to_owned)),
                "{line} {value}"
            );
        }
    }
}
