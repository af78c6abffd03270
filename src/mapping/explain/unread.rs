//! What of a record no rule reads.

use std::collections::HashSet;

use serde_json::Value;

use super::super::Reading;
use super::super::path::{Path, Step};
use super::super::plan::Found;
use super::super::rule::{Field, Item, Mapping, Rule, field_paths, value_paths};
use super::Explained;

/// The most entries.
const MOST: usize = 200;

/// Paths of a record that no rule reads, each with the value that was met first.
pub(super) fn of(
    mapping: &Mapping,
    texts: &[&str],
    found: &Found<'_>,
    fields: &[Explained],
    reading: &Reading<'_>,
) -> Vec<(String, Value)> {
    let mut paths = Vec::new();
    mapping.fields.iter().filter(|field| !field.write_only).for_each(|field| read_by(field, &mut paths));
    if let Some(id) = &mapping.id {
        value_paths(id, &mut |path| paths.push(path.clone()));
    }
    if let Some(custom) = &mapping.custom {
        // Custom fields are read by the rule of all of them: those that are shown, have no value, or are not wanted.
        let wanted = reading.fields.is_none_or(|mask| mask.is_all() || mask.below(&custom.field).is_some());
        let prefix = format!("{}[", custom.field);
        let shown: HashSet<&str> = fields
            .iter()
            .filter(|explained| explained.field.starts_with(&prefix))
            .flat_map(|explained| &explained.from)
            .map(|from| from.path.as_str())
            .collect();
        for (key, raw) in &found.rest {
            let path = custom.base.join(&Path { steps: vec![Step::Key(key.text().into_owned())] });
            let empty = *raw == "null" || *raw == "\"\"";
            if !wanted || empty || shown.contains(path.to_string().as_str()) {
                paths.push(path);
            }
        }
    }
    // What an element of a list is chosen by is read as well.
    let mut chosen_by = Vec::new();
    for path in &paths {
        for (depth, step) in path.steps.iter().enumerate() {
            if let Step::Choice(key, _) = step
                && !key.is_empty()
            {
                let mut steps: Vec<Step> = path.steps.iter().take(depth).cloned().collect();
                steps.extend([Step::Choice(String::new(), String::new()), Step::Key(key.clone())]);
                chosen_by.push(Path { steps });
            }
        }
    }
    paths.append(&mut chosen_by);
    let mut search = Search { paths: &paths, known: HashSet::new(), out: Vec::new() };
    for text in texts {
        if let Ok(record) = serde_json::from_str::<Value>(text) {
            let all: Vec<usize> = (0..paths.len()).collect();
            search.value(&record, "", &all, 0);
        }
    }
    search.out
}

/// Every path that a field reads, elements of lists as `list[=]`.
fn read_by(field: &Field, into: &mut Vec<Path>) {
    let Rule::Each(each) = &field.rule else {
        return match &field.rule {
            Rule::Object(fields) => fields.iter().for_each(|field| read_by(field, into)),
            _ => field_paths(field, &mut |path| into.push(path.clone())),
        };
    };
    let element = each.path.join(&Path { steps: vec![Step::Choice(String::new(), String::new())] });
    let mut below = Vec::new();
    match &each.item {
        Item::Value(rule) => value_paths(rule, &mut |path| below.push(path.clone())),
        Item::Fields(fields) => fields.iter().for_each(|field| read_by(field, &mut below)),
    }
    into.extend(below.iter().map(|path| element.join(path)));
}

struct Search<'p> {
    paths: &'p [Path],
    known: HashSet<String>,
    out: Vec<(String, Value)>,
}

impl Search<'_> {
    /// Looks at a value that the first `depth` steps of the given paths lead to.
    fn value(&mut self, value: &Value, at: &str, leading: &[usize], depth: usize) {
        let steps =
            |path: &usize| self.paths.get(*path).map(|path| path.steps.as_slice()).unwrap_or_default();
        if leading.iter().any(|path| steps(path).len() == depth) || self.out.len() >= MOST {
            return;
        }
        let next = |wanted: &dyn Fn(&Step) -> bool| -> Vec<usize> {
            leading.iter().copied().filter(|path| steps(path).get(depth).is_some_and(wanted)).collect()
        };
        match value {
            Value::Object(entries) if !leading.is_empty() => {
                let below: Vec<(String, &Value, Vec<usize>)> = entries
                    .iter()
                    .map(|(key, value)| {
                        let path = Path { steps: vec![Step::Key(key.clone())] }.to_string();
                        let at = if at.is_empty() { path } else { format!("{at}.{path}") };
                        (at, value, next(&|step| matches!(step, Step::Key(known) if known == key)))
                    })
                    .collect();
                below.iter().for_each(|(at, value, paths)| self.value(value, at, paths, depth + 1));
            }
            Value::Array(items) if !leading.is_empty() => {
                let below: Vec<Vec<usize>> = (0..items.len())
                    .map(|index| {
                        next(&|step| match step {
                            Step::Index(known) => *known == index,
                            Step::Choice(..) => true,
                            _ => false,
                        })
                    })
                    .collect();
                for (value, paths) in items.iter().zip(&below) {
                    // An element that a rule could have taken, and did not, is no field that none reads.
                    if !paths.is_empty() {
                        self.value(value, &format!("{at}[]"), paths, depth + 1);
                    }
                }
            }
            value if !at.is_empty() && self.known.insert(at.to_owned()) => {
                self.out.push((at.to_owned(), value.clone()));
            }
            _ => {}
        }
    }
}
