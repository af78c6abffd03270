//! Paging yields every record exactly once: whatever the limit, the data, the vendor's caps, and inserts in between.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Ask, SERVICES, World, ids, vendor};

/// Follows `next` to the end; the ids in order.
async fn all(ask: &dyn Fn() -> Ask<'static>, between: &mut dyn FnMut(usize)) -> Vec<String> {
    let mut seen = Vec::new();
    let mut cursor: Option<String> = None;
    for page in 0.. {
        assert!(page < 3000, "paging must end");
        let mut ask = ask();
        if let Some(cursor) = &cursor {
            ask = ask.query("cursor", cursor);
        }
        let reply = ask.send().await.ok();
        seen.extend(ids(&reply));
        cursor = reply["meta"]["cursors"]["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
        between(page);
    }
    seen
}

fn leak(world: World) -> &'static World {
    Box::leak(Box::new(world))
}

fn distinct(ids: &[String]) -> BTreeSet<&String> {
    let set: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(set.len(), ids.len(), "a record was repeated");
    set
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_contacts_page_through_on_every_connector() {
    let world = leak(World::start().await);
    for service in SERVICES {
        let ask = || world.get("/crm/contacts").of(service).query("limit", 200).query("fields", "id");
        let seen = all(&ask, &mut |_| {}).await;
        assert!(distinct(&seen).len() >= 2000, "{service}: {}", seen.len());
    }
}

#[test]
fn every_record_comes_once_for_random_data_limits_and_queries() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let world = leak(runtime.block_on(World::start()));
    let number = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config {
        cases: 24,
        max_shrink_iters: 40,
        failure_persistence: None,
        ..Config::default()
    });
    let sorts =
        prop_oneof![Just(None), Just(Some(("created_at", "asc"))), Just(Some(("updated_at", "desc")))];
    let strategy = (0..SERVICES.len(), 0_usize..330, 1_u32..=200, sorts, 0_usize..4);
    runner
        .run(&strategy, |(service, records, limit, sort, inserts)| {
            let service = SERVICES[service];
            number.set(number.get() + 1);
            let account = format!("random{}", number.get());
            runtime.block_on(async {
                world.connect(service, &account).await;
                let old: BTreeSet<String> = world
                    .mock
                    .seed_records(vendor(service), &account, object(service), records)
                    .into_iter()
                    .collect();
                let ask = || {
                    let ask = world
                        .get("/crm/contacts")
                        .of(service)
                        .consumer(&account)
                        .query("limit", limit)
                        .query("fields", "id");
                    match sort {
                        Some((by, direction)) => {
                            ask.query("sort[by]", by).query("sort[direction]", direction)
                        }
                        None => ask,
                    }
                };
                let mut insert = |page: usize| {
                    if page < inserts {
                        world.mock.seed_records(vendor(service), &account, object(service), 3);
                    }
                };
                let seen = all(&ask, &mut insert).await;
                let seen = distinct(&seen);
                for id in &old {
                    assert!(
                        seen.contains(id),
                        "{service} {sort:?} limit {limit}: {id} of {records} was skipped"
                    );
                }
            });
            Ok(())
        })
        .unwrap();
}

fn object(service: &str) -> &'static str {
    match service {
        "hubspot" => "contacts",
        _ => "persons",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sorted_list_is_in_order_with_equal_and_missing_keys() {
    let world = leak(World::start().await);
    world.connect("hubspot", "ties").await;
    for number in 0..157 {
        let mut fields = json!({"email": format!("a{number}@example.com")});
        // Far more equal names than fit a page, and some without any.
        if number % 5 != 0 {
            fields["firstname"] = json!(["Bea", "Ann", "Åsa"][number % 3]);
        }
        world.mock.insert_record(vendor("hubspot"), "ties", "contacts", fields.as_object().unwrap()).unwrap();
    }
    for direction in ["asc", "desc"] {
        let ask = || {
            world
                .get("/crm/contacts")
                .of("hubspot")
                .consumer("ties")
                .query("limit", 10)
                .query("sort[by]", "first_name")
                .query("sort[direction]", direction)
        };
        let seen = all(&ask, &mut |_| {}).await;
        assert_eq!(distinct(&seen).len(), 157, "{direction}");
        let mut names = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let mut ask = ask();
            if let Some(cursor) = cursor.as_str() {
                ask = ask.query("cursor", cursor);
            }
            let page = ask.send().await.ok();
            names.extend(
                page["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|record| record["first_name"].as_str().map(str::to_owned)),
            );
            cursor = page["meta"]["cursors"]["next"].clone();
            if cursor.is_null() {
                break;
            }
        }
        let runs: Vec<_> = names.iter().fold(Vec::new(), |mut runs: Vec<&Option<String>>, name| {
            if runs.last() != Some(&name) {
                runs.push(name);
            }
            runs
        });
        assert_eq!(runs.len(), 4, "{direction}: equal names stand together: {runs:?}");
        assert_eq!(*runs[3], None, "{direction}: those without come last");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paging_goes_on_past_the_search_window_of_ten_thousand() {
    let world = leak(World::start().await);
    world.connect("hubspot", "many").await;
    let all_ids = world.mock.seed_records(vendor("hubspot"), "many", "contacts", 10_450);
    let ask = || {
        world
            .get("/crm/contacts")
            .of("hubspot")
            .consumer("many")
            .query("limit", 200)
            .query("fields", "id")
            .query("filter[created_since]", "1990-01-01T00:00:00Z")
    };
    let seen = all(&ask, &mut |_| {}).await;
    assert_eq!(distinct(&seen).len(), all_ids.len());
}

#[tokio::test]
async fn links_work_as_they_stand_and_lead_back() {
    let world = World::start().await;
    for service in SERVICES {
        let first = world.get("/crm/contacts").of(service).query("limit", 3).send().await.ok();
        assert_eq!(first["meta"]["cursors"]["previous"], Value::Null);
        assert_eq!(first["links"]["previous"], Value::Null);
        let path = |url: &Value| url.as_str().unwrap().strip_prefix(&world.gateway.url).unwrap().to_owned();
        let second = world.get(&path(&first["links"]["next"])).of(service).send().await.ok();
        assert_ne!(ids(&first), ids(&second));
        let back = world.get(&path(&second["links"]["previous"])).of(service).send().await.ok();
        assert_eq!(ids(&back), ids(&first), "{service}");
        let again = world.get(&path(&second["links"]["current"])).of(service).send().await.ok();
        assert_eq!(ids(&again), ids(&second), "{service}");
        let third = world.get(&path(&second["links"]["next"])).of(service).send().await.ok();
        let back_twice = world.get(&path(&third["links"]["previous"])).of(service).send().await.ok();
        assert_eq!(ids(&back_twice), ids(&second), "{service}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_cursor_belongs_to_its_connection_operation_and_query() {
    let world = World::start().await;
    let first = world.get("/crm/contacts").of("hubspot").query("limit", 2).send().await.ok();
    let cursor = first["meta"]["cursors"]["next"].as_str().unwrap().to_owned();
    let refused = [
        world.get("/crm/contacts").of("pipedrive").query("cursor", &cursor),
        world.get("/crm/companies").of("hubspot").query("cursor", &cursor),
        world.get("/crm/contacts").of("hubspot").consumer("demo-hubspot").query("cursor", &cursor),
        world.get("/crm/contacts").of("hubspot").query("sort[by]", "email").query("cursor", &cursor),
        world
            .get("/crm/contacts")
            .of("hubspot")
            .query("filter[email]", "a@example.com")
            .query("cursor", &cursor),
        world.get("/crm/contacts").of("hubspot").query("cursor", cursor.replacen(&cursor[5..6], "_", 1)),
        world.get("/crm/contacts").of("hubspot").query("cursor", "rubbish"),
    ];
    for ask in refused {
        ask.send().await.fails(400, "InvalidCursorError");
    }
    world.get("/crm/contacts").of("hubspot").query("limit", 7).query("cursor", &cursor).send().await.ok();
    world.stop().await;
}
