//! One entity's records, in id order.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::field::Field;
use crate::clock::iso_s;

/// One record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its id.
    pub id: u64,
    /// Its members, in the order of the wire.
    pub members: Map<String, Value>,
    /// When it was added.
    pub add_ms: i64,
    /// When it last changed.
    pub update_ms: i64,
    /// Whether it was deleted.
    pub deleted: bool,
}

impl Record {
    /// A member; null when there is none.
    pub fn get(&self, name: &str) -> &Value {
        self.members.get(name).unwrap_or(&Value::Null)
    }

    /// Writes the id, times and deletion into the members.
    pub fn stamp(&mut self) {
        for (name, value) in [
            ("id", json!(self.id)),
            ("add_time", json!(iso_s(self.add_ms))),
            ("update_time", json!(iso_s(self.update_ms))),
            ("is_deleted", json!(self.deleted)),
        ] {
            if let Some(member) = self.members.get_mut(name) {
                *member = value;
            }
        }
    }
}

/// An entity's records and fields.
#[derive(Debug, Clone)]
pub struct Table {
    /// The records by id.
    pub records: BTreeMap<u64, Record>,
    /// The field definitions.
    pub fields: Vec<Field>,
    /// Whether the demo records were generated.
    pub loaded: bool,
    next_id: u64,
}

impl Table {
    /// A table without records.
    pub fn new(first_id: u64, fields: Vec<Field>) -> Table {
        Table { records: BTreeMap::new(), fields, loaded: false, next_id: first_id }
    }

    /// Hands out the next id.
    pub fn take_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// A record that was not deleted.
    pub fn live(&self, id: u64) -> Option<&Record> {
        self.records.get(&id).filter(|record| !record.deleted)
    }

    /// A custom field by its key.
    pub fn custom(&self, key: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.custom && field.code == key)
    }

    /// Custom fields without values.
    pub fn empty_custom(&self) -> Map<String, Value> {
        self.fields
            .iter()
            .filter(|field| field.custom)
            .map(|field| (field.code.clone(), Value::Null))
            .collect()
    }
}
