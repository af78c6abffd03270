//! Headers of requests and replies.

use serde_json::{Value, json};

use crate::gateway::{client, failure, failure_type, settings, start, start_with, success};

#[tokio::test]
async fn every_reply_has_an_id_and_says_where_the_time_went() {
    let gateway = start().await;
    let reply = gateway.call("GET", "/crm/contacts").send().await.unwrap();
    let id = reply.headers()["request-id"].to_str().unwrap();
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
    let timing = reply.headers()["server-timing"].to_str().unwrap();
    let gateway_ms =
        timing.strip_prefix("gateway;dur=").and_then(|rest| rest.strip_suffix(", downstream;dur=7.00"));
    gateway_ms.unwrap_or_else(|| panic!("{timing}")).parse::<f64>().unwrap();
    assert_eq!(reply.headers()["x-content-type-options"], "nosniff");
    assert_eq!(reply.headers()["cache-control"], "no-store");
    assert_eq!(reply.headers()["content-type"], "application/json; charset=utf-8");

    let reply = gateway.call("GET", "/nowhere").header("request-id", "my-own.id_1").send().await.unwrap();
    assert_eq!(reply.headers()["request-id"], "my-own.id_1");
    assert!(reply.headers().contains_key("server-timing"));
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body["request_id"], "my-own.id_1");
    assert_eq!(body["ref"], format!("{}/errors/EntityNotFoundError", gateway.url));
}

#[tokio::test]
async fn http_1_and_http_2_share_the_port() {
    let gateway = start().await;
    let two = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    for (client, version) in [(client(), http::Version::HTTP_11), (two, http::Version::HTTP_2)] {
        let request = client
            .patch(format!("{}/crm/contacts/7", gateway.url))
            .header("authorization", "Bearer k")
            .header("x-apideck-app-id", "a")
            .header("x-apideck-consumer-id", "c")
            .json(&json!({ "first_name": "Ada" }));
        let reply = request.send().await.unwrap();
        assert_eq!((reply.status().as_u16(), reply.version()), (200, version));
        let body: Value = reply.json().await.unwrap();
        assert_eq!(body["body"], json!({ "first_name": "Ada" }));
        assert_eq!(body["base"], gateway.url);
    }
}

#[tokio::test]
async fn who_calls_for_whom() {
    let gateway = start().await;
    let body = success(
        gateway
            .call("GET", "/crm/contacts")
            .header("x-apideck-service-id", "hubspot")
            .header("x-apideck-raw", "true")
            .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
            .header("x-forwarded-for", "203.0.113.7"),
    )
    .await;
    assert_eq!((&body["app"], &body["consumer"]), (&json!("app-1"), &json!("consumer-1")));
    assert_eq!((&body["service"], &body["key"]), (&json!("hubspot"), &json!("sk_test")));
    assert_eq!((&body["raw"], &body["limit"]), (&json!(true), &json!(20)));
    assert_eq!(body["remote"], "127.0.0.1", "nobody was declared a proxy");
    assert!(body["traceparent"].as_str().unwrap().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    let body = success(gateway.call("GET", "/crm/contacts").header("x-apideck-service-id", "")).await;
    assert_eq!(body["service"], Value::Null);
}

#[tokio::test]
async fn header_faults_are_listed_together_and_come_before_the_key() {
    let gateway = start().await;
    let (status, body) = failure(
        gateway
            .bare("GET", "/crm/contacts")
            .header("x-apideck-consumer-id", "")
            .header("x-apideck-service-id", "../etc")
            .header("x-apideck-raw", "maybe"),
    )
    .await;
    assert_eq!((status, &body["type_name"]), (400, &json!("RequestHeadersValidationError")));
    assert_eq!(
        body["detail"]["missing"],
        json!([{ "x-apideck-app-id": "required" }, { "x-apideck-consumer-id": "required" }])
    );
    assert_eq!(body["detail"]["malformed"].as_array().unwrap().len(), 2);
    let twice = gateway.call("GET", "/crm/contacts").header("x-apideck-app-id", "app-2");
    let (_, body) = failure(twice).await;
    assert_eq!(body["detail"]["malformed"], json!([{ "x-apideck-app-id": "is given more than once" }]));
}

#[tokio::test]
async fn a_call_without_a_key_is_unauthorized() {
    let gateway = start().await;
    let request = || {
        gateway
            .bare("GET", "/crm/contacts")
            .header("x-apideck-app-id", "a")
            .header("x-apideck-consumer-id", "c")
    };
    assert_eq!(failure_type(request()).await, (401, "UnauthorizedError".into()));
    let basic = request().header("authorization", "Basic abc").send().await.unwrap();
    assert_eq!(
        (basic.status().as_u16(), &basic.headers()["www-authenticate"]),
        (401, &"Bearer".parse().unwrap())
    );
}

#[tokio::test]
async fn too_much_path_query_or_headers_is_refused() {
    let mut few = settings();
    few.limits.header_bytes = 8192;
    let gateway = start_with(few).await;
    let long = "x".repeat(9000);
    let path = gateway.call("GET", &format!("/crm/contacts?cursor={long}"));
    assert_eq!(failure_type(path).await, (400, "RequestValidationError".into()));
    let header = gateway.call("GET", "/crm/contacts").header("x-more", &long);
    assert_eq!(failure_type(header).await, (400, "RequestHeadersValidationError".into()));
    success(gateway.call("GET", "/crm/contacts").header("x-more", &long[..6000])).await;
}

#[tokio::test]
async fn behind_a_declared_proxy_only_its_https_calls_are_taken() {
    let mut proxied = settings();
    proxied.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let gateway = start_with(proxied.clone()).await;
    let refused = (403, "ForbiddenError".to_owned());
    assert_eq!(failure_type(gateway.call("GET", "/crm/contacts")).await, refused);
    let plain = gateway.call("GET", "/crm/contacts").header("x-forwarded-proto", "http");
    assert_eq!(failure_type(plain).await, refused);
    let body = success(
        gateway
            .call("GET", "/crm/contacts")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "crm.example.com")
            .header("x-forwarded-for", "198.51.100.1, 203.0.113.7"),
    )
    .await;
    assert_eq!((&body["remote"], &body["base"]), (&json!("203.0.113.7"), &json!("https://crm.example.com")));
    let probe = gateway.bare("GET", "/health").send().await.unwrap();
    assert_eq!(probe.status(), 200, "probes come without the proxy");

    proxied.trusted_proxies = vec!["192.0.2.1/32".parse().unwrap()];
    let gateway = start_with(proxied).await;
    let around = gateway.call("GET", "/crm/contacts").header("x-forwarded-proto", "https");
    assert_eq!(failure_type(around).await, refused);
}
