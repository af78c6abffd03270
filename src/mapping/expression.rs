//! The last resort: a CEL expression over a few named values. It always ends; length and nesting are bounded.

use std::collections::HashMap;

use cel::{Context, Program, Value as Cel};
use serde_json::Value;

use super::path::Path;
use super::plan::Slot;

/// The longest expression, in bytes.
const LONGEST: usize = 1_000;
/// How deep list expressions (`map`, `filter`, `all`, …) may stand in one another.
const DEEPEST: usize = 2;
/// The longest list or text that is bound, in bytes of JSON.
const LARGEST: usize = 100_000;

/// One value that an expression reads.
#[derive(Debug)]
pub(super) struct Used {
    pub name: String,
    pub slot: Slot,
    pub path: Path,
}

/// A computed field.
#[derive(Debug)]
pub(super) struct Expression {
    pub uses: Vec<Used>,
    pub read: Option<Program>,
    /// What each of the used paths gets; the unified value is `value`.
    pub write: Vec<(Path, Program)>,
}

impl Expression {
    /// The paths that are written.
    pub fn targets(&self) -> Vec<&Path> {
        self.write.iter().map(|(path, _)| path).collect()
    }
}

/// Compiles an expression that may name only certain values.
///
/// Errors: a sentence saying what is wrong.
pub(super) fn compile(source: &str, names: &[&str]) -> Result<Program, String> {
    if source.len() > LONGEST {
        return Err(format!("the expression is longer than {LONGEST} bytes"));
    }
    if nesting(source) > DEEPEST {
        return Err(format!("list expressions stand more than {DEEPEST} deep in one another"));
    }
    let program = Program::compile(source).map_err(|errors| {
        let text = errors.to_string();
        let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("not an expression");
        format!("not a CEL expression: {}", line.trim().trim_start_matches("ERROR: "))
    })?;
    let references = program.references();
    for name in references.variables() {
        // Variables of list expressions are bound by them.
        let bound = ["map", "filter", "all", "exists", "exists_one"]
            .iter()
            .any(|call| source.contains(&format!(".{call}({name}")));
        if !names.contains(&name) && !bound && !name.starts_with('@') {
            return Err(format!("the expression names `{name}`, which is not among its `uses`"));
        }
    }
    Ok(program)
}

/// How deep calls of list expressions stand in one another.
fn nesting(source: &str) -> usize {
    let mut open = Vec::new();
    let mut deepest = 0;
    let mut word = String::new();
    for character in source.chars() {
        match character {
            '(' => {
                let list = matches!(word.as_str(), "map" | "filter" | "all" | "exists" | "exists_one");
                open.push(list);
                deepest = deepest.max(open.iter().filter(|list| **list).count());
                word.clear();
            }
            ')' => {
                open.pop();
                word.clear();
            }
            c if c.is_alphanumeric() || c == '_' => word.push(c),
            _ => word.clear(),
        }
    }
    deepest
}

/// Runs an expression over named values.
///
/// Errors: why it has no value.
pub(super) fn run(program: &Program, values: &[(&str, Value)]) -> Result<Value, String> {
    let mut context = Context::default();
    for (name, value) in values {
        context.add_variable_from_value(*name, to_cel(value)?);
    }
    let result =
        program.execute(&context).map_err(|error| format!("the expression has no value: {error}"))?;
    from_cel(&result)
}

/// The JSON value of a raw text that an expression is given.
pub(super) fn bind(raw: Option<&str>) -> Result<Value, String> {
    match raw {
        None => Ok(Value::Null),
        Some(raw) if raw.len() > LARGEST => Err("the value is too large for an expression".to_owned()),
        Some(raw) => serde_json::from_str(raw).map_err(|error| error.to_string()),
    }
}

fn to_cel(value: &Value) -> Result<Cel, String> {
    Ok(match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(value), _, _) => Cel::Int(value),
            (None, Some(value), _) => Cel::UInt(value),
            (None, None, Some(value)) => Cel::Float(value),
            _ => return Err("the number is out of range".to_owned()),
        },
        Value::String(text) => Cel::from(text.as_str()),
        Value::Array(items) => Cel::from(items.iter().map(to_cel).collect::<Result<Vec<Cel>, String>>()?),
        Value::Object(entries) => {
            let entries: Result<HashMap<String, Cel>, String> =
                entries.iter().map(|(key, value)| Ok((key.clone(), to_cel(value)?))).collect();
            Cel::from(entries?)
        }
    })
}

fn from_cel(value: &Cel) -> Result<Value, String> {
    value.json().map_err(|_| "the expression's value is not JSON".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn expressions_see_only_their_own_values() {
        let program = compile("first + ' ' + last", &["first", "last"]).unwrap();
        let value = run(&program, &[("first", json!("Maya")), ("last", json!("Stone"))]).unwrap();
        assert_eq!(value, json!("Maya Stone"));
        assert!(compile("first + other", &["first"]).unwrap_err().contains("`other`"));
        assert!(compile("first +", &["first"]).unwrap_err().contains("CEL"));
        let program = compile("xs.map(x, x * 2)", &["xs"]).unwrap();
        assert_eq!(run(&program, &[("xs", json!([1, 2]))]).unwrap(), json!([2, 4]));
        assert!(run(&program, &[("xs", json!(1))]).is_err());
    }

    #[test]
    fn length_and_nesting_are_bounded() {
        assert!(compile(&"a+".repeat(600), &["a"]).unwrap_err().contains("longer"));
        let nested = "a.map(x, a.map(y, a.map(z, 1)))";
        assert!(compile(nested, &["a"]).unwrap_err().contains("deep"));
    }
}
