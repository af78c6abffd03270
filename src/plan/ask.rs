//! Which properties are asked for by name, in lists that fit into a URL.

use super::Ground;
use crate::connector::compile::ResourcePlan;
use crate::model::FieldMask;

/// What of a URL is left for the rest: path, other parameters.
const REST_OF_URL_BYTES: usize = 512;

/// The properties to ask for, in one list per request; one empty list where the CRM sends all of them.
pub fn properties(ground: &Ground, resource: &ResourcePlan, fields: Option<&FieldMask>) -> Vec<Vec<String>> {
    let Some(prefix) = &resource.spec.ask_below else { return vec![Vec::new()] };
    let mut keys = resource.mapping.keys_below(prefix, fields);
    let wants_custom = fields.is_none_or(|fields| fields.is_all() || fields.below("custom_fields").is_some());
    if let Some(definitions) = ground.definitions.as_deref().filter(|_| wants_custom) {
        let custom = definitions.fields.iter().filter(|field| field.custom).map(|field| field.id.clone());
        let mapped: std::collections::HashSet<String> = keys.iter().cloned().collect();
        keys.extend(custom.filter(|key| !mapped.contains(key)));
    }
    let room = ground.connector.manifest.url_limit_bytes.saturating_sub(REST_OF_URL_BYTES).max(1);
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    let mut length = 0;
    for key in keys {
        // A comma is three bytes once encoded; so, at worst, is every byte of a key.
        let more = key
            .bytes()
            .map(|byte| if byte.is_ascii_alphanumeric() || byte == b'_' { 1 } else { 3 })
            .sum::<usize>()
            + 3;
        if length + more > room && !chunk.is_empty() {
            chunks.push(std::mem::take(&mut chunk));
            length = 0;
        }
        length += more;
        chunk.push(key);
    }
    chunks.push(chunk);
    chunks
}
