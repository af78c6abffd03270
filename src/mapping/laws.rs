//! What must hold for every mapping, tried on made-up bodies: the CRM is a record that keeps what it is sent.
//!
//! 1. *back*: what a create writes reads back as what was meant, unless a problem or `lossy:` said otherwise.
//! 2. *only*: an update writes only where its fields write, and all other fields read as before.
//! 3. *null*: null clears.

use serde_json::{Map, Value, json};

use super::codec::{Codec, Kind, number_text};
use super::custom::law::{definitions, value as custom_value};
use super::path::{Path, Step};
use super::read::{Frame, Records, read_page};
use super::rule::{Field, Item, Mapping, Rule, Source, ValueRule, field_paths};
use super::schema::{UnifiedField, UnifiedSchema, UnifiedType};
use super::write::{WriteMode, Written, write};
use super::{Reading, Writing};
use crate::model::FieldDefinitions;

/// A law that a mapping breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// `back`, `only` or `null`.
    pub law: &'static str,
    /// The unified field.
    pub field: String,
    /// What was meant and what came of it.
    pub message: String,
}

/// Tries the laws on `cases` made-up bodies; the same seed makes the same bodies.
pub fn check(mapping: &Mapping, schema: &UnifiedSchema, seed: u64, cases: u32) -> Vec<Violation> {
    let mut chance = Chance(seed);
    let mut violations = Vec::new();
    let definitions = definitions();
    for _ in 0..cases {
        let world = World { mapping, definitions: &definitions };
        let body = world.body(schema, &mut chance);
        let written = world.write(&body, WriteMode::Create);
        world.back(&body, &written, &mut violations);
        let record = merged(&world.empty_record(), &Value::Object(written.body));
        let change = world.body(schema, &mut chance);
        for (name, value) in &change {
            let one: Map<String, Value> = [(name.clone(), value.clone())].into_iter().collect();
            world.only(&record, &one, name, &mut violations);
            let none: Map<String, Value> = [(name.clone(), Value::Null)].into_iter().collect();
            if world.field(name).is_some_and(|field| !matches!(field.rule, Rule::Custom)) {
                world.only(&record, &none, name, &mut violations);
                world.null(&record, &none, name, &mut violations);
            }
        }
    }
    violations.sort_by(|a, b| (a.law, &a.field).cmp(&(b.law, &b.field)));
    violations.dedup_by(|a, b| (a.law, &a.field) == (b.law, &b.field));
    violations
}

struct World<'m> {
    mapping: &'m Mapping,
    definitions: &'m FieldDefinitions,
}

impl World<'_> {
    fn write(&self, body: &Map<String, Value>, mode: WriteMode) -> Written {
        let writing = Writing {
            custom_mappings: None,
            definitions: Some(self.definitions),
            currency: Some("USD"),
            timezone: Some("Europe/Brussels"),
            present: None,
            now: None,
        };
        write(self.mapping, body, mode, &writing)
    }

    fn read(&self, record: &Value) -> Value {
        let reading = Reading {
            definitions: Some(self.definitions),
            currency: Some("USD"),
            timezone: Some("Europe/Brussels"),
            ..Reading::default()
        };
        let body = record.to_string();
        let mut out = Records::default();
        let frame = Frame::compile(None, None, &[]);
        let read =
            frame.map(|frame| read_page(self.mapping, &frame, body.as_bytes(), &reading, &mut out).is_ok());
        match read {
            Ok(true) => serde_json::from_slice(&out.json).unwrap_or(Value::Null),
            _ => Value::Null,
        }
    }

    /// A record that has an id only.
    fn empty_record(&self) -> Value {
        let mut record = Value::Object(Map::new());
        let path = self.mapping.id_path().and_then(|path| Path::parse(&path).ok()).unwrap_or_default();
        let mut at = &mut record;
        for step in &path.steps {
            if let (Step::Key(key), Some(map)) = (step, at.as_object_mut()) {
                at = map.entry(key.clone()).or_insert_with(|| Value::Object(Map::new()));
            } else {
                return record;
            }
        }
        *at = json!("1");
        record
    }

    /// Whether a field's value is meant to come back as it was.
    fn field(&self, name: &str) -> Option<&Field> {
        self.mapping.fields.iter().find(|field| field.name == name)
    }

    fn back(&self, body: &Map<String, Value>, written: &Written, violations: &mut Vec<Violation>) {
        let read = self.read(&merged(&self.empty_record(), &Value::Object(written.body.clone())));
        for (name, meant) in body {
            let told = written.problems.iter().any(|problem| concerns(&problem.pointer, name));
            let Some(field) = self.field(name) else { continue };
            if told || field.lossy.is_some() || field.write_only || loses(&field.rule) {
                continue;
            }
            if let Some(link) = link_of(&field.rule) {
                let nothing = meant.as_array().is_some_and(Vec::is_empty);
                if !nothing && !written.links.iter().any(|known| known.name == link) {
                    let message = format!("{meant} should have become the association `{link}`");
                    violations.push(Violation { law: "back", field: name.clone(), message });
                }
                continue;
            }
            // What is written through another field comes back with that one, as the CRM derives it.
            if field.part_of.is_some() {
                continue;
            }
            let got = read.get(name).unwrap_or(&Value::Null);
            if !same(meant, got) {
                let sent = Value::Object(written.body.clone());
                let message = format!("{meant} came back as {got}; the CRM was sent {sent}");
                violations.push(Violation { law: "back", field: name.clone(), message });
            }
        }
    }

    fn only(&self, record: &Value, change: &Map<String, Value>, name: &str, violations: &mut Vec<Violation>) {
        let Some(field) = self.field(name) else { return };
        let written = self.write(change, WriteMode::Update);
        let mut targets = Vec::new();
        self.targets(field, &mut targets);
        let mut leaves = Vec::new();
        leaves_of(&Value::Object(written.body.clone()), &Path::default(), &mut leaves);
        if let Some(stray) = leaves.iter().find(|leaf| !targets.iter().any(|target| touches(target, leaf))) {
            let message = format!("an update of it also writes `{stray}`");
            violations.push(Violation { law: "only", field: name.to_owned(), message });
        }
        let (before, after) = (self.read(record), self.read(&merged(record, &Value::Object(written.body))));
        for other in &self.mapping.fields {
            let mut sources = Vec::new();
            field_paths(other, &mut |path| sources.push(path.clone()));
            let shares = sources.iter().any(|source| targets.iter().any(|target| source.overlaps(target)));
            if other.name == name || shares || matches!(other.rule, Rule::Custom) {
                continue;
            }
            if before.get(&other.name) != after.get(&other.name) {
                let message = format!("an update of it changes `{}`", other.name);
                violations.push(Violation { law: "only", field: name.to_owned(), message });
            }
        }
    }

    fn null(&self, record: &Value, change: &Map<String, Value>, name: &str, violations: &mut Vec<Violation>) {
        let Some(field) = self.field(name) else { return };
        let written = self.write(change, WriteMode::Update);
        if !written.problems.is_empty() || field.write_only || link_of(&field.rule).is_some() {
            return;
        }
        let read = self.read(&merged(record, &Value::Object(written.body)));
        let left = read.get(name).unwrap_or(&Value::Null);
        let cleared = match left {
            Value::Null => true,
            Value::Array(items) => items.is_empty() || has_spread(&field.rule),
            Value::Object(entries) => entries.values().all(Value::is_null),
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        if !cleared {
            let message = format!("null left {left}");
            violations.push(Violation { law: "null", field: name.to_owned(), message });
        }
    }

    /// Every path that a field may write.
    fn targets(&self, field: &Field, into: &mut Vec<Path>) {
        match &field.rule {
            Rule::Value(rule) => {
                into.extend(rule.targets().into_iter().cloned());
                into.extend(rule.clear.clone());
            }
            Rule::Object(fields) => fields.iter().for_each(|field| self.targets(field, into)),
            Rule::Places { places, .. } => {
                places.iter().flat_map(|place| &place.fields).for_each(|field| self.targets(field, into));
            }
            Rule::Each(each) => into.push(each.path.clone()),
            Rule::Custom => into.extend(self.mapping.custom.iter().map(|custom| custom.base.clone())),
        }
        if let Some(whole) = field.part_of.as_ref().and_then(|whole| self.field(whole)) {
            self.targets(whole, into);
        }
    }

    /// A made-up body.
    fn body(&self, schema: &UnifiedSchema, chance: &mut Chance) -> Map<String, Value> {
        let mut body = Map::new();
        for field in &self.mapping.fields {
            let writable = !field.read_only || field.part_of.is_some();
            if !writable || !chance.one_in(2) {
                continue;
            }
            let Some(unified) = schema.field(&field.name) else { continue };
            if let Some(value) = self.value_of(field, unified, chance) {
                body.insert(field.name.clone(), value);
            }
        }
        body
    }

    fn value_of(&self, field: &Field, unified: &UnifiedField, chance: &mut Chance) -> Option<Value> {
        match &field.rule {
            Rule::Value(rule) => value(rule, &unified.kind, chance),
            Rule::Object(fields) => {
                let known = unified.kind.fields();
                Some(Value::Object(self.members(fields, known, chance, true)))
            }
            Rule::Places { places, .. } => {
                let known = unified.kind.fields();
                let places = places.iter().filter(|place| place.spread.is_none());
                let items = places.filter_map(|place| {
                    let members = self.members(&place.fields, known, chance, false);
                    let varies =
                        place.fields.iter().any(|f| !is_constant(f) && members.contains_key(&f.name));
                    (varies && chance.one_in(2)).then_some(Value::Object(members))
                });
                Some(Value::Array(items.collect()))
            }
            Rule::Each(each) => {
                let count = chance.below(4);
                let mut items: Vec<Value> = Vec::new();
                let UnifiedType::List(item) = &unified.kind else { return None };
                for _ in 0..count {
                    let made = match &each.item {
                        Item::Value(rule) => value(rule, item, chance),
                        Item::Fields(fields) => {
                            let members = self.members(fields, item.fields(), chance, false);
                            (!members.is_empty()).then_some(Value::Object(members))
                        }
                    };
                    items.extend(made.filter(|made| !each.distinct || !items.contains(made)));
                }
                Some(Value::Array(items))
            }
            Rule::Custom => {
                self.mapping.custom.as_ref().map(|custom| custom_value(custom, self.definitions, chance))
            }
        }
    }

    /// The keys of an object or element; all of them unless `some`.
    fn members(
        &self,
        fields: &[Field],
        known: &[UnifiedField],
        chance: &mut Chance,
        some: bool,
    ) -> Map<String, Value> {
        let mut made = Map::new();
        for field in fields.iter().filter(|field| !field.read_only || is_constant(field)) {
            if some && !chance.one_in(2) {
                continue;
            }
            let Some(unified) = known.iter().find(|unified| unified.name == field.name) else { continue };
            if let Some(value) = self.value_of(field, unified, chance) {
                made.insert(field.name.clone(), value);
            }
        }
        made
    }
}

fn is_constant(field: &Field) -> bool {
    matches!(&field.rule, Rule::Value(rule) if rule.constant().is_some())
}

fn link_of(rule: &Rule) -> Option<&str> {
    match rule {
        Rule::Value(rule) => rule.link.as_deref(),
        Rule::Each(each) => each.link.as_deref(),
        _ => None,
    }
}

fn has_spread(rule: &Rule) -> bool {
    matches!(rule, Rule::Places { places, .. } if places.iter().any(|place| place.spread.is_some()))
}

/// Whether a part of the rule says that it is lossy.
fn loses(rule: &Rule) -> bool {
    let any = |fields: &[Field]| fields.iter().any(|field| field.lossy.is_some() || loses(&field.rule));
    match rule {
        Rule::Value(_) | Rule::Custom => false,
        Rule::Object(fields) => any(fields),
        Rule::Places { places, .. } => places.iter().any(|place| any(&place.fields)),
        Rule::Each(each) => matches!(&each.item, Item::Fields(fields) if any(fields)),
    }
}

fn concerns(pointer: &str, field: &str) -> bool {
    pointer.strip_prefix('/').is_some_and(|rest| rest == field || rest.starts_with(&format!("{field}/")))
}

/// Whether what came back is what was meant: a record may say more than a body did.
fn same(meant: &Value, got: &Value) -> bool {
    match (meant, got) {
        (Value::Object(meant), Value::Object(got)) => {
            meant.iter().all(|(key, meant)| same(meant, got.get(key).unwrap_or(&Value::Null)))
        }
        (Value::Object(meant), Value::Null) => meant.values().all(Value::is_null),
        (Value::Array(meant), Value::Array(got)) => {
            meant.len() == got.len() && meant.iter().zip(got).all(|(meant, got)| same(meant, got))
        }
        (Value::Array(meant), Value::Null) => meant.is_empty(),
        (Value::Number(meant), Value::Number(got)) => number_text(meant) == number_text(got),
        _ => meant == got,
    }
}

fn leaves_of(value: &Value, at: &Path, into: &mut Vec<Path>) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                leaves_of(value, &at.join(&Path { steps: vec![Step::Key(key.clone())] }), into);
            }
        }
        _ if at.steps.is_empty() => {}
        _ => into.push(at.clone()),
    }
}

/// Whether a written place lies at or within a path, by its keys.
fn touches(target: &Path, leaf: &Path) -> bool {
    let keys = target.steps.iter().take_while(|step| matches!(step, Step::Key(_)));
    keys.clone().count() <= leaf.steps.len() && keys.zip(&leaf.steps).all(|(a, b)| a == b)
}

/// A record after an update: objects are merged, everything else is replaced.
fn merged(record: &Value, change: &Value) -> Value {
    match (record, change) {
        (Value::Object(record), Value::Object(change)) => {
            let mut result = record.clone();
            for (key, value) in change {
                let before = record.get(key).unwrap_or(&Value::Null);
                result.insert(key.clone(), merged(before, value));
            }
            Value::Object(result)
        }
        (_, change) => change.clone(),
    }
}

/// A made-up value that the rule's wire can express.
fn value(rule: &ValueRule, kind: &UnifiedType, chance: &mut Chance) -> Option<Value> {
    match &rule.source {
        Source::Constant(text) => Some(Value::from(text.as_str())),
        Source::Join { .. } if !rule.codec.is_text() => coded(&rule.codec, None, chance),
        Source::Join { parts, with, .. } => {
            let words: Vec<String> = (0..parts.len()).map(|_| chance.word()).collect();
            Some(Value::from(words.join(with)))
        }
        Source::Cases { cases, .. } => {
            let values: Vec<&Value> = cases.iter().map(|case| &case.value).filter(|v| !v.is_null()).collect();
            chance.pick(&values).map(|value| (*value).clone())
        }
        Source::First(rules) => chance.pick(rules).and_then(|rule| value(rule, kind, chance)),
        Source::Expression(_) => plain(kind, chance),
        Source::Paths(_) => coded(&rule.codec, rule.options.as_deref(), chance),
    }
}

fn plain(kind: &UnifiedType, chance: &mut Chance) -> Option<Value> {
    Some(match kind {
        UnifiedType::Text { options: Some(options), .. } => Value::from(chance.pick(options)?.as_str()),
        UnifiedType::Text { .. } => Value::from(chance.text()),
        UnifiedType::Integer | UnifiedType::Number => Value::from(chance.below(1_000)),
        UnifiedType::Boolean => Value::from(chance.one_in(2)),
        _ => return None,
    })
}

fn coded(codec: &Codec, options: Option<&[String]>, chance: &mut Chance) -> Option<Value> {
    Some(match &codec.kind {
        Kind::Upper => {
            // Only currencies are shouted, so that their words fit a closed set.
            let words = ["USD", "EUR", "JPY", "BHD"];
            Value::from(*chance.pick(&words)?)
        }
        Kind::Text if options.is_some() => Value::from(chance.pick(options.unwrap_or_default())?.as_str()),
        Kind::Text | Kind::Html => Value::from(chance.text()),
        Kind::Lower => Value::from(chance.text().to_lowercase()),
        Kind::Json => json!({"any": [chance.below(10), null, chance.text()]}),
        Kind::Numeral => Value::from(format!("{}.{}5", chance.below(1_000_000), chance.below(10))),
        Kind::Integer { .. } => Value::from(i64::try_from(chance.below(2_000_000)).unwrap_or(0) - 1_000_000),
        Kind::Money { .. } => Value::from(i64::try_from(chance.below(1 << 40)).unwrap_or(0) - 1_000),
        Kind::Number { .. } => {
            let number = format!("{}.{:02}", chance.below(1_000), chance.below(100));
            serde_json::from_str(&number).ok()?
        }
        Kind::Boolean { .. } => Value::from(chance.one_in(2)),
        Kind::Id { prefix, number } => {
            let digits = chance.next() >> chance.below(60);
            let text = if *number || chance.one_in(2) { digits.to_string() } else { chance.word() };
            Value::from(format!("{prefix}{text}"))
        }
        Kind::Date { .. } => Value::from(chance.date()),
        Kind::Datetime { .. } => {
            let time = format!("{:02}:{:02}:{:02}", chance.below(24), chance.below(60), chance.below(60));
            let fraction =
                if chance.one_in(2) { format!(".{:03}", 1 + chance.below(99) * 10) } else { String::new() };
            let stamp: jiff::Timestamp = format!("{}T{time}{fraction}Z", chance.date()).parse().ok()?;
            Value::from(stamp.to_string())
        }
        Kind::Words { table, .. } => Value::from(chance.pick(&table.pairs)?.1.as_str()),
        Kind::List { .. } => {
            let count = chance.below(4);
            Value::from((0..count).map(|_| chance.word()).collect::<Vec<_>>())
        }
        Kind::Duration { .. } => Value::from(chance.below(400_000)),
        Kind::Country { .. } => Value::from(*chance.pick(&["BE", "JP", "US"])?),
    })
}

/// Numbers that look random and depend on the seed alone (SplitMix64).
pub(super) struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    pub fn pick<'i, T>(&mut self, items: &'i [T]) -> Option<&'i T> {
        let index = self.below(items.len() as u64);
        items.get(usize::try_from(index).unwrap_or(0))
    }

    pub fn word(&mut self) -> String {
        const LETTERS: [char; 12] = ['a', 'B', 'z', 'é', '日', '1', '0', '-', '_', '"', '\\', '&'];
        (0..1 + self.below(6)).filter_map(|_| self.pick(&LETTERS).copied()).collect()
    }

    pub fn text(&mut self) -> String {
        const BETWEEN: [&str; 5] = [" ", "\n", "\t", "; ", " <b> "];
        let mut text = self.word();
        for _ in 0..self.below(3) {
            text.push_str(self.pick(&BETWEEN).copied().unwrap_or(" "));
            text.push_str(&self.word());
        }
        text
    }

    pub fn date(&mut self) -> String {
        format!("{:04}-{:02}-{:02}", 1971 + self.below(80), 1 + self.below(12), 1 + self.below(28))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::shipped;
    use super::super::{Document, Mapping};
    use super::*;
    use proptest::prelude::*;

    fn laws_hold(connector: &str, resource: &str, seed: u64, cases: u32) {
        let (mapping, schema) = shipped(connector, resource);
        let violations = check(&mapping, &schema, seed, cases);
        assert!(violations.is_empty(), "{connector}/{resource}: {violations:#?}");
    }

    #[test]
    fn the_laws_hold_for_every_shipped_mapping() {
        for connector in ["hubspot", "pipedrive"] {
            for resource in
                ["contacts", "companies", "opportunities", "users", "pipelines", "leads", "notes", "lists"]
            {
                laws_hold(connector, resource, 1, 60);
            }
        }
        for resource in ["list-members", "custom-object-schemas", "custom-objects"] {
            laws_hold("hubspot", resource, 1, 60);
        }
        laws_hold("pipedrive", "activities", 1, 60);
        for source in ["calls", "meetings", "tasks", "emails", "notes"] {
            laws_hold("hubspot", &format!("activities.{source}"), 1, 60);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_laws_hold_for_any_seed(seed in any::<u64>()) {
            laws_hold("hubspot", "contacts", seed, 3);
            laws_hold("hubspot", "opportunities", seed, 3);
            laws_hold("pipedrive", "contacts", seed, 3);
            laws_hold("pipedrive", "opportunities", seed, 3);
        }
    }

    fn broken(rule: &str) -> Vec<String> {
        let schema = json!({"components": {"schemas": {"Thing": {"type": "object", "properties": {
            "id": {"type": "string", "readOnly": true},
            "name": {"type": ["string", "null"]},
            "word": {"type": ["string", "null"]},
            "score": {"type": ["number", "null"]}
        }}}}});
        let schema = UnifiedSchema::from_openapi(&schema, "Thing").unwrap();
        let text = format!(
            "connector: x\nresource: things\nfields:\n  id: {{ from: id, as: id, read_only: true }}\n{rule}"
        );
        let mapping = Mapping::compile(&Document::parse("x.yaml", &text).unwrap(), &schema).unwrap();
        check(&mapping, &schema, 7, 40).iter().map(|v| format!("{} {}", v.law, v.field)).collect()
    }

    #[test]
    fn broken_rules_are_found_out() {
        assert_eq!(broken("  name: a.b\n"), [] as [&str; 0]);
        let wrong_way =
            "  score:\n    expr: { read: a * 2, write: value * 2, uses: { a: x.a } }\n    as: number\n";
        assert_eq!(broken(wrong_way), ["back score"]);
        let forgets = "  name: a.b\n  word:\n    expr: { read: w, write: \"'always'\", uses: { w: x.w } }\n";
        assert_eq!(broken(forgets), ["back word"]);
        assert_eq!(broken("  word: { from: [a, b], to: b, null_as: gone }\n"), ["null word"]);
        assert_eq!(broken("  word: { from: [a, b], to: b, lossy: \"said so\" }\n"), [] as [&str; 0]);
    }
}
