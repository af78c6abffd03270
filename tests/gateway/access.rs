//! Who may call, from where, for what, and how often.

use crosswalk::model::{AppId, Secret};
use crosswalk::storage::NewKey;

use crate::harness::{Ask, Reply, World};

/// A key of the demo's application with limits.
async fn key(world: &World, allow_ips: &[&str], endpoints: &[&str]) -> Secret {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let (allow_ips, endpoints) = (texts(allow_ips), texts(endpoints));
    let new = NewKey {
        app: &AppId::new("demo-app"),
        label: "limited",
        expires_ms: None,
        allow_ips: &allow_ips,
        endpoints: &endpoints,
        import: None,
    };
    world.store.create_key(new).await.unwrap().1
}

trait With {
    fn key(self, key: &Secret) -> Self;
}

impl With for Ask<'_> {
    fn key(self, key: &Secret) -> Self {
        self.header("authorization", &format!("Bearer {}", key.expose()))
    }
}

#[tokio::test]
async fn a_key_works_from_its_addresses_only() {
    let world = World::with(|settings| settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let key = key(&world, &["203.0.113.0/24", "2001:db8::7"], &[]).await;
    let rows = [
        ("203.0.113.9", 200),
        ("::ffff:203.0.113.9", 200),
        ("2001:db8::7", 200),
        ("2001:db8::8", 403),
        ("198.51.100.1", 403),
        // Only what the proxy itself has added counts.
        ("203.0.113.9, 198.51.100.1", 403),
        ("198.51.100.1, 203.0.113.9", 200),
    ];
    for path in ["/vault/consumers", "/crm/contacts"] {
        for (from, status) in rows {
            let ask = world.get(path).of("hubspot").key(&key);
            let reply = ask.header("x-forwarded-proto", "https").header("x-forwarded-for", from).send().await;
            assert_eq!(reply.status, status, "{path} from {from}: {:#}", reply.body);
            if status == 403 {
                reply.fails(403, "ForbiddenError");
            }
        }
    }
    world.stop().await;

    let world = World::start().await;
    let key = self::key(&world, &["203.0.113.0/24"], &[]).await;
    let ask = world.get("/vault/consumers").key(&key).header("x-forwarded-for", "203.0.113.9");
    ask.send().await.fails(403, "ForbiddenError");
    let own = self::key(&world, &["127.0.0.1"], &[]).await;
    world.get("/vault/consumers").key(&own).send().await.ok();
    world.stop().await;
}

#[tokio::test]
async fn a_key_works_for_its_endpoints_only() {
    let world = World::start().await;
    let key = key(&world, &[], &["GET /crm/contacts*", "/vault/consumers"]).await;
    let rows = [
        ("GET", "/crm/contacts", 200),
        ("GET", "/crm/contacts/%30", 404),
        ("GET", "/crm/companies", 403),
        ("POST", "/crm/contacts", 403),
        ("POST", "/crm/contacts/0?_method=DELETE", 403),
        ("DELETE", "/crm/contacts/0", 403),
        ("GET", "/vault/consumers", 200),
        ("GET", "/vault/consumers/demo-consumer", 403),
    ];
    for (method, path, status) in rows {
        let reply = world.ask(method, path).of("hubspot").key(&key).send().await;
        assert_eq!(reply.status, status, "{method} {path}: {:#}", reply.body);
    }
    // What is refused for the key is refused before the body is looked at; a wrong key is not told its limits.
    world.ask("POST", "/crm/contacts").key(&key).body(1.into()).send().await.fails(403, "ForbiddenError");
    let wrong = Secret::new("sk_wrong_key");
    world.ask("POST", "/crm/contacts").key(&wrong).send().await.fails(401, "UnauthorizedError");
    world.stop().await;
}

fn number(reply: &Reply, name: &str) -> u64 {
    reply.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn more_calls_than_a_key_may_make_are_refused_until_later() {
    let world = World::with(|settings| settings.limits.calls_per_minute_per_key = Some(3)).await;
    let (one, other) = (key(&world, &[], &[]).await, key(&world, &[], &[]).await);
    for (path, left) in [("/vault/consumers", 2), ("/crm/contacts/none", 1), ("/vault/consumers?no=1", 0)] {
        let reply = world.get(path).of("hubspot").key(&one).send().await;
        assert_eq!(number(&reply, "x-ratelimit-limit"), 3, "{path}");
        assert_eq!(number(&reply, "x-ratelimit-remaining"), left, "{path}");
        assert!((1..=60).contains(&number(&reply, "x-ratelimit-reset")), "{path}");
    }
    let reply = world.get("/crm/contacts").of("hubspot").key(&one).send().await;
    assert_eq!(
        (number(&reply, "x-ratelimit-remaining"), reply.headers.contains_key("retry-after")),
        (0, true)
    );
    let body = reply.fails(429, "TooManyRequestsError");
    assert!(body["retry_after_ms"].as_u64().is_some_and(|ms| ms > 0 && ms <= 20_000), "{body}");
    world.get("/vault/consumers").key(&other).send().await.ok();
    world.stop().await;
}

#[tokio::test]
async fn each_consumer_has_a_limit_of_its_own() {
    let world = World::with(|settings| settings.limits.calls_per_minute_per_consumer = Some(1)).await;
    world.connect("hubspot", "ann").await;
    world.connect("hubspot", "bob").await;
    world.get("/crm/contacts").consumer("ann").send().await.ok();
    world.get("/crm/contacts").consumer("ann").send().await.fails(429, "TooManyRequestsError");
    world.get("/crm/contacts").consumer("bob").send().await.ok();
    for _ in 0..3 {
        let reply = world.get("/vault/consumers").send().await;
        assert!(!reply.headers.contains_key("x-ratelimit-limit"), "no consumer, no limit");
        reply.ok();
    }
    world.stop().await;
}

#[tokio::test]
async fn without_limits_nothing_is_said_of_them() {
    let world = World::start().await;
    let reply = world.get("/crm/contacts").of("hubspot").send().await;
    assert!(reply.headers.keys().all(|name| !name.as_str().starts_with("x-ratelimit")));
    reply.ok();
    world.stop().await;
}

#[tokio::test]
async fn a_plan_ends_with_its_calls_of_the_month() {
    let world = World::start().await;
    world.store.set_calls_per_month(&AppId::new("demo-app"), Some(2)).await.unwrap();
    world.get("/crm/contacts").of("hubspot").send().await.ok();
    world.get("/vault/consumers").send().await.ok();
    let body = world.get("/crm/contacts").of("hubspot").send().await.fails(402, "RequestLimitError");
    assert!(body["detail"].is_string(), "SDKs take nothing else: {body}");
    let world = world.restart().await;
    world.get("/vault/consumers").send().await.fails(402, "RequestLimitError");
    world.stop().await;
}

#[tokio::test]
async fn a_key_in_the_query_is_no_key() {
    let world = World::start().await;
    for name in ["api_key", "access_token", "authorization", "Authorization", "key", "token"] {
        for path in ["/crm/contacts", "/vault/consumers"] {
            let ask = || world.get(path).of("hubspot").query(name, "Bearer sk_demo_crosswalk");
            ask().header("authorization", "<none>").send().await.fails(401, "UnauthorizedError");
            let body = ask().send().await.fails(400, "RequestValidationError");
            assert!(!body.to_string().contains("sk_demo_crosswalk"), "{body}");
        }
    }
    world.stop().await;
}
