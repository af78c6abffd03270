//! What a CRM says about its own fields: the result of discovery.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// The type of a CRM's field: what its value is on the unified side.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// One line of text.
    Text,
    /// Several lines of text.
    Textarea,
    /// Text with mark-up, as the CRM keeps it.
    Html,
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Number,
    /// A number with as many decimals as the CRM's definition says, kept exactly.
    Decimal,
    /// An amount of money: `{"amount": 500, "currency": "EUR"}`, in the currency's smallest unit.
    Money,
    /// True or false.
    Boolean,
    /// A calendar date: `2031-05-17`.
    Date,
    /// A point in time: UTC with `Z`.
    Datetime,
    /// A time of day: `09:30:00`.
    Time,
    /// Two calendar dates: `{"start": …, "end": …}`.
    DateRange,
    /// Two times of day: `{"start": …, "end": …}`.
    TimeRange,
    /// One of several options, by its id.
    Select,
    /// The same, shown as buttons.
    Radio,
    /// Any of several options: a list of their ids.
    Multiselect,
    /// The same, shown as boxes to tick.
    Checkbox,
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
    /// The id of a user of the CRM.
    User,
    /// The id of another record, such as a company.
    Reference,
    /// A postal address: an object of its parts.
    Address,
    /// A file, by the CRM's id or address of it.
    File,
    /// Anything else; its value is passed on as it is.
    Other,
}

impl FieldKind {
    /// All kinds, in the order of the table in `mappings/README.md`.
    pub const ALL: [FieldKind; 27] = [
        FieldKind::Text,
        FieldKind::Textarea,
        FieldKind::Html,
        FieldKind::Integer,
        FieldKind::Number,
        FieldKind::Decimal,
        FieldKind::Money,
        FieldKind::Boolean,
        FieldKind::Date,
        FieldKind::Datetime,
        FieldKind::Time,
        FieldKind::DateRange,
        FieldKind::TimeRange,
        FieldKind::Select,
        FieldKind::Radio,
        FieldKind::Multiselect,
        FieldKind::Checkbox,
        FieldKind::Url,
        FieldKind::Email,
        FieldKind::Phone,
        FieldKind::Color,
        FieldKind::Timezone,
        FieldKind::User,
        FieldKind::Reference,
        FieldKind::Address,
        FieldKind::File,
        FieldKind::Other,
    ];

    /// The kind's name in manifests, mappings and replies.
    pub const fn name(self) -> &'static str {
        match self {
            FieldKind::Text => "text",
            FieldKind::Textarea => "textarea",
            FieldKind::Html => "html",
            FieldKind::Integer => "integer",
            FieldKind::Number => "number",
            FieldKind::Decimal => "decimal",
            FieldKind::Money => "money",
            FieldKind::Boolean => "boolean",
            FieldKind::Date => "date",
            FieldKind::Datetime => "datetime",
            FieldKind::Time => "time",
            FieldKind::DateRange => "date_range",
            FieldKind::TimeRange => "time_range",
            FieldKind::Select => "select",
            FieldKind::Radio => "radio",
            FieldKind::Multiselect => "multiselect",
            FieldKind::Checkbox => "checkbox",
            FieldKind::Url => "url",
            FieldKind::Email => "email",
            FieldKind::Phone => "phone",
            FieldKind::Color => "color",
            FieldKind::Timezone => "timezone",
            FieldKind::User => "user",
            FieldKind::Reference => "reference",
            FieldKind::Address => "address",
            FieldKind::File => "file",
            FieldKind::Other => "other",
        }
    }

    /// The kind with that name.
    pub fn from_name(name: &str) -> Option<FieldKind> {
        FieldKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether a value is one option.
    pub const fn is_choice(self) -> bool {
        matches!(self, FieldKind::Select | FieldKind::Radio)
    }

    /// Whether a value is a list of options.
    pub const fn is_choices(self) -> bool {
        matches!(self, FieldKind::Multiselect | FieldKind::Checkbox)
    }
}

/// What a CRM says about a field's values, beyond their type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldLimits {
    /// The most characters of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
    /// The least number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<serde_json::Number>,
    /// The greatest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<serde_json::Number>,
    /// The most decimals of a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u32>,
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
    /// Whether a new record must have it.
    #[serde(default)]
    pub required: bool,
    /// What its values may be, beyond the type.
    #[serde(default)]
    pub limits: FieldLimits,
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
