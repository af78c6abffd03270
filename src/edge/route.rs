//! From method and path to an endpoint.

use std::borrow::Cow;

use http::Method;
use matchit::Router;

use super::query::{self, decode_path};
use crate::contract::{self, Api, Contract};
use crate::error::{Error, Kind, Result};
use crate::model::{Operation, OperationId, Resource};

/// Longest id in a path, in characters once decoded.
const LONGEST_ID: usize = 256;
/// The same of a session's token.
const LONGEST_TOKEN: usize = 4096;

/// Where the documents of the contract are.
const DOCUMENTS: [(Api, &str, &str); 3] = [
    (Api::Crm, "/openapi/crm.json", "/openapi/crm.yaml"),
    (Api::Vault, "/openapi/vault.json", "/openapi/vault.yaml"),
    (Api::Connector, "/openapi/connector.json", "/openapi/connector.yaml"),
];

/// Everything that can be asked of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A unified operation.
    Unified(Asked),
    /// An operation of the Vault or Connector API.
    Portal(PortalAsked),
    /// A call passed through to the CRM.
    Proxy,
    /// The contract.
    OpenApi(Api, Form),
    /// Whether the gateway can serve.
    Health,
    /// The page of one kind of failure.
    ErrorPage(String),
    /// Which methods a path takes, as an `Allow` header.
    Options(String),
}

/// A unified operation and the ids in its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The operation.
    pub operation: Operation,
    /// The record.
    pub id: Option<String>,
    /// What the record lives in.
    pub parent: Option<String>,
}

/// An operation of the Vault or Connector API and the ids in its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalAsked {
    /// The operation.
    pub operation: OperationId,
    /// The ids by their names in the contract.
    pub ids: Vec<(String, String)>,
}

/// Forms of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

#[derive(Debug, Clone, Copy)]
enum Target {
    Unified(Operation),
    Portal(OperationId),
    Proxy,
    OpenApi(Api, Form),
    Health,
    ErrorPage,
}

#[derive(Debug, Default)]
struct Path {
    targets: Vec<(Method, Target)>,
    allow: String,
}

/// All routes.
#[derive(Debug)]
pub struct Routes {
    router: Router<usize>,
    paths: Vec<Path>,
}

impl Routes {
    /// The routes of the contract, and the gateway's own.
    ///
    /// Errors: paths that cannot be told apart.
    pub fn new(contract: &Contract) -> std::result::Result<Routes, contract::Error> {
        let mut patterns: Vec<(&str, Method, Target)> = vec![
            ("/health", Method::GET, Target::Health),
            ("/errors/{name}", Method::GET, Target::ErrorPage),
        ];
        for (api, json, yaml) in DOCUMENTS {
            patterns.push((json, Method::GET, Target::OpenApi(api, Form::Json)));
            patterns.push((yaml, Method::GET, Target::OpenApi(api, Form::Yaml)));
        }
        for method in [Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE] {
            patterns.push(("/proxy", method, Target::Proxy));
        }
        for rules in contract.portal_operations() {
            patterns.push((&rules.path, rules.method.clone(), Target::Portal(rules.operation)));
        }
        for rules in contract.operations() {
            patterns.push((&rules.path, rules.method.clone(), Target::Unified(rules.operation)));
        }
        let mut routes = Routes { router: Router::new(), paths: Vec::new() };
        patterns.sort_by_key(|pattern| pattern.0);
        let mut last = None;
        for (pattern, method, target) in patterns {
            if last != Some(pattern) {
                let told = |error| contract::Error::new(format!("{pattern}: {error}"));
                routes.router.insert(pattern, routes.paths.len()).map_err(told)?;
                routes.paths.push(Path::default());
                last = Some(pattern);
            }
            if let Some(path) = routes.paths.last_mut() {
                path.targets.push((method, target));
            }
        }
        for path in &mut routes.paths {
            path.allow = allow(&path.targets);
        }
        Ok(routes)
    }

    /// The endpoint of a request. `method` is the one meant (see [`meant_method`]); HEAD is GET.
    ///
    /// Errors: `EntityNotFoundError`, `MethodNotAllowedError` with `Allow`, `RequestValidationError` for ids.
    pub fn find(&self, method: &Method, path: &str) -> Result<Endpoint> {
        let matched = self.router.at(path).ok();
        let found = matched.as_ref().and_then(|matched| self.paths.get(*matched.value));
        let (Some(matched), Some(found)) = (&matched, found) else {
            return Err(Error::new(Kind::EntityNotFoundError, "There is no such route."));
        };
        if method == Method::OPTIONS {
            return Ok(Endpoint::Options(found.allow.clone()));
        }
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        let target = found.targets.iter().find(|(method, _)| method == wanted).map(|(_, target)| *target);
        let parameter = |name: &str| matched.params.get(name);
        match target {
            None => Err(Error::new(
                Kind::MethodNotAllowedError,
                format!("This route takes {}, not {method}.", found.allow),
            )
            .header("allow", found.allow.clone())),
            Some(Target::Health) => Ok(Endpoint::Health),
            Some(Target::OpenApi(api, form)) => Ok(Endpoint::OpenApi(api, form)),
            Some(Target::Proxy) => Ok(Endpoint::Proxy),
            Some(Target::ErrorPage) => {
                Ok(Endpoint::ErrorPage(parameter("name").unwrap_or_default().to_owned()))
            }
            Some(Target::Portal(operation)) => {
                let id = |(name, text): (&str, &str)| Ok((name.to_owned(), identifier(name, text)?));
                let ids = matched.params.iter().map(id).collect::<Result<_>>()?;
                Ok(Endpoint::Portal(PortalAsked { operation, ids }))
            }
            Some(Target::Unified(operation)) => {
                let (parent, id) = match operation.resource {
                    Resource::ListMembers => ("id", ""),
                    Resource::CustomObjects => ("object_id", "id"),
                    _ => ("", "id"),
                };
                Ok(Endpoint::Unified(Asked {
                    operation,
                    id: parameter(id).map(|text| identifier(id, text)).transpose()?,
                    parent: parameter(parent).map(|text| identifier(parent, text)).transpose()?,
                }))
            }
        }
    }
}

fn allow(targets: &[(Method, Target)]) -> String {
    let mut names = Vec::new();
    for method in [Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE] {
        if targets.iter().any(|(known, _)| *known == method) {
            if method == Method::GET {
                names.extend(["GET", "HEAD"]);
            } else {
                names.push(match method {
                    Method::POST => "POST",
                    Method::PATCH => "PATCH",
                    Method::PUT => "PUT",
                    _ => "DELETE",
                });
            }
        }
    }
    names.push("OPTIONS");
    names.join(", ")
}

fn identifier(name: &str, encoded: &str) -> Result<String> {
    let refused = |message: &str| query::refused(vec![query::Fault::parameter(name, message)]);
    let text = decode_path(encoded).map_err(refused)?;
    let longest = if name == "jwt" { LONGEST_TOKEN } else { LONGEST_ID };
    if text.is_empty() || text.chars().nth(longest).is_some() {
        return Err(refused(&format!("must have 1 to {longest} characters")));
    }
    // U+FEFF is a space to the regular expressions of the contract.
    if text
        .chars()
        .any(|c| matches!(c, '/' | '?' | '#' | '%' | '\u{feff}') || c.is_whitespace() || c.is_control())
    {
        return Err(refused("must not contain / ? # %, spaces or control characters"));
    }
    Ok(text.into_owned())
}

/// The method that a request means: `_method` in the query of a POST stands for GET, PATCH or DELETE.
///
/// Errors: `RequestValidationError` for any other `_method`.
pub fn meant_method<'a>(method: &'a Method, query: &str) -> Result<Cow<'a, Method>> {
    // `_` and letters can come percent-encoded, so only a query without either spelling is let through unread.
    if method != Method::POST || !(query.contains("method") || query.contains('%')) {
        return Ok(Cow::Borrowed(method));
    }
    let mut meant = Cow::Borrowed(method);
    for (key, value) in query::pairs(query).flatten() {
        if key == "_method" {
            meant = match &*value {
                "GET" => Cow::Owned(Method::GET),
                "PATCH" => Cow::Owned(Method::PATCH),
                "DELETE" => Cow::Owned(Method::DELETE),
                _ => {
                    let fault = query::Fault::parameter("_method", "must be GET, PATCH or DELETE");
                    return Err(query::refused(vec![fault]));
                }
            };
        }
    }
    Ok(meant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Verb;

    fn routes() -> Routes {
        Routes::new(&Contract::load().unwrap()).unwrap()
    }

    fn kind(result: Result<Endpoint>) -> Kind {
        result.unwrap_err().kind()
    }

    #[test]
    fn every_operation_of_the_contract_has_its_route() {
        let routes = routes();
        for rules in Contract::load().unwrap().operations() {
            let path = rules.path.replace("{object_id}", "car").replace("{id}", "a%2Bb");
            let Ok(Endpoint::Unified(asked)) = routes.find(&rules.method, &path) else { panic!("{path}") };
            assert_eq!(asked.operation, rules.operation);
            let (in_parent, in_id) = match rules.operation.resource {
                Resource::ListMembers => (Some("a+b"), None),
                Resource::CustomObjects => (Some("car"), Some("a+b")),
                _ => (None, Some("a+b")),
            };
            let is_one = matches!(rules.operation.verb, Verb::One | Verb::Update | Verb::Delete);
            assert_eq!(asked.parent.as_deref(), in_parent);
            assert_eq!(asked.id.as_deref(), in_id.filter(|_| is_one));
        }
    }

    #[test]
    fn routes_that_do_not_exist_and_methods_that_do_not_fit() {
        let routes = routes();
        let contract = Contract::load().unwrap();
        for rules in contract.portal_operations() {
            let path = rules.path.replace('{', "").replace('}', "%2B");
            let Ok(Endpoint::Portal(asked)) = routes.find(&rules.method, &path) else { panic!("{path}") };
            assert_eq!(asked.operation, rules.operation, "{path}");
            for (name, id) in asked.ids {
                assert_eq!(id, format!("{name}+"), "{path}");
            }
        }
        for path in
            ["/", "/crm", "/crm/contacts/", "/crm/contacts/1/2", "/crm/Contacts", "/crm/companies/a/b"]
        {
            assert_eq!(kind(routes.find(&Method::GET, path)), Kind::EntityNotFoundError, "{path}");
        }
        let error = routes.find(&Method::PUT, "/crm/contacts/1").unwrap_err();
        assert_eq!(error.kind(), Kind::MethodNotAllowedError);
        assert_eq!(error.reply_headers(), [("allow", "GET, HEAD, PATCH, DELETE, OPTIONS".to_owned())]);
        assert_eq!(kind(routes.find(&Method::POST, "/crm/lists")), Kind::MethodNotAllowedError);
        assert_eq!(
            routes.find(&Method::OPTIONS, "/crm/lists").unwrap(),
            Endpoint::Options("GET, HEAD, OPTIONS".to_owned())
        );
    }

    #[test]
    fn ids_are_decoded_once_and_checked() {
        let routes = routes();
        let id = |path: &str| match routes.find(&Method::GET, path) {
            Ok(Endpoint::Unified(asked)) => Ok(asked.id.unwrap()),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.kind()),
        };
        assert_eq!(id("/crm/contacts/a+b").unwrap(), "a+b");
        assert_eq!(id("/crm/contacts/%C3%A9").unwrap(), "é");
        assert_eq!(id(&format!("/crm/contacts/{}", "%C3%A9".repeat(256))).unwrap(), "é".repeat(256));
        for bad in [
            "a%2Fb",
            "a%3Fb",
            "a%23b",
            "a%2525",
            "a%20b",
            "a%00b",
            "a%0Ab",
            "%ff",
            "a%2",
            "a%zz",
            "a%EF%BB%BFb",
            &"x".repeat(257),
            &"%C3%A9".repeat(257),
        ] {
            let path = format!("/crm/contacts/{bad}");
            assert_eq!(id(&path), Err(Kind::RequestValidationError), "{bad}");
        }
    }

    #[test]
    fn the_method_in_the_query_counts_only_on_post() {
        assert_eq!(*meant_method(&Method::POST, "raw=false&_method=PATCH").unwrap(), Method::PATCH);
        assert_eq!(*meant_method(&Method::POST, "%5Fm%65thod=DELETE").unwrap(), Method::DELETE);
        assert_eq!(*meant_method(&Method::POST, "").unwrap(), Method::POST);
        assert_eq!(*meant_method(&Method::GET, "_method=DELETE").unwrap(), Method::GET);
        assert!(meant_method(&Method::POST, "_method=PUT").is_err());
    }
}
