//! What a downstream page is asked with.

use serde_json::{Value, json};

use super::{List, PartOf, Stage, cursor::invalid_cursor};
use crate::connector::compile::ListPlan;
use crate::connector::manifest::Paging;
use crate::connector::template::text_of;
use crate::cursor::{Keyset, Position};
use crate::error::{Error, Kind, Result};
use crate::model::{Call, Request};
use crate::plan::ground::Ground;
use crate::plan::keyset::Language;
use crate::plan::{Step, keyset, paging, pass_through};

impl List {
    /// Asks for the page at the present position.
    pub(super) fn ask_page(&mut self, call: &Call, ground: &Ground) -> Result<Step> {
        let resource = ground.resource(call)?;
        let plan = self.plan(resource)?;
        // One record more than wanted shows where the last group of equal keys ends.
        let cuts = matches!(plan.spec.paging, Paging::Keyset { .. }) && call.query.sort.is_some();
        let ahead = usize::from(cuts && self.part_of != Some(PartOf::Merge));
        let window = {
            let wanted = if self.search.is_some() { usize::MAX } else { self.limit - self.consumed + ahead };
            paging::window(&plan.spec.paging, &self.position, wanted)
        };
        let mut clauses = self.way.clauses.clone();
        let mut order = call
            .query
            .sort
            .as_ref()
            .and_then(|sort| plan.sorts.get(&sort.by).map(|plan| (plan.by.clone(), sort.descending)));
        if let (Some(language), Some(at)) = (language(plan), self.keyset_position(call)) {
            let sort =
                call.query.sort.as_ref().and_then(|sort| Some((plan.sorts.get(&sort.by)?, sort.descending)));
            let asked =
                keyset::ask(&at, sort, &language).map_err(|message| invalid_cursor(ground, message))?;
            clauses.extend(asked.clauses);
            order = Some((asked.sort, asked.descending));
        }
        let order = order.or_else(|| plan.spec.order.clone().map(|by| (by, false)));
        let directions = &plan.spec.directions;
        let clauses = match &plan.spec.clause_join {
            Some(join) => {
                let texts: Vec<String> = clauses.iter().filter_map(text_of).collect();
                (!texts.is_empty()).then(|| Value::from(texts.join(join)))
            }
            None => Some(Value::Array(clauses)),
        };
        let mut requests = Vec::with_capacity(self.asked.parts.len());
        for part in &self.asked.parts {
            let names = |name: &str| match name {
                "limit" if window.size != usize::MAX => Some(json!(window.size)),
                "cursor" => window.cursor.clone().map(Value::from),
                "page" => window.page.map(Value::from),
                "offset" => window.offset.map(Value::from),
                "properties" if plan.request.has_body() => Some(json!(part.names)),
                "properties" => Some(Value::from(part.text.as_str())).filter(|_| !part.text.is_empty()),
                "clauses" => clauses.clone(),
                "sort" => order.as_ref().map(|(by, _)| json!(by)),
                "direction" => order.as_ref().map(|(_, descending)| {
                    json!(if *descending { &directions.desc } else { &directions.asc })
                }),
                "parent" => call.parent.clone().map(Value::from),
                name => {
                    self.way.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
                }
            };
            let mut request = match (&plan.spec.paging, &window.cursor) {
                (Paging::NextUrl { .. }, Some(url)) => {
                    follow(ground, ground.request(&plan.request, &names)?, url)?
                }
                _ => ground.request(&plan.request, &names)?,
            };
            if !self.way.query.is_empty() {
                request.url.query_pairs_mut().extend_pairs(self.way.query.iter());
            }
            pass_through::query(call, &mut request);
            requests.push(request);
        }
        self.pages += 1;
        self.stage = Stage::Page(window);
        Ok(Step::Ask(requests))
    }

    pub(super) fn keyset_position(&self, call: &Call) -> Option<Keyset> {
        match &self.position {
            Position::Keyset(at) => Some(at.clone()),
            Position::Start => Some(keyset::start(call.query.sort.is_some())),
            _ => None,
        }
    }
}

pub(super) fn language(plan: &ListPlan) -> Option<Language<'_>> {
    let (Paging::Keyset { id_name, ops, .. }, Some((clause, bare_clause))) =
        (&plan.spec.paging, &plan.keyset)
    else {
        return None;
    };
    Some(Language { id_name, clause, bare_clause, ops })
}

/// The request for a next page whose URL the CRM has given: its path and query, never another host.
fn follow(ground: &Ground, mut request: Request, next: &str) -> Result<Request> {
    let url = ground.base.join(next).map_err(|fault| cursor_url(&fault.to_string()))?;
    if url.host() != ground.base.host()
        && !ground.connector.manifest.base_url.is_empty()
        && url.host_str() != ground.base.host_str()
    {
        return Err(cursor_url("it leads to another host"));
    }
    request.url.set_path(url.path());
    request.url.set_query(url.query());
    Ok(request)
}

fn cursor_url(reason: &str) -> Error {
    Error::new(Kind::ConnectorExecutionError, format!("The CRM's next page cannot be followed: {reason}."))
}
