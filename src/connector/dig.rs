//! Dotted paths into a JSON document, for what is read off the hot path: errors, definitions, follow-up reads.

use serde_json::Value;

/// The value at a dotted path such as `paging.next.after` or `errors[0].message`; the document itself for an empty path.
/// `list[key=text]` picks the first entry whose key has that text.
pub fn dig<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').filter(|part| !part.is_empty()).try_fold(value, |at, part| {
        let (name, mut picks) = part.split_once('[').map_or((part, ""), |(name, picks)| (name, picks));
        let mut at = if name.is_empty() { at } else { at.get(name)? };
        while let Some((pick, rest)) = picks.split_once(']') {
            at = match pick.split_once('=') {
                Some((key, text)) => {
                    at.as_array()?.iter().find(|entry| dig_text(entry, key).as_deref() == Some(text))?
                }
                None => at.get(pick.parse::<usize>().ok()?)?,
            };
            picks = rest.trim_start_matches('[');
        }
        Some(at)
    })
}

/// The scalar at a path, as text; none for null, lists and objects.
pub fn dig_text(value: &Value, path: &str) -> Option<String> {
    match dig(value, path)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_to_their_values() {
        let value = json!({"a": {"b": [{"k": 1, "v": "x"}, {"k": 2, "v": "y"}]}, "n": null, "t": true});
        assert_eq!(dig_text(&value, "a.b[1].v"), Some("y".into()));
        assert_eq!(dig_text(&value, "a.b[k=2].v"), Some("y".into()));
        assert_eq!(dig_text(&value, "t"), Some("true".into()));
        assert_eq!(dig(&value, ""), Some(&value));
        for path in ["n", "a", "a.c", "a.b[7].v", "a.b[k=3].v", "a.b[x].v", "t.u"] {
            assert_eq!(dig_text(&value, path), None, "{path}");
        }
    }
}
