//! The wire contract, compiled. In: `openapi/crm.yaml`, embedded. Out: for each operation its route, the query keys
//! it knows and their types, and the schema of its body. Never: sockets, files, clock.
//!
//! [`mod@document`] reads the OpenAPI document · [`parameter`] types of query values · [`body`] schemas and their faults.

pub mod body;
mod document;
pub mod parameter;

use std::sync::LazyLock;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use crate::model::{Operation, Resource, Verb};

pub use document::Error;
pub use parameter::Parameters;

/// The OpenAPI document as written.
pub const YAML: &str = include_str!("../../openapi/crm.yaml");

/// The OpenAPI document, parsed. Null if the embedded text were no YAML, which [`Contract::load`] tells.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| document::parse(YAML).unwrap_or_default());
    &DOCUMENT
}

/// What the contract says about one operation.
#[derive(Debug)]
pub struct Rules {
    /// The operation.
    pub operation: Operation,
    /// The path pattern, such as `/crm/contacts/{id}`.
    pub path: String,
    /// The method.
    pub method: Method,
    /// The query keys.
    pub parameters: Parameters,
    /// The schema of the body; none where the operation takes no body.
    pub body: Option<body::Schema>,
}

/// The whole contract.
#[derive(Debug)]
pub struct Contract {
    rules: Vec<Option<Rules>>,
    json: Bytes,
}

impl Contract {
    /// Reads the embedded contract. Schemas are compiled at first use, or all at once by [`Contract::warm`].
    ///
    /// Errors: a document that names an operation twice, or an unknown one, or has a dangling reference.
    pub fn load() -> Result<Contract, Error> {
        Contract::of(document())
    }

    /// Reads a contract from its document.
    pub fn of(document: &Value) -> Result<Contract, Error> {
        let read = document::read(document)?;
        let mut rules: Vec<Option<Rules>> = Vec::new();
        rules.resize_with(Resource::ALL.len() * Verb::ALL.len(), || None);
        for rule in read {
            let operation = rule.operation;
            match rules.get_mut(index(operation)) {
                Some(Some(_)) => return Err(Error::new(format!("{operation} stands there twice"))),
                Some(slot) => *slot = Some(rule),
                None => return Err(Error::new(format!("{operation} is unknown"))),
            }
        }
        Ok(Contract { rules, json: Bytes::from(document.to_string()) })
    }

    /// What the contract says about an operation; none where it has no such operation.
    pub fn rules(&self, operation: Operation) -> Option<&Rules> {
        self.rules.get(index(operation)).and_then(Option::as_ref)
    }

    /// All operations of the contract.
    pub fn operations(&self) -> impl Iterator<Item = &Rules> {
        self.rules.iter().flatten()
    }

    /// The document as JSON.
    pub fn json(&self) -> Bytes {
        self.json.clone()
    }

    /// Compiles every body schema, so that no call has to.
    ///
    /// Errors: the first schema that does not compile.
    pub fn warm(&self) -> Result<(), Error> {
        self.operations()
            .filter_map(|rules| rules.body.as_ref())
            .try_for_each(|body| body.validator().map(drop))
    }
}

fn index(operation: Operation) -> usize {
    operation.resource as usize * Verb::ALL.len() + operation.verb as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_53_operations_are_there_and_their_schemas_compile() {
        let contract = Contract::load().unwrap();
        assert_eq!(contract.operations().count(), 53);
        contract.warm().unwrap();
        let lists = contract.rules(Operation::new(Resource::Lists, Verb::Create));
        assert!(lists.is_none(), "lists cannot be created");
    }

    #[test]
    fn bodies_belong_to_writes_and_updates_require_nothing() {
        for rules in Contract::load().unwrap().operations() {
            let writes_body = matches!(rules.operation.verb, Verb::Create | Verb::Update);
            assert_eq!(rules.body.is_some(), writes_body, "{}", rules.operation);
            if rules.operation.verb == Verb::Update {
                let faults = rules.body.as_ref().unwrap().faults(&serde_json::json!({})).unwrap();
                assert!(faults.is_empty(), "{}: {faults:?}", rules.operation);
            }
        }
    }

    #[test]
    fn what_the_sdks_always_send_is_known() {
        for rules in Contract::load().unwrap().operations() {
            assert!(rules.parameters.raw, "{}", rules.operation);
            assert_eq!(rules.parameters.limit, rules.operation.verb == Verb::List, "{}", rules.operation);
            assert_eq!(rules.parameters.cursor, rules.operation.verb == Verb::List, "{}", rules.operation);
        }
    }

    #[test]
    fn faults_of_the_document_are_told() {
        let parse = |yaml: &str| Contract::of(&document::parse(yaml).unwrap());
        assert!(document::parse("a: [").is_err());
        assert!(Contract::of(&Value::Null).is_err());
        let unknown = "paths: { /crm/x: { get: { x-operation: x.list } } }";
        assert!(parse(unknown).unwrap_err().to_string().contains("x.list"));
        let dangling = "paths: { /crm/notes: { get: { x-operation: notes.list, parameters: [{ $ref: '#/components/parameters/no' }] } } }";
        assert!(parse(dangling).unwrap_err().to_string().contains("parameters/no"));
        let twice =
            "paths: { /a: { get: { x-operation: notes.list } }, /b: { get: { x-operation: notes.list } } }";
        assert!(parse(twice).unwrap_err().to_string().contains("twice"));
    }
}
