//! Routes, methods, queries, pages.

use crosswalk::contract::Contract;
use crosswalk::error::CATALOGUE;
use serde_json::{Value, json};

use crate::gateway::{Event, failure, failure_type, faults, settings, start, start_with, success};

#[tokio::test]
async fn every_operation_of_the_contract_answers() {
    let gateway = start().await;
    let contract = Contract::load().unwrap();
    for rules in contract.operations() {
        let path = rules.path.replace("{object_id}", "car").replace("{id}", "7");
        let mut request = gateway.call(rules.method.as_str(), &format!("{path}?raw=false"));
        if rules.body.is_some() {
            // What a body lacks is a fault of the contract; that it is asked for at all shows the route.
            request = request.json(&json!({}));
        }
        let reply = request.send().await.unwrap();
        let status = reply.status().as_u16();
        let body: Value = reply.json().await.unwrap();
        match status {
            200 => assert_eq!(body["operation"], rules.operation.to_string()),
            other => {
                assert_eq!((other, &body["type_name"]), (400, &json!("RequestValidationError")), "{body}");
                assert!(faults(&body).iter().all(|(_, message)| message.contains("required")), "{body}");
            }
        }
    }
}

#[tokio::test]
async fn unknown_routes_and_wrong_methods() {
    let gateway = start().await;
    for path in ["/", "/crm/contacts/", "/crm/contacts/a/b", "/crm/robots", "/errors/NoSuchError"] {
        let found = failure_type(gateway.call("GET", path)).await;
        assert_eq!(found, (404, "EntityNotFoundError".into()), "{path}");
    }
    let reply = gateway.call("PUT", "/crm/contacts/1").send().await.unwrap();
    assert_eq!(reply.status(), 405);
    assert_eq!(reply.headers()["allow"], "GET, HEAD, PATCH, DELETE, OPTIONS");
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body["type_name"], "MethodNotAllowedError");
    let found = failure_type(gateway.call("POST", "/crm/lists")).await;
    assert_eq!(found, (405, "MethodNotAllowedError".into()));
}

#[tokio::test]
async fn options_and_head() {
    let gateway = start().await;
    let reply = gateway.bare("OPTIONS", "/crm/contacts").send().await.unwrap();
    assert_eq!(
        (reply.status().as_u16(), &reply.headers()["allow"]),
        (204, &"GET, HEAD, POST, OPTIONS".parse().unwrap())
    );
    let get = gateway.call("GET", "/openapi/crm.json").send().await.unwrap().bytes().await.unwrap();
    let two = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    for client in [crate::gateway::client(), two] {
        let head = client.head(format!("{}/openapi/crm.json", gateway.url)).send().await.unwrap();
        assert_eq!(head.status(), 200);
        assert_eq!(head.headers()["content-length"].to_str().unwrap(), get.len().to_string());
        assert_eq!(head.bytes().await.unwrap().len(), 0);
    }
    let head = gateway.call("HEAD", "/crm/contacts").send().await.unwrap();
    assert_eq!(head.status(), 200);
}

#[tokio::test]
async fn a_post_can_mean_another_method() {
    let gateway = start().await;
    let body =
        success(gateway.call("POST", "/crm/contacts/7?_method=PATCH").json(&json!({ "first_name": "A" })))
            .await;
    assert_eq!(
        (&body["operation"], &body["body"]),
        (&json!("contacts.update"), &json!({ "first_name": "A" }))
    );
    let body = success(gateway.call("POST", "/crm/contacts/7?_method=DELETE").body("{}")).await;
    assert_eq!(body["operation"], "contacts.delete");
    let body = success(gateway.call("POST", "/crm/contacts?_method=GET&limit=5")).await;
    assert_eq!((&body["operation"], &body["limit"]), (&json!("contacts.list"), &json!(5)));
    for (method, query) in [("POST", "_method=PUT"), ("GET", "_method=DELETE")] {
        let (status, body) = failure(gateway.call(method, &format!("/crm/contacts?{query}"))).await;
        assert_eq!((status, faults(&body)[0].0.as_str()), (400, "_method"), "{body}");
    }
}

#[tokio::test]
async fn faults_of_query_and_ids_are_listed_together() {
    let gateway = start().await;
    let query = "limit=900&page=2&filter[shoe]=44&filter[name]=%ff&sort[direction]=asc&raw=maybe";
    let (status, body) = failure(gateway.call("GET", &format!("/crm/contacts?{query}"))).await;
    assert_eq!((status, &body["type_name"]), (400, &json!("RequestValidationError")));
    let places: Vec<String> = faults(&body).into_iter().map(|(place, _)| place).collect();
    assert_eq!(places, ["limit", "page", "filter[shoe]", "filter[name]", "raw", "sort[direction]"]);
    for id in ["a%2Fb", "%ff", "a%00"] {
        let (status, body) = failure(gateway.call("GET", &format!("/crm/contacts/{id}"))).await;
        assert_eq!((status, faults(&body)[0].0.as_str()), (400, "id"), "{id}");
    }
    let one = failure(gateway.call("GET", "/crm/contacts?limit=0")).await.1;
    assert_eq!(one["message"], "limit must be a whole number from 1 to 200.");
}

#[tokio::test]
async fn a_panic_is_an_internal_error_that_tells_nothing() {
    let gateway = start().await;
    let (status, body) = failure(gateway.call("GET", "/crm/contacts/panic")).await;
    assert_eq!((status, &body["type_name"]), (500, &json!("InternalError")));
    assert!(!body.to_string().contains("secret"), "{body}");
    let write = gateway.call("POST", "/crm/notes").json(&json!({ "title": "panic" }));
    assert_eq!(failure_type(write).await, (500, "InternalError".into()));
    success(gateway.call("GET", "/crm/contacts/7")).await;
}

#[tokio::test]
async fn more_calls_than_allowed_are_shed() {
    let mut one = settings();
    one.limits.calls = 1;
    let mut gateway = start_with(one).await;
    let first = tokio::spawn(gateway.call("GET", "/crm/contacts/wait").send());
    assert_eq!(gateway.event().await, Event::Begun);
    let shed = gateway.call("GET", "/crm/contacts").send().await.unwrap();
    assert_eq!((shed.status().as_u16(), &shed.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    let body: Value = shed.json().await.unwrap();
    assert_eq!((&body["type_name"], &body["retriable"]), (&json!("ServiceUnavailableError"), &json!(true)));
    assert_eq!(gateway.bare("GET", "/health").send().await.unwrap().status(), 200);
    gateway.gate.add_permits(1);
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    success(gateway.call("GET", "/crm/contacts")).await;
}

#[tokio::test]
async fn the_contract_is_served() {
    let gateway = start().await;
    let json: Value = gateway.bare("GET", "/openapi/crm.json").send().await.unwrap().json().await.unwrap();
    assert_eq!(json["openapi"], "3.1.0");
    let yaml = gateway.bare("GET", "/openapi/crm.yaml").send().await.unwrap();
    assert_eq!(yaml.headers()["content-type"], "application/yaml; charset=utf-8");
    let yaml: Value = serde_saphyr::from_str(&yaml.text().await.unwrap()).unwrap();
    assert_eq!(yaml, json);
}

#[tokio::test]
async fn every_kind_of_error_has_its_page() {
    let gateway = start().await;
    for row in CATALOGUE {
        let path = format!("/errors/{}", row.name);
        let json = success(gateway.bare("GET", &path)).await;
        assert_eq!((&json["type_name"], &json["when"]), (&json!(row.name), &json!(row.when)));
        let page = gateway.bare("GET", &path).header("accept", "text/html").send().await.unwrap();
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
        assert!(page.text().await.unwrap().contains(row.when));
    }
}
