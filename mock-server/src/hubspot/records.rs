//! One object's records: kept by column, in id order, written straight to bytes.

use std::collections::{BTreeMap, HashMap};

use super::property::Property;
use crate::clock::{iso_ms, now_ms};
use crate::seed::mix;

/// One record; its values stand in the order of the object's properties.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its id.
    pub id: u64,
    /// Its values; absent and beyond the end mean empty.
    pub values: Vec<Option<Box<str>>>,
    /// When it was created.
    pub created_ms: i64,
    /// When it last changed.
    pub updated_ms: i64,
    /// When it was archived, if it was.
    pub archived_ms: Option<i64>,
}

impl Record {
    /// A value by its column.
    pub fn get(&self, column: usize) -> Option<&str> {
        self.values.get(column).and_then(|value| value.as_deref())
    }

    /// Sets or clears a value.
    pub fn set(&mut self, column: usize, value: Option<String>) {
        if self.values.len() <= column {
            self.values.resize(column + 1, None);
        }
        if let Some(slot) = self.values.get_mut(column) {
            *slot = value.map(String::into_boxed_str);
        }
    }
}

/// The system properties' columns.
#[derive(Debug, Clone, Copy, Default)]
pub struct System {
    /// `hs_object_id`.
    pub id: usize,
    /// The creation time.
    pub created: usize,
    /// The modification time.
    pub modified: usize,
    /// `hs_createdate`, which may be a second creation time.
    pub hs_created: usize,
    /// `hs_lastmodifieddate`, which may be a second modification time.
    pub hs_modified: usize,
}

/// What a customer-defined object adds.
#[derive(Debug, Clone, Default)]
pub struct Custom {
    /// `p<portal>_<name>`.
    pub fully_qualified: String,
    /// What it is for.
    pub description: Option<String>,
    /// The property that names a record.
    pub primary_display: Option<String>,
    /// More properties shown with a record.
    pub secondary_display: Vec<String>,
    /// Association definitions, as on the wire.
    pub associations: Vec<serde_json::Value>,
    /// When it was defined.
    pub created_ms: i64,
    /// When it last changed.
    pub updated_ms: i64,
    /// Whether it was archived.
    pub archived: bool,
}

/// An object: its definition and its records.
#[derive(Debug, Clone)]
pub struct Objects {
    /// Plural name, as in paths.
    pub name: String,
    /// Singular name, as in messages and association names.
    pub singular: String,
    /// What people call one and many.
    pub labels: (String, String),
    /// Object type id.
    pub type_id: String,
    /// Properties answered when none are asked for.
    pub defaults: Vec<String>,
    /// Properties that a new record must have.
    pub required: Vec<String>,
    /// Properties that a search for words looks at.
    pub searchable: Vec<String>,
    /// Its definition, if it is a customer's own.
    pub custom: Option<Custom>,
    /// The properties; a column never moves.
    pub properties: Vec<Property>,
    /// The system properties' columns.
    pub system: System,
    /// The records by id.
    pub records: BTreeMap<u64, Record>,
    /// Whether the demo records were generated.
    pub loaded: bool,
    /// How many records its list shows that are not kept, but made whenever they are read; they are all it then shows.
    pub computed: u64,
    next_id: u64,
    columns: HashMap<String, usize>,
    unique: HashMap<usize, HashMap<String, u64>>,
}

/// The properties that a reply shows, resolved once for all its records.
#[derive(Debug)]
pub struct Wanted(Vec<(Vec<u8>, usize)>);

impl Objects {
    /// An object without records.
    pub fn new(
        name: &str,
        singular: &str,
        type_id: &str,
        first_id: u64,
        properties: Vec<Property>,
    ) -> Objects {
        Objects {
            name: name.to_owned(),
            singular: singular.to_owned(),
            labels: (singular.to_owned(), name.to_owned()),
            type_id: type_id.to_owned(),
            defaults: Vec::new(),
            required: Vec::new(),
            searchable: Vec::new(),
            custom: None,
            columns: properties
                .iter()
                .enumerate()
                .map(|(at, property)| (property.name.clone(), at))
                .collect(),
            properties,
            system: System::default(),
            records: BTreeMap::new(),
            loaded: false,
            computed: 0,
            next_id: first_id,
            unique: HashMap::new(),
        }
    }

    /// Says which columns hold the system properties.
    pub fn set_system(&mut self, created: &str, modified: &str) {
        let column = |name: &str| self.columns.get(name).copied().unwrap_or(0);
        self.system = System {
            id: column("hs_object_id"),
            created: column(created),
            modified: column(modified),
            hs_created: column("hs_createdate"),
            hs_modified: column("hs_lastmodifieddate"),
        };
    }

    /// The column of a property that is not archived.
    pub fn column(&self, name: &str) -> Option<usize> {
        let column = *self.columns.get(name)?;
        (!self.properties.get(column)?.archived).then_some(column)
    }

    /// A property that is not archived.
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.get(self.column(name)?)
    }

    /// A property, archived or not.
    pub fn any_property_mut(&mut self, name: &str) -> Option<&mut Property> {
        let column = *self.columns.get(name)?;
        self.properties.get_mut(column)
    }

    /// Adds a property; one that was archived comes back with the new definition.
    pub fn add_property(&mut self, property: Property) {
        match self.columns.get(&property.name).copied() {
            Some(column) => {
                if let Some(old) = self.properties.get_mut(column) {
                    *old = property;
                }
            }
            None => {
                self.columns.insert(property.name.clone(), self.properties.len());
                self.properties.push(property);
            }
        }
    }

    /// A value of a record by the property's name.
    pub fn value<'a>(&self, record: &'a Record, name: &str) -> Option<&'a str> {
        record.get(self.column(name)?)
    }

    /// Hands out the next id; ids ascend with gaps.
    pub fn take_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1 + mix(id) % 9;
        id
    }

    /// A new, empty record with its system properties; not yet kept.
    pub fn blank(&mut self, now: i64) -> Record {
        let id = self.take_id();
        self.blank_of(id, now)
    }

    /// An empty record of that id with its system properties; not kept.
    pub fn blank_of(&self, id: u64, now: i64) -> Record {
        let mut record = Record {
            id,
            values: vec![None; self.properties.len()],
            created_ms: now,
            updated_ms: now,
            archived_ms: None,
        };
        record.set(self.system.id, Some(id.to_string()));
        self.stamp(&mut record);
        record
    }

    /// Writes a record's times into its properties.
    pub fn stamp(&self, record: &mut Record) {
        let (created, updated) = (iso_ms(record.created_ms), iso_ms(record.updated_ms));
        if self.system.hs_created != self.system.created {
            record.set(self.system.hs_created, Some(created.clone()));
        }
        if self.system.hs_modified != self.system.modified {
            record.set(self.system.hs_modified, Some(updated.clone()));
        }
        record.set(self.system.created, Some(created));
        record.set(self.system.modified, Some(updated));
    }

    /// Keeps a new record.
    pub fn keep(&mut self, record: Record) {
        self.index(&record);
        self.records.insert(record.id, record);
    }

    fn index(&mut self, record: &Record) {
        for (column, _) in self.properties.iter().enumerate().filter(|(_, property)| property.unique) {
            if let Some(value) = record.get(column) {
                self.unique.entry(column).or_default().insert(value.to_lowercase(), record.id);
            }
        }
    }

    /// Changes a live record; times move on, indexes follow.
    pub fn change(&mut self, id: u64, values: Vec<(usize, Option<String>)>) {
        let Some(mut record) = self.records.remove(&id) else { return };
        self.unindex(&record);
        for (column, value) in values {
            record.set(column, value);
        }
        record.updated_ms = now_ms().max(record.updated_ms + 1);
        self.stamp(&mut record);
        self.index(&record);
        self.records.insert(id, record);
    }

    fn unindex(&mut self, record: &Record) {
        for (column, values) in &mut self.unique {
            if let Some(value) = record.get(*column) {
                values.remove(&value.to_lowercase());
            }
        }
    }

    /// Archives a record; false when there is no live one.
    pub fn archive(&mut self, id: u64) -> bool {
        let Some(record) = self.records.get_mut(&id).filter(|record| record.archived_ms.is_none()) else {
            return false;
        };
        let now = now_ms();
        record.archived_ms = Some(now);
        record.updated_ms = now;
        let record = record.clone();
        self.unindex(&record);
        true
    }

    /// A record that is not archived.
    pub fn live(&self, id: u64) -> Option<&Record> {
        self.records.get(&id).filter(|record| record.archived_ms.is_none())
    }

    /// The live record that holds a value of a unique property.
    pub fn holder(&self, column: usize, value: &str) -> Option<u64> {
        self.unique.get(&column)?.get(&value.to_lowercase()).copied()
    }

    /// How many records are not archived.
    pub fn live_count(&self) -> usize {
        self.records.values().filter(|record| record.archived_ms.is_none()).count()
    }

    /// Resolves the properties that a reply shows: those asked for (or the default ones) and the system ones.
    pub fn wanted<'a>(&'a self, asked: impl IntoIterator<Item = &'a str>) -> Wanted {
        let mut names: Vec<&str> = asked.into_iter().collect();
        if names.is_empty() {
            names.extend(self.defaults.iter().map(String::as_str));
        }
        for column in [self.system.id, self.system.created, self.system.modified] {
            names.extend(self.properties.get(column).map(|property| property.name.as_str()));
        }
        names.sort_unstable();
        names.dedup();
        let columns = names.into_iter().filter_map(|name| {
            let mut key = serde_json::to_vec(name).ok()?;
            key.push(b':');
            Some((key, self.column(name)?))
        });
        Wanted(columns.collect())
    }

    /// Writes a record without its closing brace, so that more members can follow.
    pub fn write_open(&self, out: &mut Vec<u8>, record: &Record, wanted: &Wanted, nulls: bool) {
        out.extend_from_slice(b"{\"id\":\"");
        out.extend_from_slice(record.id.to_string().as_bytes());
        out.extend_from_slice(b"\",\"properties\":{");
        let mut first = true;
        for (key, column) in &wanted.0 {
            let value = record.get(*column);
            if value.is_none() && !nulls {
                continue;
            }
            if !first {
                out.push(b',');
            }
            first = false;
            out.extend_from_slice(key);
            match value {
                Some(value) => write_text(out, value),
                None => out.extend_from_slice(b"null"),
            }
        }
        out.extend_from_slice(b"},\"createdAt\":");
        self.write_time(out, record, self.system.created);
        out.extend_from_slice(b",\"updatedAt\":");
        self.write_time(out, record, self.system.modified);
        match record.archived_ms {
            Some(at) => {
                out.extend_from_slice(b",\"archived\":true,\"archivedAt\":\"");
                out.extend_from_slice(iso_ms(at).as_bytes());
                out.push(b'"');
            }
            None => out.extend_from_slice(b",\"archived\":false"),
        }
    }

    fn write_time(&self, out: &mut Vec<u8>, record: &Record, column: usize) {
        out.push(b'"');
        out.extend_from_slice(record.get(column).unwrap_or("").as_bytes());
        out.push(b'"');
    }
}

/// Writes a text as a JSON string.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    let plain = !text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    if plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing to memory cannot fail.
        let _ = serde_json::to_writer(out, text);
    }
}
