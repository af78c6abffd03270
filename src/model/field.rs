//! What a CRM says about its own fields: the result of discovery.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// The type of a CRM's field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// One line of text.
    Text,
    /// Several lines of text.
    Textarea,
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Number,
    /// An amount of money.
    Money,
    /// True or false.
    Boolean,
    /// A calendar date.
    Date,
    /// A point in time.
    Datetime,
    /// One of several options.
    Select,
    /// Any of several options.
    Multiselect,
    /// A web address.
    Url,
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
    /// A colour such as `#333333`.
    Color,
    /// An IANA time zone.
    Timezone,
    /// Anything else; its value is passed on as it is.
    Other,
}

/// One option of a select field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldOption {
    /// The option's id on the CRM's side.
    pub id: String,
    /// What users see.
    pub label: String,
}

/// One field of a CRM's object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldDefinition {
    /// The key under which the CRM sends and takes the value.
    pub id: String,
    /// What users see.
    pub name: String,
    /// The CRM's description.
    pub description: Option<String>,
    /// The type.
    pub kind: FieldKind,
    /// Whether the CRM's customer made the field (and not the CRM's vendor).
    pub custom: bool,
    /// Whether the CRM computes it.
    pub read_only: bool,
    /// The options, for select fields.
    pub options: Vec<FieldOption>,
}

/// All fields of one object of one connection, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldDefinitions {
    /// The fields in the CRM's order.
    pub fields: Vec<FieldDefinition>,
    /// Positions in `fields` by id.
    pub by_id: HashMap<String, usize>,
}

impl FieldDefinitions {
    /// Definitions from a list; of two with one id the later wins.
    pub fn new(fields: Vec<FieldDefinition>) -> FieldDefinitions {
        let by_id = fields.iter().enumerate().map(|(index, field)| (field.id.clone(), index)).collect();
        FieldDefinitions { fields, by_id }
    }

    /// The field with that key.
    pub fn get(&self, id: &str) -> Option<&FieldDefinition> {
        self.by_id.get(id).and_then(|&index| self.fields.get(index))
    }
}
