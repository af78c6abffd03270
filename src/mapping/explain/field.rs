//! The walk over a mapping's rules, beside the record that they read.

use std::collections::HashSet;

use serde_json::Value;

use super::super::emit::{At, Page, Wanted, emit_element, emit_object, emit_value, wanted};
use super::super::path::{Path, Step};
use super::super::plan::{Found, Slot};
use super::super::rule::{Each, Field, Item, Mapping, Place, Rule};
use super::super::scan::{Scanner, push_text, scalar_text};
use super::super::schema::{UnifiedField, UnifiedType};
use super::value::raw_value;
use super::{Absence, Explained, Origin, Sources, Steps};
use crate::model::FieldMask;

/// The most elements of a list that are explained one by one.
const MOST_ELEMENTS: usize = 200;

/// One record's rules being walked.
pub(super) struct Walk<'w, 'a> {
    pub mapping: &'w Mapping,
    pub steps: &'w Steps<'w>,
    pub sources: &'w Sources<'a>,
    pub fields: Vec<Explained>,
}

/// Where in the record the paths of rules begin.
#[derive(Clone, Copy)]
pub(super) struct Scope<'s> {
    /// The path of the element that they are relative to; empty for the record.
    pub base: &'s str,
    /// The step of everything in that element.
    pub step: Option<usize>,
    /// Whether an empty text counts as null because the value is a part of a list.
    pub in_list: bool,
}

impl Scope<'_> {
    /// A path of a rule as it stands in the record.
    pub fn path(&self, path: &str) -> String {
        match (self.base, path) {
            ("", path) => path.to_owned(),
            (base, "." | "") => base.to_owned(),
            (base, path) => format!("{base}.{path}"),
        }
    }
}

impl<'a> Walk<'_, 'a> {
    /// Explains every field of the record.
    pub fn record(&mut self, found: &Found<'a>, page: &mut Page<'a, '_>) {
        let scope = Scope { base: "", step: None, in_list: false };
        let mask = page.reading.fields;
        let mapping = self.mapping;
        for field in &mapping.fields {
            let below = match wanted(field, mask) {
                Wanted::All => None,
                Wanted::Some(mask) => Some(mask),
                Wanted::No if field.write_only => {
                    self.absent(&field.name, Absence::NotMapped, "its rule only writes", Some(field.line));
                    continue;
                }
                Wanted::No => {
                    let says = "the call's `fields` do not name it";
                    self.absent(&field.name, Absence::NotAskedFor, says, Some(field.line));
                    continue;
                }
            };
            let schema = mapping.schema.iter().find(|known| known.name == field.name);
            self.field(field, field.name.clone(), schema, found, page, scope, below);
        }
        for (name, _) in &mapping.unmapped {
            self.not_mapped(name);
        }
    }

    fn not_mapped(&mut self, name: &str) {
        self.fields.push(Explained {
            field: name.to_owned(),
            absent: Some(Absence::NotMapped),
            ..Explained::default()
        });
    }

    fn absent(&mut self, name: &str, absent: Absence, says: &str, line: Option<u32>) {
        self.fields.push(Explained {
            field: name.to_owned(),
            absent: Some(absent),
            says: Some(says.to_owned()),
            line,
            ..Explained::default()
        });
    }

    #[allow(clippy::too_many_arguments)]
    fn field<'p>(
        &mut self,
        field: &Field,
        name: String,
        schema: Option<&UnifiedField>,
        found: &Found<'p>,
        page: &mut Page<'p, '_>,
        scope: Scope<'_>,
        mask: Option<&FieldMask>,
    ) {
        match &field.rule {
            Rule::Value(rule) => {
                let explained = self.value(rule, found, page, scope);
                self.fields.push(Explained { field: name, line: Some(field.line), ..explained });
            }
            Rule::Object(fields) => {
                let mut out = Vec::new();
                let made = emit_object(fields, found, page, &At::ROOT, None, scope.in_list, &mut out);
                let known = schema.map(|schema| schema.kind.fields()).unwrap_or_default();
                for below in fields {
                    // An object without a value of its own is not there, nor are its constants.
                    if made.is_some() || !is_constant(below) {
                        self.member(below, &name, known, found, page, scope, mask);
                    }
                }
                self.unmapped_members(fields.iter(), known, &name, mask);
            }
            Rule::Places { places, .. } => {
                self.places(field, places, &name, schema, found, page, scope, mask);
            }
            Rule::Each(each) => self.each(field, each, &name, schema, found, page, scope, mask),
            Rule::Custom => self.custom(field, &name, found, page),
        }
    }

    /// A field of an object or element, where the mask wants it.
    #[allow(clippy::too_many_arguments)]
    fn member<'p>(
        &mut self,
        field: &Field,
        around: &str,
        known: &[UnifiedField],
        found: &Found<'p>,
        page: &mut Page<'p, '_>,
        scope: Scope<'_>,
        mask: Option<&FieldMask>,
    ) {
        let below = match wanted(field, mask) {
            Wanted::No => return,
            Wanted::All => None,
            Wanted::Some(mask) => Some(mask),
        };
        let schema = known.iter().find(|known| known.name == field.name);
        self.field(field, format!("{around}.{}", field.name), schema, found, page, scope, below);
    }

    /// Fields of an object or element that no rule makes.
    fn unmapped_members<'f>(
        &mut self,
        fields: impl Iterator<Item = &'f Field> + Clone,
        known: &[UnifiedField],
        around: &str,
        mask: Option<&FieldMask>,
    ) {
        let wants = |name: &str| mask.is_none_or(|mask| mask.is_all() || mask.below(name).is_some());
        for missing in known.iter().filter(|known| wants(&known.name)) {
            if !fields.clone().any(|field| field.name == missing.name) {
                self.not_mapped(&format!("{around}.{}", missing.name));
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn places<'p>(
        &mut self,
        field: &Field,
        places: &[Place],
        name: &str,
        schema: Option<&UnifiedField>,
        found: &Found<'p>,
        page: &mut Page<'p, '_>,
        scope: Scope<'_>,
        mask: Option<&FieldMask>,
    ) {
        let known = schema.map(|schema| schema.kind.fields()).unwrap_or_default();
        let within = Scope { in_list: true, ..scope };
        let mut count = 0;
        // What would have made an element, and did not.
        let mut empty = Vec::new();
        let mut says = None;
        for place in places {
            let Some(spread) = &place.spread else {
                let before = count;
                emit_element(&place.fields, found, page, &At::ROOT, None, &mut count, &mut Vec::new());
                for member in &place.fields {
                    if count > before {
                        self.member(member, &format!("{name}[{before}]"), known, found, page, within, mask);
                    } else if let Rule::Value(rule) = &member.rule
                        && rule.constant().is_none()
                    {
                        let explained = self.value(rule, found, page, within);
                        says = says.or(explained.says);
                        let absent = explained.absent;
                        let from = explained.from.into_iter();
                        empty.extend(from.map(|from| Origin { absent: from.absent.or(absent), ..from }));
                    }
                }
                continue;
            };
            let path = spread.path.to_string();
            let origin = self.origin(found, spread.slot, &path, scope);
            let text = page.raw(found, spread.slot, true).and_then(scalar_text);
            let Some(text) = text else {
                empty.push(origin);
                continue;
            };
            let base = scope.path(&path);
            let step = Some(self.step_of(spread.slot, scope));
            for part in text.split(spread.separator.as_str()).map(str::trim).filter(|part| !part.is_empty()) {
                let mut raw = Vec::new();
                push_text(&mut raw, part);
                let raw = String::from_utf8(raw).unwrap_or_default();
                let mut inner = Page {
                    reading: page.reading,
                    zone: page.zone.clone(),
                    empty_is_null: true,
                    lists: Vec::new(),
                    heads: Vec::new(),
                    problems: &mut *page.problems,
                    record: None,
                };
                let one = Found::one(&raw);
                let before = count;
                emit_element(&place.fields, &one, &mut inner, &At::ROOT, None, &mut count, &mut Vec::new());
                if count > before && before < MOST_ELEMENTS {
                    let scope = Scope { base: &base, step, in_list: true };
                    for member in &place.fields {
                        self.member(
                            member,
                            &format!("{name}[{before}]"),
                            known,
                            &one,
                            &mut inner,
                            scope,
                            mask,
                        );
                    }
                }
            }
        }
        if !empty.is_empty() {
            let absent = empty.iter().filter_map(|from| from.absent).max();
            self.fields.push(Explained {
                field: name.to_owned(),
                absent: absent.filter(|_| count == 0),
                from: empty,
                codec: Some("places".to_owned()),
                says,
                line: Some(field.line),
                ..Explained::default()
            });
        }
        let all = places.iter().flat_map(|place| &place.fields);
        self.unmapped_members(all, known, &format!("{name}[]"), mask);
    }

    #[allow(clippy::too_many_arguments)]
    fn each<'p>(
        &mut self,
        field: &Field,
        each: &Each,
        name: &str,
        schema: Option<&UnifiedField>,
        found: &Found<'p>,
        page: &mut Page<'p, '_>,
        scope: Scope<'_>,
        mask: Option<&FieldMask>,
    ) {
        let path = each.path.to_string();
        let mut list = Explained {
            field: name.to_owned(),
            from: vec![self.origin(found, each.slot, &path, scope)],
            codec: Some("each".to_owned()),
            line: Some(field.line),
            ..Explained::default()
        };
        let raw = page.raw(found, each.slot, true);
        let Some(raw) = raw.filter(|raw| raw.starts_with('[')) else {
            list.absent = list.from.iter().filter_map(|from| from.absent).max();
            list.says = self.failure(&list.from);
            if raw.is_some() {
                list.absent = Some(Absence::CodecProblem);
                list.says = Some("a list was expected, found something else".to_owned());
            }
            return self.fields.push(list);
        };
        self.fields.push(list);
        let (base, step) = (scope.path(&path), Some(self.step_of(each.slot, scope)));
        let known = match schema.map(|schema| &schema.kind) {
            Some(UnifiedType::List(item)) => item.fields(),
            _ => &[],
        };
        let mut scanner = Scanner::of(raw);
        let mut element = Found::default();
        let mut values = HashSet::new();
        let (mut first, mut index, mut count) = (true, 0, 0);
        let entered = scanner.enter();
        while entered.is_ok() && scanner.next_element(&mut first).unwrap_or(false) && count < MOST_ELEMENTS {
            element.clear(&each.tree);
            let kind = scanner.peek();
            if each.tree.fill(&mut scanner, &mut element).is_err() {
                break;
            }
            let base = format!("{base}[{index}]");
            let scope = Scope { base: &base, step, in_list: true };
            index += 1;
            match &each.item {
                Item::Fields(_) if kind != Some(b'{') => {}
                Item::Fields(fields) => {
                    let before = count;
                    emit_element(fields, &element, page, &At::ROOT, None, &mut count, &mut Vec::new());
                    for member in fields.iter().filter(|_| count > before) {
                        self.member(member, &format!("{name}[{before}]"), known, &element, page, scope, mask);
                    }
                }
                Item::Value(rule) => {
                    let mut out = Vec::new();
                    let written = emit_value(rule, &element, page, &At::ROOT, true, &mut out);
                    if written && (values.insert(out) || !each.distinct) {
                        let explained = self.value(rule, &element, page, scope);
                        let element_name = format!("{name}[{count}]");
                        self.fields.push(Explained {
                            field: element_name,
                            line: Some(field.line),
                            ..explained
                        });
                        count += 1;
                    }
                }
            }
        }
        if let Item::Fields(fields) = &each.item {
            self.unmapped_members(fields.iter(), known, &format!("{name}[]"), mask);
        }
    }

    fn custom<'p>(&mut self, field: &Field, name: &str, found: &Found<'p>, page: &mut Page<'p, '_>) {
        let Some(custom) = &self.mapping.custom else { return };
        let mut out = Vec::new();
        custom.emit(found, page, &At::ROOT, None, &mut out);
        let elements: Vec<Value> = serde_json::from_slice(&out).unwrap_or_default();
        let below =
            |key: &str| custom.base.join(&Path { steps: vec![Step::Key(key.to_owned())] }).to_string();
        let key_name = if custom.named { "name" } else { "id" };
        for (index, element) in elements.iter().enumerate() {
            let key = element.get(key_name).and_then(Value::as_str).unwrap_or_default();
            let at = found.rest.iter().rposition(|(known, _)| known.text() == key);
            let raw = at.and_then(|at| found.rest.get(at)).map(|(_, raw)| raw_value(raw));
            let step = at.and_then(|at| self.sources.rest.get(at)).copied().unwrap_or(0);
            let kind = page.reading.definitions.and_then(|known| known.get(key)).map(|known| known.kind);
            let terms =
                kind.and_then(|kind| serde_json::to_value(kind).ok()).map(|kind| ("kind".to_owned(), kind));
            self.fields.push(Explained {
                field: format!("{name}[{index}]"),
                from: vec![Origin { path: below(key), step: self.step(step), raw, absent: None }],
                codec: Some("custom".to_owned()),
                terms: terms.into_iter().collect(),
                line: Some(field.line),
                ..Explained::default()
            });
        }
        if elements.is_empty() {
            let absent =
                if found.rest.is_empty() { Absence::MissingDownstream } else { Absence::NullDownstream };
            let path = custom.base.join(&Path { steps: vec![Step::Rest] }).to_string();
            self.fields.push(Explained {
                field: name.to_owned(),
                from: vec![Origin { path, step: self.step(0), raw: None, absent: Some(absent) }],
                codec: Some("custom".to_owned()),
                absent: Some(absent),
                says: Some("the record has no custom field with a value".to_owned()),
                line: Some(field.line),
                ..Explained::default()
            });
        }
    }

    /// The step of a slot.
    pub fn step_of(&self, slot: Slot, scope: Scope<'_>) -> usize {
        scope.step.unwrap_or_else(|| self.sources.slots.get(slot).copied().unwrap_or(0))
    }

    /// A step's name.
    pub fn step(&self, step: usize) -> String {
        let graft = step.checked_sub(1).and_then(|at| self.steps.grafts.get(at));
        graft.map_or(self.steps.main, |(_, step)| step).to_owned()
    }
}

fn is_constant(field: &Field) -> bool {
    matches!(&field.rule, Rule::Value(rule) if rule.constant().is_some())
}
