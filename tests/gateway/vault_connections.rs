//! The life of connections through the Vault API.

use serde_json::{Value, json};

use crate::harness::{World, ada};

const HUBSPOT: &str = "/vault/connections/crm/hubspot";
const PIPEDRIVE: &str = "/vault/connections/crm/pipedrive";

fn connection<'a>(list: &'a Value, service: &str) -> &'a Value {
    let found = list["data"].as_array().unwrap().iter().find(|one| one["service_id"] == service);
    found.unwrap_or_else(|| panic!("no {service} in {list:#}"))
}

#[tokio::test]
async fn a_consumer_without_connections_sees_what_there_is() {
    let world = World::start().await;
    let list = world.get("/vault/connections").consumer("newcomer").send().await.ok();
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    for one in list["data"].as_array().unwrap() {
        assert_eq!((&one["state"], &one["enabled"]), (&json!("available"), &json!(false)), "{one:#}");
        assert_eq!(one["integration_state"], "configured");
        assert!(one["authorize_url"].as_str().unwrap().contains("/vault/authorize/"), "{one:#}");
    }
    let fields = connection(&list, "pipedrive")["form_fields"].clone();
    let token = fields.as_array().unwrap().iter().find(|field| field["id"] == "api_token").unwrap();
    assert_eq!((&token["type"], &token["sensitive"]), (&json!("password"), &json!(true)));
    let nobody = world.get("/vault/connections").header("x-apideck-consumer-id", "<none>").send().await.ok();
    assert_eq!(nobody["data"].as_array().unwrap().len(), 2);
    let of = |name: &'static str, value: &'static str| {
        world.get("/vault/connections").consumer("newcomer").query(name, value).send()
    };
    assert_eq!(of("configured", "true").await.ok()["data"], json!([]));
    assert_eq!(of("configured", "false").await.ok()["data"].as_array().unwrap().len(), 2);
    assert_eq!(of("api", "accounting").await.ok()["data"], json!([]));
    of("configured", "maybe").await.fails(400, "RequestValidationError");
    world.get("/vault/consumers/newcomer").send().await.fails(404, "EntityNotFoundError");
    world.stop().await;
}

#[tokio::test]
async fn from_the_form_to_the_first_call_and_to_the_end() {
    let world = World::start().await;
    let ask = |method: &str, path: &str| world.ask(method, path).consumer("ann");
    let made = ask("POST", PIPEDRIVE).body(json!({ "metadata": { "plan": "gold" } })).send().await.ok();
    assert_eq!((&made["data"]["state"], &made["data"]["health"]), (&json!("added"), &json!("needs_auth")));
    assert_eq!(world.get("/vault/consumers/ann").send().await.ok()["data"]["services"], json!(["pipedrive"]));
    ask("POST", PIPEDRIVE).body(json!({})).send().await.fails(409, "ConflictError");
    ask("GET", "/crm/contacts").send().await.fails(401, "ConnectorCredentialsError");

    let settings = json!({ "settings": { "api_token": "test-ann", "currency": "EUR" } });
    let set = ask("PATCH", PIPEDRIVE).body(settings).send().await;
    assert!(!set.body.to_string().contains("test-ann"), "a secret is never shown: {:#}", set.body);
    let set = set.ok();
    assert_eq!((&set["data"]["state"], &set["data"]["health"]), (&json!("callable"), &json!("ok")));
    assert_eq!(set["data"]["settings"], json!({ "currency": "EUR" }));
    assert_eq!(set["data"]["metadata"], json!({ "plan": "gold" }));
    ask("GET", "/crm/contacts").send().await.ok();
    let valid = ask("POST", &format!("{PIPEDRIVE}/validate")).send().await.ok();
    assert_eq!(valid["data"], json!({ "id": "crm+pipedrive", "state": "callable" }));

    let off = ask("PATCH", PIPEDRIVE).body(json!({ "enabled": false })).send().await.ok();
    assert_eq!((&off["data"]["enabled"], &off["data"]["state"]), (&json!(false), &json!("callable")));
    ask("GET", "/crm/contacts").send().await.fails(403, "ConnectorDisabledError");
    ask("PATCH", PIPEDRIVE).body(json!({ "enabled": true })).send().await.ok();
    ask("GET", "/crm/contacts").send().await.ok();

    let cleared =
        ask("PATCH", PIPEDRIVE).body(json!({ "settings": { "api_token": null, "currency": null } }));
    let cleared = cleared.send().await.ok();
    assert_eq!((&cleared["data"]["state"], &cleared["data"]["settings"]), (&json!("added"), &json!({})));

    let deleted = ask("DELETE", PIPEDRIVE).send().await;
    assert_eq!((deleted.status, &deleted.body), (204, &Value::Null));
    ask("DELETE", PIPEDRIVE).send().await.fails(404, "ConnectionNotFoundError");
    assert_eq!(ask("GET", PIPEDRIVE).send().await.ok()["data"]["state"], "available");
    ask("GET", "/crm/contacts").send().await.fails(404, "ConnectionNotFoundError");
    world.stop().await;
}

#[tokio::test]
async fn a_connection_that_the_crm_refuses_becomes_invalid() {
    let world = World::start().await;
    let ask = |method: &str, path: &str| world.ask(method, path).consumer("ann");
    ask("PATCH", PIPEDRIVE).body(json!({ "settings": { "api_token": "nobody's" } })).send().await.ok();
    let valid = ask("POST", &format!("{PIPEDRIVE}/validate")).body(json!({})).send().await.ok();
    assert_eq!(valid["data"]["state"], "invalid");
    let one = ask("GET", PIPEDRIVE).send().await.ok();
    assert_eq!((&one["data"]["state"], &one["data"]["health"]), (&json!("invalid"), &json!("revoked")));
    let again = ask("PATCH", PIPEDRIVE).body(json!({ "settings": { "api_token": "test-ann" } }));
    assert_eq!(again.send().await.ok()["data"]["state"], "callable");
    world.stop().await;
}

#[tokio::test]
async fn tokens_granted_elsewhere_are_imported() {
    let world = World::start().await;
    let import = format!("{HUBSPOT}/import");
    let ask = |body: Value| world.ask("POST", &import).consumer("ann").body(body).send();
    ask(json!({ "credentials": {} })).await.fails(400, "RequestValidationError");
    ask(json!({ "credentials": { "token": "x" } })).await.fails(400, "RequestValidationError");
    let body = json!({
        "credentials": { "refresh_token": "test-refresh-ann", "expires_in": 60, "issued_at": "2020-01-01T00:00:00Z" },
        "metadata": { "from": "the old system" },
    });
    let reply = ask(body).await;
    assert!(!reply.body.to_string().contains("test-refresh-ann"));
    let data = &reply.ok()["data"];
    assert_eq!((&data["state"], &data["metadata"]["from"]), (&json!("callable"), &json!("the old system")));
    world.get("/crm/contacts").consumer("ann").send().await.ok();
    world.stop().await;
}

#[tokio::test]
async fn several_connections_of_one_consumer() {
    let world = World::start().await;
    let ask = |method: &str, path: &str| world.ask(method, path).consumer("ann");
    ask("PATCH", PIPEDRIVE).body(json!({ "settings": { "api_token": "test-ann" } })).send().await.ok();
    ask("PATCH", HUBSPOT).body(json!({ "settings": { "access_token": "pat-test-ann" } })).send().await.ok();
    let several = ask("GET", "/crm/contacts").send().await.fails(422, "InvalidStateError");
    assert_eq!(several["detail"]["service_ids"], json!(["hubspot", "pipedrive"]));
    for service in ["hubspot", "pipedrive"] {
        ask("GET", "/crm/contacts").of(service).send().await.ok();
    }
    let one = world.get("/vault/consumers/ann").send().await.ok();
    assert_eq!(one["data"]["connections"].as_array().unwrap().len(), 2);
    world.stop().await;
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_with_its_place() {
    let world = World::start().await;
    let patch = |body: Value| world.ask("PATCH", PIPEDRIVE).consumer("ann").body(body).send();
    let body = patch(json!({ "settings": { "colour": "red", "currency": ["EUR"] } })).await;
    let body = body.fails(400, "RequestValidationError");
    let pointers: Vec<&Value> =
        body["detail"]["errors"].as_array().unwrap().iter().map(|e| &e["pointer"]).collect();
    assert_eq!(pointers, [&json!("/settings/colour"), &json!("/settings/currency")]);
    assert!(world.store.consumer(&"demo-app".into_app(), &"ann".into_consumer()).await.unwrap().is_none());
    for path in ["/vault/connections/crm/nosuch", "/vault/connections/accounting/hubspot"] {
        world.get(path).send().await.fails(404, "ConnectorNotFoundError");
    }
    let migrate = format!("{HUBSPOT}/migrate");
    let to = |target: &str| world.ask("POST", &migrate).body(json!({ "target_service_id": target })).send();
    to("nosuch").await.fails(404, "ConnectorNotFoundError");
    to("pipedrive").await.fails(422, "InvalidStateError");
    world.get(&format!("{HUBSPOT}/robots/config")).send().await.fails(404, "EntityNotFoundError");
    world.get(&format!("{HUBSPOT}/contacts/consent")).send().await.fails(404, "EntityNotFoundError");
    world.stop().await;
}

trait Ids {
    fn into_app(self) -> crosswalk::model::AppId;
    fn into_consumer(self) -> crosswalk::model::ConsumerId;
}

impl Ids for &str {
    fn into_app(self) -> crosswalk::model::AppId {
        crosswalk::model::AppId::new(self)
    }
    fn into_consumer(self) -> crosswalk::model::ConsumerId {
        crosswalk::model::ConsumerId::new(self)
    }
}

#[tokio::test]
async fn defaults_fill_what_a_create_does_not_say_and_are_told() {
    let world = World::start().await;
    world.connect("hubspot", "ann").await;
    let config = format!("{HUBSPOT}/contacts/config");
    let patch = |defaults: Value| {
        let body = json!({ "configuration": [{ "resource": "contacts", "defaults": defaults }] });
        world.ask("PATCH", &config).consumer("ann").body(body).send()
    };
    let wrong = json!([{ "id": "shoe_size", "value": 44 }, { "id": "first_name", "value": 7 }]);
    let body = patch(wrong).await.fails(400, "RequestValidationError");
    assert_eq!(body["detail"]["errors"].as_array().unwrap().len(), 2, "{body:#}");
    let set =
        patch(json!([{ "id": "title", "value": "Customer" }, { "id": "last_name", "value": "Unknown" }]));
    let set = set.await.ok();
    assert_eq!(set["data"]["configuration"][0]["resource"], "contacts");
    assert_eq!(
        world.get(&config).consumer("ann").send().await.ok()["data"]["configuration"],
        set["data"]["configuration"]
    );

    let told = |made: &Value| {
        let warnings = made["meta"]["warnings"].as_array().into_iter().flatten();
        warnings.into_iter().find(|warning| warning["type"] == "DefaultsWarning").cloned()
    };
    let made = world.ask("POST", "/crm/contacts").consumer("ann").body(ada()).send().await.ok();
    let warning = told(&made).unwrap();
    assert!(warning["message"].as_str().unwrap().ends_with(": title."), "{warning}");
    let id = made["data"]["id"].as_str().unwrap();
    let read = world.get(&format!("/crm/contacts/{id}")).consumer("ann").send().await.ok();
    assert_eq!(
        (&read["data"]["title"], &read["data"]["last_name"]),
        (&json!("Customer"), &json!("Lovelace"))
    );

    patch(json!([])).await.ok();
    let made = world
        .ask("POST", "/crm/contacts")
        .consumer("ann")
        .body(json!({ "first_name": "Grace" }))
        .send()
        .await
        .ok();
    assert_eq!(told(&made), None);
    world.stop().await;
}

#[tokio::test]
async fn schema_and_example_of_every_resource() {
    let world = World::start().await;
    for resource in ["contacts", "companies", "opportunities", "notes", "users"] {
        let schema = world.get(&format!("{HUBSPOT}/{resource}/schema")).send().await.ok();
        let compiled = jsonschema::draft202012::options().build(&schema["data"]).unwrap();
        let example = world.get(&format!("{HUBSPOT}/{resource}/example")).send().await.ok();
        let records = &example["data"]["example_response"]["data"];
        assert!(records.is_object() || records.is_array(), "{example:#}");
        let one = if records.is_array() { &records[0] } else { records };
        assert!(compiled.is_valid(one), "{resource}: {one:#}");
    }
    world.stop().await;
}
