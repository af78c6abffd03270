//! Where one value came from.

use serde_json::{Map, Value};

use super::super::codec::{Around, Kind};
use super::super::emit::{Page, currency, try_value};
use super::super::path::{Path, Step};
use super::super::plan::{Found, Slot};
use super::super::rule::{Source, ValueRule, with_currency};
use super::field::{Scope, Walk};
use super::{Absence, Explained, Origin};

impl Walk<'_, '_> {
    /// Explains a value, but for its name and line.
    pub fn value<'p>(
        &self,
        rule: &ValueRule,
        found: &Found<'p>,
        page: &Page<'p, '_>,
        scope: Scope<'_>,
    ) -> Explained {
        let result = try_value(rule, found, page, scope.in_list, &mut Vec::new());
        let mut explained = self.sources_of(rule, found, page, scope);
        match result {
            Ok(true) => explained.absent = None,
            Ok(false) => {
                // What is there and still gave nothing: the rule's doing, but for a join that lacks a part.
                let refused = explained.from.iter().any(|from| from.absent.is_none());
                let joins = matches!(rule.source, Source::Join { .. });
                let reason = explained.from.iter().filter_map(|from| from.absent).max();
                let reason = reason.filter(|_| joins || !refused);
                explained.absent = reason.or(Some(Absence::CodecProblem));
                if reason.is_none() {
                    explained.says = Some(made_nothing(rule).to_owned());
                } else if reason == Some(Absence::StepFailed) {
                    explained.says = self.failure(&explained.from);
                }
            }
            Err((_, message)) => {
                explained.absent = Some(Absence::CodecProblem);
                explained.says = Some(message);
            }
        }
        explained
    }

    /// What failed of the steps that would have read one of these.
    pub fn failure(&self, from: &[Origin]) -> Option<String> {
        let steps = from.iter().filter(|from| from.absent == Some(Absence::StepFailed));
        let failed = |step: &str| self.steps.failed.iter().find(|(_, known, _)| *known == step);
        steps.filter_map(|from| failed(&from.step)).map(|(_, _, says)| (*says).to_owned()).next()
    }

    fn sources_of<'p>(
        &self,
        rule: &ValueRule,
        found: &Found<'p>,
        page: &Page<'p, '_>,
        scope: Scope<'_>,
    ) -> Explained {
        let all = |paths: &[(Slot, Path)]| -> Vec<Origin> {
            paths.iter().map(|(slot, path)| self.origin(found, *slot, &path.to_string(), scope)).collect()
        };
        let made = |from: Vec<Origin>, codec: &str, terms: Map<String, Value>| Explained {
            from,
            codec: Some(codec.to_owned()),
            terms,
            ..Explained::default()
        };
        let term = |key: &str, value: Value| Map::from_iter([(key.to_owned(), value)]);
        let codec = || if rule.codec.is_text() { Map::new() } else { term("as", rule.codec.name().into()) };
        match &rule.source {
            Source::Paths(paths) => {
                let mut from = Vec::new();
                for (slot, path) in paths {
                    let origin = self.origin(found, *slot, &path.to_string(), scope);
                    let decides = self.decides(rule, *slot, found, page, scope);
                    from.push(Origin { absent: if decides { None } else { origin.absent }, ..origin });
                    if decides {
                        break;
                    }
                }
                let mut terms = rule.codec.terms();
                match &rule.codec.kind {
                    Kind::Money { .. } => {
                        let own = currency(rule, found);
                        let code = own.as_deref().or(page.reading.currency);
                        terms.extend(code.map(|code| ("currency".to_owned(), Value::from(code))));
                    }
                    Kind::Datetime { .. } if page.zone.is_some() => {
                        let zone = page.reading.timezone;
                        terms.extend(zone.map(|zone| ("timezone".to_owned(), Value::from(zone))));
                    }
                    _ => {}
                }
                made(from, rule.codec.name(), terms)
            }
            Source::Constant(text) => made(Vec::new(), "constant", term("value", text.as_str().into())),
            Source::Join { parts, with, .. } => {
                let mut terms = term("with", with.as_str().into());
                terms.extend(codec());
                made(all(parts), "join", terms)
            }
            Source::Cases { cases, .. } => {
                let mut paths: Vec<(Slot, Path)> = Vec::new();
                for (slot, path, _) in cases.iter().flat_map(|case| &case.when) {
                    if !paths.iter().any(|(known, _)| known == slot) {
                        paths.push((*slot, path.clone()));
                    }
                }
                made(all(&paths), "cases", Map::new())
            }
            Source::First(rules) => {
                let mut from = Vec::new();
                for rule in rules {
                    let mut tried = self.value(rule, found, page, scope);
                    if tried.absent.is_none() {
                        from.append(&mut tried.from);
                        return Explained { from, ..tried };
                    }
                    from.append(&mut tried.from);
                }
                made(from, "first_of", Map::new())
            }
            Source::Expression(expression) => {
                let used = expression.uses.iter().map(|used| (used.slot, used.path.clone()));
                made(all(&used.collect::<Vec<_>>()), "expression", codec())
            }
        }
    }

    /// Whether this path is the one that a value of several is taken from, good or bad.
    fn decides<'p>(
        &self,
        rule: &ValueRule,
        slot: Slot,
        found: &Found<'p>,
        page: &Page<'p, '_>,
        scope: Scope<'_>,
    ) -> bool {
        let Some(raw) = page.raw(found, slot, scope.in_list) else { return false };
        let own = currency(rule, found);
        let around = Around { currency: page.reading.currency, zone: page.zone.as_ref() };
        let mut out = Vec::new();
        let made = rule.codec.decode(raw, with_currency(around, own.as_deref()), &mut out);
        !matches!(made, Ok(false))
    }

    /// What stands at a path.
    pub fn origin(&self, found: &Found<'_>, slot: Slot, path: &str, scope: Scope<'_>) -> Origin {
        let raw = found.slots.get(slot).copied().flatten();
        let here = scope.path(path);
        let mut step = self.step(self.step_of(slot, scope));
        let absent = match raw {
            // What was there was judged empty where it has no value after all.
            Some("null" | "\"\"") => Some(Absence::NullDownstream),
            Some(_) => None,
            None if scope.step.is_some() => Some(Absence::MissingDownstream),
            None => {
                let failed = self.steps.failed.iter().find(|(graft, ..)| lies_within(path, graft));
                if let Some((_, name, _)) = failed {
                    step = (*name).to_owned();
                    Some(Absence::StepFailed)
                } else if self.was_asked_for(path) {
                    Some(Absence::MissingDownstream)
                } else {
                    Some(Absence::NotAskedFor)
                }
            }
        };
        Origin { path: here, step, raw: raw.map(raw_value), absent }
    }

    fn was_asked_for(&self, path: &str) -> bool {
        let Some((prefix, names)) = &self.steps.asked else { return true };
        let (Ok(prefix), Ok(path)) = (Path::parse(prefix), Path::parse(path)) else { return true };
        let below = path.steps.len() > prefix.steps.len() && path.overlaps(&prefix);
        match path.steps.get(prefix.steps.len()) {
            Some(Step::Key(key)) if below => names.iter().any(|name| name == key),
            _ => true,
        }
    }
}

/// Whether a path lies in what a follow-up read adds.
fn lies_within(path: &str, graft: &str) -> bool {
    match (Path::parse(path), Path::parse(graft)) {
        (Ok(path), Ok(graft)) => !graft.steps.is_empty() && path.overlaps(&graft),
        _ => false,
    }
}

/// A raw text as JSON.
pub(super) fn raw_value(raw: &str) -> Value {
    serde_json::from_str(raw).unwrap_or_else(|_| Value::from(raw))
}

fn made_nothing(rule: &ValueRule) -> &'static str {
    match &rule.source {
        Source::Cases { .. } => "none of the rule's cases holds",
        Source::Expression(_) => "the rule's expression has no value",
        _ => "the rule makes no value of what the CRM says",
    }
}
