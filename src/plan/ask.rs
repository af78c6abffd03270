//! Which properties are asked for by name, in lists that fit into a URL.

use std::collections::HashSet;
use std::sync::Arc;

use super::Ground;
use crate::connector::compile::ResourcePlan;
use crate::mapping::CustomMappings;
use crate::model::{FieldDefinitions, FieldMask};

/// What of a URL is left for the rest: path, other parameters.
const REST_OF_URL_BYTES: usize = 512;

/// Properties to ask for: one part per request.
#[derive(Debug, Default)]
pub struct Asked {
    /// The parts; one without names where the CRM sends all it has.
    pub parts: Vec<Part>,
}

/// Properties of one request.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// Their names.
    pub names: Vec<String>,
    /// The same, joined with commas.
    pub text: String,
}

impl Asked {
    /// What to ask for to read a resource's fields: those of the rules, and the customer's own.
    pub fn new(
        resource: &ResourcePlan,
        definitions: Option<&FieldDefinitions>,
        fields: Option<&FieldMask>,
        url_limit_bytes: usize,
    ) -> Asked {
        let Some(prefix) = &resource.spec.ask_below else { return Asked { parts: vec![Part::default()] } };
        let mut names = resource.mapping.keys_below(prefix, fields);
        if let Some(definitions) = definitions.filter(|_| resource.mapping.reads_rest_below(prefix, fields)) {
            let custom = definitions.fields.iter().filter(|field| field.custom).map(|field| field.id.clone());
            let mapped: HashSet<String> = names.iter().cloned().collect();
            names.extend(custom.filter(|name| !mapped.contains(name)));
        }
        let room = url_limit_bytes.saturating_sub(REST_OF_URL_BYTES).max(1);
        let mut parts = vec![Part::default()];
        let mut length = 0;
        for name in names {
            // A comma is three bytes once encoded; so, at worst, is every byte of a name.
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let more = name.bytes().map(|byte| if plain(byte) { 1 } else { 3 }).sum::<usize>() + 3;
            if length > 0 && length + more > room {
                parts.push(Part::default());
                length = 0;
            }
            length += more;
            if let Some(part) = parts.last_mut() {
                if !part.text.is_empty() {
                    part.text.push(',');
                }
                part.text.push_str(&name);
                part.names.push(name);
            }
        }
        Asked { parts }
    }
}

/// What to ask for in a call: what is known for all fields, or what these few need. `also` is a path whose property is
/// needed whatever fields are wanted.
pub fn properties(
    ground: &Ground,
    resource: &ResourcePlan,
    fields: Option<&FieldMask>,
    also: Option<&str>,
) -> Arc<Asked> {
    let asked = match &ground.asked {
        Some(asked) if fields.is_none_or(FieldMask::is_all) => asked.clone(),
        _ => {
            let limit = ground.connector.manifest.url_limit_bytes;
            Arc::new(Asked::new(resource, ground.definitions.as_deref(), fields, limit))
        }
    };
    let Some(prefix) = resource.spec.ask_below.as_deref() else { return asked };
    let mut more: Vec<&str> = Vec::new();
    more.extend(also.and_then(|path| path.strip_prefix(prefix)?.strip_prefix('.')));
    if let Some(custom) = ground.custom_mappings.as_deref().filter(|_| CustomMappings::wanted(fields)) {
        more.extend(custom.keys_below(prefix));
    }
    let asks = |name: &&str| asked.parts.iter().any(|part| part.names.iter().any(|known| known == name));
    more.retain(|name| !asks(name));
    more.sort_unstable();
    more.dedup();
    if more.is_empty() {
        return asked;
    }
    let mut parts = asked.parts.clone();
    let room = ground.connector.manifest.url_limit_bytes.saturating_sub(REST_OF_URL_BYTES);
    for name in more {
        // What a call's sort needs stands in the first part, whose reply is the page.
        let first = also.is_some_and(|path| path.ends_with(name));
        let part = if first { parts.first_mut() } else { parts.last_mut() };
        match part {
            Some(part) if first || part.text.len() + 3 * name.len() < room => {
                part.names.push(name.to_owned());
                part.text = part.names.join(",");
            }
            _ => parts.push(Part { names: vec![name.to_owned()], text: name.to_owned() }),
        }
    }
    Arc::new(Asked { parts })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::connector::load::{Source, load};
    use crate::contract;
    use crate::model::{FieldDefinition, FieldKind, Resource, ServiceId};

    #[test]
    fn every_name_is_asked_for_once_and_no_part_is_too_long() {
        let registry = load(&Source::default(), contract::document()).unwrap();
        let connector = registry.get(&ServiceId::new("hubspot")).unwrap();
        let resource = &connector.resources[&Resource::Contacts];
        let custom = |number: usize| FieldDefinition {
            id: format!("a_property_of_the_customer_{number}"),
            name: json!(number).to_string(),
            description: None,
            kind: FieldKind::Text,
            custom: true,
            read_only: false,
            required: false,
            limits: Default::default(),
            options: Vec::new(),
        };
        let definitions = FieldDefinitions::new((0..500).map(custom).collect());
        let asked = Asked::new(resource, Some(&definitions), None, 2000);
        assert!(asked.parts.len() > 5);
        let names: Vec<&String> = asked.parts.iter().flat_map(|part| &part.names).collect();
        assert_eq!(names.len(), names.iter().collect::<HashSet<_>>().len());
        assert!(
            names.iter().any(|name| *name == "firstname") && names.iter().any(|name| name.ends_with("_499"))
        );
        for part in &asked.parts {
            assert!(part.text.len() < 1500, "{}", part.text.len());
            assert_eq!(part.text, part.names.join(","));
        }
        let few = Asked::new(resource, Some(&definitions), Some(&FieldMask::parse("id,first_name")), 2000);
        assert_eq!(few.parts.len(), 1);
        assert_eq!(few.parts[0].names, ["firstname"]);
    }
}
