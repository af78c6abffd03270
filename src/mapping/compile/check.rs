//! What can be said against rules without data.

use serde_json::Value;

use super::super::codec::{Kind, Makes, Unknown, kind_of_raw};
use super::super::document::escape;
use super::super::fault::nearest;
use super::super::path::Path;
use super::super::rule::{Field, Rule, Source, ValueRule};
use super::super::schema::{UnifiedField, UnifiedType};
use super::{Compiler, Within};

impl Compiler<'_> {
    /// What a value's codec makes against what its field holds.
    pub(super) fn check_value(&mut self, value: &ValueRule, within: Within<'_>) {
        let field = within.field;
        let pointer = within.pointer;
        if let Source::Constant(text) = &value.source {
            self.check_constant(&Value::from(text.as_str()), pointer, field);
            return;
        }
        if matches!(value.source, Source::Cases { .. } | Source::First(_) | Source::Expression(_)) {
            return;
        }
        let makes = value.codec.makes();
        let fits = match &field.kind {
            UnifiedType::Text { format: Some(format), .. } if format == "date-time" => {
                makes == Makes::Datetime
            }
            UnifiedType::Text { format: Some(format), .. } if format == "date" => makes == Makes::Date,
            UnifiedType::Text { .. } => matches!(makes, Makes::Text | Makes::Date | Makes::Datetime),
            UnifiedType::Integer => makes == Makes::Integer,
            UnifiedType::Number => matches!(makes, Makes::Integer | Makes::Number),
            UnifiedType::Boolean => makes == Makes::Boolean,
            UnifiedType::List(item) => {
                makes == Makes::TextList
                    && matches!(**item, UnifiedType::Text { options: None, .. } | UnifiedType::Any)
            }
            UnifiedType::Object(_) => false,
            UnifiedType::Any => true,
        };
        if !fits {
            let advice = match &field.kind {
                UnifiedType::Text { format: Some(format), .. } if format == "date-time" => {
                    "use `as: datetime`"
                }
                UnifiedType::Text { format: Some(format), .. } if format == "date" => "use `as: date`",
                UnifiedType::Text { .. } => "use `as: text` or `as: id`",
                UnifiedType::Integer => "use `as: integer`",
                UnifiedType::Number => "use `as: number`, `as: integer`, `as: ratio` or `as: money`",
                UnifiedType::Boolean => "use `as: boolean`",
                UnifiedType::List(_) => "use `each:`, `split:` or a list of places",
                _ => "use `fields:`",
            };
            self.fault(
                pointer,
                format!(
                    "`{}` is {}, and the rule makes something else; {advice}",
                    field.name,
                    field.kind.noun()
                ),
            );
        }
        if let (Some(options), Kind::Words { table, .. }) = (&value.options, &value.codec.kind) {
            let mut targets: Vec<&str> = table.pairs.iter().map(|(_, word)| word.as_str()).collect();
            if let Unknown::Word(word) = &table.unknown {
                targets.push(word);
            }
            for word in targets {
                if options.binary_search_by(|option| option.as_str().cmp(word)).is_err() {
                    let wire = table.pairs.iter().find(|(_, known)| known == word).map(|(wire, _)| wire);
                    let at = wire.map_or_else(
                        || format!("{pointer}/unknown"),
                        |wire| format!("{pointer}/values/{}", escape(wire)),
                    );
                    let hint = nearest(word, options.iter().map(String::as_str))
                        .map(|meant| format!("; did you mean `{meant}`?"))
                        .unwrap_or_else(|| format!("; it has {}", options.join(", ")));
                    self.fault(&at, format!("`{word}` is not a word of `{}`{hint}", field.name));
                }
            }
        }
        if let Some(loss) = value.codec.loses()
            && !within.read_only
            && !within.write_only
            && !self.lossy
        {
            self.fault(
                pointer,
                format!(
                    "the rule has no exact inverse ({loss}): say `lossy:`, `read_only:` or `write_only:`"
                ),
            );
        }
    }

    pub(super) fn check_constant(&mut self, value: &Value, pointer: &str, field: &UnifiedField) {
        let fits = match (&field.kind, value) {
            (_, Value::Null) => field.nullable,
            (UnifiedType::Text { options: Some(options), .. }, Value::String(word)) => options.contains(word),
            (UnifiedType::Text { .. }, Value::String(_)) => true,
            (UnifiedType::Boolean, Value::Bool(_)) => true,
            (UnifiedType::Integer, Value::Number(number)) => number.is_i64(),
            (UnifiedType::Number, Value::Number(_)) => true,
            (UnifiedType::Any, _) => true,
            _ => false,
        };
        if !fits {
            let hint = match (&field.kind, value) {
                (UnifiedType::Text { options: Some(options), .. }, Value::String(word)) => {
                    nearest(word, options.iter().map(String::as_str))
                        .map(|meant| format!("; did you mean `{meant}`?"))
                        .unwrap_or_else(|| format!("; it has {}", options.join(", ")))
                }
                _ => String::new(),
            };
            let kind = kind_of_raw(&value.to_string());
            let shown = value.as_str().map_or_else(|| kind.to_owned(), |word| format!("`{word}`"));
            self.fault(pointer, format!("{shown} is not a value of `{}`{hint}", field.name));
        }
    }

    /// Two rules must not write one place.
    pub(super) fn check_overlaps(&mut self) {
        let writes = std::mem::take(&mut self.writes);
        for (index, (path, pointer)) in writes.iter().enumerate() {
            let earlier = writes.iter().take(index).find(|(other, at)| other.overlaps(path) && at != pointer);
            if let Some((other, at)) = earlier {
                let name = at.strip_prefix("/fields/").unwrap_or(at).replace('/', ".");
                let message = if other == path {
                    format!("`{path}` is already written by `{name}`")
                } else {
                    format!("`{path}` overlaps `{other}`, which is written by `{name}`")
                };
                self.fault(pointer, message);
            }
        }
        self.writes = writes;
    }

    /// Fields that are written through another one, and texts in several places, know each other.
    pub(super) fn check_parts(&mut self, fields: &mut [Field]) {
        let mut faults = Vec::new();
        for field in fields.iter() {
            let at = format!("/fields/{}", escape(&field.name));
            if let Some(whole) = &field.part_of {
                let named = fields.iter().find(|other| other.name == *whole).is_some_and(|other| {
                    matches!(&other.rule, Rule::Value(rule) if rule.parts.as_ref().is_some_and(|(parts, _)| parts.contains(&field.name)))
                });
                if !named {
                    faults.push((
                        format!("{at}/part_of"),
                        format!("`{whole}` does not name `{}` among its `parts`", field.name),
                    ));
                }
            }
            if let Rule::Value(ValueRule { parts: Some((parts, _)), .. }) = &field.rule {
                for part in parts {
                    let known = fields.iter().find(|other| other.name == *part);
                    if known.is_none_or(|other| other.part_of.as_deref() != Some(&field.name)) {
                        faults.push((
                            format!("{at}/parts"),
                            format!("the rule of `{part}` must say `part_of: {}`", field.name),
                        ));
                    }
                }
            }
        }
        for (at, message) in faults {
            self.fault(&at, message);
        }
        let owners: Vec<(String, Vec<Path>)> = fields
            .iter()
            .filter_map(|field| match &field.rule {
                Rule::Value(rule) if !matches!(rule.source, Source::Join { .. }) => {
                    Some((field.name.clone(), rule.targets().into_iter().cloned().collect()))
                }
                _ => None,
            })
            .collect();
        for field in fields.iter_mut() {
            if let Rule::Value(ValueRule { source: Source::Join { parts, owners: known, .. }, .. }) =
                &mut field.rule
            {
                let shared =
                    |paths: &[Path]| paths.iter().any(|path| parts.iter().any(|(_, part)| part == path));
                *known =
                    owners.iter().filter(|(_, paths)| shared(paths)).map(|(name, _)| name.clone()).collect();
            }
        }
    }
}
