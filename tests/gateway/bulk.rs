//! Whole lists as streams: every record once and in order, at the caller's pace, and where to go on after an early end.

use std::collections::BTreeSet;
use std::time::Duration;

use crosswalk::contract;
use http_body_util::BodyExt as _;
use mock_server::faults::{BadShape, Fault, Kind};
use mock_server::journal::Filter;
use serde_json::{Value, json};

use crate::harness::{Ask, SERVICES, World, ids, vendor};

/// Longest that anything in these tests may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing more must come, to be taken for nothing at all.
const SILENCE: Duration = Duration::from_millis(700);
const LINES: &str = "application/x-ndjson";

/// A reply that has been read to its end.
#[derive(Debug)]
struct Whole {
    status: u16,
    head: reqwest::header::HeaderMap,
    text: String,
    trailers: Option<reqwest::header::HeaderMap>,
    /// Whether it was broken off.
    broken: bool,
}

/// What the lines of a stream say.
#[derive(Debug)]
struct Told {
    records: Vec<Value>,
    warnings: Vec<Value>,
    end: Value,
}

fn http1() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().http1_only().build().unwrap()
}

/// A client that takes little at a time, whatever the sockets between would hold.
fn http2() -> reqwest::Client {
    let window = 65_535;
    reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .http2_initial_stream_window_size(window)
        .http2_initial_connection_window_size(window)
        .build()
        .unwrap()
}

async fn whole(ask: Ask<'_>, client: &reqwest::Client) -> Whole {
    let reply = ask.request(client).header("te", "trailers").send().await.unwrap();
    rest(reply).await
}

async fn rest(reply: reqwest::Response) -> Whole {
    let (status, head) = (reply.status().as_u16(), reply.headers().clone());
    let mut body = reqwest::Body::from(reply);
    let (mut bytes, mut trailers, mut broken) = (Vec::new(), None, false);
    let reading = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                broken = true;
                return;
            };
            match frame.into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("a reply in time");
    Whole { status, head, text: String::from_utf8(bytes).unwrap(), trailers, broken }
}

impl Whole {
    #[track_caller]
    fn lines(&self) -> Told {
        assert_eq!(self.status, 200, "{:.500}", self.text);
        assert_eq!(self.head["content-type"], "application/x-ndjson; charset=utf-8");
        assert!(self.text.ends_with('\n') && !self.broken, "broken off: {:.300}", self.text);
        let (mut told, mut ended) = (Told { records: vec![], warnings: vec![], end: Value::Null }, false);
        for line in self.text.lines() {
            assert!(!ended, "`_end` is the last line, not before {line:.200}");
            let line: Value = serde_json::from_str(line).unwrap();
            if let Some(warning) = line.get("_warning") {
                told.warnings.push(warning.clone());
            } else if let Some(end) = line.get("_end") {
                told.end = end.clone();
                ended = true;
            } else {
                told.records.push(line);
            }
        }
        assert!(ended, "a stream has an end");
        assert_eq!(told.end["records"], told.records.len());
        assert_eq!(told.end["warnings"], told.warnings.len());
        assert_eq!(told.end["complete"], json!(told.end["error"].is_null()));
        assert_eq!(self.trailer("x-crosswalk-records"), told.records.len().to_string());
        told
    }

    #[track_caller]
    fn rows(&self) -> Vec<Vec<String>> {
        assert_eq!(self.status, 200, "{:.500}", self.text);
        assert_eq!(self.head["content-type"], "text/csv; charset=utf-8");
        let rows = rows(&self.text);
        assert!(rows.iter().all(|row| row.len() == rows[0].len()), "every row is as long as the header");
        rows
    }

    #[track_caller]
    fn trailer(&self, name: &str) -> String {
        let trailers = self.trailers.as_ref().expect("trailers");
        trailers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned()
    }
}

/// Reads CSV as RFC 4180 has it.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (vec![], vec![], String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.push(chars.next().unwrap()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {
                assert_eq!(chars.next(), Some('\n'));
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            '\n' if !quoted => panic!("a row ends with CRLF"),
            other => cell.push(other),
        }
    }
    assert!(!quoted && row.is_empty() && cell.is_empty(), "it ends with a whole row");
    rows
}

fn record_ids(records: &[Value]) -> Vec<String> {
    records.iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
}

/// The records of the ordinary pages, one after the other.
async fn paged(ask: &dyn Fn() -> Ask<'static>) -> Vec<Value> {
    let (mut records, mut cursor) = (Vec::new(), None);
    loop {
        let mut ask = ask().query("limit", 200);
        if let Some(cursor) = &cursor {
            ask = ask.query("cursor", cursor);
        }
        let page = ask.send().await.ok();
        records.extend(page["data"].as_array().unwrap().iter().cloned());
        cursor = page["meta"]["cursors"]["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return records;
        }
    }
}

fn leak(world: World) -> &'static World {
    Box::leak(Box::new(world))
}

fn fault(kind: Kind, service: &str, skip: u32, times: Option<u32>) -> Fault {
    let condition = json!({ "kind": "drop_before", "skip": skip, "times": times, "vendor": service });
    let path = if service == "hubspot" { "/crm/v3/objects/contacts*" } else { "*/persons*" };
    Fault { kind, path: Some(path.to_owned()), ..serde_json::from_value(condition).unwrap() }
}

/// Requests for pages of an account's contacts.
fn pages(account: &str) -> Filter {
    Filter::account(vendor("hubspot"), account).path("/crm/v3/objects/contacts*")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_contact_comes_once_in_the_order_of_the_pages() {
    let world = leak(World::start().await);
    for service in SERVICES {
        let ask = || world.get("/crm/contacts").of(service);
        let expected = paged(&ask).await;
        assert!(expected.len() >= 2000, "{service}");
        for client in [http1(), http2()] {
            let told = whole(ask().header("accept", LINES), &client).await.lines();
            assert_eq!(
                told.end,
                json!({ "complete": true, "records": expected.len(), "warnings": told.warnings.len(), "cursor": null })
            );
            assert!(told.records == expected, "{service}: the records are those of the pages");
        }
        let csv = whole(ask().query("format", "csv").query("fields", "id,last_name,emails"), &http1()).await;
        assert_eq!(csv.head["content-disposition"], "attachment; filename=\"contacts.csv\"");
        assert_eq!(csv.trailer("x-crosswalk-records"), expected.len().to_string());
        let rows = csv.rows();
        assert_eq!(rows[0], ["id", "last_name", "emails"]);
        for (row, record) in rows[1..].iter().zip(&expected) {
            assert_eq!(row[0], record["id"].as_str().unwrap());
            assert_eq!(row[1], record["last_name"].as_str().unwrap_or(""));
            assert_eq!(serde_json::from_str::<Value>(&row[2]).unwrap(), record["emails"]);
        }
        assert_eq!(rows.len(), expected.len() + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_list_streams_what_its_pages_hold_and_keeps_to_the_contract() {
    let world = leak(World::start().await);
    let document = contract::document();
    let objects: [&[&str]; 2] = [
        &["companies", "contacts", "deals", "leads", "notes", "tasks", "calls", "meetings", "emails"],
        &["organizations", "persons", "deals", "leads", "notes", "activities"],
    ];
    let mut streamed = 0;
    for (service, objects) in SERVICES.into_iter().zip(objects) {
        world.connect(service, "small").await;
        for object in objects {
            world.mock.seed_records(vendor(service), "small", object, 130);
        }
        let lists = world.get("/crm/lists").of(service).send().await;
        let members = (lists.status == 200)
            .then(|| format!("/crm/lists/{}/members", ids(&lists.body).first().cloned().unwrap_or_default()));
        let rest = [
            ("/crm/companies", "Company"),
            ("/crm/opportunities", "Opportunity"),
            ("/crm/leads", "Lead"),
            ("/crm/pipelines", "Pipeline"),
            ("/crm/notes", "Note"),
            ("/crm/activities", "Activity"),
            ("/crm/users", "User"),
        ];
        let rest = rest.map(|(path, schema)| (path.to_owned(), schema, "small"));
        let demo = members.into_iter().map(|path| (path, "ListMember", "demo-consumer"));
        let lists = ("/crm/lists".to_owned(), "List", "demo-consumer");
        for (path, schema, consumer) in rest.into_iter().chain(demo).chain([lists]) {
            let ask = || world.get(&path).of(service).consumer(consumer);
            let page = ask().send().await;
            if page.status == 501 {
                let kind = page.body["type_name"].as_str().unwrap();
                whole(ask().query("format", "stream"), &http1()).await.fails(501, kind);
                continue;
            }
            let expected = paged(&ask).await;
            let told = whole(ask().query("format", "stream"), &http1()).await.lines();
            assert_eq!(record_ids(&told.records), record_ids(&expected), "{service} {path}");
            assert!(told.records == expected, "{service} {path}: the records are those of the pages");
            let names = [format!("{schema}Record"), schema.to_owned()];
            let name =
                names.iter().find(|name| document["components"]["schemas"].get(name).is_some()).unwrap();
            let mut whole_schema = document.clone();
            whole_schema["$ref"] = json!(format!("#/components/schemas/{name}"));
            let validator = jsonschema::validator_for(&whole_schema).unwrap();
            assert!(told.records.iter().all(|record| validator.is_valid(record)), "{service} {path}");
            let csv = whole(ask().query("format", "csv"), &http1()).await.rows();
            assert_eq!(csv.len(), expected.len() + 1, "{service} {path}");
            streamed += 1;
        }
    }
    assert!(streamed >= 14, "{streamed} lists were streamed");
}

impl Whole {
    /// The body of a failure of that kind.
    #[track_caller]
    fn fails(&self, status: u16, type_name: &str) -> Value {
        assert_eq!(self.status, status, "{:.500}", self.text);
        assert_eq!(self.head["content-type"], "application/json; charset=utf-8");
        let body: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(body["type_name"], type_name, "{body:#}");
        body
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_query_counts_more_than_the_accepted_types_and_json_is_usual() {
    let world = World::start().await;
    let ask = || world.get("/crm/users").of("hubspot");
    let rows: [(&str, &str, &str); 8] = [
        ("", "*/*", "application/json"),
        ("", "application/json, application/x-ndjson", "application/json"),
        ("", "application/json;q=0.5, application/x-ndjson", "application/x-ndjson"),
        ("", "text/csv, application/x-ndjson;q=0.9", "text/csv"),
        ("json", "application/x-ndjson", "application/json"),
        ("stream", "text/csv", "application/x-ndjson"),
        ("csv", "application/json", "text/csv"),
        ("", "text/html", "application/json"),
    ];
    for (format, accept, expected) in rows {
        let ask = ask().header("accept", accept);
        let ask = if format.is_empty() { ask } else { ask.query("format", format) };
        let reply = whole(ask, &http1()).await;
        assert_eq!(reply.head["content-type"], format!("{expected}; charset=utf-8"), "{format} {accept}");
    }
    // One record is never a stream.
    let one = world.get("/crm/users").of("hubspot").query("limit", 1).send().await.ok();
    let one = format!("/crm/users/{}", ids(&one)[0]);
    let reply = world.get(&one).of("hubspot").header("accept", LINES).send().await;
    assert_eq!(reply.headers["content-type"], "application/json; charset=utf-8");

    let refused =
        whole(ask().query("format", "csv").query("raw", "true").query("explain", "true"), &http1()).await;
    let places = refused.fails(400, "RequestValidationError")["detail"]["errors"].clone();
    assert_eq!([&places[0]["parameter"], &places[1]["parameter"]], ["raw", "explain"]);
    whole(ask().header("accept", LINES).header("x-apideck-raw", "true"), &http1())
        .await
        .fails(400, "RequestValidationError");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_fails_midway_says_where_to_go_on() {
    for (service, client) in [("hubspot", http1()), ("hubspot", http2()), ("pipedrive", http1())] {
        let world = leak(World::start().await);
        world.connect(service, "midway").await;
        let object = if service == "hubspot" { "contacts" } else { "persons" };
        world.mock.seed_records(vendor(service), "midway", object, 1000);
        let ask = || world.get("/crm/contacts").of(service).consumer("midway").query("limit", 100);
        let all = whole(ask().header("accept", LINES), &client).await.lines();
        // The page of every read after the seventh fails, and so does each repetition.
        world.mock.fault(fault(
            Kind::Status { status: 500, body: None, retry_after_s: None },
            service,
            7,
            None,
        ));
        let first = whole(ask().header("accept", LINES), &client).await;
        let told = first.lines();
        assert_eq!(told.records.len(), 700, "{service}");
        assert_eq!(told.end["error"]["type_name"], "ConnectorExecutionError");
        assert_eq!(told.end["error"]["request_id"], first.head["request-id"].to_str().unwrap());
        let in_trailer: Value = serde_json::from_str(&first.trailer("x-crosswalk-error")).unwrap();
        assert_eq!(in_trailer["type_name"], "ConnectorExecutionError");
        assert_eq!(told.end["cursor"], first.trailer("x-crosswalk-cursor"));
        world.mock.clear_faults();
        let cursor = told.end["cursor"].as_str().unwrap();
        let second = whole(ask().query("cursor", cursor).header("accept", LINES), &client).await.lines();
        assert_eq!(second.end["complete"], true);
        let both: Vec<Value> = told.records.into_iter().chain(second.records).collect();
        assert!(both == all.records, "{service}: nothing is skipped or repeated");

        // The same as CSV, taken up as CSV.
        let csv = || ask().query("format", "csv").query("fields", "id");
        world.mock.fault(fault(Kind::DropBefore, service, 3, None));
        let first = whole(csv(), &client).await;
        assert!(!first.broken, "{service}: trailers tell of the end");
        assert_eq!(first.trailer("x-crosswalk-records"), "300");
        world.mock.clear_faults();
        let second = whole(csv().query("cursor", first.trailer("x-crosswalk-cursor")), &client).await;
        assert_eq!(second.trailer("x-crosswalk-error"), "");
        let (first, second) = (first.rows(), second.rows());
        let both: Vec<String> = first[1..].iter().chain(&second[1..]).map(|row| row[0].clone()).collect();
        assert_eq!(both, record_ids(&all.records), "{service}");

        // A caller that takes no trailers must not take a part for the whole.
        world.mock.fault(fault(Kind::DropBefore, service, 3, None));
        let reply = rest(csv().request(&client).send().await.unwrap()).await;
        assert!(reply.broken && reply.trailers.is_none(), "{service}: broken off");
        let lines = rest(ask().header("accept", LINES).request(&client).send().await.unwrap()).await;
        lines.fails(502, "ConnectorExecutionError");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_before_the_first_record_is_an_ordinary_error() {
    let world = World::start().await;
    let ask = || world.get("/crm/contacts").of("hubspot").query("format", "csv");
    whole(ask().query("cursor", "rubbish"), &http1()).await.fails(400, "InvalidCursorError");
    whole(ask().query("filter[name]", "x"), &http1()).await.fails(400, "UnsupportedFiltersError");
    whole(ask().header("authorization", "Bearer wrong"), &http1()).await.fails(401, "UnauthorizedError");
    world.mock.fault(fault(Kind::RateLimited { retry_after_s: Some(40) }, "hubspot", 0, None));
    let limited = whole(ask(), &http1()).await;
    limited.fails(429, "ConnectorRateLimitError");
    assert!(limited.head.contains_key("retry-after"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_limit_is_waited_for_and_tokens_are_renewed_midway() {
    let world = World::start().await;
    world.connect_oauth("hubspot", "patient").await;
    let expected = world.mock.seed_records(vendor("hubspot"), "patient", "contacts", 1200);
    // Each attempt at the third page is refused, and then once more.
    world.mock.fault(fault(Kind::RateLimited { retry_after_s: Some(1) }, "hubspot", 2, Some(4)));
    world.mock.fault(fault(Kind::ExpiredToken, "hubspot", 8, Some(1)));
    world.mock.fault(fault(Kind::ExpiredToken, "hubspot", 11, Some(1)));
    let ask = world.get("/crm/contacts").of("hubspot").consumer("patient").header("accept", LINES);
    let told = whole(ask, &http1()).await.lines();
    assert_eq!(told.end["complete"], true, "{}", told.end);
    assert_eq!(record_ids(&told.records), expected);
    let refused = |status| world.mock.count(&Filter { status: Some(status), ..pages("patient") });
    assert_eq!((refused(429), refused(401)), (4, 2));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_record_is_a_warning_and_costs_nothing_else() {
    for service in SERVICES {
        let world = World::start().await;
        let ask = || world.get("/crm/contacts").of(service).query("limit", 100).query("fields", "id");
        let all = whole(ask().header("accept", LINES), &http1()).await.lines();
        let bad = || fault(Kind::BadRecord { at: 5, shape: BadShape::Text }, service, 2, Some(1));
        world.mock.fault(bad());
        let told = whole(ask().header("accept", LINES), &http1()).await.lines();
        assert_eq!(told.warnings.len(), 1, "{service}: {:?}", told.warnings);
        assert_eq!(told.warnings[0]["type"], "MappingWarning");
        let mut expected = record_ids(&all.records);
        expected.remove(205);
        assert_eq!(record_ids(&told.records), expected, "{service}");
        world.mock.clear_faults();
        world.mock.fault(bad());
        let csv = whole(ask().query("format", "csv"), &http1()).await;
        assert_eq!(csv.trailer("x-crosswalk-warnings"), "1");
        assert_eq!(csv.rows().len(), expected.len() + 1);
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_and_sorts_are_those_of_the_pages() {
    let world = leak(World::start().await);
    world.connect("hubspot", "mixed").await;
    for object in ["contacts", "tasks", "calls", "meetings", "emails", "notes"] {
        world.mock.seed_records(vendor("hubspot"), "mixed", object, 260);
    }
    world.connect("pipedrive", "mixed").await;
    world.mock.seed_records(vendor("pipedrive"), "mixed", "persons", 650);
    type Query = (&'static str, &'static str, &'static [(&'static str, &'static str)]);
    let queries: [Query; 5] = [
        ("hubspot", "/crm/contacts", &[("filter[created_since]", "2024-06-01T00:00:00Z")]),
        ("hubspot", "/crm/contacts", &[("sort[by]", "updated_at"), ("sort[direction]", "desc")]),
        ("hubspot", "/crm/activities", &[("sort[by]", "created_at")]),
        ("hubspot", "/crm/activities", &[("filter[type]", "meeting")]),
        ("pipedrive", "/crm/contacts", &[("sort[by]", "updated_at"), ("sort[direction]", "desc")]),
    ];
    for (service, path, query) in queries {
        let ask = || {
            let ask = world.get(path).of(service).consumer("mixed");
            let ask = ask.query("fields", "id,updated_at,created_at");
            query.iter().fold(ask, |ask, (name, value)| ask.query(name, value))
        };
        let (told, expected) =
            (whole(ask().header("accept", LINES), &http1()).await.lines(), paged(&ask).await);
        assert!(expected.len() > 100, "{service} {path} {query:?}: {}", expected.len());
        let key = query[0].1;
        if query[0].0 != "sort[by]" {
            assert!(told.records == expected, "{service} {path} {query:?}");
            continue;
        }
        // Where keys are equal, the order is the CRM's own affair.
        let keys = |records: &[Value]| records.iter().map(|record| record[key].clone()).collect::<Vec<_>>();
        assert_eq!(keys(&told.records), keys(&expected), "{service} {path} {query:?}");
        let sorted = |records: &[Value]| BTreeSet::from_iter(record_ids(records));
        assert_eq!(sorted(&told.records), sorted(&expected), "{service} {path} {query:?}");
        assert_eq!(told.records.len(), expected.len(), "{service} {path} {query:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_asks_for_one_page_and_sends_none() {
    let world = World::start().await;
    world.connect("hubspot", "headed").await;
    world.mock.compute_records("headed", "contacts", 5000);
    let ask = world.ask("HEAD", "/crm/contacts").of("hubspot").consumer("headed").header("accept", LINES);
    let reply = whole(ask, &http1()).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, ""));
    assert_eq!(reply.head["content-type"], "application/x-ndjson; charset=utf-8");
    assert!(!reply.head.contains_key("content-length"));
    assert_eq!(world.mock.count(&pages("headed")), 1);
    world.stop().await;
}

/// A stream of the account's contacts that is not read beyond its first bytes.
async fn stalled(world: &World, account: &str, client: &reqwest::Client) -> reqwest::Response {
    let ask = world.get("/crm/contacts").of("hubspot").consumer(account).header("accept", LINES);
    let reply = ask.request(client).header("te", "trailers").send().await.unwrap();
    assert_eq!(reply.status(), 200);
    reply
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_does_not_read_is_waited_for() {
    let world = World::start().await;
    world.connect("hubspot", "slow").await;
    world.mock.compute_records("slow", "contacts", 20_000);
    let client = http2();
    let reply = stalled(&world, "slow", &client).await;
    // One page is on its way, one waits behind it, and at most one more has been asked for.
    assert!(world.mock.wait_for(&pages("slow"), 2, PATIENCE).await);
    assert!(!world.mock.wait_for(&pages("slow"), 4, SILENCE).await, "{}", world.mock.count(&pages("slow")));
    // Of 20,000 records, 200 pages; what is read makes room for as much.
    let mut body = reqwest::Body::from(reply);
    let mut read = 0;
    while read < 1_000_000 {
        read += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    let asked = world.mock.count(&pages("slow"));
    assert!((5..30).contains(&asked), "{asked} pages were asked for after {read} bytes");
    drop(body);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_records_pass_without_being_held() {
    let world = World::with(|settings| settings.limits.calls = 1).await;
    world.connect("hubspot", "many").await;
    world.mock.compute_records("many", "contacts", 20_000);
    let ask = world.get("/crm/contacts").of("hubspot").consumer("many").query("fields", "id");
    let told = whole(ask.header("accept", LINES), &http1()).await.lines();
    let ids = record_ids(&told.records);
    assert_eq!(ids.len(), 20_000);
    assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]), "each once, in order");
    // Its only place among the calls at work is free again.
    world.get("/crm/users").of("hubspot").query("limit", 1).send().await.ok();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_ends_the_work_behind_it() {
    for client in [http1(), http2()] {
        let world = World::with(|settings| settings.limits.calls = 1).await;
        world.connect("hubspot", "leaver").await;
        world.mock.compute_records("leaver", "contacts", 1_000_000);
        let mut body = reqwest::Body::from(stalled(&world, "leaver", &client).await);
        body.frame().await.unwrap().unwrap();
        // Not only is nothing more asked for: a page that is under way is given up.
        world.mock.fault(fault(Kind::Latency { ms: 60_000 }, "hubspot", 0, None));
        let reading = async { while body.frame().await.is_some_and(|frame| frame.is_ok()) {} };
        assert!(tokio::time::timeout(SILENCE, reading).await.is_err(), "it waits for the late page");
        let full = world.get("/crm/users").of("hubspot").query("limit", 1).send().await;
        full.fails(503, "ServiceUnavailableError");
        drop((body, client));
        let free = async {
            while world.get("/crm/users").of("hubspot").query("limit", 1).send().await.status != 200 {}
        };
        tokio::time::timeout(Duration::from_secs(10), free).await.expect("its place is free again");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_never_reads_on_is_cut() {
    let world = World::with(|settings| settings.timeouts.write = Duration::from_millis(300)).await;
    world.connect("hubspot", "asleep").await;
    world.mock.compute_records("asleep", "contacts", 5_000);
    let client = http2();
    let reply = stalled(&world, "asleep", &client).await;
    assert!(world.mock.wait_for(&pages("asleep"), 2, PATIENCE).await);
    assert!(!world.mock.wait_for(&pages("asleep"), 6, Duration::from_secs(2)).await);
    assert!(rest(reply).await.broken, "the connection was cut");
    // A CRM that is slower than that does no harm.
    world.mock.fault(fault(Kind::Latency { ms: 1500 }, "hubspot", 2, Some(1)));
    let ask = world.get("/crm/contacts").of("hubspot").consumer("asleep").query("fields", "id");
    let told = whole(ask.header("accept", LINES), &http1()).await.lines();
    assert_eq!((told.records.len(), &told.end["complete"]), (5_000, &json!(true)));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_ends_a_stream_at_a_page_and_another_gateway_goes_on() {
    let world = World::start().await;
    world.connect("hubspot", "drained").await;
    world.mock.compute_records("drained", "contacts", 3_000);
    let client = http2();
    let reply = stalled(&world, "drained", &client).await;
    assert!(world.mock.wait_for(&pages("drained"), 2, PATIENCE).await);
    let restarting = tokio::spawn(world.restart());
    let first = rest(reply).await.lines();
    let world = tokio::time::timeout(PATIENCE, restarting).await.expect("a drain in time").unwrap();
    assert_eq!(first.end["error"]["type_name"], "ServiceUnavailableError", "{}", first.end);
    assert!((100..3_000).contains(&first.records.len()), "{}", first.records.len());
    let cursor = first.end["cursor"].as_str().unwrap();
    let ask = world.get("/crm/contacts").of("hubspot").consumer("drained").header("accept", LINES);
    let second = whole(ask.query("cursor", cursor), &http1()).await.lines();
    let both = [record_ids(&first.records), record_ids(&second.records)].concat();
    assert_eq!(both.len(), 3_000);
    assert!(both.is_sorted() && both.windows(2).all(|pair| pair[0] != pair[1]), "each once, in order");
    world.stop().await;
}
