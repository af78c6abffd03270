//! Writing into JSON values without indexing.

use serde_json::{Map, Value};

/// Sets a member of an object; anything else is left alone.
pub fn put(target: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(members) = target.as_object_mut() {
        members.insert(name.to_owned(), value.into());
    }
}

/// A member of an object; null when there is none.
pub fn at<'a>(members: &'a Map<String, Value>, name: &str) -> &'a Value {
    members.get(name).unwrap_or(&Value::Null)
}

/// What a JSON pointer leads to; null when it leads nowhere.
pub fn dig<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}
