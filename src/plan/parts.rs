//! Lists whose elements the CRM keeps as records of their own, such as the stages of a pipeline: what is there is read and
//! paired with what is meant; then elements are changed, added in their order, and at last removed.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::Ground;
use super::links::{page, too_many};
use super::rehearse::NEW_ID;
use super::steps::Steps;
use crate::connector::compile::PartPlan;
use crate::connector::dig::dig_text;
use crate::connector::manifest::Part;
use crate::error::{Error, Result};
use crate::model::{Call, Outcome, Request};
use crate::normalise::classify;

/// Pages of present elements read at the most.
const MOST_PAGES: usize = 20;

/// A list that a body names, taken out of what the record itself is sent with.
#[derive(Debug, Clone)]
pub struct Named {
    /// The part's name in the manifest.
    name: String,
    /// Its elements in the CRM's words, with the id that the body gives.
    items: Vec<Item>,
}

/// Takes out of a body the lists that calls of their own write.
pub fn take(
    parts: &std::collections::BTreeMap<String, PartPlan>,
    unified: &Map<String, Value>,
    body: &mut Map<String, Value>,
    creating: bool,
) -> Vec<Named> {
    let mut named = Vec::new();
    for (name, plan) in parts {
        let spec = &plan.spec;
        let Some(Value::Array(items)) = body.get_mut(&spec.at) else {
            // Null clears: no elements.
            if body.remove(&spec.at).is_some() && !creating {
                named.push(Named { name: name.clone(), items: Vec::new() });
            }
            continue;
        };
        for (place, item) in items.iter_mut().enumerate() {
            if let (Some(key), Some(item)) = (&spec.position, item.as_object_mut()) {
                item.entry(key.clone()).or_insert(json!(place));
            }
        }
        if creating && spec.in_create {
            continue;
        }
        let ids = unified.get(&spec.field).and_then(Value::as_array);
        let id = |place: usize| {
            ids.and_then(|ids| ids.get(place)?.get("id")?.as_str())
                .filter(|id| !id.is_empty())
                .map(str::to_owned)
        };
        let items =
            std::mem::take(items).into_iter().enumerate().map(|(place, item)| (item, id(place))).collect();
        body.remove(&spec.at);
        named.push(Named { name: name.clone(), items });
    }
    named
}

/// One list on its way to what is meant.
#[derive(Debug)]
pub struct Parts {
    named: Named,
    entries: Vec<Value>,
    pages: usize,
    /// Requests still to be sent, in batches.
    batches: VecDeque<Vec<Request>>,
    reading: bool,
}

impl Parts {
    /// The request that reads what is there.
    ///
    /// # Errors
    /// If it cannot be filled in.
    pub fn start(
        named: Named,
        id: &str,
        call: &Call,
        ground: &Ground,
        steps: &mut Steps,
    ) -> Result<(Parts, Vec<Request>)> {
        let request =
            steps.request(ground, &plan(&named.name, call, ground)?.current, &names(id, None, None, None))?;
        let parts = Parts { named, entries: Vec::new(), pages: 0, batches: VecDeque::new(), reading: true };
        Ok((parts, vec![request]))
    }

    /// Takes the replies; the next requests, or none once all is as meant.
    ///
    /// # Errors
    /// If what is there could not be read, or a change was refused, of a list that is required.
    pub fn feed(
        &mut self,
        id: &str,
        call: &Call,
        ground: &Ground,
        outcomes: Vec<Outcome>,
        steps: &mut Steps,
    ) -> Result<Vec<Request>> {
        let plan = plan(&self.named.name, call, ground)?;
        let result = if self.reading {
            self.present(plan, id, call, ground, outcomes, steps)
        } else {
            self.changed(call, ground, outcomes, steps)
        };
        match result {
            Err(error) if !plan.spec.required => {
                steps.warn(&plan.current, &error, &format!("`{}` may not be as meant", plan.spec.field));
                Ok(Vec::new())
            }
            result => result,
        }
    }

    fn present(
        &mut self,
        plan: &PartPlan,
        id: &str,
        call: &Call,
        ground: &Ground,
        outcomes: Vec<Outcome>,
        steps: &mut Steps,
    ) -> Result<Vec<Request>> {
        let outcome =
            outcomes.into_iter().next().ok_or_else(|| Error::internal("a read came without a reply"))?;
        let reply = classify::record(&ground.connector, call, outcome)?;
        let (entries, next) = page(&plan.spec.current, &reply.body, ground)?;
        self.entries.extend(entries);
        self.pages += 1;
        if let Some(cursor) = next {
            if self.pages >= MOST_PAGES {
                return Err(too_many(ground, &self.named.name));
            }
            return Ok(vec![steps.request(ground, &plan.current, &names(id, None, None, Some(&cursor)))?]);
        }
        self.reading = false;
        let paired = pair(&plan.spec, &self.named.items, &self.entries);
        let entry_id =
            |at: usize| self.entries.get(at).and_then(|entry| dig_text(entry, &plan.spec.current.id));
        let mut changes = Vec::new();
        let mut additions = Vec::new();
        for ((item, _), at) in self.named.items.iter().zip(&paired) {
            match at.and_then(|at| Some((self.entries.get(at)?, entry_id(at)?))) {
                Some((entry, _)) if says(entry, item) => {}
                Some((entry, to)) => {
                    let item = kept(&plan.spec, entry, item);
                    changes.push(steps.request(
                        ground,
                        &plan.change,
                        &names(id, Some(&to), Some(&item), None),
                    )?);
                }
                None => {
                    additions.push(vec![steps.request(
                        ground,
                        &plan.add,
                        &names(id, None, Some(item), None),
                    )?]);
                }
            }
        }
        let mut removals = Vec::new();
        for at in (0..self.entries.len()).filter(|at| !paired.contains(&Some(*at))) {
            if let Some(to) = entry_id(at) {
                removals.push(steps.request(ground, &plan.remove, &names(id, Some(&to), None, None))?);
            }
        }
        self.batches.push_back(changes);
        // One after the other: a CRM that takes no place gives it by the order in which they come.
        self.batches.extend(additions);
        self.batches.push_back(removals);
        Ok(self.next())
    }

    fn changed(
        &mut self,
        call: &Call,
        ground: &Ground,
        outcomes: Vec<Outcome>,
        steps: &mut Steps,
    ) -> Result<Vec<Request>> {
        let mut failed = None;
        for outcome in outcomes {
            match classify::write(&ground.connector, call, outcome) {
                Ok(_) => steps.written = true,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or_else(|| Ok(self.next()), Err)
    }

    fn next(&mut self) -> Vec<Request> {
        while let Some(batch) = self.batches.pop_front() {
            if !batch.is_empty() {
                return batch;
            }
        }
        Vec::new()
    }
}

/// An element in the CRM's words, with the id that the body gives.
type Item = (Value, Option<String>);
/// Whether an element is that present one.
type Same<'a> = &'a dyn Fn(&Item, &Value) -> bool;

/// Which present element each of the meant ones is: that of its id, else one that says the same in `same`, else the next
/// that is left, so that another name renames.
fn pair(spec: &Part, items: &[Item], entries: &[Value]) -> Vec<Option<usize>> {
    let mut paired: Vec<Option<usize>> = vec![None; items.len()];
    let mut left: Vec<usize> = (0..entries.len()).collect();
    let same = |item: &Item, entry: &Value| {
        dig_text(&item.0, &spec.same).is_some_and(|text| dig_text(entry, &spec.same) == Some(text))
    };
    let by_id = |item: &Item, entry: &Value| item.1.is_some() && dig_text(entry, &spec.current.id) == item.1;
    let any = |item: &Item, _: &Value| item.1.is_none();
    let ways: [Same<'_>; 3] = [&by_id, &same, &any];
    for way in ways {
        for (item, place) in items.iter().zip(&mut paired).filter(|(_, place)| place.is_none()) {
            let found = left.iter().position(|at| entries.get(*at).is_some_and(|entry| way(item, entry)));
            *place = found.map(|found| left.remove(found));
        }
    }
    paired
}

/// Whether a present element says already all that an item does.
fn says(entry: &Value, item: &Value) -> bool {
    match (entry, item) {
        (Value::Object(entry), Value::Object(item)) => {
            item.iter().all(|(key, value)| entry.get(key).is_some_and(|known| says(known, value)))
        }
        (entry, item) => entry == item,
    }
}

/// The item with what its change must repeat of the present element.
fn kept(spec: &Part, entry: &Value, item: &Value) -> Value {
    let mut whole = item.clone();
    if let (Some(whole), Some(entry)) = (whole.as_object_mut(), entry.as_object()) {
        for key in &spec.keep {
            let Some(present) = entry.get(key) else { continue };
            match (whole.get_mut(key), present) {
                (Some(Value::Object(own)), Value::Object(present)) => {
                    for (key, value) in present {
                        own.entry(key.clone()).or_insert_with(|| value.clone());
                    }
                }
                (None, present) => {
                    whole.insert(key.clone(), present.clone());
                }
                _ => {}
            }
        }
    }
    whole
}

fn plan<'a>(name: &str, call: &Call, ground: &'a Ground) -> Result<&'a PartPlan> {
    let plan = ground.resource(call)?.parts.get(name);
    plan.ok_or_else(|| Error::internal(format!("the part `{name}` is gone")))
}

fn names<'a>(
    id: &'a str,
    to: Option<&'a str>,
    item: Option<&'a Value>,
    cursor: Option<&'a str>,
) -> impl Fn(&str) -> Option<Value> + 'a {
    move |name: &str| match name {
        "id" => Some(json!(id)),
        "id.number" if id == NEW_ID => Some(json!(id)),
        "id.number" => id.parse::<u64>().ok().map(Value::from),
        "to" => to.map(|to| json!(to)),
        "item" => item.cloned(),
        "cursor" => cursor.map(|cursor| json!(cursor)),
        name => item?.get(name.strip_prefix("item.")?).cloned(),
    }
}
