//! Spoils a finished page: one malformed record, a cursor that does not move.

use serde_json::{Value, json};

use super::BadShape;

/// Makes one record of a page malformed; a body without a list is left as it is.
pub fn bad_record(body: &[u8], at: usize, shape: BadShape) -> Option<Vec<u8>> {
    let mut page: Value = serde_json::from_slice(body).ok()?;
    let record = rows(&mut page)?.get_mut(at)?;
    match shape {
        BadShape::Null => *record = Value::Null,
        BadShape::Text => *record = json!("unexpected"),
        BadShape::MissingId => {
            record.as_object_mut()?.shift_remove("id");
        }
        BadShape::WrongTypes => {
            for (name, value) in record.as_object_mut()? {
                if name == "id" {
                    continue;
                }
                *value = match value {
                    Value::Object(_) | Value::Array(_) => json!(42),
                    Value::String(_) => json!({ "unexpected": true }),
                    _ => json!(["unexpected"]),
                };
            }
        }
    }
    serde_json::to_vec(&page).ok()
}

/// Makes a page announce the given cursor again.
pub fn stuck_cursor(body: &[u8], cursor: &str) -> Option<Vec<u8>> {
    let mut page: Value = serde_json::from_slice(body).ok()?;
    if let Some(after) = page.pointer_mut("/paging/next/after") {
        *after = json!(cursor);
    } else if let Some(next) = page.pointer_mut("/additional_data/next_cursor") {
        *next = json!(cursor);
    }
    serde_json::to_vec(&page).ok()
}

fn rows(page: &mut Value) -> Option<&mut Vec<Value>> {
    for path in ["/results", "/data/items", "/data", "/lists"] {
        if page.pointer(path).is_some_and(Value::is_array) {
            return page.pointer_mut(path)?.as_array_mut();
        }
    }
    None
}
