//! Tables for people, JSON for programs.

use std::io::Write;

use serde_json::{Map, Value};

use super::Error;

/// Rows to be shown: as a table with a line of headings, or as a JSON array of objects with the same names.
#[derive(Debug)]
pub struct Table {
    columns: &'static [&'static str],
    rows: Vec<Vec<Value>>,
}

impl Table {
    /// A table with those columns.
    pub fn new(columns: &'static [&'static str]) -> Table {
        Table { columns, rows: Vec::new() }
    }

    /// Adds a row, a value for each column.
    pub fn row(mut self, values: Vec<Value>) -> Table {
        self.rows.push(values);
        self
    }

    /// Writes the table.
    pub fn write(&self, json: bool, out: &mut dyn Write) -> Result<(), Error> {
        if json {
            let objects = self.rows.iter().map(|row| {
                let names = self.columns.iter().map(|name| name.to_string());
                Value::Object(names.zip(row.iter().cloned()).collect::<Map<_, _>>())
            });
            writeln!(out, "{:#}", Value::Array(objects.collect()))?;
            return Ok(());
        }
        let heads = self.columns.iter().map(|name| name.replace('_', " ").to_uppercase()).collect();
        let rows = self.rows.iter().map(|row| row.iter().map(text).collect());
        let lines: Vec<Vec<String>> = std::iter::once(heads).chain(rows).collect();
        let width = |at: usize| {
            lines.iter().filter_map(|line| line.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        for line in &lines {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(text).collect::<Vec<_>>().join(" "),
        Value::Object(all) => {
            all.iter().map(|(name, value)| format!("{name}={}", text(value))).collect::<Vec<_>>().join(" ")
        }
        Value::Number(number) => number.to_string(),
    }
}

/// A time in milliseconds since 1970 as ISO 8601 text, to the second.
pub fn time(at_ms: impl Into<Option<i64>>) -> Value {
    let at = at_ms.into().and_then(|at| jiff::Timestamp::from_second(at.div_euclid(1000)).ok());
    at.map_or(Value::Null, |at| Value::String(at.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(json: bool) -> String {
        let table = Table::new(&["id", "last_used", "enabled"])
            .row(vec![json!("é"), Value::Null, json!(true)])
            .row(vec![json!("longer"), time(1_700_000_000_999), json!(false)]);
        let mut out = Vec::new();
        table.write(json, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_line_up() {
        let expected = "ID      LAST USED             ENABLED\n\
                        é       -                     yes\n\
                        longer  2023-11-14T22:13:20Z  no\n";
        assert_eq!(written(false), expected);
    }

    #[test]
    fn json_has_the_same_names() {
        let rows: Value = serde_json::from_str(&written(true)).unwrap();
        assert_eq!(rows[0], json!({ "id": "é", "last_used": null, "enabled": true }));
        assert_eq!(rows[1]["last_used"], "2023-11-14T22:13:20Z");
    }
}
