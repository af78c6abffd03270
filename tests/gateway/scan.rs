//! `x-crosswalk-filter: scan`: what the CRM cannot filter or sort, the gateway does, exactly, within its budget.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Ask, SERVICES, World, ids, vendor};

const FIRST: [&str; 4] = ["Ada", "bea", "Cid", "ADA"];
const LAST: [&str; 3] = ["Stone", "Lake", "stone"];

/// Adds contacts whose names repeat; some have no first name.
fn people(world: &World, service: &str, account: &str, count: usize, seed: usize) -> Vec<String> {
    let add = |number: usize| {
        let (first, last) = (FIRST[(number * 7 + seed) % 4], LAST[(number / 3 + seed) % 3]);
        let first = if number % 6 == 5 { None } else { Some(first) };
        let whole = first.map_or(last.to_owned(), |first| format!("{first} {last}"));
        let (object, fields) = match service {
            "hubspot" => (
                "contacts",
                json!({ "firstname": first, "lastname": last, "email": format!("p{number}@x.example") }),
            ),
            _ => ("persons", json!({ "name": whole, "first_name": first, "last_name": last })),
        };
        world.mock.insert_record(vendor(service), account, object, fields.as_object().unwrap()).unwrap()
    };
    (0..count).map(add).collect()
}

/// All pages of a list: its records, and what each page says of the scan.
async fn all(ask: &dyn Fn() -> Ask<'static>, between: &mut dyn FnMut(usize)) -> (Vec<Value>, Vec<Value>) {
    let (mut records, mut scans) = (Vec::new(), Vec::new());
    let mut cursor: Option<String> = None;
    for page in 0.. {
        assert!(page < 2000, "paging must end");
        let mut ask = ask();
        if let Some(cursor) = &cursor {
            ask = ask.query("cursor", cursor);
        }
        let reply = ask.send().await.ok();
        records.extend(reply["data"].as_array().unwrap().iter().cloned());
        scans.push(reply["meta"]["scan"].clone());
        cursor = reply["meta"]["cursors"]["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
        between(page);
    }
    (records, scans)
}

fn id_of(record: &Value) -> String {
    record["id"].as_str().unwrap().to_owned()
}

fn leak(world: World) -> &'static World {
    Box::leak(Box::new(world))
}

fn same(value: &Value, wanted: &str) -> bool {
    value.as_str().is_some_and(|text| text.to_lowercase() == wanted.to_lowercase())
}

#[test]
fn a_scan_gives_the_filtered_list_in_order_whatever_is_inserted() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let world = leak(runtime.block_on(World::start()));
    let number = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config {
        cases: 16,
        max_shrink_iters: 20,
        failure_persistence: None,
        ..Config::default()
    });
    let names = prop_oneof![Just(None), Just(Some("ada")), Just(Some("Cid"))];
    let sorts = prop_oneof![
        Just(None),
        Just(Some(("first_name", "asc"))),
        Just(Some(("created_at", "desc"))),
        Just(Some(("name", "desc")))
    ];
    let strategy = (0..SERVICES.len(), 0_usize..420, 1_u32..=90, names, sorts, 0_usize..3, any::<bool>());
    runner
        .run(&strategy, |(service, count, limit, first, sort, inserts, masked)| {
            let service = SERVICES[service];
            number.set(number.get() + 1);
            let account = format!("scan{}", number.get());
            runtime.block_on(async {
                world.connect(service, &account).await;
                let old: BTreeSet<String> = people(world, service, &account, count, 1).into_iter().collect();
                // HubSpot has no filter by name, Pipedrive none by parts of it.
                let filters: Vec<(&str, &str)> = match (service, first) {
                    ("hubspot", Some(first)) => vec![
                        ("name", if first == "ada" { "ada stone" } else { "CID lake" }),
                        ("first_name", first),
                    ],
                    ("hubspot", None) => vec![("name", "ada lake")],
                    (_, Some(first)) => vec![("last_name", "stone"), ("first_name", first)],
                    (_, None) => vec![("last_name", "lake")],
                };
                let plain = || {
                    let ask = world.get("/crm/contacts").of(service).consumer(&account).query("limit", 200);
                    ask.query("fields", "id,name,first_name,last_name")
                };
                let (full, _) = all(&plain, &mut |_| {}).await;
                let holds = |record: &Value| filters.iter().all(|(name, wanted)| same(&record[name], wanted));
                let mut expected: Vec<&Value> = full.iter().filter(|record| holds(record)).collect();
                let gateway_sorts = sort.filter(|(by, _)| service != "hubspot" || *by == "name");
                if let Some((by, direction)) = gateway_sorts.filter(|(by, _)| by.ends_with("name")) {
                    let key = |record: &Value| record[by].as_str().map(str::to_lowercase);
                    expected.sort_by(|a, b| match (key(a), key(b)) {
                        (Some(a), Some(b)) if direction == "desc" => b.cmp(&a),
                        (Some(a), Some(b)) => a.cmp(&b),
                        (a, b) => b.is_some().cmp(&a.is_some()),
                    });
                }
                let ask = || {
                    let mut ask =
                        world.get("/crm/contacts").of(service).consumer(&account).query("limit", limit);
                    ask = ask.header("x-crosswalk-filter", "scan");
                    for (name, value) in &filters {
                        ask = ask.query(&format!("filter[{name}]"), value);
                    }
                    if let Some((by, direction)) = sort {
                        ask = ask.query("sort[by]", by).query("sort[direction]", direction);
                    }
                    if masked { ask.query("fields", "id,emails.email") } else { ask }
                };
                let mut insert = |page: usize| {
                    if page < 3 && inserts > 0 {
                        people(world, service, &account, inserts, page);
                    }
                };
                let (found, scans) = all(&ask, &mut insert).await;
                let what = format!("{service} {count} limit {limit} {filters:?} {sort:?}");
                let seen: Vec<String> = found.iter().map(id_of).collect();
                assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "{what}: repeated");
                let kept: Vec<String> = seen.into_iter().filter(|id| old.contains(id)).collect();
                let wanted: Vec<String> = expected.iter().map(|record| id_of(record)).collect();
                if sort.is_none() || gateway_sorts.is_some_and(|(by, _)| by.ends_with("name")) {
                    assert_eq!(kept, wanted, "{what}");
                } else {
                    assert_eq!(kept.iter().collect::<BTreeSet<_>>(), wanted.iter().collect(), "{what}");
                }
                for scan in &scans {
                    assert!(scan["pages"].as_u64().is_some_and(|pages| pages <= 20), "{what}: {scan}");
                    assert_eq!(scan["complete"], true, "{what}: {scan}");
                }
                if masked {
                    for record in &found {
                        assert!(
                            record.as_object().unwrap().keys().all(|key| key == "id" || key == "emails"),
                            "{record}"
                        );
                    }
                }
            });
            Ok(())
        })
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_that_runs_out_gives_short_pages_and_a_cursor_that_goes_on() {
    let world = leak(World::with(|settings| settings.limits.scan_pages = 2).await);
    for service in SERVICES {
        let lacking = if service == "hubspot" { "name" } else { "last_name" };
        let page =
            world.get("/crm/contacts").of(service).query("limit", 200).query("fields", "id,name,last_name");
        let last = page.send().await.ok();
        let wanted = last["data"][150][lacking].as_str().unwrap().to_owned();
        let ask = || {
            let ask = world.get("/crm/contacts").of(service).query("limit", 5).query("fields", "id");
            ask.query(&format!("filter[{lacking}]"), &wanted).header("x-crosswalk-filter", "scan")
        };
        let (found, scans) = all(&ask, &mut |_| {}).await;
        let plain = || {
            world.get("/crm/contacts").of(service).query("limit", 200).query("fields", "id,name,last_name")
        };
        let (full, _) = all(&plain, &mut |_| {}).await;
        let expected: Vec<String> =
            full.iter().filter(|record| same(&record[lacking], &wanted)).map(id_of).collect();
        assert_eq!(found.iter().map(id_of).collect::<Vec<_>>(), expected, "{service}");
        assert!(
            scans.len() > 2 && scans.iter().any(|scan| scan["complete"] == false),
            "{service}: {scans:?}"
        );
        assert!(scans.iter().all(|scan| scan["pages"].as_u64().unwrap() <= 2), "{service}: {scans:?}");
        let read: u64 = scans.iter().map(|scan| scan["records_read"].as_u64().unwrap()).sum();
        assert_eq!(read, full.len() as u64, "{service}: every record is looked at once");
        // Back is where the pages before began.
        let first = ask().send().await.ok();
        let second =
            ask().query("cursor", first["meta"]["cursors"]["next"].as_str().unwrap()).send().await.ok();
        let back =
            ask().query("cursor", second["meta"]["cursors"]["previous"].as_str().unwrap()).send().await.ok();
        assert_eq!((ids(&back), &back["meta"]["scan"]), (ids(&first), &first["meta"]["scan"]), "{service}");
    }
    let sorted = world.get("/crm/contacts").of("pipedrive").query("sort[by]", "first_name");
    let error =
        sorted.header("x-crosswalk-filter", "scan").send().await.fails(400, "UnsupportedSortFieldError");
    assert_eq!(error["detail"]["budget_pages"], 2);
}

#[tokio::test]
async fn strict_stays_strict_and_what_means_nothing_stays_an_error() {
    let world = World::start().await;
    let ask = |value: &'static str| {
        world
            .get("/crm/contacts")
            .of("hubspot")
            .query("filter[name]", "x y")
            .header("x-crosswalk-filter", value)
    };
    ask("strict").send().await.fails(400, "UnsupportedFiltersError");
    let error = ask("sometimes").send().await.fails(400, "RequestHeadersValidationError");
    assert!(error["detail"]["malformed"][0]["x-crosswalk-filter"].is_string(), "{error:#}");
    ask("scan").send().await.ok();
    // HubSpot's notes have no title, so there is nothing to compare.
    let notes = world
        .get("/crm/notes")
        .of("hubspot")
        .query("filter[title]", "x")
        .header("x-crosswalk-filter", "scan");
    let error = notes.send().await.fails(400, "UnsupportedFiltersError");
    assert_eq!(error["detail"]["unsupported"], json!(["title"]));
    // What the CRM can do by itself is no scan; and a cursor of one is none of the other.
    let email = world
        .get("/crm/contacts")
        .of("hubspot")
        .query("filter[email]", "a@b.c")
        .header("x-crosswalk-filter", "scan");
    assert!(email.send().await.ok()["meta"].get("scan").is_none());
    world.stop().await;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// HubSpot's activities are five objects; here its search is taken the filter by owner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_objects_that_are_one_resource_are_scanned_as_one() {
    let folder = tempfile::tempdir().unwrap();
    copy(Path::new("connectors"), folder.path());
    let manifest = folder.path().join("hubspot/manifest.yaml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let at = text.find("  engagement:").unwrap();
    let (before, after) = text.split_at(at);
    let filter = after.lines().find(|line| line.trim_start().starts_with("owner_id:")).unwrap();
    std::fs::write(&manifest, format!("{before}{}", after.replacen(&format!("{filter}\n"), "", 1))).unwrap();
    let connectors = folder.path().to_owned();
    let world = leak(World::with(|settings| settings.connectors_dir = Some(connectors)).await);
    world.connect("hubspot", "many").await;
    for number in 0..130 {
        let object = ["calls", "emails", "meetings", "notes", "tasks"][number % 5];
        let owner = ["11", "12", "13"][number % 3];
        // Times of their own: records of one time have no order that a page size could not change.
        let created = format!("2026-01-01T00:{:02}:{:02}.000Z", number * 7 % 60, number / 3 % 60);
        let fields = json!({
            "hubspot_owner_id": owner, "hs_timestamp": created, "hs_createdate": created, "createdAt": created
        });
        world.mock.insert_record(vendor("hubspot"), "many", object, fields.as_object().unwrap()).unwrap();
    }
    let base = || world.get("/crm/activities").of("hubspot").consumer("many").query("fields", "id,owner_id");
    for sort in [None, Some("asc"), Some("desc")] {
        let with = |ask: Ask<'static>| match sort {
            Some(direction) => ask.query("sort[by]", "created_at").query("sort[direction]", direction),
            None => ask,
        };
        let (full, _) = all(&|| with(base()).query("limit", 200), &mut |_| {}).await;
        assert_eq!(full.len(), 130);
        let expected: Vec<String> =
            full.iter().filter(|record| record["owner_id"] == "12").map(id_of).collect();
        assert!(expected.len() > 30);
        for limit in [1, 7, 100] {
            let ask = || {
                let ask = with(base()).query("limit", limit).query("filter[owner_id]", "12");
                ask.header("x-crosswalk-filter", "scan").query("explain", "true")
            };
            let (found, scans) = all(&ask, &mut |_| {}).await;
            assert_eq!(found.iter().map(id_of).collect::<Vec<_>>(), expected, "{sort:?} limit {limit}");
            assert!(scans.iter().all(|scan| scan["filters"] == json!(["owner_id"])), "{scans:?}");
            assert!(
                scans.iter().all(|scan| scan["pages"].as_u64().unwrap() <= 20),
                "{sort:?} {limit} {scans:?}"
            );
        }
    }
}
