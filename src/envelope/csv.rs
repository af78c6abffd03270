//! Lists as CSV (RFC 4180): a row a record, columns from `fields` or from the contract.
//!
//! A text stands as it is, a number as the CRM's digits, a boolean as `true` or `false`, null and what is absent as
//! nothing, an empty text as `""`. A list, or an object whose keys the contract does not name, is JSON text in one column; a
//! named part of a list's elements (`emails.email`) is the JSON list of those parts. Cells are exactly the data: nothing is put before a
//! text that a spreadsheet could take for a formula.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::contract;
use crate::mapping::Records;
use crate::model::{FieldMask, Resource};

/// The columns of a table.
#[derive(Debug)]
pub struct Table {
    names: Vec<String>,
    root: Node,
}

/// A place in a record: a column, or what has columns below it.
#[derive(Debug, Default)]
struct Node {
    column: Option<usize>,
    below: Vec<(String, Node)>,
}

/// A cell: a piece of JSON, where there is one.
type Cell<'r> = Option<Cow<'r, str>>;

impl Table {
    /// The columns of a resource: of the fields asked for, in their order, or all in the contract's.
    pub fn new(resource: Resource, fields: Option<&FieldMask>) -> Table {
        let document = contract::document();
        let named = |end: &str| document.pointer(&format!("/components/schemas/{}{end}", resource.schema()));
        let schema = named("Record").or_else(|| named(""));
        let mut table = Table { names: Vec::new(), root: Node::default() };
        let whole = FieldMask::default();
        table.root = table.node("", schema.unwrap_or(&Value::Null), fields.unwrap_or(&whole));
        table
    }

    /// The columns at and below a place.
    fn node(&mut self, path: &str, schema: &Value, fields: &FieldMask) -> Node {
        let schema = resolved(schema);
        let properties = schema.get("properties").and_then(Value::as_object);
        let names: Vec<&String> = match properties {
            _ if !fields.is_all() => fields.fields.iter().map(|(name, _)| name).collect(),
            Some(properties) => properties.keys().collect(),
            None => Vec::new(),
        };
        if names.is_empty() {
            self.names.push(path.to_owned());
            return Node { column: Some(self.names.len() - 1), below: Vec::new() };
        }
        let whole = FieldMask::default();
        let below = names.into_iter().map(|name| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let schema = properties.and_then(|properties| properties.get(name)).unwrap_or(&Value::Null);
            (name.clone(), self.node(&path, schema, fields.below(name).unwrap_or(&whole)))
        });
        Node { column: None, below: below.collect() }
    }

    /// The row of column names.
    pub fn header(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let names = self.names.iter().enumerate();
        names.for_each(|(index, name)| {
            separate(&mut out, index);
            text(&mut out, name);
        });
        out.extend_from_slice(b"\r\n");
        out
    }

    /// The rows of a page, behind what `out` holds already.
    ///
    /// # Errors
    /// If a record is not JSON.
    pub fn rows(&self, records: &Records, mut out: Vec<u8>) -> Result<Bytes, serde_json::Error> {
        out.reserve(records.json.len() / 2);
        let mut cells: Vec<Cell<'_>> = Vec::new();
        for item in &records.items {
            let json = records.json.get(item.start..item.end).unwrap_or_default();
            let record: &RawValue = serde_json::from_slice(json)?;
            cells.clear();
            cells.resize(self.names.len(), None);
            fill(&self.root, record.get(), &mut cells)?;
            for (index, cell) in cells.iter().enumerate() {
                separate(&mut out, index);
                // A row of one empty cell would be an empty line, which readers pass over.
                self.cell(&mut out, cell.as_deref().or((cells.len() == 1).then_some("\"\"")))?;
            }
            out.extend_from_slice(b"\r\n");
        }
        Ok(Bytes::from(out))
    }

    fn cell(&self, out: &mut Vec<u8>, json: Option<&str>) -> Result<(), serde_json::Error> {
        match json {
            None => {}
            Some(json) if json.starts_with('"') => text(out, &serde_json::from_str::<Text<'_>>(json)?.0),
            Some(json) => text(out, json),
        }
        Ok(())
    }
}

/// A schema, its reference followed.
fn resolved(schema: &Value) -> &Value {
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix('#'));
    reference.and_then(|pointer| contract::document().pointer(pointer)).unwrap_or(schema)
}

fn separate(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

/// A text, quoted where it must be, and where it is empty: so that it is told from nothing.
fn text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let space = |byte: Option<&u8>| matches!(byte, None | Some(b' ' | b'\t'));
    if !space(bytes.first())
        && !space(bytes.last())
        && !bytes.iter().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n'))
    {
        out.extend_from_slice(bytes);
        return;
    }
    out.push(b'"');
    let mut parts = text.split('"');
    out.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        out.extend_from_slice(b"\"\"");
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}

/// Finds the cells in a piece of JSON.
fn fill<'r>(node: &Node, json: &'r str, cells: &mut [Cell<'r>]) -> Result<(), serde_json::Error> {
    if let Some(cell) = node.column.and_then(|column| cells.get_mut(column)) {
        *cell = (json != "null").then_some(Cow::Borrowed(json));
        return Ok(());
    }
    match json.as_bytes().first() {
        Some(b'{') => serde_json::Deserializer::from_str(json).deserialize_map(Fill { node, cells }),
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(json)?;
            let mut lists: Vec<(usize, Vec<Cow<'r, str>>)> = Vec::new();
            columns(node, &mut lists);
            let mut own: Vec<Cell<'r>> = vec![None; cells.len()];
            for element in elements {
                own.fill(None);
                fill(node, element.get(), &mut own)?;
                for (column, list) in &mut lists {
                    let cell = own.get_mut(*column).and_then(Option::take);
                    list.push(cell.unwrap_or(Cow::Borrowed("null")));
                }
            }
            for (column, list) in lists {
                if let Some(cell) = cells.get_mut(column) {
                    *cell = Some(Cow::Owned(format!("[{}]", list.join(","))));
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The columns below a place, each with an empty list.
fn columns<'r>(node: &Node, found: &mut Vec<(usize, Vec<Cow<'r, str>>)>) {
    found.extend(node.column.map(|column| (column, Vec::new())));
    for (_, below) in &node.below {
        columns(below, found);
    }
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Walks an object once, taking what has a column.
struct Fill<'n, 'c, 'r> {
    node: &'n Node,
    cells: &'c mut [Cell<'r>],
}

impl<'r> Visitor<'r> for Fill<'_, '_, 'r> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'r>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Text<'r>>()? {
            let value: &'r RawValue = map.next_value()?;
            if let Some((_, below)) = self.node.below.iter().find(|(name, _)| *name == key.0) {
                fill(below, value.get(), self.cells).map_err(serde::de::Error::custom)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Span;

    fn rows(fields: &str, record: &str) -> String {
        let table = Table::new(Resource::Contacts, Some(&FieldMask::parse(fields)));
        let items = vec![Span { start: 0, end: record.len(), id: None }];
        let records = Records { json: record.as_bytes().to_vec(), items, ..Records::default() };
        String::from_utf8(table.rows(&records, table.header()).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn cells_are_exactly_the_data() {
        let record = r#"{"id":"01","name":"O'Neil, \"Kit\"\nb","first_name":"","last_name":null,"title":" x",
            "active":true,"n":1.50,"big":9007199254740993,"tags":["a", "b"],"department":"=1+1"}"#;
        assert_eq!(
            rows("id,name,first_name,last_name,title,active,n,big,tags,department,description", record),
            "id,name,first_name,last_name,title,active,n,big,tags,department,description\r\n\
             01,\"O'Neil, \"\"Kit\"\"\nb\",\"\",,\" x\",true,1.50,9007199254740993,\"[\"\"a\"\", \"\"b\"\"]\",=1+1,\r\n"
        );
    }

    #[test]
    fn parts_of_lists_and_objects() {
        let record = r#"{"emails":[{"email":"a@x","type":"work"},{"email":"b@x"},{}],"o":{"a":{"b":"c"}}}"#;
        assert_eq!(
            rows("emails.email,emails.type,o.a.b,o.z", record),
            "emails.email,emails.type,o.a.b,o.z\r\n\
             \"[\"\"a@x\"\",\"\"b@x\"\",null]\",\"[\"\"work\"\",null,null]\",c,\r\n"
        );
        assert_eq!(rows("last_name", "{}"), "last_name\r\n\"\"\r\n");
    }

    #[test]
    fn without_fields_every_resource_has_the_columns_of_its_contract() {
        for resource in Resource::ALL {
            let table = Table::new(resource, None);
            assert!(table.names.iter().any(|name| name == "id"), "{resource}: {:?}", table.names);
        }
        let contacts = Table::new(Resource::Contacts, None);
        assert_eq!(contacts.names.first().map(String::as_str), Some("id"));
        assert!(contacts.names.iter().any(|name| name == "emails"), "{:?}", contacts.names);
    }
}
