//! The contract holds together: every schema compiles, every example is valid, and the code's own tables agree with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use crosswalk::error::CATALOGUE;
use crosswalk::model::{Operation, Resource, Verb};
use jsonschema::Validator;
use serde_json::{Value, json};

fn contract() -> Value {
    serde_saphyr::from_str(include_str!("../openapi/crm.yaml")).expect("crm.yaml is YAML")
}

fn contracts() -> [(&'static str, Value); 3] {
    let parsed = |text| serde_saphyr::from_str(text).expect("a contract is YAML");
    [
        ("crm", contract()),
        ("connector", parsed(include_str!("../openapi/connector.yaml"))),
        ("vault", parsed(include_str!("../openapi/vault.yaml"))),
    ]
}

/// A validator of one schema of the contract, formats asserted.
fn validator(contract: &Value, pointer: &str) -> Validator {
    let mut document = contract.clone();
    document["$ref"] = json!(pointer);
    jsonschema::options()
        .should_validate_formats(true)
        .build(&document)
        .unwrap_or_else(|e| panic!("{pointer}: {e}"))
}

fn schema(contract: &Value, name: &str) -> Validator {
    validator(contract, &format!("#/components/schemas/{name}"))
}

fn operations(contract: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (path, item) in contract["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((format!("{method} {path}"), operation));
        }
    }
    found
}

fn keys(schema: &Value) -> BTreeSet<String> {
    schema["properties"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn every_example_is_valid() {
    for (api, contract) in contracts() {
        let mut contents = Vec::new();
        for (name, operation) in operations(&contract) {
            if let Some(body) = operation.get("requestBody") {
                contents.push((name, &body["content"]["application/json"]));
            }
        }
        for (name, response) in contract["components"]["responses"].as_object().unwrap() {
            if let Some(content) = response["content"].get("application/json") {
                contents.push((name.clone(), content));
            }
        }
        assert!(contents.len() >= 20, "{api} has {} examples", contents.len());
        for (name, content) in contents {
            let (Some(example), Some(pointer)) = (content.get("example"), content["schema"]["$ref"].as_str())
            else {
                assert_ne!(api, "crm", "{name} has no example or no named schema");
                continue;
            };
            let validator = validator(&contract, pointer);
            let faults: Vec<String> =
                validator.iter_errors(example).map(|e| format!("{}: {e}", e.instance_path())).collect();
            assert!(faults.is_empty(), "{api} {name}: {faults:#?}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(pointer)) = object.get("$ref") {
                    found.insert(pointer);
                }
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    for (api, contract) in contracts() {
        let mut found = BTreeSet::new();
        references(&contract, &mut found);
        assert!(found.len() > 50, "{api} has {} references", found.len());
        for pointer in found {
            let local = pointer.strip_prefix('#').unwrap_or_else(|| panic!("{api}: {pointer} is not local"));
            assert!(contract.pointer(local).is_some(), "{api}: {pointer} leads nowhere");
        }
    }
}

#[test]
fn every_operation_of_the_contract_is_one_of_the_code() {
    let contract = contract();
    let named: Vec<String> =
        operations(&contract).iter().map(|(_, o)| o["x-operation"].as_str().unwrap().to_owned()).collect();
    let distinct: BTreeSet<&String> = named.iter().collect();
    assert_eq!((named.len(), distinct.len()), (53, 53));
    let known: BTreeSet<String> = Resource::ALL
        .into_iter()
        .flat_map(|resource| {
            Verb::ALL.into_iter().map(move |verb| Operation::new(resource, verb).to_string())
        })
        .collect();
    for name in &named {
        assert!(known.contains(name), "{name} is not an operation");
    }
}

#[test]
fn a_record_is_read_and_written_with_the_same_keys() {
    let contract = contract();
    let schemas = &contract["components"]["schemas"];
    for resource in Resource::ALL {
        let name = resource.schema();
        let Some(update) = schemas.get(format!("{name}Update")) else {
            assert!(
                matches!(resource, Resource::Lists | Resource::ListMembers),
                "{name} has no {name}Update"
            );
            continue;
        };
        let mut written = keys(update);
        written.remove("pass_through");
        written.remove("password");
        let mut read = keys(&schemas[format!("{name}Record")]);
        if !written.contains("custom_mappings") {
            read.remove("custom_mappings");
        }
        assert_eq!(written, read, "{name}");
    }
}

#[test]
fn the_error_schema_names_the_whole_catalogue() {
    let rows: BTreeSet<&str> = CATALOGUE.iter().map(|row| row.name).collect();
    for (api, contract) in contracts() {
        let schemas = &contract["components"]["schemas"];
        let names = schemas["Error"]["properties"]["type_name"]["enum"].as_array().unwrap();
        let named: BTreeSet<&str> = names.iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(named, rows, "{api}");
    }
    let contract = contract();
    let schemas = contract["components"]["schemas"].as_object().unwrap();
    for row in CATALOGUE {
        let listed = schemas.values().any(|schema| {
            let own = &schema["properties"];
            own["status_code"]["const"] == row.status.as_u16()
                && own["type_name"]["enum"]
                    .as_array()
                    .is_some_and(|names| names.iter().any(|name| name == row.name))
        });
        assert!(listed, "no response of status {} lists {}", row.status, row.name);
    }
}

#[test]
fn schemas_accept_and_refuse() {
    let contract = contract();
    let accepted = [
        ("a null for a nullable required key", "Company", json!({"name": null})),
        (
            "a whole number written as a float",
            "Opportunity",
            json!({"title": "x", "monetary_amount": 7500.0}),
        ),
        ("an update with nothing", "OpportunityUpdate", json!({})),
        ("an update that clears a required key", "OpportunityUpdate", json!({"title": null})),
        ("a date", "OpportunityUpdate", json!({"close_date": "2031-05-17"})),
        (
            "a filter with microseconds",
            "ContactsFilter",
            json!({"updated_since": "2026-11-22T04:30:18.602825Z"}),
        ),
        ("a filter with an offset", "ContactsFilter", json!({"updated_since": "2024-01-02T03:04:05+02:00"})),
        (
            "an address that is no address, from a CRM",
            "ContactRecord",
            json!({"emails": [{"email": "none"}]}),
        ),
        ("an unknown reference", "ContactRecord", json!({"owner_id": null})),
        (
            "a list as custom value",
            "ContactRecord",
            json!({"custom_fields": [{"id": "x", "value": [1, "a", null]}]}),
        ),
    ];
    for (what, name, value) in accepted {
        let faults: Vec<String> =
            schema(&contract, name).iter_errors(&value).map(|e| e.to_string()).collect();
        assert!(faults.is_empty(), "{name} must accept {what}: {faults:?}");
    }
    let refused = [
        ("a missing required key", "Company", json!({})),
        ("a fraction of the smallest unit", "Opportunity", json!({"title": "x", "monetary_amount": 75.5})),
        ("a null title", "Opportunity", json!({"title": null})),
        ("an unknown key", "Opportunity", json!({"title": "x", "colour": "red"})),
        ("a date of another format", "OpportunityUpdate", json!({"close_date": "17.5.2031"})),
        ("a bad address", "Contact", json!({"emails": [{"email": "none"}]})),
        (
            "a type outside the enum",
            "Contact",
            json!({"emails": [{"email": "a@b.example", "type": "fancy"}]}),
        ),
        ("an unknown filter", "OpportunitiesFilter", json!({"colour": "red"})),
        ("a custom field without id and name", "CustomField", json!({"value": 1})),
        ("null where a key must be absent", "ContactRecord", json!({"emails": null})),
        ("an id that needs encoding", "ContactRecord", json!({"id": "a/b"})),
        ("a reference with a space", "ContactRecord", json!({"owner_id": "a b"})),
        ("a custom field without id", "ContactRecord", json!({"custom_fields": [{"name": "x"}]})),
        ("a time without zone", "ContactRecord", json!({"updated_at": "2024-01-01 10:00:00"})),
        (
            "a time of a lead without milliseconds",
            "LeadRecord",
            json!({"updated_at": "2024-01-01T10:00:00Z"}),
        ),
        ("a number where text belongs", "CompanyRecord", json!({"annual_revenue": 5})),
        ("a kind outside the enum", "ActivityRecord", json!({"type": "fika"})),
        ("a null title in a reply", "OpportunityRecord", json!({"title": null})),
        ("an unknown key in a reply", "ContactRecord", json!({"currency": "EUR"})),
        ("a password in a reply", "UserRecord", json!({"password": "x"})),
    ];
    for (what, name, value) in refused {
        assert!(!schema(&contract, name).is_valid(&value), "{name} must refuse {what}");
    }
}
