//! Where a list goes on: its cursors, and what they belong to.

use serde_json::json;

use crate::cursor;
use crate::cursor::{Binding, Token};
use crate::error::{Error, Kind, Result};
use crate::model::Call;
use crate::plan::ground::Ground;

/// The position that a call's cursor names.
pub(in crate::plan) fn open(call: &Call, ground: &Ground, binding: &Binding) -> Result<Token> {
    match &call.query.cursor {
        None => Ok(Token::start()),
        Some(text) => {
            Token::open(text, &ground.cursor_key, binding).map_err(|fault| invalid_cursor(ground, fault))
        }
    }
}

/// What the cursors of a list belong to: whose, which operation, which query; not how many records or fields are wanted.
pub(in crate::plan) fn binding(call: &Call, ground: &Ground) -> Binding {
    let connection = &ground.connection;
    let mut filter: Vec<String> =
        call.query.filter.iter().map(|(name, value)| format!("{name}={value}")).collect();
    filter.sort();
    filter.extend(call.query.pass_through.iter().map(|(name, value)| format!("?{name}={value}")));
    let sort =
        call.query.sort.as_ref().map_or(String::new(), |sort| format!("{} {}", sort.by, sort.descending));
    Binding::new(&[
        connection.app.as_str(),
        connection.consumer.as_str(),
        connection.service.as_str(),
        connection.id.as_str(),
        &call.operation.to_string(),
        call.parent.as_deref().unwrap_or(""),
        &json!(filter).to_string(),
        &sort,
    ])
}

pub(super) fn invalid_cursor(ground: &Ground, fault: impl std::fmt::Display) -> Error {
    Error::new(Kind::InvalidCursorError, format!("The cursor cannot be used with this call: {fault}."))
        .detail(json!({ "reason": fault.to_string(), "service": ground.connection.service.as_str() }))
}

impl From<cursor::Error> for Error {
    fn from(fault: cursor::Error) -> Error {
        Error::new(Kind::InvalidCursorError, fault.to_string())
    }
}
