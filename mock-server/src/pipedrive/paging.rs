//! Cursors of version 2 and pages of version 1.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::errors;
use crate::exchange::{Reply, Request};

const MAX_LIMIT: u64 = 500;
const DEFAULT_LIMIT: u64 = 100;

/// The place after which the next page begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    /// The member that the list is sorted by.
    pub field: String,
    /// That member of the last record shown.
    pub value: Value,
    /// Whether the list descends.
    pub descending: bool,
    /// The last record shown.
    pub id: u64,
}

impl Cursor {
    /// The opaque text.
    pub fn to_wire(&self) -> String {
        let direction = if self.descending { "desc" } else { "asc" };
        let body = json!({ "field": self.field, "fieldValue": self.value, "sortDirection": direction, "id": self.id });
        URL_SAFE_NO_PAD.encode(body.to_string())
    }

    /// The cursor of a request, if it has one.
    pub fn of(request: &Request) -> Result<Option<Cursor>, Reply> {
        let Some(text) = request.param("cursor").filter(|text| !text.is_empty()) else { return Ok(None) };
        let read = || -> Option<Cursor> {
            let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
            let body: Value = serde_json::from_slice(&bytes).ok()?;
            let body = &body;
            Some(Cursor {
                field: body["field"].as_str()?.to_owned(),
                value: body["fieldValue"].clone(),
                descending: body["sortDirection"] == "desc",
                id: body["id"].as_u64()?,
            })
        };
        read().map(Some).ok_or_else(|| errors::schema("cursor: Invalid cursor"))
    }
}

/// The `limit` of version 2: 400 when it is out of bounds.
pub fn limit(request: &Request, max: u64) -> Result<usize, Reply> {
    let Some(text) = request.param("limit").filter(|text| !text.is_empty()) else {
        return Ok(usize::try_from(DEFAULT_LIMIT.min(max)).unwrap_or(0));
    };
    let limit: u64 = text.parse().map_err(|_| errors::schema("limit: must be a number"))?;
    if limit == 0 || limit > max {
        return Err(errors::schema(&format!("limit: must be between 1 and {max}")));
    }
    Ok(usize::try_from(limit).unwrap_or(0))
}

/// `start` and `limit` of version 1, cut to what is allowed.
pub fn window(request: &Request) -> Result<(usize, usize), Reply> {
    let number = |name: &str, default: u64| -> Result<u64, Reply> {
        match request.param(name).filter(|text| !text.is_empty()) {
            None => Ok(default),
            Some(text) => {
                text.parse().map_err(|_| errors::bad(&format!("Bad request: {name} must be a number")))
            }
        }
    };
    let (start, limit) = (number("start", 0)?, number("limit", DEFAULT_LIMIT)?.clamp(1, MAX_LIMIT));
    Ok((usize::try_from(start).unwrap_or(usize::MAX), usize::try_from(limit).unwrap_or(0)))
}

/// Pipedrive's greatest page.
pub const MAX_PAGE: u64 = MAX_LIMIT;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        let cursor = Cursor { field: "id".to_owned(), value: json!(7), descending: false, id: 7 };
        assert_eq!(
            cursor.to_wire(),
            "eyJmaWVsZCI6ImlkIiwiZmllbGRWYWx1ZSI6Nywic29ydERpcmVjdGlvbiI6ImFzYyIsImlkIjo3fQ"
        );
    }
}
