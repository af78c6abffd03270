//! One unified request, checked against the contract, and who sent it.

use std::net::IpAddr;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{AppId, ConsumerId, Operation, Secret, ServiceId, Trail};

/// Who calls, for whom, and under which request id.
#[derive(Debug, Clone)]
pub struct Context {
    /// The reply's `Request-Id`; a log line is found by it.
    pub request_id: String,
    /// The application whose key was shown.
    pub app: AppId,
    /// The application's customer.
    pub consumer: ConsumerId,
    /// The connector asked for; none where the caller left the choice to us.
    pub service: Option<ServiceId>,
    /// The caller's address (behind a declared proxy: the forwarded one).
    pub remote: IpAddr,
    /// Scheme and host as the caller sees the gateway, without a trailing slash: the base of `links`.
    pub public_base: String,
    /// The trace that the caller takes part in; requests to the CRM continue it.
    pub trace: Option<Trace>,
    /// What the call leaves behind for the request log.
    pub trail: Trail,
    /// The key under which a write happens at most once, where the caller sent one.
    pub idempotency_key: Option<Secret>,
}

/// W3C trace context, as it is sent on with requests to the CRM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// `traceparent`: the caller's trace id, a span id of our own, the caller's sampling flag.
    pub parent: String,
    /// `tracestate`, unchanged.
    pub state: Option<String>,
}

/// What is known of an earlier try of the same write, under the same idempotency key, whose outcome is not known.
#[derive(Debug, Clone)]
pub struct Earlier {
    /// When its first writing request was about to be sent.
    pub first_sent: jiff::Timestamp,
    /// The same of the last try, where there were several.
    pub last_sent: jiff::Timestamp,
    /// The body of that request; none where it had none, or one too large to keep.
    pub sent: Option<Bytes>,
}

/// A request for one operation, checked against the contract.
#[derive(Debug, Clone)]
pub struct Call {
    /// What is asked.
    pub operation: Operation,
    /// The record's id, for one, update and delete.
    pub id: Option<String>,
    /// The id of what the resource lives in: the list of `list-members`, the custom object of `custom-objects`.
    pub parent: Option<String>,
    /// The query string.
    pub query: Query,
    /// The body of a create or update.
    pub body: Option<Map<String, Value>>,
    /// The path as called, such as `/crm/contacts`: the base of `links`.
    pub path: String,
    /// The query as called, without the leading `?`.
    pub raw_query: String,
}

/// The query string of a call.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Records wanted on a page, 1 to 200; 0 for a stream whose pages are as large as the CRM has them.
    pub limit: u16,
    /// The cursor, still sealed.
    pub cursor: Option<String>,
    /// Filters by name, in the order sent.
    pub filter: Vec<(String, Value)>,
    /// The sort asked for.
    pub sort: Option<Sort>,
    /// The fields asked for; none is all.
    pub fields: Option<FieldMask>,
    /// Whether the downstream reply is wanted beside the answer.
    pub raw: bool,
    /// Whether the answer says where each field came from.
    pub explain: bool,
    /// Whether the requests of a write are wanted instead of the write.
    pub dry_run: bool,
    /// How a list is sent.
    pub format: Format,
    /// Whether filters and a sort that the CRM lacks are applied by the gateway, which reads on for it.
    pub scan: bool,
    /// Keys and values for the downstream query.
    pub pass_through: Vec<(String, String)>,
    /// Values of keys that only some operations of the Vault and Connector APIs have.
    pub keys: Vec<(String, Value)>,
}

/// How a list is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// One page in an envelope.
    #[default]
    Json,
    /// All pages, one JSON record a line.
    Lines,
    /// All pages, one row a record.
    Csv,
}

/// A sort of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// The unified sort name, such as `created_at`.
    pub by: String,
    /// Whether the order is descending.
    pub descending: bool,
}

/// A tree of wanted fields: `id,emails.email` keeps `id` whole and only `email` within `emails`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldMask {
    /// Wanted fields; an empty mask below a name wants all of it.
    pub fields: Vec<(String, FieldMask)>,
}

impl FieldMask {
    /// Parses a comma-separated list of dotted names; blanks are passed over.
    pub fn parse(text: &str) -> FieldMask {
        let mut mask = FieldMask::default();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let mut at = &mut mask;
            let mut parts = name.split('.').peekable();
            while let Some(part) = parts.next() {
                let known = at.fields.iter().position(|(known, _)| known == part);
                let index = match known {
                    // A whole field stays whole when one of its parts is named beside it.
                    Some(index) if at.fields.get(index).is_some_and(|(_, below)| below.fields.is_empty()) => {
                        break;
                    }
                    Some(index) => index,
                    None => {
                        at.fields.push((part.to_owned(), FieldMask::default()));
                        at.fields.len() - 1
                    }
                };
                let Some((_, below)) = at.fields.get_mut(index) else { break };
                if parts.peek().is_none() {
                    below.fields.clear();
                }
                at = below;
            }
        }
        mask
    }

    /// The mask below a field: none if the field is not wanted, an empty mask if all of it is.
    pub fn below(&self, name: &str) -> Option<&FieldMask> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, below)| below)
    }

    /// Whether everything is wanted.
    pub fn is_all(&self) -> bool {
        self.fields.is_empty()
    }
}
