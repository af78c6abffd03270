//! Lists as lines of JSON (`application/x-ndjson`): a record a line, then `_warning` lines, and at the very end `_end`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Ending;
use crate::mapping::Records;
use crate::model::Warning;

/// The records of a page and what is told of them. The records' own bytes are used: their separators become line ends.
pub fn page(records: Records, warnings: &[Warning]) -> Bytes {
    let Records { mut json, items, .. } = records;
    // Outside of texts JSON takes line ends for space, and within them it has none: what a CRM's own layout has left
    // becomes a space.
    for byte in &mut json {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    for item in &items {
        if let Some(separator) = json.get_mut(item.end) {
            *separator = b'\n';
        }
    }
    if !items.is_empty() {
        json.push(b'\n');
    }
    for warning in warnings {
        line(&mut json, &json!({ "_warning": warning }));
    }
    Bytes::from(json)
}

/// The last line.
pub fn end(ending: &Ending) -> Bytes {
    let mut end = json!({
        "complete": ending.error.is_none(),
        "records": ending.records,
        "warnings": ending.warnings,
        "cursor": ending.cursor,
    });
    if let (Some(end), Some(error)) = (end.as_object_mut(), &ending.error) {
        end.insert("error".to_owned(), error.clone());
    }
    let mut out = Vec::new();
    line(&mut out, &json!({ "_end": end }));
    Bytes::from(out)
}

fn line(out: &mut Vec<u8>, value: &Value) {
    super::write(out, value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Span;

    #[test]
    fn each_record_is_one_line_whatever_the_layout_of_its_parts() {
        let (one, two) = ("{\"id\":\"1\",\"a\":[1,\r\n 2]}", "{\"id\":\"2\",\"b\":\"x\\n,y\"}");
        let json = format!("{one},{two}").into_bytes();
        let items = vec![
            Span { start: 0, end: one.len(), id: Some("1".into()) },
            Span { start: one.len() + 1, end: json.len(), id: Some("2".into()) },
        ];
        let records = Records { json, items, ..Records::default() };
        let page = page(records, &[Warning::new("MappingWarning", "one\ntwo")]);
        assert_eq!(
            std::str::from_utf8(&page).unwrap(),
            "{\"id\":\"1\",\"a\":[1,   2]}\n{\"id\":\"2\",\"b\":\"x\\n,y\"}\n\
             {\"_warning\":{\"type\":\"MappingWarning\",\"message\":\"one\\ntwo\"}}\n"
        );
        assert!(super::page(Records::default(), &[]).is_empty());
    }
}
