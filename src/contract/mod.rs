//! The wire contract, compiled. In: the documents in `openapi/`, embedded. Out: for each operation its route, the query keys
//! it knows and their types, and the schema of its body. Never: sockets, files, clock.
//!
//! [`mod@document`] reads the OpenAPI document · [`parameter`] types of query values · [`body`] schemas and their faults.

pub mod body;
mod document;
pub mod parameter;

use std::sync::OnceLock;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use crate::model::{Operation, OperationId, Resource, Verb};

pub use document::Error;
pub use parameter::Parameters;

/// The three APIs, each with a document of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// The unified CRM API, under `/crm`.
    Crm,
    /// Consumers, connections, sessions, custom mappings and the log, under `/vault`.
    Vault,
    /// Connectors and what they can do, under `/connector`.
    Connector,
}

impl Api {
    /// All APIs.
    pub const ALL: [Api; 3] = [Api::Crm, Api::Vault, Api::Connector];

    /// The name of its document, such as `crm`.
    pub const fn name(self) -> &'static str {
        match self {
            Api::Crm => "crm",
            Api::Vault => "vault",
            Api::Connector => "connector",
        }
    }

    /// Its OpenAPI document as written.
    pub const fn yaml(self) -> &'static str {
        match self {
            Api::Crm => include_str!("../../openapi/crm.yaml"),
            Api::Vault => include_str!("../../openapi/vault.yaml"),
            Api::Connector => include_str!("../../openapi/connector.yaml"),
        }
    }

    /// Its OpenAPI document, parsed. Null if the embedded text were no YAML, which [`Contract::load`] tells.
    pub fn document(self) -> &'static Value {
        static DOCUMENTS: [OnceLock<Value>; 3] = [const { OnceLock::new() }; 3];
        let parsed = || document::parse(self.yaml()).unwrap_or_default();
        match DOCUMENTS.get(self as usize) {
            Some(slot) => slot.get_or_init(parsed),
            None => &Value::Null,
        }
    }
}

/// The OpenAPI document of the unified CRM API, parsed.
pub fn document() -> &'static Value {
    Api::Crm.document()
}

/// What the contract says about one operation.
#[derive(Debug)]
pub struct Rules<O = Operation> {
    /// The operation.
    pub operation: O,
    /// The path pattern, such as `/crm/contacts/{id}`.
    pub path: String,
    /// The method.
    pub method: Method,
    /// The headers that must be there.
    pub needs: Needs,
    /// The query keys.
    pub parameters: Parameters,
    /// The schema of the body; none where the operation takes no body.
    pub body: Option<body::Schema>,
    /// Whether the body must be there.
    pub needs_body: bool,
}

/// Whether an operation is about a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consumer {
    /// It is not: one that is named is not looked at.
    No,
    /// It may be.
    Maybe,
    /// It is.
    Yes,
}

/// The headers that an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// An API key.
    pub key: bool,
    /// The application.
    pub app: bool,
    /// The consumer.
    pub consumer: Consumer,
}

impl Needs {
    /// What unified operations need.
    pub const ALL: Needs = Needs { key: true, app: true, consumer: Consumer::Yes };
}

/// The whole contract.
#[derive(Debug)]
pub struct Contract {
    unified: Vec<Option<Rules>>,
    portal: Vec<Rules<OperationId>>,
    json: [Bytes; 3],
}

impl Contract {
    /// Reads the embedded contract. Schemas are compiled at first use, or all at once by [`Contract::warm`].
    ///
    /// Errors: a document that names an operation twice, or an unknown one, or has a dangling reference.
    pub fn load() -> Result<Contract, Error> {
        Contract::of(Api::ALL.map(Api::document))
    }

    /// Reads a contract from its documents, in the order of [`Api::ALL`].
    pub fn of(documents: [&Value; 3]) -> Result<Contract, Error> {
        let [crm, vault, connector] = documents;
        let mut unified: Vec<Option<Rules>> = Vec::new();
        unified.resize_with(Resource::ALL.len() * Verb::ALL.len(), || None);
        for rule in document::unified(crm)? {
            let operation = rule.operation;
            match unified.get_mut(index(operation)) {
                Some(Some(_)) => return Err(Error::new(format!("{operation} stands there twice"))),
                Some(slot) => *slot = Some(rule),
                None => return Err(Error::new(format!("{operation} is unknown"))),
            }
        }
        let mut found = document::portal(vault)?;
        found.extend(document::portal(connector)?);
        let mut portal = Vec::with_capacity(found.len());
        for &operation in OperationId::ALL {
            let Some(at) = found.iter().position(|rules| rules.operation == operation) else {
                return Err(Error::new(format!("{operation} is missing")));
            };
            portal.push(found.swap_remove(at));
        }
        if let Some(twice) = found.first() {
            return Err(Error::new(format!("{} stands there twice", twice.operation)));
        }
        Ok(Contract { unified, portal, json: documents.map(|document| Bytes::from(document.to_string())) })
    }

    /// What the contract says about an operation; none where it has no such operation.
    pub fn rules(&self, operation: Operation) -> Option<&Rules> {
        self.unified.get(index(operation)).and_then(Option::as_ref)
    }

    /// What the contract says about an operation of the Vault or Connector API.
    pub fn portal_rules(&self, operation: OperationId) -> Option<&Rules<OperationId>> {
        self.portal.get(operation as usize)
    }

    /// The schema of what an update of that resource may hold: every field that can be written, none required.
    pub fn fields(&self, resource: Resource) -> Option<&body::Schema> {
        let update = self.rules(Operation::new(resource, Verb::Update))?;
        update.body.as_ref()
    }

    /// All unified operations of the contract.
    pub fn operations(&self) -> impl Iterator<Item = &Rules> {
        self.unified.iter().flatten()
    }

    /// All operations of the Vault and Connector APIs.
    pub fn portal_operations(&self) -> impl Iterator<Item = &Rules<OperationId>> {
        self.portal.iter()
    }

    /// An API's document as JSON.
    pub fn json(&self, api: Api) -> Bytes {
        self.json.get(api as usize).cloned().unwrap_or_default()
    }

    /// Compiles every body schema, so that no call has to.
    ///
    /// Errors: the first schema that does not compile.
    pub fn warm(&self) -> Result<(), Error> {
        let unified = self.operations().filter_map(|rules| rules.body.as_ref());
        let portal = self.portal_operations().filter_map(|rules| rules.body.as_ref());
        unified.chain(portal).try_for_each(|body| body.validator().map(drop))
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
    fn vault_and_connector_operations_say_whom_they_are_for() {
        let contract = Contract::load().unwrap();
        contract.warm().unwrap();
        let needs = |operation| contract.portal_rules(operation).unwrap().needs;
        let rows = [
            (OperationId::ConsumersAll, (true, true, Consumer::No)),
            (OperationId::ConnectionsAll, (true, true, Consumer::Maybe)),
            (OperationId::ConnectionsOne, (true, true, Consumer::Yes)),
            (OperationId::SessionsCreate, (true, true, Consumer::Yes)),
            (OperationId::ConnectorsAll, (true, true, Consumer::No)),
            (OperationId::ConnectionsCallback, (false, false, Consumer::No)),
        ];
        for (operation, (key, app, consumer)) in rows {
            assert_eq!(needs(operation), Needs { key, app, consumer }, "{operation}");
        }
        for rules in contract.portal_operations() {
            assert_eq!(contract.portal_rules(rules.operation).unwrap().operation, rules.operation);
            assert_eq!(rules.needs.key, rules.needs.app, "{}", rules.operation);
        }
        for rules in contract.operations() {
            assert_eq!(rules.needs, Needs::ALL, "{}", rules.operation);
            assert_eq!(rules.needs_body, rules.body.is_some(), "{}", rules.operation);
        }
        assert!(!contract.portal_rules(OperationId::SessionsCreate).unwrap().needs_body);
    }

    #[test]
    fn faults_of_the_document_are_told() {
        let [_, vault, connector] = Api::ALL.map(Api::document);
        let parse = |yaml: &str| Contract::of([&document::parse(yaml).unwrap(), vault, connector]);
        assert!(document::parse("a: [").is_err());
        assert!(Contract::of([&Value::Null, vault, connector]).is_err());
        assert!(Contract::of([document(), vault, vault]).unwrap_err().to_string().contains("is missing"));
        let unknown = "paths: { /crm/x: { get: { x-operation: x.list } } }";
        assert!(parse(unknown).unwrap_err().to_string().contains("x.list"));
        let dangling = "paths: { /crm/notes: { get: { x-operation: notes.list, parameters: [{ $ref: '#/components/parameters/no' }] } } }";
        assert!(parse(dangling).unwrap_err().to_string().contains("parameters/no"));
        let twice =
            "paths: { /a: { get: { x-operation: notes.list } }, /b: { get: { x-operation: notes.list } } }";
        assert!(parse(twice).unwrap_err().to_string().contains("twice"));
    }
}
