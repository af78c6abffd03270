//! Limits and cursors of HubSpot's lists.

use serde_json::{Value, json};

use super::errors;
use crate::exchange::{Reply, Request};

/// The `limit` of a list; 400 when it is not a number or too great.
pub fn limit(request: &Request, default: usize, max: usize) -> Result<usize, Reply> {
    let Some(text) = request.param("limit").filter(|text| !text.is_empty()) else { return Ok(default) };
    match text.parse::<usize>() {
        Ok(limit) if limit > max => {
            Err(errors::invalid(&format!("Invalid input: limit must be less than or equal to {max}")))
        }
        Ok(0) => Err(errors::invalid("Invalid input: limit must be greater than or equal to 1")),
        Ok(limit) => Ok(limit),
        Err(_) => Err(errors::invalid(&format!("Unable to parse value for query parameter: limit ({text})"))),
    }
}

/// The `paging` member that announces the next page, with a link to it.
pub fn next(request: &Request, after: &str) -> Value {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in request.query.iter().filter(|(name, _)| name != "after") {
        query.append_pair(name, value);
    }
    query.append_pair("after", after);
    let link = format!("https://api.hubapi.com{}?{}", request.path, query.finish());
    json!({ "next": { "after": after, "link": link } })
}
