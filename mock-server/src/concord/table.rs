//! One resource's records, in id order.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::clock::iso_ms;

/// One record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its id.
    pub id: u64,
    /// Its members but for times and links.
    pub members: Map<String, Value>,
    /// When it was created.
    pub created_ms: i64,
    /// When it last changed.
    pub updated_ms: i64,
    /// Whether it lies in the trash.
    pub trashed: bool,
}

impl Record {
    /// A member; null when there is none.
    pub fn get(&self, name: &str) -> &Value {
        self.members.get(name).unwrap_or(&Value::Null)
    }

    /// A member as text; empty when it is none.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).as_str().unwrap_or("")
    }
}

/// A resource's records.
#[derive(Debug, Clone)]
pub struct Table {
    /// The records by id.
    pub records: BTreeMap<u64, Record>,
    /// Whether the demo records were generated.
    pub loaded: bool,
    next_id: u64,
}

impl Table {
    /// A table without records.
    pub fn new(first_id: u64) -> Table {
        Table { records: BTreeMap::new(), loaded: false, next_id: first_id }
    }

    /// Adds a record; answers its id.
    pub fn add(&mut self, members: Map<String, Value>, at_ms: i64) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let record = Record { id, members, created_ms: at_ms, updated_ms: at_ms, trashed: false };
        self.records.insert(id, record);
        id
    }

    /// A record that is not in the trash.
    pub fn live(&self, id: u64) -> Option<&Record> {
        self.records.get(&id).filter(|record| !record.trashed)
    }
}

/// An instant as Laravel writes it: `2026-01-31T08:05:09.000000Z`.
pub fn stamp(ms: i64) -> String {
    let text = iso_ms(ms - ms.rem_euclid(1000));
    format!("{}000Z", text.trim_end_matches('Z'))
}
