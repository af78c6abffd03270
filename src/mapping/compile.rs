//! From a mapping document to its rules: every static fault is found, all at once, with its place.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::codec::{Codec, Kind, Makes, Table, Unknown, kind_of_raw};
use super::custom::Custom;
use super::document::{Document, escape};
use super::expression::{Expression, Used, compile as compile_expression};
use super::fault::{Fault, nearest};
use super::path::Path;
use super::plan::Tree;
use super::rule::{Absent, Case, Each, Field, Item, Mapping, Place, Rule, Source, Spread, ValueRule};
use super::schema::{UnifiedField, UnifiedSchema, UnifiedType};

/// The JSON Schema of mapping files, for editors and for the structural check.
pub const SCHEMA: &str = include_str!("../../mappings/schema.json");

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
        let empty = Map::new();
        let given = root.get("fields").and_then(Value::as_object).unwrap_or(&empty);
        for name in given.keys() {
            if schema.field(name).is_none() || name == "custom_fields" || ELSEWHERE.contains(&name.as_str()) {
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
                None if field.name == "custom_fields" || ELSEWHERE.contains(&field.name.as_str()) => {}
                None => unmapped.push((field.name.clone(), always)),
            }
        }
        let null_as = root.get("null_as").cloned().unwrap_or(Value::Null);
        let custom = root.get("custom_fields").and_then(|rule| match schema.field("custom_fields") {
            Some(field) => {
                let custom = Custom::compile(rule, &null_as, &mut tree);
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
                            lossy: None,
                            part_of: None,
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
                self.fault("/custom_fields", format!("{} has no custom fields", schema.name));
                None
            }
        });
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
            null_as,
            lists: self.lists,
            unmapped,
        }
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
            lossy,
            part_of,
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

    fn value(&mut self, rule: &Value, within: Within<'_>, tree: &mut Tree) -> Option<ValueRule> {
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

    fn source(
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

    fn cases(&mut self, cases: &[Value], within: Within<'_>, tree: &mut Tree) -> Option<Source> {
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

    fn expression(&mut self, expr: &Value, within: Within<'_>, tree: &mut Tree) -> Option<Source> {
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

    fn codec(&mut self, rule: &Map<String, Value>, pointer: &str) -> Option<Codec> {
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

    /// What a value's codec makes against what its field holds.
    fn check_value(&mut self, value: &ValueRule, within: Within<'_>) {
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

    fn check_constant(&mut self, value: &Value, pointer: &str, field: &UnifiedField) {
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
    fn check_overlaps(&mut self) {
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
    fn check_parts(&mut self, fields: &mut [Field]) {
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
