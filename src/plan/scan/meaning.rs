//! What the contract's filters and sorts mean on unified records.

use jiff::Timestamp;
use serde_json::Value;

use crate::model::Resource;

/// How a filter's value is compared with a field's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// The whole text, upper and lower case alike, as CRMs compare names.
    Text,
    /// The digits of a phone number, whatever stands between them.
    Phone,
    /// The same id.
    Id,
    /// The same number.
    Number,
    /// A point in time at or after the filter's.
    Since,
}

/// One filter: what it is called, where it looks, how it compares.
#[derive(Debug, Clone, Copy)]
pub struct Meaning {
    /// Its name in `filter[…]`.
    pub name: &'static str,
    /// Unified fields, elements of lists as `emails.email`; one that holds is enough.
    pub fields: &'static [&'static str],
    /// How.
    pub compare: Compare,
}

const fn means(name: &'static str, fields: &'static [&'static str], compare: Compare) -> Meaning {
    Meaning { name, fields, compare }
}

const UPDATED: Meaning = means("updated_since", &["updated_at"], Compare::Since);
const CREATED: Meaning = means("created_since", &["created_at"], Compare::Since);
const NAME: Meaning = means("name", &["name"], Compare::Text);
const FIRST_NAME: Meaning = means("first_name", &["first_name"], Compare::Text);
const LAST_NAME: Meaning = means("last_name", &["last_name"], Compare::Text);
const TITLE: Meaning = means("title", &["title"], Compare::Text);
const EMAIL: Meaning = means("email", &["emails.email"], Compare::Text);
const PHONE: Meaning = means("phone_number", &["phone_numbers.number"], Compare::Phone);
const OWNER: Meaning = means("owner_id", &["owner_id"], Compare::Id);
const COMPANY: Meaning = means("company_id", &["company_id"], Compare::Id);
const CONTACT: Meaning = means("contact_id", &["contact_id"], Compare::Id);

/// Every filter of the contract.
pub const FILTERS: &[(Resource, &[Meaning])] = &[
    (Resource::Companies, &[NAME, UPDATED, CREATED]),
    (Resource::Contacts, &[NAME, FIRST_NAME, LAST_NAME, EMAIL, PHONE, COMPANY, OWNER, UPDATED, CREATED]),
    (
        Resource::Opportunities,
        &[
            TITLE,
            means("status", &["status"], Compare::Text),
            means("monetary_amount", &["monetary_amount"], Compare::Number),
            means("win_probability", &["win_probability"], Compare::Number),
            COMPANY,
            OWNER,
            means("primary_contact_id", &["primary_contact_id"], Compare::Id),
            // The CRMs' own filter by status id is one by the pipeline's stage.
            means("status_id", &["pipeline_stage_id"], Compare::Id),
        ],
    ),
    (Resource::Leads, &[NAME, FIRST_NAME, LAST_NAME, EMAIL, PHONE]),
    (Resource::Activities, &[COMPANY, OWNER, CONTACT, UPDATED, means("type", &["type"], Compare::Text)]),
    (
        Resource::Notes,
        &[
            TITLE,
            OWNER,
            UPDATED,
            CREATED,
            CONTACT,
            COMPANY,
            means("opportunity_id", &["opportunity_id"], Compare::Id),
        ],
    ),
    (Resource::Users, &[EMAIL, NAME]),
];

/// How the values of a sort are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By letters, upper and lower case alike.
    Text,
    /// By size.
    Number,
    /// By time.
    Time,
}

/// Every sort of the contract: its name, the unified field (of a list's first element), and the order.
pub const SORTS: &[(&str, &str, Order)] = &[
    ("created_at", "created_at", Order::Time),
    ("updated_at", "updated_at", Order::Time),
    ("name", "name", Order::Text),
    ("first_name", "first_name", Order::Text),
    ("last_name", "last_name", Order::Text),
    ("email", "emails.email", Order::Text),
    ("title", "title", Order::Text),
    ("status", "status", Order::Text),
    ("monetary_amount", "monetary_amount", Order::Number),
    ("win_probability", "win_probability", Order::Number),
];

/// What a filter means; none where it means nothing on unified records.
pub fn filter(resource: Resource, name: &str) -> Option<&'static Meaning> {
    let (_, filters) = FILTERS.iter().find(|(known, _)| *known == resource)?;
    filters.iter().find(|meaning| meaning.name == name)
}

/// The field and order of a sort.
pub fn sort(name: &str) -> Option<(&'static str, Order)> {
    SORTS.iter().find(|(known, ..)| *known == name).map(|(_, field, order)| (*field, *order))
}

impl Meaning {
    /// Whether a record passes.
    pub fn holds(&self, record: &Value, wanted: &Value) -> bool {
        self.fields.iter().any(|field| {
            let mut held = false;
            each(record, field, &mut |found| held |= self.compare.holds(wanted, found));
            held
        })
    }
}

impl Compare {
    fn holds(self, wanted: &Value, found: &Value) -> bool {
        match self {
            Compare::Text => text(wanted)
                .zip(text(found))
                .is_some_and(|(wanted, found)| wanted.trim().to_lowercase() == found.trim().to_lowercase()),
            Compare::Id => text(wanted).zip(text(found)).is_some_and(|(wanted, found)| wanted == found),
            Compare::Phone => {
                let digits = |value: &Value| {
                    let digits = |text: String| text.chars().filter(char::is_ascii_digit).collect::<String>();
                    text(value).map(digits).filter(|digits| !digits.is_empty())
                };
                digits(wanted).zip(digits(found)).is_some_and(|(wanted, found)| wanted == found)
            }
            Compare::Number => {
                number(wanted).zip(number(found)).is_some_and(|(wanted, found)| wanted == found)
            }
            Compare::Since => time(wanted).zip(time(found)).is_some_and(|(since, found)| found >= since),
        }
    }
}

/// Every value at a path, through lists.
pub fn each(value: &Value, path: &str, visit: &mut dyn FnMut(&Value)) {
    if let Value::Array(items) = value {
        return items.iter().for_each(|item| each(item, path, visit));
    }
    match path.split_once('.') {
        _ if path.is_empty() => visit(value),
        Some((key, rest)) => value.get(key).into_iter().for_each(|below| each(below, rest, visit)),
        None => value.get(path).into_iter().for_each(|below| each(below, "", visit)),
    }
}

/// A scalar as text.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// A number, also where it is written as text.
pub fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// A point in time.
pub fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::Contract;
    use crate::model::{Operation, Verb};

    #[test]
    fn every_filter_and_sort_of_the_contract_has_a_meaning() {
        let contract = Contract::load().unwrap();
        for resource in Resource::ALL {
            let Some(rules) = contract.rules(Operation::new(resource, Verb::List)) else { continue };
            for (name, _) in &rules.parameters.filter {
                assert!(filter(resource, name).is_some(), "{resource} {name}");
            }
            for name in &rules.parameters.sort {
                assert!(sort(name).is_some(), "{resource} {name}");
            }
        }
    }

    #[test]
    fn values_are_compared_by_what_they_are() {
        let record = json!({"name": "Ada Lovelace", "emails": [{"email": "a@x.y"}, {"email": "B@x.y"}], "updated_at":
            "2026-01-01T00:00:00.5Z", "monetary_amount": 500, "phone_numbers": [{"number": "+32 (0)1-23"}], "company_id": "7"});
        let rows = [
            (NAME, json!("ada LOVELACE"), true),
            (NAME, json!("Ada"), false),
            (EMAIL, json!("b@X.y"), true),
            (PHONE, json!("+320123"), true),
            (PHONE, json!("123"), false),
            (UPDATED, json!("2026-01-01T00:00:00Z"), true),
            (UPDATED, json!("2026-01-01T00:00:01Z"), false),
            (CREATED, json!("1990-01-01T00:00:00Z"), false),
            (COMPANY, json!("7"), true),
            (COMPANY, json!("77"), false),
            (means("m", &["monetary_amount"], Compare::Number), json!(500.0), true),
        ];
        for (meaning, wanted, holds) in rows {
            assert_eq!(meaning.holds(&record, &wanted), holds, "{} {wanted}", meaning.name);
        }
    }
}
