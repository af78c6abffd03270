//! Data scopes and consent: which fields may be read and written over a connection, compiled once for all its calls.
//!
//! A field counts as granted where the application asks for it (or asks for nothing in particular) and the consumer's
//! latest consent, where there is one, names it. Reading is narrowed like `fields=` in a query, so that what is not
//! granted is not even asked of the CRM; `id` is always granted.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::contract;
use crate::error::{Error, Kind, Result};
use crate::model::{Call, FieldMask, Resource, Verb, Warning};
use crate::storage::{Consent, DataScopes};

/// Where a consumer's consent stands, as `consent_state` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsentState {
    /// None is needed.
    Implicit,
    /// It is needed and was not asked for yet.
    Pending,
    /// It was given.
    Granted,
    /// It was withheld.
    Denied,
    /// It was given and withdrawn.
    Revoked,
    /// It was given before the application changed what it asks for.
    RequiresReconsent,
}

impl ConsentState {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            ConsentState::Implicit => "implicit",
            ConsentState::Pending => "pending",
            ConsentState::Granted => "granted",
            ConsentState::Denied => "denied",
            ConsentState::Revoked => "revoked",
            ConsentState::RequiresReconsent => "requires_reconsent",
        }
    }

    /// Whether calls must wait for the consumer.
    pub const fn bars(self) -> bool {
        matches!(self, ConsentState::Pending | ConsentState::Denied | ConsentState::Revoked)
    }
}

/// Where consent stands, by what the application asks for and what the consumer answered, the latest last.
pub fn consent_state(scopes: Option<&DataScopes>, consents: &[Consent]) -> ConsentState {
    let scopes = scopes.filter(|scopes| scopes.enabled);
    match (scopes, consents) {
        (None, []) => ConsentState::Implicit,
        (Some(_), []) => ConsentState::Pending,
        (Some(scopes), [.., last]) if last.granted && last.created_ms < scopes.updated_ms => {
            ConsentState::RequiresReconsent
        }
        (_, [.., last]) if last.granted => ConsentState::Granted,
        (_, [before @ .., _]) if before.iter().any(|consent| consent.granted) => ConsentState::Revoked,
        _ => ConsentState::Denied,
    }
}

/// What may be done over a connection.
#[derive(Debug, PartialEq)]
pub enum Limits {
    /// Nothing, until the consumer consents.
    Barred(ConsentState),
    /// So much of each resource; a resource that is not there is not granted at all.
    To(BTreeMap<Resource, Granted>),
}

/// What is granted of one resource.
#[derive(Debug, PartialEq)]
pub struct Granted {
    read: FieldMask,
    write: Vec<String>,
    /// Fields that are left out of records.
    hidden: Vec<String>,
}

impl Limits {
    /// The limits; none where everything is granted, which then costs calls nothing.
    pub fn of(scopes: Option<&DataScopes>, consents: &[Consent]) -> Option<Arc<Limits>> {
        let state = consent_state(scopes, consents);
        if state.bars() {
            return Some(Arc::new(Limits::Barred(state)));
        }
        let asked = scopes.filter(|scopes| scopes.enabled).map(|scopes| &scopes.resources);
        let answered = consents.last().map(|consent| &consent.resources);
        let rules: Vec<&Value> = asked.into_iter().chain(answered).filter(|rules| !is_all(rules)).collect();
        if rules.is_empty() {
            return None;
        }
        let granted = Resource::ALL
            .into_iter()
            .filter_map(|resource| Granted::of(resource, &rules).map(|granted| (resource, granted)));
        Some(Arc::new(Limits::To(granted.collect())))
    }

    /// Holds a call to what is granted: narrows what it reads, refuses what it writes; the warning says what is left out.
    ///
    /// # Errors
    /// `ForbiddenError`, with the fields that are not granted.
    pub fn narrow(&self, call: &mut Call) -> Result<Option<Warning>> {
        let resource = call.operation.resource;
        let granted = match self {
            Limits::Barred(state) => {
                let says =
                    format!("The consumer's consent is {}: nothing may be read or written.", state.name());
                return Err(
                    Error::new(Kind::ForbiddenError, says).detail(json!({ "consent_state": state.name() }))
                );
            }
            Limits::To(all) => all.get(&resource).ok_or_else(|| forbidden(resource, "used", Vec::new()))?,
        };
        match call.operation.verb {
            Verb::List | Verb::One => granted.narrow_read(call),
            Verb::Create | Verb::Update => granted.check_write(call).map(|()| None),
            Verb::Delete if granted.write.is_empty() => Err(forbidden(resource, "written", Vec::new())),
            Verb::Delete => Ok(None),
        }
    }
}

impl Granted {
    /// What the rules, all of them, grant of a resource; none where that is nothing.
    fn of(resource: Resource, rules: &[&Value]) -> Option<Granted> {
        let pointer = |what: &str| format!("/components/schemas/{}{what}/properties", resource.schema());
        let document = contract::document();
        let record = document.pointer(&pointer("Record")).or_else(|| document.pointer(&pointer("")));
        let fields = record.and_then(Value::as_object)?;
        let allows = |field: &str, what: &str| {
            field == "id" || rules.iter().all(|rules| allows(rules, resource, field, what))
        };
        let (seen, hidden): (Vec<&String>, Vec<&String>) =
            fields.keys().partition(|field| allows(field, "read"));
        let write: Vec<String> =
            fields.keys().filter(|field| *field != "id" && allows(field, "write")).cloned().collect();
        if seen.iter().all(|field| *field == "id") && write.is_empty() {
            return None;
        }
        let read = FieldMask {
            fields: seen.into_iter().map(|field| (field.clone(), FieldMask::default())).collect(),
        };
        Some(Granted { read, write, hidden: hidden.into_iter().cloned().collect() })
    }

    fn narrow_read(&self, call: &mut Call) -> Result<Option<Warning>> {
        let resource = call.operation.resource;
        let hides = |field: &str| self.hidden.iter().any(|hidden| hidden == field);
        if self.hidden.is_empty() {
            return Ok(None);
        }
        let names = call.query.filter.iter().map(|(name, _)| name.as_str());
        let names = names.chain(call.query.sort.iter().map(|sort| sort.by.as_str()));
        let refused: Vec<&str> = names.filter_map(|name| hidden_behind(name, &hides)).collect();
        if !refused.is_empty() {
            return Err(forbidden(
                resource,
                "filtered or sorted by",
                refused.into_iter().map(str::to_owned).collect(),
            ));
        }
        // The CRM's own reply and its own query would lead around the mask.
        for (asked, what) in [(call.query.raw, "raw"), (!call.query.pass_through.is_empty(), "pass_through")]
        {
            if asked {
                let says = format!("{what} cannot be used: not all fields of {resource} are granted.");
                return Err(
                    Error::new(Kind::ForbiddenError, says).detail(json!({ "not_granted": self.hidden }))
                );
            }
        }
        let (mask, left_out) = match call.query.fields.take().filter(|asked| !asked.is_all()) {
            None => (self.read.clone(), self.hidden.clone()),
            Some(asked) => {
                let (mut seen, hidden): (Vec<_>, Vec<_>) =
                    asked.fields.into_iter().partition(|(field, _)| !hides(field));
                if seen.is_empty() {
                    // A mask of nothing would be one of everything.
                    seen.push(("id".to_owned(), FieldMask::default()));
                }
                (FieldMask { fields: seen }, hidden.into_iter().map(|(field, _)| field).collect())
            }
        };
        call.query.fields = Some(mask);
        Ok((!left_out.is_empty()).then(|| {
            let says = format!(
                "{} fields that are not granted were left out: {}.",
                left_out.len(),
                left_out.join(", ")
            );
            Warning::new("DataScopeWarning", says)
        }))
    }

    fn check_write(&self, call: &Call) -> Result<()> {
        let body = call.body.as_ref();
        let keys = body.into_iter().flat_map(|body| body.keys());
        let refused: Vec<String> =
            keys.filter(|key| !self.write.iter().any(|field| field == *key)).cloned().collect();
        if refused.is_empty() && !self.write.is_empty() {
            return Ok(());
        }
        Err(forbidden(call.operation.resource, "written", refused))
    }
}

fn forbidden(resource: Resource, what: &str, fields: Vec<String>) -> Error {
    let says = match fields.as_slice() {
        [] => format!("{resource} may not be {what}: the consumer or application has not granted it."),
        fields => {
            format!("Fields of {resource} that are not granted may not be {what}: {}.", fields.join(", "))
        }
    };
    Error::new(Kind::ForbiddenError, says)
        .detail(json!({ "resource": resource.name(), "not_granted": fields }))
}

fn is_all(rules: &Value) -> bool {
    rules.as_str() == Some("*")
}

/// Whether rules allow a field to be read or written. Resources may stand there as `contacts` or `crm.contacts`.
fn allows(rules: &Value, resource: Resource, field: &str, what: &str) -> bool {
    let of = rules.get(resource.name()).or_else(|| rules.get(format!("crm.{}", resource.name())));
    let rule = of.and_then(|of| of.get(field).or_else(|| of.get("*")));
    rule.and_then(|rule| rule.get(what)).and_then(Value::as_bool).unwrap_or(false)
}

/// The hidden field that a filter or sort name tells of.
fn hidden_behind<'n>(name: &'n str, hides: &dyn Fn(&str) -> bool) -> Option<&'n str> {
    let field = match name {
        "email" => "emails",
        "phone" | "phone_number" => "phone_numbers",
        "updated_since" => "updated_at",
        "created_since" => "created_at",
        other => other,
    };
    hides(field).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consent(granted: bool, resources: Value, created_ms: i64) -> Consent {
        Consent { id: "c".to_owned(), granted, resources, created_ms }
    }

    fn scopes(enabled: bool, resources: Value) -> DataScopes {
        DataScopes { enabled, resources, updated_ms: 100 }
    }

    #[test]
    fn consent_stands_where_the_answers_put_it() {
        let (on, off) = (scopes(true, json!("*")), scopes(false, json!("*")));
        let (yes, no) = (|at| consent(true, json!("*"), at), |at| consent(false, json!("*"), at));
        let rows: Vec<(Option<&DataScopes>, Vec<Consent>, ConsentState)> = vec![
            (None, vec![], ConsentState::Implicit),
            (Some(&off), vec![], ConsentState::Implicit),
            (Some(&on), vec![], ConsentState::Pending),
            (Some(&on), vec![yes(101)], ConsentState::Granted),
            (Some(&on), vec![yes(99)], ConsentState::RequiresReconsent),
            (Some(&off), vec![yes(99)], ConsentState::Granted),
            (Some(&on), vec![no(101)], ConsentState::Denied),
            (None, vec![no(1)], ConsentState::Denied),
            (Some(&on), vec![yes(101), no(102)], ConsentState::Revoked),
            (Some(&on), vec![no(101), yes(102)], ConsentState::Granted),
        ];
        for (scopes, consents, state) in rows {
            assert_eq!(consent_state(scopes, &consents), state, "{scopes:?} {consents:?}");
        }
    }

    #[test]
    fn what_is_not_limited_has_no_limits() {
        assert_eq!(Limits::of(None, &[]), None);
        assert_eq!(Limits::of(Some(&scopes(true, json!("*"))), &[consent(true, json!("*"), 200)]), None);
        let barred = Limits::of(Some(&scopes(true, json!("*"))), &[]);
        assert_eq!(barred.as_deref(), Some(&Limits::Barred(ConsentState::Pending)));
    }

    #[test]
    fn a_field_needs_both() {
        let asked = json!({ "contacts": { "first_name": { "read": true, "write": true }, "emails": { "read": true } } });
        let given =
            json!({ "crm.contacts": { "first_name": { "read": true }, "last_name": { "read": true } } });
        let limits = Limits::of(Some(&scopes(true, asked)), &[consent(true, given, 200)]).unwrap();
        let Limits::To(granted) = &*limits else { panic!("{limits:?}") };
        assert_eq!(granted.keys().copied().collect::<Vec<_>>(), [Resource::Contacts]);
        let contacts = &granted[&Resource::Contacts];
        let read: Vec<&str> = contacts.read.fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(read, ["id", "first_name"]);
        assert!(contacts.write.is_empty());
        assert!(contacts.hidden.contains(&"emails".to_owned()) && contacts.hidden.len() > 20);
    }
}
