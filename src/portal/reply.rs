//! The envelope of the Vault and Connector APIs: `status_code`, `status`, `data`, and for lists `meta` and `links`.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::Desk;
use crate::cursor::{Binding, Keyset, Position, Token};
use crate::error::{Error, Kind, Result};
use crate::model::Answer;
use crate::storage;

/// 200 with `data`.
pub fn ok(data: impl Into<Value>) -> Answer {
    let body = json!({ "status_code": 200, "status": "OK", "data": data.into() });
    Answer::json(StatusCode::OK, body.to_string())
}

/// 204 without a body.
pub fn no_content() -> Answer {
    Answer::json(StatusCode::NO_CONTENT, "")
}

/// What could not be stored, as the caller is told it.
pub fn told(error: storage::Error) -> Error {
    match error {
        storage::Error::Exists(..) => Error::new(Kind::ConflictError, format!("{error}.")),
        storage::Error::Missing(..) => Error::new(Kind::EntityNotFoundError, format!("{error}.")),
        storage::Error::Unusable(says) => Error::new(Kind::RequestValidationError, format!("{says}.")),
        other => other.into(),
    }
}

/// A point in time as the wire has it: ISO 8601, UTC. Empty for a time that no calendar has.
pub fn time(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).map(|time| time.to_string()).unwrap_or_default()
}

/// The page of a list ordered by a text key.
pub struct Page {
    token: Token,
    binding: Binding,
}

impl Page {
    /// The page that the call's cursor stands for, or the first.
    ///
    /// # Errors
    /// `InvalidCursorError`: the cursor is none, or of another application, consumer, operation or filter.
    pub fn of(desk: &Desk<'_>) -> Result<Page> {
        let query = &desk.call.query;
        let ids: Vec<&str> = desk.call.ids.iter().map(|(_, id)| id.as_str()).collect();
        let mut filter: Vec<String> =
            query.filter.iter().map(|(name, value)| format!("{name}={value}")).collect();
        filter.sort();
        let consumer = desk.visitor.consumer.as_ref().map_or("", |consumer| consumer.as_str());
        let binding = Binding::new(&[
            desk.app()?.as_str(),
            consumer,
            desk.call.operation.name(),
            &ids.join("/"),
            &filter.join("&"),
        ]);
        let token = match &query.cursor {
            None => Token::start(),
            Some(text) => Token::open(text, &desk.shared.cursor_key, &binding)
                .map_err(|error| Error::new(Kind::InvalidCursorError, format!("{error}.")))?,
        };
        Ok(Page { token, binding })
    }

    /// The key after which the page begins; none for the first page.
    pub fn after(&self) -> Option<&str> {
        match &self.token.position {
            Position::Keyset(Keyset::ById { id }) => id.as_deref(),
            _ => None,
        }
    }

    /// Records to read: one more than fit, which tells whether there is a page after this one.
    pub fn wanted(desk: &Desk<'_>) -> i64 {
        i64::from(desk.call.query.limit) + 1
    }

    /// 200 with the records that fit, each given with its key.
    pub fn reply(&self, desk: &Desk<'_>, mut records: Vec<(String, Value)>) -> Answer {
        let limit = usize::from(desk.call.query.limit);
        let more = records.len() > limit;
        records.truncate(limit);
        let sealed = |token: &Token| token.seal(&desk.shared.cursor_key, &self.binding);
        let next = records.last().filter(|_| more).map(|(key, _)| {
            sealed(&self.token.next(Position::Keyset(Keyset::ById { id: Some(key.clone()) })))
        });
        let previous = self.token.previous().as_ref().map(sealed);
        let current = sealed(&self.token);
        let link = |cursor: Option<&str>| link(desk, cursor);
        let body = json!({
            "status_code": 200,
            "status": "OK",
            "meta": {
                "items_on_page": records.len(),
                "cursors": { "previous": previous, "current": current, "next": next },
            },
            "links": {
                "previous": previous.as_deref().map(|cursor| link(Some(cursor))),
                "current": link(desk.call.query.cursor.as_deref()),
                "next": next.as_deref().map(|cursor| link(Some(cursor))),
            },
            "data": records.into_iter().map(|(_, record)| record).collect::<Vec<_>>(),
        });
        Answer::json(StatusCode::OK, body.to_string())
    }
}

/// The call's own URL with another cursor.
fn link(desk: &Desk<'_>, cursor: Option<&str>) -> String {
    let pairs = form_urlencoded::parse(desk.call.raw_query.as_bytes()).filter(|(name, _)| name != "cursor");
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    query.extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
    let query = query.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}{}{mark}{query}", desk.visitor.public_base, desk.call.path)
}
