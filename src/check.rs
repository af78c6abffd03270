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
use crate::mapping::{Document, Fault, UnifiedSchema, laws};
use crate::model::{
    AppId, Call, Connection, ConnectionId, ConnectionState, ConsumerId, Context, Failure, FieldDefinition,
    FieldDefinitions, FieldMask, Operation, Outcome, Query, Reply, Request, Resource, ServiceId, Sort, Verb,
};
use crate::plan::{Ground, Plan, Step, Unified};

/// Random records that every law is tried on, for each mapping.
const LAW_CASES: u32 = 200;
/// Where the random records begin; fixed, so that a fault found once is found again.
const LAW_SEED: u64 = 0x00c0_ffee;
/// Every case's time.
const NOW: &str = "2026-01-31T09:30:00Z";
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
            // A manifest stands for its folder.
            let folder = if folder.is_file() { folder.parent().unwrap_or(&folder) } else { &folder };
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
        Ok(connector) => Some(Arc::new(connector)),
        Err(faults) => {
            report.faults.extend(faults.iter().map(Fault::to_string));
            None
        }
    };
    if let Some(connector) = &connector {
        try_laws(connector, files, contract, report);
    }
    if !folder.join("README.md").is_file() {
        report.faults.push(format!("connectors/{}: there is no README.md", files.id));
    }
    check_cases(connector.as_ref(), &files.id, folder, report);
}

/// Tries the laws on every mapping of a connector.
fn try_laws(connector: &Connector, files: &Files, contract: &Value, report: &mut Report) {
    for (resource, plan) in &connector.resources {
        let Some(schema) = UnifiedSchema::from_openapi(contract, resource.schema()) else { continue };
        let sources = plan.sources.iter().map(|source| (format!("{resource}.{}", source.name), &source.plan));
        let alone = plan.sources.is_empty().then(|| (resource.name().to_owned(), plan));
        for (name, plan) in sources.chain(alone) {
            report.mappings += 1;
            let Some(file) = files.mappings.get(&name) else { continue };
            let Ok(document) = Document::parse(&file.name, &file.text) else { continue };
            for violation in laws::check(&plan.mapping, &schema, LAW_SEED, LAW_CASES) {
                let laws::Violation { law, field, message } = violation;
                let fault = document.fault(
                    &format!("/fields/{field}"),
                    format!("breaks the law `{law}`: {field}: {message}"),
                );
                report.faults.push(fault.to_string());
            }
        }
    }
}

/// Reads every case folder, and runs it where the connector is whole.
fn check_cases(connector: Option<&Arc<Connector>>, id: &str, folder: &Path, report: &mut Report) {
    let cases = match cases(&folder.join("cases")) {
        Ok(cases) => cases,
        Err(fault) => return report.faults.push(format!("connectors/{id}/cases: {fault}")),
    };
    for folder in cases {
        report.cases += 1;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let faults = match (Case::read(&folder, &name), connector) {
            (Ok(case), Some(connector)) => case.run(connector).unwrap_or_else(|fault| vec![fault]),
            (Ok(_), None) => Vec::new(),
            (Err(faults), _) => faults,
        };
        report.faults.extend(faults.iter().map(|fault| format!("connectors/{id}/cases/{name}{fault}")));
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
    /// How many times `next` is followed; the answer compared is the last one.
    follow: usize,
    filter: Map<String, Value>,
    sort: Option<CaseSort>,
    fields: Option<String>,
    raw: bool,
    explain: bool,
    scan: bool,
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

/// One case folder, read.
struct Case {
    operation: Operation,
    call: CaseCall,
    /// By number: what is sent, and what comes back.
    requests: BTreeMap<usize, Value>,
    replies: BTreeMap<usize, CaseReply>,
    unified: Value,
}

impl Case {
    /// Reads all files of a case; every fault begins with the rest of its file's path.
    fn read(folder: &Path, name: &str) -> Result<Case, Vec<String>> {
        let mut faults = Vec::new();
        let operation = operation(name).map_err(|fault| faults.push(fault)).ok();
        let (mut call, mut unified) = (None, None);
        let (mut requests, mut replies) = (BTreeMap::new(), BTreeMap::new());
        let entries = std::fs::read_dir(folder).map_err(|fault| vec![format!(": {fault}")])?;
        let mut files: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        files.sort();
        for file in &files {
            let mut keep = |fault: String| faults.push(fault);
            let numbered = file.split_once('.').and_then(|(number, rest)| Some((number.parse().ok()?, rest)));
            match (file.as_str(), numbered) {
                ("call.json", _) => call = read_json(folder, file).map_err(&mut keep).ok(),
                ("unified.json", _) => unified = read_json(folder, file).map_err(&mut keep).ok(),
                (_, Some((number, "request.json"))) => {
                    requests.extend(read_json(folder, file).map_err(keep).ok().map(|value| (number, value)));
                }
                (_, Some((number, "reply.json"))) => {
                    replies.extend(read_json(folder, file).map_err(keep).ok().map(|reply| (number, reply)));
                }
                _ => faults.push(format!(
                    "/{file}: is no file of a case: call.json, 1.request.json, 1.reply.json, …, unified.json"
                )),
            }
        }
        for needed in ["call.json", "unified.json"] {
            if !files.iter().any(|file| file == needed) {
                faults.push(format!("/{needed}: is missing"));
            }
        }
        match (operation, call, unified) {
            (Some(operation), Some(call), Some(unified)) if faults.is_empty() => {
                Ok(Case { operation, call, requests, replies, unified })
            }
            _ => Err(faults),
        }
    }

    /// Runs the case; what differs, each with the rest of its file's path.
    fn run(self, connector: &Arc<Connector>) -> Result<Vec<String>, String> {
        let Case { operation, call, requests, mut replies, unified } = self;
        let follow = call.follow;
        let (mut call, ground) = setting(connector, operation, call)?;
        let context = context();
        let mut faults = Vec::new();
        let mut number = 0;
        let mut exchange = |request: &Request| -> Result<Outcome, String> {
            number += 1;
            let shown = shown(request, &ground);
            match requests.get(&number) {
                Some(expected) => faults.extend(
                    differences(expected, &shown).map(|fault| format!("/{number}.request.json: {fault}")),
                ),
                None => return Err(format!("/{number}.request.json: is missing; the request is {shown}")),
            }
            let reply = replies.remove(&number).ok_or_else(|| format!("/{number}.reply.json: is missing"))?;
            outcome(reply).map_err(|fault| format!("/{number}.reply.json: {fault}"))
        };
        let mut answer = Value::Null;
        for page in 0..=follow {
            if page > 0 {
                let next = answer.pointer("/meta/cursors/next").and_then(Value::as_str);
                call.query.cursor =
                    Some(next.ok_or("/call.json: there is no next page to follow")?.to_owned());
            }
            answer = match perform(&call, &ground, &mut exchange)? {
                Ok(unified) => {
                    let (_, body) = envelope::success(&unified, &call, &context, &ground.connection.service);
                    serde_json::from_slice(&body)
                        .map_err(|fault| format!("/unified.json: the answer is not JSON: {fault}"))?
                }
                Err(error) => error.body(&context.request_id, &context.public_base),
            };
        }
        for unsent in requests.keys().filter(|known| **known > number || **known == 0) {
            faults.push(format!("/{unsent}.request.json: was never sent"));
        }
        for unread in replies.keys() {
            faults.push(format!("/{unread}.reply.json: was never read"));
        }
        faults.extend(differences(&unified, &answer).map(|fault| format!("/unified.json: {fault}")));
        Ok(faults)
    }
}

/// Plans a call and feeds it what `exchange` answers to each request.
///
/// # Errors
/// What `exchange` has against a request; an error of the catalogue is a result like any other.
fn perform(
    call: &Call,
    ground: &Ground,
    exchange: &mut dyn FnMut(&Request) -> Result<Outcome, String>,
) -> Result<crate::error::Result<Unified>, String> {
    let (mut plan, mut step) = match Plan::start(call, ground) {
        Ok(started) => started,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        match step {
            Step::Done(unified) => return Ok(Ok(*unified)),
            Step::Ask(requests) => {
                let outcomes =
                    requests.iter().map(&mut *exchange).collect::<Result<Vec<Outcome>, String>>()?;
                step = match plan.feed(call, ground, outcomes) {
                    Ok(step) => step,
                    Err(error) => return Ok(Err(error)),
                };
            }
        }
    }
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
            explain: case.explain,
            scan: case.scan,
            pass_through: case.pass_through.into_iter().collect(),
            ..Query::default()
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
    let object = connector
        .resources
        .get(&operation.resource)
        .and_then(|resource| resource.object(call.parent.as_deref()));
    let ground = Ground {
        custom_mappings: None,
        scan_pages: 20,
        connector: connector.clone(),
        connection: Arc::new(connection),
        base,
        asked: None,
        source: None,
        earlier: None,
        object,
        now: NOW.parse().map_err(|fault: jiff::Error| fault.to_string())?,
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
        idempotency_key: None,
        trail: Default::default(),
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

fn outcome(case: CaseReply) -> Result<Outcome, String> {
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
        Some(other) => return Err(format!("there is no failure `{other}`: not_sent, dropped, timed_out")),
    }
    let status = StatusCode::from_u16(case.status.unwrap_or(200)).map_err(|_| "not a status".to_owned())?;
    let mut headers = HeaderMap::new();
    for (name, value) in &case.headers {
        let name = HeaderName::try_from(name).map_err(|_| format!("`{name}` is not a header name"))?;
        headers.append(
            name,
            HeaderValue::try_from(value).map_err(|_| format!("`{value}` is not a header value"))?,
        );
    }
    Ok(Ok(Reply { status, headers, body, elapsed: Duration::ZERO }))
}

fn read_json<T: serde::de::DeserializeOwned>(folder: &Path, name: &str) -> Result<T, String> {
    let text = std::fs::read_to_string(folder.join(name)).map_err(|fault| format!("/{name}: {fault}"))?;
    serde_json::from_str(&text).map_err(|fault| {
        let (line, column) = (fault.line(), fault.column());
        let message = fault.to_string();
        let message = message.split_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        format!("/{name}:{line}:{column}: {message}")
    })
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
