//! One value's rule: where it comes from, its codec, where it goes.

use serde_json::{Map, Value};

use super::super::codec::{Codec, Kind, Table, Unknown};
use super::super::document::escape;
use super::super::expression::{Expression, Used, compile as compile_expression};
use super::super::path::Path;
use super::super::plan::Tree;
use super::super::rule::{Case, Source, ValueRule};
use super::super::schema::UnifiedType;
use super::{Compiler, Within};

impl Compiler<'_> {
    pub(super) fn value(&mut self, rule: &Value, within: Within<'_>, tree: &mut Tree) -> Option<ValueRule> {
        let pointer = within.pointer;
        let (codec, source, target) = match rule {
            Value::String(text) => match text.strip_prefix('=') {
                Some(constant) => (Codec::text(), Source::Constant(constant.to_owned()), None),
                None => {
                    let path = self.path(text, pointer)?;
                    (Codec::text(), Source::Paths(vec![(tree.slot(&path), path.clone())]), Some(path))
                }
            },
            Value::Object(rule) => {
                let codec = self.codec(rule, pointer);
                let (source, target) = self.source(rule, within, tree)?;
                (codec?, source, target)
            }
            _ => return None,
        };
        let get = |key: &str| rule.as_object().and_then(|rule| rule.get(key));
        let link = get("link").and_then(Value::as_str).map(str::to_owned);
        let currency = match get("currency").and_then(Value::as_str) {
            Some(text) => {
                self.path(text, &format!("{pointer}/currency")).map(|path| (tree.slot(&path), path))
            }
            None => None,
        };
        let parts = get("parts").and_then(Value::as_array).map(|names| {
            let names = names.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            (names, get("with").and_then(Value::as_str).unwrap_or(" ").to_owned())
        });
        let clear = get("clear")
            .and_then(Value::as_str)
            .and_then(|text| self.path(text, &format!("{pointer}/clear")));
        if let (Some(clear), Some(target)) = (&clear, &target)
            && !clear.overlaps(target)
        {
            self.fault(&format!("{pointer}/clear"), "what is cleared must be what the value stands in");
        }
        let options = match &within.field.kind {
            UnifiedType::Text { options: Some(options), .. } => {
                let mut options = options.clone();
                options.sort();
                Some(options)
            }
            _ => None,
        };
        let value = ValueRule {
            source,
            codec,
            options,
            target: if within.read_only || link.is_some() { None } else { target },
            link,
            null_as: get("null_as").cloned(),
            clear,
            currency,
            parts,
        };
        self.check_value(&value, within);
        if !within.read_only {
            for path in value.targets() {
                // A text in several places is written only where its parts are not named, so it may share them.
                if !matches!(value.source, Source::Join { .. }) {
                    self.writes.push((path.clone(), pointer.to_owned()));
                }
            }
        }
        Some(value)
    }

    pub(super) fn source(
        &mut self,
        rule: &Map<String, Value>,
        within: Within<'_>,
        tree: &mut Tree,
    ) -> Option<(Source, Option<Path>)> {
        let pointer = within.pointer;
        let kinds: Vec<&str> = ["from", "join", "cases", "first_of", "expr", "constant"]
            .into_iter()
            .filter(|kind| rule.contains_key(*kind))
            .collect();
        if kinds.len() != 1 {
            let message = "a rule needs exactly one of `from`, `join`, `cases`, `first_of`, `expr`, `constant`, `each`, `fields`";
            self.fault(pointer, message);
            return None;
        }
        if let Some(constant) = rule.get("constant").and_then(Value::as_str) {
            return Some((Source::Constant(constant.to_owned()), None));
        }
        if let Some(from) = rule.get("from") {
            let texts: Vec<&str> = match from {
                Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
                other => other.as_str().into_iter().collect(),
            };
            let mut paths = Vec::new();
            for text in texts {
                let path = self.path(text, &format!("{pointer}/from"))?;
                paths.push((tree.slot(&path), path));
            }
            let mut target = paths.first().map(|(_, path)| path.clone());
            if let Some(to) = rule.get("to").and_then(Value::as_str) {
                let to = self.path(to, &format!("{pointer}/to"))?;
                if !paths.iter().any(|(_, path)| *path == to) {
                    self.fault(
                        &format!("{pointer}/to"),
                        "`to` must be one of the paths in `from`, or what is written is never read",
                    );
                }
                target = Some(to);
            }
            return Some((Source::Paths(paths), target));
        }
        if let Some(join) = rule.get("join").and_then(Value::as_array) {
            let with = rule.get("with").and_then(Value::as_str).unwrap_or(" ").to_owned();
            let mut parts = Vec::new();
            for (index, text) in join.iter().filter_map(Value::as_str).enumerate() {
                let path = self.path(text, &format!("{pointer}/join/{index}"))?;
                parts.push((tree.slot(&path), path));
            }
            return Some((Source::Join { parts, with, owners: Vec::new() }, None));
        }
        if let Some(cases) = rule.get("cases").and_then(Value::as_array) {
            return self.cases(cases, within, tree).map(|source| (source, None));
        }
        if let Some(rules) = rule.get("first_of").and_then(Value::as_array) {
            let mut made = Vec::new();
            let before = self.writes.len();
            for (index, rule) in rules.iter().enumerate() {
                let pointer = format!("{pointer}/first_of/{index}");
                made.extend(self.value(rule, Within { pointer: &pointer, ..within }, tree));
            }
            self.writes.truncate(before);
            return Some((Source::First(made), None));
        }
        self.expression(rule.get("expr")?, within, tree).map(|source| (source, None))
    }

    pub(super) fn cases(&mut self, cases: &[Value], within: Within<'_>, tree: &mut Tree) -> Option<Source> {
        let mut made: Vec<Case> = Vec::new();
        for (index, case) in cases.iter().enumerate() {
            let pointer = format!("{}/cases/{index}", within.pointer);
            let mut when = Vec::new();
            for (path, wanted) in case.get("when").and_then(Value::as_object).into_iter().flatten() {
                let at = format!("{pointer}/when/{}", escape(path));
                let path = self.path(path, &at)?;
                let wanted = wanted.as_str().map_or_else(|| wanted.to_string(), str::to_owned);
                when.push((tree.slot(&path), path, wanted));
            }
            let value = case.get("value").cloned().unwrap_or(Value::Null);
            self.check_constant(&value, &format!("{pointer}/value"), within.field);
            if when.is_empty() && index + 1 != cases.len() {
                self.fault(&pointer, "a case without `when` always holds, so it can only be the last");
            }
            made.push(Case { when, value });
        }
        // Writing a case sets its conditions; that is its inverse only if no earlier case then holds as well.
        let writable = made.iter().enumerate().all(|(index, case)| {
            let sets =
                |path: &Path| case.when.iter().find(|(_, p, _)| p == path).map(|(_, _, wanted)| wanted);
            let hidden = made.iter().take(index).any(|earlier| {
                !earlier.when.iter().any(|(_, path, wanted)| sets(path).is_some_and(|set| set != wanted))
            });
            !case.when.is_empty() && !hidden
        });
        if !writable && !within.read_only {
            self.fault(
                within.pointer,
                "these cases have no inverse (a case without `when`, or one that an earlier case hides), so the rule must be `read_only: true`",
            );
        }
        Some(Source::Cases { cases: made, writable: writable && !within.read_only })
    }

    pub(super) fn expression(&mut self, expr: &Value, within: Within<'_>, tree: &mut Tree) -> Option<Source> {
        let pointer = format!("{}/expr", within.pointer);
        let mut uses = Vec::new();
        let named: Vec<(Option<String>, &str, String)> = match expr.get("uses") {
            Some(Value::Object(entries)) => entries
                .iter()
                .filter_map(|(name, path)| {
                    Some((Some(name.clone()), path.as_str()?, format!("{pointer}/uses/{}", escape(name))))
                })
                .collect(),
            Some(Value::Array(paths)) => paths
                .iter()
                .enumerate()
                .filter_map(|(index, path)| Some((None, path.as_str()?, format!("{pointer}/uses/{index}"))))
                .collect(),
            _ => Vec::new(),
        };
        for (name, path, at) in named {
            let path = self.path(path, &at)?;
            let name = name.or_else(|| path.last_key().map(str::to_owned)).unwrap_or_default();
            uses.push(Used { name, slot: tree.slot(&path), path });
        }
        let names: Vec<&str> = uses.iter().map(|used| used.name.as_str()).collect();
        let program =
            |source: &str, names: &[&str], at: &str, this: &mut Self| match compile_expression(source, names)
            {
                Ok(program) => Some(program),
                Err(message) => {
                    this.fault(at, message);
                    None
                }
            };
        let read = match expr.get("read").and_then(Value::as_str) {
            Some(source) => Some(program(source, &names, &format!("{pointer}/read"), self)?),
            None => None,
        };
        let mut write = Vec::new();
        let sources: Vec<(&Used, &str, String)> = match expr.get("write") {
            Some(Value::String(source)) => uses
                .first()
                .map(|used| (used, source.as_str(), format!("{pointer}/write")))
                .into_iter()
                .collect(),
            Some(Value::Object(entries)) => entries
                .iter()
                .filter_map(|(name, source)| {
                    let used = uses.iter().find(|used| used.name == *name)?;
                    Some((used, source.as_str()?, format!("{pointer}/write/{}", escape(name))))
                })
                .collect(),
            _ => Vec::new(),
        };
        for (used, source, at) in sources {
            write.push((used.path.clone(), program(source, &["value"], &at, self)?));
        }
        if read.is_none() && !within.write_only {
            self.fault(&pointer, "an expression without `read` needs `write_only: true`");
        }
        if write.is_empty() && !within.read_only {
            self.fault(&pointer, "an expression without `write` needs `read_only: true`");
        }
        if within.read_only {
            write.clear();
        }
        Some(Source::Expression(Box::new(Expression { uses, read, write })))
    }

    pub(super) fn codec(&mut self, rule: &Map<String, Value>, pointer: &str) -> Option<Codec> {
        let values = rule.get("values").and_then(Value::as_object);
        let named = rule.get("as").and_then(Value::as_str);
        let split = rule.get("split").and_then(Value::as_str);
        let name = named.unwrap_or(match (values, split) {
            (Some(_), _) => "words",
            (None, Some(_)) => "list",
            (None, None) => "text",
        });
        let mut codec = match Codec::parse(name) {
            Ok(codec) => codec,
            Err(message) => {
                self.fault(&format!("{pointer}/as"), message);
                return None;
            }
        };
        let mut unused: Vec<&str> = ["values", "unknown", "prefix", "scale", "split", "currency"]
            .into_iter()
            .filter(|key| rule.contains_key(*key) && !rule.contains_key("spread"))
            .collect();
        let mut wrong = None;
        match &mut codec.kind {
            Kind::Words { table, .. } => {
                unused.retain(|key| !["values", "unknown"].contains(key));
                let pairs = values
                    .into_iter()
                    .flatten()
                    .filter_map(|(wire, word)| Some((wire.clone(), word.as_str()?.to_owned())));
                let unknown = match rule.get("unknown") {
                    None | Some(Value::Null) => Unknown::Null,
                    Some(Value::String(word)) if word == "pass" => Unknown::Pass,
                    Some(Value::String(word)) if word == "null" => Unknown::Null,
                    Some(word) => Unknown::Word(word.as_str().unwrap_or_default().to_owned()),
                };
                *table = Table { pairs: pairs.collect(), unknown };
                if table.pairs.is_empty() {
                    wrong =
                        Some("`as: words` needs `values`, a table from the CRM's words to the contract's");
                }
            }
            Kind::Id { prefix, .. } => {
                unused.retain(|key| *key != "prefix");
                *prefix = rule.get("prefix").and_then(Value::as_str).unwrap_or_default().to_owned();
            }
            Kind::Integer { scale, .. } | Kind::Number { scale, .. } => {
                unused.retain(|key| *key != "scale");
                if let Some(factor) = rule.get("scale").and_then(Value::as_u64) {
                    *scale = factor.checked_ilog10().unwrap_or(0);
                    if 10_u64.checked_pow(*scale) != Some(factor) {
                        wrong = Some("`scale` must be a power of ten");
                    }
                }
            }
            Kind::List { separator } => {
                unused.retain(|key| *key != "split");
                *separator = split.unwrap_or(";").to_owned();
            }
            Kind::Money { .. } => unused.retain(|key| *key != "currency"),
            _ => {}
        }
        for key in unused {
            self.fault(&format!("{pointer}/{key}"), format!("`{key}` means nothing to `as: {name}`"));
        }
        if let Some(message) = wrong {
            self.fault(pointer, message);
        }
        Some(codec)
    }
}

/// A codec as a rule's own keys describe it.
#[cfg(test)]
pub(in crate::mapping) fn codec_of(rule: &Map<String, Value>) -> Option<Codec> {
    let document = super::super::Document::parse("t.yaml", "{}").ok()?;
    let mut compiler =
        Compiler { document: &document, faults: Vec::new(), lists: 0, writes: Vec::new(), lossy: false };
    compiler.codec(rule, "")
}
