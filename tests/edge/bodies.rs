//! Request bodies.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::gateway::{CALL, PATIENCE, failure, failure_type, faults, settings, start, start_with, success};

#[tokio::test]
async fn a_body_arrives_as_it_was_sent() {
    let gateway = start().await;
    let sent = r#"{"first_name":"Zoë \u65e5","emails":[{"email":"a@b.example","type":"work"}],"custom_fields":[{"id":"x","value":10.0}],"pass_through":[{"service_id":"hubspot","extend_paths":[{"path":"$.a","value":null}]}]}"#;
    for content_type in ["application/json", "application/json; charset=utf-8"] {
        let request =
            gateway.call("PATCH", "/crm/contacts/7").header("content-type", content_type).body(sent);
        let mut expected: Value = serde_json::from_str(sent).unwrap();
        expected["custom_fields"][0]["value"] = json!(10);
        assert_eq!(success(request).await["body"], expected);
    }
}

#[tokio::test]
async fn explicit_nulls_stay_and_updates_require_nothing() {
    let gateway = start().await;
    let body = success(gateway.call("PATCH", "/crm/opportunities/7").json(&json!({ "title": null }))).await;
    assert_eq!(body["body"].to_string(), r#"{"title":null}"#);
    assert_eq!(success(gateway.call("PATCH", "/crm/companies/7").json(&json!({}))).await["body"], json!({}));
}

#[tokio::test]
async fn all_faults_of_a_body_come_with_their_pointers_beside_those_of_the_query() {
    let gateway = start().await;
    let request = gateway.call("POST", "/crm/contacts?limit=20").json(&json!({
        "first_name": 7,
        "emails": [{ "email": "a@b.example" }, { "type": "fax" }],
        "shoe~size/eu": 44,
    }));
    let (status, body) = failure(request).await;
    assert_eq!((status, &body["type_name"]), (400, &json!("RequestValidationError")));
    let mut faults = faults(&body);
    faults.sort();
    let places: Vec<&str> = faults.iter().map(|(place, _)| place.as_str()).collect();
    assert_eq!(places, ["/emails/1/email", "/emails/1/type", "/first_name", "/shoe~0size~1eu", "limit"]);
    let messages: Vec<&str> = faults.iter().map(|(_, message)| message.as_str()).collect();
    assert_eq!(messages[0], "This key is required.");
    assert!(messages[1].starts_with("Must be one of primary, "), "{messages:?}");
    assert_eq!(messages[2], "Must be null or a string, not a number.");
    assert_eq!(messages[3], "This key is unknown.");
}

#[tokio::test]
async fn what_is_not_json_is_refused_with_its_place() {
    let gateway = start().await;
    let rows: [(&[u8], &str); 6] = [
        (b"{\"a\":\n nope}", "line 2 column 3"),
        (b"{\"title\":\"\xff\"}", "invalid unicode"),
        (b"{\"title\":\"a\",\"title\":\"b\"}", "twice"),
        (b"[]", "must be a JSON object"),
        (b"\"x\"", "must be a JSON object"),
        (b"", "it is empty"),
    ];
    for (bytes, expected) in rows {
        let request =
            gateway.call("POST", "/crm/notes").header("content-type", "application/json").body(bytes);
        let (status, body) = failure(request).await;
        assert_eq!((status, &body["type_name"]), (400, &json!("RequestValidationError")), "{expected}");
        assert!(body["message"].as_str().unwrap().contains(expected), "{body}");
    }
}

#[tokio::test]
async fn other_content_types_are_refused() {
    let gateway = start().await;
    let refused = (415, "UnsupportedMediaTypeError".to_owned());
    let form = gateway.call("POST", "/crm/notes").form(&[("title", "a")]);
    assert_eq!(failure_type(form).await, refused);
    assert_eq!(failure_type(gateway.call("POST", "/crm/notes").body("{}")).await, refused, "none at all");
    let latin = gateway.call("POST", "/crm/notes").header("content-type", "application/json; charset=latin1");
    assert_eq!(failure_type(latin.body("{}")).await, refused);
}

#[tokio::test]
async fn reads_and_deletes_need_no_body_and_an_empty_object_is_passed_over() {
    let gateway = start().await;
    for method in ["GET", "DELETE"] {
        success(gateway.call(method, "/crm/contacts/7")).await;
        success(gateway.call(method, "/crm/contacts/7").body("{}")).await;
        let (status, body) = failure(gateway.call(method, "/crm/contacts/7").body("{\"a\":1}")).await;
        assert_eq!((status, faults(&body)[0].1.as_str()), (400, "This operation takes no body."));
    }
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_whether_or_not_it_says_so() {
    let mut small = settings();
    small.limits.body_bytes = 2048;
    let gateway = start_with(small).await;
    let refused = (413, "PayloadTooLargeError".to_owned());
    let body = |size: usize| format!("{{\"title\":\"{}\"}}", "x".repeat(size - 12));
    let request = |body: String| {
        gateway.call("POST", "/crm/notes").header("content-type", "application/json").body(body)
    };
    success(request(body(2048))).await;
    assert_eq!(failure_type(request(body(2049))).await, refused);

    let mut socket = gateway.socket().await;
    let head = format!(
        "POST /crm/notes HTTP/1.1\r\n{CALL}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    socket.send(&head).await;
    for _ in 0..3 {
        socket.send(&format!("400\r\n{}\r\n", "x".repeat(1024))).await;
    }
    let (head, reply) = socket.reply().await;
    assert!(head.starts_with("http/1.1 413"), "{head}");
    assert!(reply.contains("PayloadTooLargeError"), "{reply}");
}

#[tokio::test]
async fn a_declared_body_above_the_limit_is_refused_before_it_is_sent() {
    let gateway = start().await;
    let mut socket = gateway.socket().await;
    socket
        .send(&format!("POST /crm/notes HTTP/1.1\r\n{CALL}content-type: application/json\r\ncontent-length: 9999999\r\nexpect: 100-continue\r\n\r\n"))
        .await;
    let (head, _) = socket.reply().await;
    assert!(head.starts_with("http/1.1 413"), "{head}");
}

#[tokio::test]
async fn a_body_that_stalls_is_answered_408() {
    let mut hasty = settings();
    hasty.timeouts.body = Duration::from_millis(200);
    let gateway = start_with(hasty).await;
    let mut socket = gateway.socket().await;
    let started = Instant::now();
    socket
        .send(&format!("POST /crm/notes HTTP/1.1\r\n{CALL}content-type: application/json\r\ncontent-length: 20\r\n\r\n{{\"title\""))
        .await;
    let (head, body) = socket.reply().await;
    assert!(head.starts_with("http/1.1 408"), "{head}");
    assert!(body.contains("RequestTimeoutError"), "{body}");
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_stream_that_stops_without_an_end_is_no_whole_reply() {
    let gateway = start().await;
    for http2 in [false, true] {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        let client = if http2 { client.http2_prior_knowledge() } else { client }.build().unwrap();
        let url = format!("{}/crm/contacts/endless", gateway.url);
        let request = gateway.call("GET", "/").build().unwrap();
        // The head may have been on its way already.
        if let Ok(reply) = client.get(url).headers(request.headers().clone()).send().await {
            assert_eq!(reply.status(), 200);
            assert!(reply.text().await.is_err(), "HTTP/2: {http2}");
        }
    }
}
