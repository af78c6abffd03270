//! More of a record than its own reply holds: further chunks of its properties, and what follow-up reads found.

use serde_json::Value;

use crate::connector::dig::{dig, dig_text};
use crate::mapping::Extras;

/// Adds a value that stands at `graft` in the record of that id.
pub fn add(extras: &mut Extras, id: String, graft: &str, value: &Value) {
    extras.entry(id).or_default().push((graft.to_owned(), value.to_string().into_boxed_str()));
}

/// Adds the records of a reply that holds another chunk of the same records' properties.
///
/// # Errors
/// If the reply is not JSON.
pub fn chunk(
    extras: &mut Extras,
    records: Option<&str>,
    id_path: &str,
    body: &[u8],
) -> Result<(), serde_json::Error> {
    let body: Value = serde_json::from_slice(body)?;
    let found = dig(&body, records.unwrap_or_default());
    let entries = match found {
        Some(Value::Array(entries)) => entries.as_slice(),
        Some(record) => std::slice::from_ref(record),
        None => &[],
    };
    for record in entries {
        if let Some(id) = dig_text(record, id_path) {
            add(extras, id, "", record);
        }
    }
    Ok(())
}

/// Adds all of `more`.
pub fn merge(extras: &mut Extras, more: Extras) {
    for (id, mut values) in more {
        extras.entry(id).or_default().append(&mut values);
    }
}

/// The records of a reply, by id, if one of them may hold but the beginning of a list: there are more than `usual`
/// cursors in it. Most replies are not parsed for that.
///
/// # Errors
/// If the reply is not JSON.
pub fn unfinished(
    records: Option<&str>,
    id_path: &str,
    body: &[u8],
    usual: usize,
) -> Result<Vec<(String, Value)>, serde_json::Error> {
    if memchr::memmem::find_iter(body, b"\"after\"").take(usual + 1).count() <= usual {
        return Ok(Vec::new());
    }
    let body: Value = serde_json::from_slice(body)?;
    let entries = match dig(&body, records.unwrap_or_default()) {
        Some(Value::Array(entries)) => entries.as_slice(),
        Some(record) => std::slice::from_ref(record),
        None => &[],
    };
    Ok(entries.iter().filter_map(|record| Some((dig_text(record, id_path)?, record.clone()))).collect())
}
