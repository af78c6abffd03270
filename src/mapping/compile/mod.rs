//! From a mapping document to its rules: every static fault is found, all at once, with its place.

mod check;
pub(super) mod value;

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::codec::{Codec, Makes};
use super::custom::Custom;
use super::document::{Document, escape};
use super::fault::{Fault, nearest};
use super::path::Path;
use super::plan::Tree;
use super::rule::{Absent, Each, Field, Given, GivenValue, Item, Mapping, Place, Rule, Spread, ValueRule};
use super::schema::{UnifiedField, UnifiedSchema, UnifiedType};

/// The JSON Schema of mapping files, for editors and for the structural check.
pub const SCHEMA: &str = include_str!("../../../mappings/schema.json");

/// Keys that replies must have even when nothing is known: what the published SDKs insist on.
const ALWAYS: [(&str, &str); 5] = [
    ("Contact", "name"),
    ("Company", "name"),
    ("Opportunity", "primary_contact_id"),
    ("Lead", "company_name"),
    ("Activity", "type"),
];

/// Fields of the contract that no mapping file speaks about.
const ELSEWHERE: [&str; 2] = ["pass_through", "custom_mappings"];

static STRUCTURE: LazyLock<Option<(Value, jsonschema::Validator)>> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(SCHEMA).ok()?;
    let validator = jsonschema::validator_for(&schema).ok()?;
    Some((schema, validator))
});

impl Mapping {
    /// Compiles a mapping file against the contract's schema of its resource.
    ///
    /// Errors: every fault that can be seen without data.
    pub fn compile(document: &Document, schema: &UnifiedSchema) -> Result<Mapping, Vec<Fault>> {
        let mut faults = match STRUCTURE.as_ref() {
            Some((schema, validator)) => document.validate_with(validator, schema),
            None => vec![document.fault("", "the schema of mapping files is itself broken")],
        };
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut compiler =
            Compiler { document, faults: Vec::new(), lists: 0, writes: Vec::new(), lossy: false };
        let mapping = compiler.mapping(schema);
        faults = compiler.faults;
        if faults.is_empty() {
            return Ok(mapping);
        }
        faults.sort_by(|a, b| (a.line, a.column, &a.message).cmp(&(b.line, b.column, &b.message)));
        faults.dedup();
        Err(faults)
    }
}

struct Compiler<'d> {
    document: &'d Document,
    faults: Vec<Fault>,
    lists: usize,
    /// What is written where: the path, and the pointer of the rule.
    writes: Vec<(Path, String)>,
    /// Whether the field being compiled, or one around it, says that it is lossy.
    lossy: bool,
}

/// What a rule is part of.
#[derive(Clone, Copy)]
struct Within<'a> {
    /// The pointer of the rule in the document.
    pointer: &'a str,
    /// The unified field it makes.
    field: &'a UnifiedField,
    /// Whether an enclosing rule is only read or only written.
    read_only: bool,
    write_only: bool,
}

impl Compiler<'_> {
    fn fault(&mut self, pointer: &str, message: impl Into<String>) {
        let fault = self.document.fault(pointer, message);
        self.faults.push(fault);
    }

    fn mapping(&mut self, schema: &UnifiedSchema) -> Mapping {
        let root = self.document.value();
        let text = |key: &str| root.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut tree = Tree::default();
        let held = root.pointer("/custom_fields/field").and_then(Value::as_str).unwrap_or("custom_fields");
        let empty = Map::new();
        let given = root.get("fields").and_then(Value::as_object).unwrap_or(&empty);
        for name in given.keys() {
            if schema.field(name).is_none()
                || name == "custom_fields"
                || name == held
                || ELSEWHERE.contains(&name.as_str())
            {
                let hint = nearest(name, schema.fields.iter().map(|field| field.name.as_str()))
                    .filter(|meant| meant != name)
                    .map(|meant| format!("; did you mean `{meant}`?"))
                    .unwrap_or_default();
                let pointer = format!("/fields/{}", escape(name));
                let message =
                    format!("`{name}` is not a field of {} that can be mapped here{hint}", schema.name);
                let fault = self.document.fault_at_key(&pointer, message);
                self.faults.push(fault);
            }
        }
        let read_only = root.get("read_only") == Some(&Value::Bool(true));
        let mut fields = Vec::new();
        let mut unmapped = Vec::new();
        for field in &schema.fields {
            let always = ALWAYS.contains(&(schema.name.as_str(), field.name.as_str()));
            match given.get(&field.name) {
                Some(rule) => {
                    let pointer = format!("/fields/{}", escape(&field.name));
                    let within = Within { pointer: &pointer, field, read_only, write_only: false };
                    fields.extend(self.field(rule, within, &mut tree));
                }
                None if field.name == "custom_fields"
                    || field.name == held
                    || ELSEWHERE.contains(&field.name.as_str()) => {}
                None => unmapped.push((field.name.clone(), always)),
            }
        }
        let null_as = root.get("null_as").cloned().unwrap_or(Value::Null);
        let custom = root.get("custom_fields").and_then(|rule| match schema.field(held) {
            Some(field) => {
                let custom = Custom::compile(rule, field, &null_as, &mut tree);
                match custom {
                    Ok(custom) => {
                        fields.push(Field {
                            name: field.name.clone(),
                            key: key_of(&field.name),
                            rule: Rule::Custom,
                            absent: Absent::EmptyList,
                            required: false,
                            read_only: custom.read_only,
                            write_only: false,
                            create_only: false,
                            lossy: None,
                            part_of: None,
                            line: self.document.line("/custom_fields"),
                        });
                        Some(custom)
                    }
                    Err(message) => {
                        self.fault("/custom_fields/from", message);
                        None
                    }
                }
            }
            None => {
                self.fault("/custom_fields", format!("{} has no field `{held}`", schema.name));
                None
            }
        });
        let defaults = self.defaults(root);
        self.check_overlaps();
        self.check_parts(&mut fields);
        let id = fields
            .iter()
            .position(|field| field.name == "id")
            .filter(|_| given.contains_key("id"))
            .and_then(|_| self.id(given.get("id")?, schema, &mut tree));
        if id.is_none() && schema.field("id").is_some() {
            self.fault("/fields", "a rule for `id` is needed");
        }
        Mapping {
            connector: text("connector"),
            resource: text("resource"),
            tree,
            fields,
            id,
            custom,
            defaults,
            null_as,
            lists: self.lists,
            unmapped,
            file: self.document.file().to_owned(),
            schema: schema.fields.clone(),
        }
    }

    /// What a create is given beside its body.
    fn defaults(&mut self, root: &Value) -> Vec<Given> {
        let mut made = Vec::new();
        for (text, rule) in root.get("defaults").and_then(Value::as_object).into_iter().flatten() {
            let pointer = format!("/defaults/{}", escape(text));
            let Some(path) = self.path(text, &pointer) else { continue };
            let value = match rule.get("now").and_then(Value::as_str).map(Codec::parse) {
                Some(Ok(codec)) if codec.makes() == Makes::Datetime => GivenValue::Now(codec),
                Some(Ok(_)) => {
                    self.fault(&format!("{pointer}/now"), "`now` names a form of `datetime`");
                    continue;
                }
                Some(Err(message)) => {
                    self.fault(&format!("{pointer}/now"), message);
                    continue;
                }
                None => GivenValue::Fixed(rule.get("value").cloned().unwrap_or(Value::Null)),
            };
            let why = rule.get("why").and_then(Value::as_str).unwrap_or_default().to_owned();
            let same_as = rule.get("same_as").and_then(Value::as_str);
            let same_as = same_as.and_then(|text| self.path(text, &format!("{pointer}/same_as")));
            made.push(Given { path, same_as, value, why });
        }
        made
    }

    /// The id's rule once more, to name records in problems.
    fn id(&mut self, rule: &Value, schema: &UnifiedSchema, tree: &mut Tree) -> Option<ValueRule> {
        let field = schema.field("id")?;
        let before = (self.faults.len(), self.writes.len());
        let within = Within { pointer: "/fields/id", field, read_only: true, write_only: false };
        let id = self.value(rule, within, tree);
        self.faults.truncate(before.0);
        self.writes.truncate(before.1);
        id
    }

    fn field(&mut self, rule: &Value, within: Within<'_>, tree: &mut Tree) -> Option<Field> {
        let flag = |key: &str| rule.get(key) == Some(&Value::Bool(true));
        let lossy = rule.get("lossy").and_then(Value::as_str).map(str::to_owned);
        let own_read_only = flag("read_only");
        let part_of = rule.get("part_of").and_then(Value::as_str).map(str::to_owned);
        let constant = rule.as_str().is_some_and(|text| text.starts_with('='));
        let read_only = own_read_only || within.read_only || part_of.is_some();
        let write_only = flag("write_only") || within.write_only;
        if own_read_only && flag("write_only") {
            self.fault(within.pointer, "a rule cannot be both `read_only` and `write_only`");
        }
        if within.field.read_only && !read_only && !constant {
            let message = format!(
                "`{}` is read-only in the contract, so its rule must be `read_only: true`",
                within.field.name
            );
            self.fault(within.pointer, message);
        }
        let outer = self.lossy;
        self.lossy |= lossy.is_some();
        let within = Within { read_only, write_only, ..within };
        let made = self.rule(rule, within, tree);
        self.lossy = outer;
        Some(Field {
            name: within.field.name.clone(),
            key: key_of(&within.field.name),
            rule: made?,
            absent: absent(within.field),
            required: within.field.required,
            read_only,
            write_only,
            create_only: flag("create_only"),
            lossy,
            part_of,
            line: self.document.line(within.pointer),
        })
    }

    fn rule(&mut self, rule: &Value, within: Within<'_>, tree: &mut Tree) -> Option<Rule> {
        if let Value::Array(places) = rule {
            return self.places(places, within.pointer, false, within, tree);
        }
        if let Some(places) = rule.get("places").and_then(Value::as_array) {
            let pointer = format!("{}/places", within.pointer);
            let exact = rule.get("exact") == Some(&Value::Bool(true));
            return self.places(places, &pointer, exact, within, tree);
        }
        if rule.get("each").is_some() {
            return self.each(rule, within, tree);
        }
        if let Some(below) = rule.get("fields").and_then(Value::as_object) {
            let UnifiedType::Object(_) = within.field.kind else {
                let message =
                    format!("`{}` is {}, not an object", within.field.name, within.field.kind.noun());
                self.fault(within.pointer, message);
                return None;
            };
            let pointer = format!("{}/fields", within.pointer);
            return Some(Rule::Object(self.fields(below, &pointer, within, tree)));
        }
        self.value(rule, within, tree).map(Rule::Value)
    }

    /// The fields of an object or list element.
    fn fields(
        &mut self,
        given: &Map<String, Value>,
        pointer: &str,
        within: Within<'_>,
        tree: &mut Tree,
    ) -> Vec<Field> {
        let known = within.field.kind.fields();
        let mut made = Vec::new();
        for (name, rule) in given {
            let pointer = format!("{pointer}/{}", escape(name));
            match known.iter().find(|field| field.name == *name) {
                Some(field) => {
                    made.extend(self.field(rule, Within { pointer: &pointer, field, ..within }, tree))
                }
                None => {
                    let hint = nearest(name, known.iter().map(|field| field.name.as_str()))
                        .map(|meant| format!("; did you mean `{meant}`?"))
                        .unwrap_or_default();
                    let message = format!("`{name}` is not a field of `{}`{hint}", within.field.name);
                    let fault = self.document.fault_at_key(&pointer, message);
                    self.faults.push(fault);
                }
            }
        }
        made
    }

    fn places(
        &mut self,
        places: &[Value],
        base: &str,
        exact: bool,
        within: Within<'_>,
        tree: &mut Tree,
    ) -> Option<Rule> {
        let UnifiedType::List(item) = &within.field.kind else {
            self.fault(
                within.pointer,
                format!("`{}` is {}, not a list", within.field.name, within.field.kind.noun()),
            );
            return None;
        };
        if !matches!(**item, UnifiedType::Object(_)) {
            self.fault(within.pointer, "a list of places needs elements that are objects");
            return None;
        }
        let mut made = Vec::new();
        for (index, place) in places.iter().enumerate() {
            let pointer = format!("{base}/{index}");
            let Some(entries) = place.as_object() else { continue };
            if let Some(spread) = entries.get("spread") {
                made.extend(self.spread(spread, entries, &pointer, within, tree));
                continue;
            }
            let fields = self.fields(entries, &pointer, within, tree);
            let varies =
                fields.iter().any(|field| !matches!(&field.rule, Rule::Value(v) if v.constant().is_some()));
            if !varies {
                self.fault(&pointer, "a place needs at least one value that comes from a path");
            }
            if let Some(field) = fields.iter().find(|field| !matches!(field.rule, Rule::Value(_))) {
                self.fault(&format!("{pointer}/{}", field.name), "a place holds plain values only");
            }
            made.push(Place { fields, spread: None });
        }
        Some(Rule::Places { places: made, exact })
    }

    /// A place whose text holds several elements; it can only be read.
    fn spread(
        &mut self,
        path: &Value,
        entries: &Map<String, Value>,
        pointer: &str,
        within: Within<'_>,
        tree: &mut Tree,
    ) -> Option<Place> {
        let path = self.path(path.as_str()?, &format!("{pointer}/spread"))?;
        let separator = entries.get("split").and_then(Value::as_str).unwrap_or(";").to_owned();
        let fields = entries.get("fields").and_then(Value::as_object)?;
        let slot = tree.slot(&path);
        // Element paths are `.`: a tree of its own whose root is slot 0.
        let mut below = Tree::default();
        let within = Within { read_only: true, ..within };
        let fields = self.fields(fields, &format!("{pointer}/fields"), within, &mut below);
        Some(Place { fields, spread: Some(Spread { slot, path, separator }) })
    }

    fn each(&mut self, rule: &Value, within: Within<'_>, tree: &mut Tree) -> Option<Rule> {
        let UnifiedType::List(item_type) = &within.field.kind else {
            self.fault(
                within.pointer,
                format!("`{}` is {}, not a list", within.field.name, within.field.kind.noun()),
            );
            return None;
        };
        let path = self.path(rule.get("each")?.as_str()?, &format!("{}/each", within.pointer))?;
        let slot = tree.slot(&path);
        let list = self.lists;
        self.lists += 1;
        let mut below = Tree::default();
        let link = rule.get("link").and_then(Value::as_str).map(str::to_owned);
        if !within.read_only && link.is_none() {
            self.writes.push((path.clone(), within.pointer.to_owned()));
        }
        let item = match rule.get("fields").and_then(Value::as_object) {
            Some(fields) => {
                let writes = std::mem::take(&mut self.writes);
                let pointer = format!("{}/fields", within.pointer);
                let fields = self.fields(fields, &pointer, Within { ..within }, &mut below);
                self.check_overlaps();
                self.writes = writes;
                Item::Fields(fields)
            }
            None => {
                let field = UnifiedField {
                    name: within.field.name.clone(),
                    kind: (**item_type).clone(),
                    nullable: false,
                    read_only: false,
                    required: false,
                };
                let mut element = rule.as_object().cloned().unwrap_or_default();
                element
                    .retain(|key, _| ["as", "values", "unknown", "prefix", "scale"].contains(&key.as_str()));
                let item = rule.get("item").cloned().unwrap_or_else(|| Value::from("."));
                element.insert("from".to_owned(), item);
                let writes = self.writes.len();
                let within = Within { field: &field, ..within };
                let value = self.value(&Value::Object(element), within, &mut below);
                self.writes.truncate(writes);
                Item::Value(value?)
            }
        };
        Some(Rule::Each(Box::new(Each {
            slot,
            path,
            tree: below,
            list,
            item,
            distinct: rule.get("distinct") == Some(&Value::Bool(true)),
            null_as: rule.get("null_as").cloned(),
            link,
        })))
    }

    fn path(&mut self, text: &str, pointer: &str) -> Option<Path> {
        match Path::parse(text) {
            Ok(path) if path.is_rest() => {
                self.fault(pointer, "`*` belongs to `custom_fields` only");
                None
            }
            Ok(path) => Some(path),
            Err(message) => {
                self.fault(pointer, message);
                None
            }
        }
    }
}

fn key_of(name: &str) -> Vec<u8> {
    let mut key = Vec::new();
    super::scan::push_text(&mut key, name);
    key.push(b':');
    key
}

fn absent(field: &UnifiedField) -> Absent {
    match &field.kind {
        _ if field.nullable => Absent::Null,
        UnifiedType::Text { .. } if field.required => Absent::EmptyText,
        UnifiedType::List(_) if field.required => Absent::EmptyList,
        _ => Absent::Omit,
    }
}
