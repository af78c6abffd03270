//! A mapping file compiled: its rules, the tree of what they read, and where each of them writes.

use serde_json::Value;

use super::codec::{Around, Codec};
use super::custom::Custom;
use super::expression::Expression;
use super::path::{Path, Step};
use super::plan::{Slot, Tree};
use super::schema::UnifiedField;
use crate::model::FieldMask;

/// The rules between one connector's records and one unified resource, ready to read and write.
#[derive(Debug)]
pub struct Mapping {
    /// The connector's id.
    pub connector: String,
    /// The unified resource's name, such as `contacts`.
    pub resource: String,
    pub(super) tree: Tree,
    pub(super) fields: Vec<Field>,
    pub(super) id: Option<ValueRule>,
    pub(super) custom: Option<Custom>,
    /// What a create is given where the body says nothing.
    pub(super) defaults: Vec<Given>,
    /// What clears a value.
    pub(super) null_as: Value,
    /// How many kinds of list elements are read, each with a tree of its own.
    pub(super) lists: usize,
    /// Fields that the contract has and the file has no rule for: name, and whether replies must have it as null.
    pub(super) unmapped: Vec<(String, bool)>,
    /// The file, as faults name it.
    pub(super) file: String,
    /// The contract's fields.
    pub(super) schema: Vec<UnifiedField>,
}

/// What a create is given at a path where the body says nothing, because the CRM insists on it.
#[derive(Debug)]
pub(super) struct Given {
    pub path: Path,
    /// Where the body may have the same value already.
    pub same_as: Option<Path>,
    pub value: GivenValue,
    /// Why, for the warning.
    pub why: String,
}

/// A value that the body does not name.
#[derive(Debug)]
pub(super) enum GivenValue {
    /// The time of the call, as the codec spells it.
    Now(Codec),
    /// Always this.
    Fixed(Value),
}

/// What stands in a reply when there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    Null,
    Omit,
    EmptyText,
    EmptyList,
}

/// A unified field and its rule.
#[derive(Debug)]
pub(super) struct Field {
    pub name: String,
    /// `"name":`, as it is written.
    pub key: Vec<u8>,
    pub rule: Rule,
    pub absent: Absent,
    /// Whether a list element cannot be without it.
    pub required: bool,
    pub read_only: bool,
    pub write_only: bool,
    /// Whether it is written only when the record is made.
    pub create_only: bool,
    pub lossy: Option<String>,
    /// The field through which it is written instead.
    pub part_of: Option<String>,
    /// The line of its rule.
    pub line: u32,
}

/// How a field is read and written.
#[derive(Debug)]
// Most fields are values: a box each would cost a jump per field and record.
#[allow(clippy::large_enum_variant)]
pub(super) enum Rule {
    Value(ValueRule),
    /// Fixed places; `exact` ones take only elements of their own kind.
    Places {
        places: Vec<Place>,
        exact: bool,
    },
    Each(Box<Each>),
    Object(Vec<Field>),
    Custom,
}

/// One value.
#[derive(Debug)]
pub(super) struct ValueRule {
    pub source: Source,
    pub codec: Codec,
    /// The closed set that the value must be in, sorted.
    pub options: Option<Vec<String>>,
    /// Where it is written.
    pub target: Option<Path>,
    /// The association that is written instead of a property.
    pub link: Option<String>,
    pub null_as: Option<Value>,
    /// What is cleared in place of the target.
    pub clear: Option<Path>,
    pub currency: Option<(Slot, Path)>,
    /// The unified fields whose texts make this one when a body has only those, and what stands between them.
    pub parts: Option<(Vec<String>, String)>,
}

/// Where a value comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// The first of several paths that has a value.
    Paths(Vec<(Slot, Path)>),
    /// Always the same text.
    Constant(String),
    /// Several texts in one.
    Join { parts: Vec<(Slot, Path)>, with: String, owners: Vec<String> },
    /// The first case that holds.
    Cases { cases: Vec<Case>, writable: bool },
    /// The first rule that has a value.
    First(Vec<ValueRule>),
    /// A computed value.
    Expression(Box<Expression>),
}

/// One case: what must be so, and the value then.
#[derive(Debug)]
pub(super) struct Case {
    pub when: Vec<(Slot, Path, String)>,
    pub value: Value,
}

/// One fixed place of a list.
#[derive(Debug)]
pub(super) struct Place {
    pub fields: Vec<Field>,
    /// Where it is a text that holds several elements: its slot, path, separator.
    pub spread: Option<Spread>,
}

/// A text that holds several elements of a list.
#[derive(Debug)]
pub(super) struct Spread {
    pub slot: Slot,
    pub path: Path,
    pub separator: String,
}

/// A list made from a list.
#[derive(Debug)]
pub(super) struct Each {
    pub slot: Slot,
    pub path: Path,
    pub tree: Tree,
    /// Its number among the mapping's lists.
    pub list: usize,
    pub item: Item,
    pub distinct: bool,
    pub null_as: Option<Value>,
    pub link: Option<String>,
}

/// What the elements of a list are.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
pub(super) enum Item {
    Fields(Vec<Field>),
    Value(ValueRule),
}

/// One rule as the coverage tables show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleInfo {
    /// The unified field, such as `first_name` or `emails[].type`.
    pub field: String,
    /// The downstream paths it is read from or written to.
    pub paths: Vec<String>,
    /// Whether it is read.
    pub read: bool,
    /// Whether it is written.
    pub write: bool,
    /// What is lost on the way, where something is.
    pub lossy: Option<String>,
    /// The association it is written as.
    pub link: Option<String>,
}

impl Mapping {
    /// The path of the record's id.
    pub fn id_path(&self) -> Option<String> {
        match &self.id.as_ref()?.source {
            Source::Paths(paths) => paths.first().map(|(_, path)| path.to_string()),
            _ => None,
        }
    }

    /// What stands before the CRM's own id in a record's unified id; often nothing.
    pub fn id_prefix(&self) -> &str {
        self.id.as_ref().map_or("", |id| id.codec.prefix())
    }

    /// The unified field that holds the CRM's left-over keys, where one does: `custom_fields`, or another.
    pub fn custom_field(&self) -> Option<&str> {
        self.custom.as_ref().map(|custom| custom.field.as_str())
    }

    /// The keys under which the CRM's left-over keys stand, joined by dots; none at the top of the record.
    pub fn custom_base(&self) -> Option<String> {
        let base = &self.custom.as_ref()?.base;
        (!base.steps.is_empty()).then(|| base.to_string())
    }

    /// The downstream keys that are read right below a path such as `properties`: what must be asked for. With a
    /// field mask only those that the wanted fields need. Sorted, without doubles, without the left-over keys of
    /// custom fields.
    pub fn keys_below(&self, prefix: &str, fields: Option<&FieldMask>) -> Vec<String> {
        let Ok(prefix) = Path::parse(prefix) else { return Vec::new() };
        let mut paths = Vec::new();
        if let Some(id) = &self.id {
            value_paths(id, &mut |path| paths.push(path.clone()));
        }
        for field in &self.fields {
            if fields.is_none_or(|mask| mask.is_all() || mask.below(&field.name).is_some())
                && !field.write_only
            {
                field_paths(field, &mut |path| paths.push(path.clone()));
            }
        }
        let below = |path: &Path| {
            let inside = path.steps.len() > prefix.steps.len() && prefix.overlaps(path);
            match path.steps.get(prefix.steps.len()) {
                Some(Step::Key(key)) if inside => Some(key.clone()),
                _ => None,
            }
        };
        let mut keys: Vec<String> = paths.iter().filter_map(below).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// Whether custom fields are read from the left-over keys right below a path.
    pub fn reads_rest_below(&self, prefix: &str, fields: Option<&FieldMask>) -> bool {
        let wanted = fields.is_none_or(|mask| {
            mask.is_all() || self.custom_field().is_some_and(|field| mask.below(field).is_some())
        });
        wanted
            && self
                .custom
                .as_ref()
                .is_some_and(|custom| Path::parse(prefix).is_ok_and(|prefix| custom.base == prefix))
    }

    /// The paths that a new record is given where the caller says nothing.
    pub fn default_paths(&self) -> impl Iterator<Item = String> {
        self.defaults.iter().map(|given| given.path.to_string())
    }

    /// Every rule, for coverage: list elements as `emails[].email`.
    pub fn rules(&self) -> Vec<RuleInfo> {
        let mut rules = Vec::new();
        describe(&self.fields, "", &mut rules);
        if let Some(custom) = &self.custom {
            rules.push(RuleInfo {
                field: custom.field.clone(),
                paths: vec![custom.base.join(&Path { steps: vec![Step::Rest] }).to_string()],
                read: true,
                write: !custom.read_only,
                lossy: None,
                link: None,
            });
        }
        rules
    }

    /// Unified fields that the connector has no counterpart for.
    pub fn unmapped(&self) -> impl Iterator<Item = &str> {
        self.unmapped.iter().map(|(name, _)| name.as_str())
    }

    /// The path that a unified field is written to, where it is one plain value: for filters and sorts.
    pub fn write_path(&self, field: &str) -> Option<String> {
        match &self.fields.iter().find(|known| known.name == field)?.rule {
            Rule::Value(rule) => rule.target.as_ref().map(ToString::to_string),
            _ => None,
        }
    }
}

fn describe(fields: &[Field], prefix: &str, into: &mut Vec<RuleInfo>) {
    for field in fields {
        let name = format!("{prefix}{}", field.name);
        let mut info = RuleInfo {
            field: name.clone(),
            paths: Vec::new(),
            read: !field.write_only,
            write: !field.read_only,
            lossy: field.lossy.clone(),
            link: None,
        };
        match &field.rule {
            Rule::Value(rule) => {
                value_paths(rule, &mut |path| info.paths.push(path.to_string()));
                info.link = rule.link.clone();
                into.push(info);
            }
            Rule::Object(below) => describe(below, &format!("{name}."), into),
            Rule::Places { places, .. } => {
                let mut below = Vec::new();
                for place in places {
                    describe(&place.fields, &format!("{name}[]."), &mut below);
                    if let Some(spread) = &place.spread {
                        for rule in below.iter_mut().filter(|rule| rule.paths.iter().any(|path| path == "."))
                        {
                            rule.paths = vec![spread.path.to_string()];
                        }
                    }
                }
                merge(below, &info, into);
            }
            Rule::Each(each) => {
                let mut below = Vec::new();
                match &each.item {
                    Item::Fields(fields) => describe(fields, &format!("{name}[]."), &mut below),
                    Item::Value(_) => {
                        info.paths.push(each.path.to_string());
                        info.link = each.link.clone();
                        below.push(info.clone());
                    }
                }
                if let Item::Fields(_) = each.item {
                    for rule in &mut below {
                        for path in &mut rule.paths {
                            *path = format!("{}[].{path}", each.path);
                        }
                    }
                }
                merge(below, &info, into);
            }
            Rule::Custom => {}
        }
    }
}

/// Adds rules of list elements, those of one name as one.
fn merge(below: Vec<RuleInfo>, around: &RuleInfo, into: &mut Vec<RuleInfo>) {
    for mut rule in below {
        rule.read &= around.read;
        rule.write &= around.write;
        rule.lossy = rule.lossy.or_else(|| around.lossy.clone());
        match into.iter_mut().find(|known| known.field == rule.field) {
            Some(known) => {
                known.paths.append(&mut rule.paths);
                known.read |= rule.read;
                known.write |= rule.write;
            }
            None => into.push(rule),
        }
    }
}

/// All paths that a value is read from, its currency's included.
pub(super) fn value_paths(rule: &ValueRule, each: &mut dyn FnMut(&Path)) {
    match &rule.source {
        Source::Paths(paths) | Source::Join { parts: paths, .. } => {
            paths.iter().for_each(|(_, path)| each(path))
        }
        Source::Constant(_) => {}
        Source::Cases { cases, .. } => {
            cases.iter().flat_map(|case| &case.when).for_each(|(_, path, _)| each(path));
        }
        Source::First(rules) => rules.iter().for_each(|rule| value_paths(rule, each)),
        Source::Expression(expression) => expression.uses.iter().for_each(|used| each(&used.path)),
    }
    if let Some((_, path)) = &rule.currency {
        each(path);
    }
}

/// All paths that a field is read from; for lists made from lists, the list's.
pub(super) fn field_paths(field: &Field, each: &mut dyn FnMut(&Path)) {
    match &field.rule {
        Rule::Value(rule) => value_paths(rule, each),
        Rule::Object(fields) => fields.iter().for_each(|field| field_paths(field, each)),
        Rule::Places { places, .. } => places.iter().for_each(|place| match &place.spread {
            Some(spread) => each(&spread.path),
            None => place.fields.iter().for_each(|field| field_paths(field, each)),
        }),
        Rule::Each(list) => each(&list.path),
        Rule::Custom => {}
    }
}

impl ValueRule {
    /// Whether it is the same text always.
    pub fn constant(&self) -> Option<&str> {
        match &self.source {
            Source::Constant(text) => Some(text),
            _ => None,
        }
    }

    /// All paths it writes.
    pub fn targets(&self) -> Vec<&Path> {
        match &self.source {
            Source::Join { parts, .. } => parts.iter().map(|(_, path)| path).collect(),
            Source::Cases { cases, writable: true } => {
                let mut paths: Vec<&Path> =
                    cases.iter().flat_map(|c| &c.when).map(|(_, path, _)| path).collect();
                paths.sort_by_key(|path| path.to_string());
                paths.dedup();
                paths
            }
            Source::First(rules) => rules.iter().flat_map(ValueRule::targets).collect(),
            Source::Expression(expression) => expression.targets(),
            _ => self.target.iter().collect(),
        }
    }
}

/// What codecs need, with the amount's own currency where the rule names one.
pub(super) fn with_currency<'a>(around: Around<'a>, own: Option<&'a str>) -> Around<'a> {
    Around { currency: own.or(around.currency), ..around }
}
