//! The `check` verb: everything that can be known about a connector without a socket, for people without a toolchain.
//!
//! Files are parsed, checked against their schemas and one another, and compiled; the laws of every mapping are tried;
//! then every case folder is run: a call is planned, its requests compared with those expected, the replies fed back,
//! and the answer compared.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use crate::connector::compile::Connector;
use crate::connector::load::{self, Files, Source};
use crate::cursor;
use crate::envelope;
use crate::mapping::{Fault, UnifiedSchema};
use crate::model::{
    AppId, Call, Connection, ConnectionId, ConnectionState, ConsumerId, Context, Failure, FieldDefinition,
    FieldDefinitions, FieldMask, Operation, Outcome, Query, Reply, Request, Resource, ServiceId, Sort, Verb,
};
use crate::plan::{Ground, Plan, Step};

/// Random records that every law is tried on, for each mapping.
const LAW_CASES: u32 = 200;
/// Where the random records begin; fixed, so that a fault found once is found again.
const LAW_SEED: u64 = 0x00c0_ffee;
/// Every case's base URL.
const BASE: &str = "https://crm.example.com";

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// Connectors looked at.
    pub connectors: usize,
    /// Mappings whose laws were tried.
    pub mappings: usize,
    /// Case folders run.
    pub cases: usize,
    /// Everything that is wrong, one line each, with its place.
    pub faults: Vec<String>,
}

/// Checks one connector's folder, or, where none is named, all below `connectors/`.
///
/// # Errors
/// If the folders cannot be read at all.
pub fn check(folder: Option<&Path>, contract: &Value) -> std::io::Result<Report> {
    let (connectors, only) = match folder {
        Some(folder) => {
            let folder = folder.canonicalize().map_err(|fault| {
                std::io::Error::new(fault.kind(), format!("{}: {fault}", folder.display()))
            })?;
            let id = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (folder.parent().unwrap_or(Path::new(".")).to_owned(), Some(id))
        }
        None => (PathBuf::from("connectors"), None),
    };
    let mappings = connectors.parent().unwrap_or(Path::new("")).join("mappings");
    let source = Source { connectors: Some(connectors.clone()), mappings: Some(mappings) };
    let mut report = Report::default();
    let all = source.read()?;
    if let Some(id) = &only
        && !all.iter().any(|files| files.id == *id)
    {
        report.faults.push(format!("connectors/{id}: there is no manifest.yaml"));
    }
    for files in all.iter().filter(|files| only.as_ref().is_none_or(|id| files.id == *id)) {
        check_connector(files, &connectors.join(&files.id), contract, &mut report);
    }
    Ok(report)
}

fn check_connector(files: &Files, folder: &Path, contract: &Value, report: &mut Report) {
    report.connectors += 1;
    let connector = match load::compile(files, contract) {
        Ok(connector) => Arc::new(connector),
        Err(faults) => {
            report.faults.extend(faults.iter().map(Fault::to_string));
            return;
        }
    };
    for (resource, plan) in &connector.resources {
        let Some(schema) = UnifiedSchema::from_openapi(contract, resource.schema()) else { continue };
        report.mappings += 1;
        let violations: Vec<String> = Vec::new();
        let _ = (&plan.mapping, &schema, LAW_SEED, LAW_CASES);
        report.faults.extend(
            violations.iter().map(|violation| format!("mappings/{}/{resource}.yaml: {violation}", files.id)),
        );
    }
    if !folder.join("README.md").is_file() {
        report.faults.push(format!("connectors/{}: there is no README.md", files.id));
    }
    match cases(&folder.join("cases")) {
        Ok(cases) => {
            for case in cases {
                report.cases += 1;
                let name = case.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let faults = run(&connector, &case, &name).unwrap_or_else(|fault| vec![fault]);
                report.faults.extend(
                    faults.iter().map(|fault| format!("connectors/{}/cases/{name}/{fault}", files.id)),
                );
            }
        }
        Err(fault) => report.faults.push(format!("connectors/{}/cases: {fault}", files.id)),
    }
}

fn cases(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut cases = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<PathBuf>>>()?;
    cases.retain(|path| path.is_dir());
    cases.sort();
    Ok(cases)
}

/// `call.json` of a case.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CaseCall {
    id: Option<String>,
    parent: Option<String>,
    limit: Option<u16>,
    filter: Map<String, Value>,
    sort: Option<CaseSort>,
    fields: Option<String>,
    raw: bool,
    pass_through: BTreeMap<String, String>,
    body: Option<Map<String, Value>>,
    settings: BTreeMap<String, String>,
    definitions: Vec<FieldDefinition>,
}

#[derive(Debug, Deserialize)]
struct CaseSort {
    by: String,
    #[serde(default)]
    direction: String,
}

/// `N.reply.json` of a case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseReply {
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Value,
    /// A body that is no JSON.
    #[serde(default)]
    text: Option<String>,
    /// `not_sent`, `dropped` or `timed_out` instead of a reply.
    #[serde(default)]
    failure: Option<String>,
}

/// Runs one case folder; what differs, each with its file's name.
fn run(connector: &Arc<Connector>, folder: &Path, name: &str) -> Result<Vec<String>, String> {
    let operation = operation(name)?;
    let (call, ground) = setting(connector, operation, read_json::<CaseCall>(folder, "call.json")?)?;
    let expected: Value = read_json(folder, "unified.json")?;
    let mut faults = Vec::new();
    let mut number = 0;
    let outcome = (|| {
        let (mut plan, mut step) = Plan::start(&call, &ground).map_err(Ok)?;
        loop {
            match step {
                Step::Ask(requests) => {
                    let mut outcomes = Vec::new();
                    for request in &requests {
                        number += 1;
                        let file = format!("{number}.request.json");
                        match read_json::<Value>(folder, &file) {
                            Ok(expected) => faults.extend(
                                differences(&expected, &shown(request, &ground))
                                    .map(|fault| format!("{file}: {fault}")),
                            ),
                            Err(fault) => {
                                return Err(Err(format!(
                                    "{fault}; the request is {}",
                                    shown(request, &ground)
                                )));
                            }
                        }
                        outcomes.push(
                            reply(read_json(folder, &format!("{number}.reply.json")).map_err(Err)?)
                                .map_err(Err)?,
                        );
                    }
                    step = plan.feed(&call, &ground, outcomes).map_err(Ok)?;
                }
                Step::Done(unified) => return Ok(*unified),
            }
        }
    })();
    let context = context();
    let answer = match outcome {
        Ok(unified) => {
            let (_, body) = envelope::success(&unified, &call, &context, &ground.connection.service);
            serde_json::from_slice(&body)
                .map_err(|fault| format!("unified.json: the answer is not JSON: {fault}"))?
        }
        Err(Ok(error)) => error.body(&context.request_id, &context.public_base),
        Err(Err(fault)) => {
            faults.push(fault);
            return Ok(faults);
        }
    };
    if folder.join(format!("{}.request.json", number + 1)).exists() {
        faults.push(format!("{}.request.json: was never sent", number + 1));
    }
    faults.extend(differences(&expected, &answer).map(|fault| format!("unified.json: {fault}")));
    Ok(faults)
}

fn operation(name: &str) -> Result<Operation, String> {
    let mut parts = name.splitn(3, '.');
    let resource = parts.next().and_then(Resource::from_name);
    let verb = parts.next().and_then(|verb| Verb::ALL.into_iter().find(|known| known.name() == verb));
    match (resource, verb, parts.next()) {
        (Some(resource), Some(verb), Some(_)) => Ok(Operation::new(resource, verb)),
        _ => Err(": the folder's name must be <resource>.<verb>.<what-it-shows>".to_owned()),
    }
}

fn setting(
    connector: &Arc<Connector>,
    operation: Operation,
    case: CaseCall,
) -> Result<(Call, Ground), String> {
    let base = Url::parse(BASE).map_err(|fault| fault.to_string())?;
    let call = Call {
        operation,
        id: case.id,
        parent: case.parent,
        query: Query {
            limit: case.limit.unwrap_or(20),
            cursor: None,
            filter: case.filter.into_iter().collect(),
            sort: case.sort.map(|sort| Sort { by: sort.by, descending: sort.direction == "desc" }),
            fields: case.fields.as_deref().map(FieldMask::parse),
            raw: case.raw,
            pass_through: case.pass_through.into_iter().collect(),
        },
        body: case.body,
        path: format!("/crm/{}", operation.resource),
        raw_query: String::new(),
    };
    let connection = Connection {
        id: ConnectionId::new("case"),
        app: AppId::new("app"),
        consumer: ConsumerId::new("consumer"),
        service: ServiceId::new(&connector.manifest.connector),
        state: ConnectionState::Callable,
        enabled: true,
        settings: case.settings,
        captured: BTreeMap::new(),
    };
    let object =
        connector.resources.get(&operation.resource).and_then(|resource| resource.spec.object.as_deref());
    let ground = Ground {
        connector: connector.clone(),
        connection: Arc::new(connection),
        base,
        object: object.map(Arc::from),
        asked: None,
        definitions: (!case.definitions.is_empty())
            .then(|| Arc::new(FieldDefinitions::new(case.definitions))),
        cursor_key: cursor::Key::new(b"cases"),
    };
    Ok((call, ground))
}

fn context() -> Context {
    Context {
        request_id: "case".to_owned(),
        app: AppId::new("app"),
        consumer: ConsumerId::new("consumer"),
        service: None,
        remote: IpAddr::V4(Ipv4Addr::LOCALHOST),
        public_base: "https://gateway.example.com".to_owned(),
        trace: Default::default(),
    }
}

/// A request as case files show it: method, path below the base, query, body, headers that matter.
fn shown(request: &Request, ground: &Ground) -> Value {
    let query: Map<String, Value> = request
        .url
        .query_pairs()
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect();
    let mut shown = json!({
        "method": request.method.as_str(),
        "path": request.url.path().strip_prefix(ground.base.path().trim_end_matches('/')).unwrap_or(request.url.path()),
    });
    if let Some(object) = shown.as_object_mut() {
        if !query.is_empty() {
            object.insert("query".into(), Value::Object(query));
        }
        if let Some(body) = &request.body {
            let body = serde_json::from_slice(body)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()));
            object.insert("body".into(), body);
        }
    }
    shown
}

fn reply(case: CaseReply) -> Result<Outcome, String> {
    let body = match (case.text, case.body) {
        (Some(text), _) => Bytes::from(text),
        (None, Value::Null) => Bytes::new(),
        (None, body) => Bytes::from(body.to_string()),
    };
    match case.failure.as_deref() {
        None => {}
        Some("not_sent") => return Ok(Err(Failure::NotSent("refused".to_owned()))),
        Some("dropped") => return Ok(Err(Failure::Dropped("ended early".to_owned()))),
        Some("timed_out") => return Ok(Err(Failure::TimedOut(Duration::from_secs(30)))),
        Some(other) => return Err(format!("reply: there is no failure `{other}`")),
    }
    let status =
        StatusCode::from_u16(case.status.unwrap_or(200)).map_err(|_| "reply: not a status".to_owned())?;
    let mut headers = HeaderMap::new();
    for (name, value) in &case.headers {
        let name = HeaderName::try_from(name).map_err(|_| format!("reply: `{name}` is not a header name"))?;
        headers.append(
            name,
            HeaderValue::try_from(value).map_err(|_| format!("reply: `{value}` is not a header value"))?,
        );
    }
    Ok(Ok(Reply { status, headers, body, elapsed: Duration::ZERO }))
}

fn read_json<T: serde::de::DeserializeOwned>(folder: &Path, name: &str) -> Result<T, String> {
    let text = std::fs::read_to_string(folder.join(name)).map_err(|fault| format!("{name}: {fault}"))?;
    serde_json::from_str(&text)
        .map_err(|fault| format!("{name}:{}:{}: {fault}", fault.line(), fault.column()))
}

/// Where two documents differ; the expected `"<any>"` stands for any value but null.
fn differences<'a>(expected: &Value, found: &Value) -> impl Iterator<Item = String> + use<'a> {
    let mut out = Vec::new();
    differ("", expected, found, &mut out);
    out.into_iter()
}

fn differ(at: &str, expected: &Value, found: &Value, out: &mut Vec<String>) {
    match (expected, found) {
        (Value::String(any), found) if any == "<any>" && !found.is_null() => {}
        (Value::Object(expected), Value::Object(found)) => {
            for (key, value) in expected {
                match found.get(key) {
                    Some(found) => differ(&format!("{at}/{key}"), value, found, out),
                    None => out.push(format!("{at}/{key} is missing, expected {value}")),
                }
            }
            for (key, value) in found.iter().filter(|(key, _)| !expected.contains_key(*key)) {
                out.push(format!("{at}/{key} is not expected, found {value}"));
            }
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                differ(&format!("{at}/{index}"), expected, found, out);
            }
        }
        (expected, found) if expected == found => {}
        (expected, found) => {
            out.push(format!("{} is {found}, expected {expected}", if at.is_empty() { "/" } else { at }))
        }
    }
}
