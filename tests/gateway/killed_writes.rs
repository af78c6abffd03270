//! A gateway that is killed while a write is at the CRM: the real program, `kill -9`, and another one on the same data.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mock_server::faults::{Fault, Kind};

use crate::harness::{World, ada, ids, vendor};

const LONG: Duration = Duration::from_secs(20);

/// A gateway in a process of its own; killed when dropped.
struct Gateway {
    child: Child,
    url: String,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // SIGKILL: nothing is finished, nothing is written down.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gateway(data: &Path, mock: &str) -> Gateway {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosswalk"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()])
        .env_clear()
        .env("CROSSWALK_PRIVATE_RANGES", "127.0.0.0/8")
        .env("CROSSWALK_BASE_URLS", format!("hubspot={mock}/hubspot,pipedrive={mock}/pipedrive"))
        .env("CROSSWALK_IDEMPOTENCY_LEASE_MS", "300")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let ready = lines.find(|line| line.contains("\"ready\"")).expect("the gateway says where it listens");
    // Goes on reading, so that the pipe never fills.
    std::thread::spawn(move || lines.for_each(drop));
    let at = ready.find("http://").unwrap();
    let url = ready[at..].split('"').next().unwrap().to_owned();
    Gateway { child, url }
}

#[tokio::test]
async fn a_create_under_a_killed_gateway_leaves_one_record() {
    let world = World::start().await;
    // The CRM has carried the request out when the gateway dies, or it never does.
    for (service, unprocessed) in [("hubspot", false), ("pipedrive", true)] {
        let account = format!("killed-{unprocessed}");
        let what = format!("{service} unprocessed: {unprocessed}");
        world.connect(service, &account).await;
        let path = if service == "hubspot" { "/crm/v3/objects/contacts" } else { "/api/v2/persons" };
        world
            .mock
            .fault(Fault::once(Kind::Hold { unprocessed }).of(vendor(service), &account).on("POST", path));
        let first = gateway(world.folder(), world.mock.base_url());
        let ask = |url: &str| {
            let ask = world.ask("POST", "/crm/contacts").of(service).consumer(&account);
            ask.header("x-unique-transaction-id", "k").body(ada()).at(url)
        };
        let caller = tokio::spawn(ask(&first.url).try_send());
        assert!(world.mock.wait_for_held(1, LONG).await, "{what}");
        drop(first);
        assert!(caller.await.unwrap().is_err(), "{what}: the caller's connection breaks");

        let second = gateway(world.folder(), world.mock.base_url());
        let mut found = ask(&second.url).send().await;
        while found.status == 409 {
            // The killed gateway still holds the key: as long as it asks callers to wait.
            let wait_ms = found.body["retry_after_ms"].as_u64().expect("when to try again");
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            found = ask(&second.url).send().await;
        }
        assert_eq!(found.status, 201, "{what}: {:#}", found.body);
        let page = world.get("/crm/contacts").of(service).consumer(&account).send().await.ok();
        assert_eq!(ids(&page), [found.body["data"]["id"].as_str().unwrap()], "{what}");
        drop(second);

        let third = gateway(world.folder(), world.mock.base_url());
        let again = ask(&third.url).send().await;
        assert_eq!((again.status, &again.text), (201, &found.text), "{what}");
        assert_eq!(again.headers["idempotency-replayed"], "true", "{what}");
    }
    world.stop().await;
}
