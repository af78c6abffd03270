//! Stopping, and callers that go away.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::gateway::{CALL, Event, PATIENCE, settings, start, start_with};

#[tokio::test]
async fn a_drain_finishes_what_has_begun_and_refuses_what_comes_later() {
    let mut gateway = start().await;
    let mut idle = gateway.socket().await;
    idle.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    idle.reply().await;
    let mut busy = gateway.socket().await;
    busy.send(&format!("GET /crm/contacts/wait HTTP/1.1\r\n{CALL}\r\n")).await;
    assert_eq!(gateway.event().await, Event::Begun);

    gateway.stop.cancel();
    // The listener is closed once connecting fails.
    while tokio::net::TcpStream::connect(gateway.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    idle.send(&format!("GET /crm/contacts HTTP/1.1\r\n{CALL}\r\n")).await;
    let (head, body) = idle.reply().await;
    assert!(head.starts_with("http/1.1 503") && head.contains("connection: close"), "{head}");
    assert!(head.contains("retry-after: 1") && head.contains("request-id: "), "{head}");
    assert!(body.contains("ServiceUnavailableError"), "{body}");
    idle.closed().await;
    assert!(!gateway.served.is_finished(), "a call is still at work");

    gateway.gate.add_permits(1);
    let (head, body) = busy.reply().await;
    assert!(head.starts_with("http/1.1 200") && body.contains("contacts.one"), "{head}{body}");
    let drained = tokio::time::timeout(PATIENCE, gateway.served).await.unwrap().unwrap();
    assert_eq!(drained.unfinished_calls, 0);
}

#[tokio::test]
async fn an_http_2_call_finishes_within_the_drain() {
    let mut gateway = start().await;
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let request = client
        .get(format!("{}/crm/contacts/wait", gateway.url))
        .header("authorization", "Bearer k")
        .header("x-apideck-app-id", "a")
        .header("x-apideck-consumer-id", "c");
    let call = tokio::spawn(request.send());
    assert_eq!(gateway.event().await, Event::Begun);
    gateway.stop.cancel();
    gateway.gate.add_permits(1);
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
    let drained = tokio::time::timeout(PATIENCE, gateway.served).await.unwrap().unwrap();
    assert_eq!(drained.unfinished_calls, 0);
}

#[tokio::test]
async fn probes_see_the_drain() {
    let mut gateway = start().await;
    let mut probe = gateway.socket().await;
    probe.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(probe.reply().await.1.contains("ok"));
    let mut busy = gateway.socket().await;
    busy.send(&format!("GET /crm/contacts/wait HTTP/1.1\r\n{CALL}\r\n")).await;
    assert_eq!(gateway.event().await, Event::Begun);
    gateway.stop.cancel();
    while tokio::net::TcpStream::connect(gateway.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    probe.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (head, body) = probe.reply().await;
    assert!(head.starts_with("http/1.1 503") && body.contains("stopping"), "{head}{body}");
}

#[tokio::test]
async fn a_drain_ends_at_its_deadline() {
    let mut hasty = settings();
    hasty.timeouts.drain = Duration::from_millis(300);
    let mut gateway = start_with(hasty).await;
    let mut stuck = gateway.socket().await;
    stuck.send(&format!("GET /crm/contacts/wait HTTP/1.1\r\n{CALL}\r\n")).await;
    assert_eq!(gateway.event().await, Event::Begun);
    let started = Instant::now();
    gateway.stop.cancel();
    let drained = tokio::time::timeout(PATIENCE, gateway.served).await.unwrap().unwrap();
    assert_eq!(drained.unfinished_calls, 1);
    assert!(started.elapsed() >= Duration::from_millis(300) && started.elapsed() < Duration::from_secs(5));
}

/// A create that waits, sent and then abandoned.
async fn abandoned_write(gateway: &mut crate::gateway::Gateway) {
    let body = json!({ "title": "wait" }).to_string();
    let mut socket = gateway.socket().await;
    let head = format!(
        "POST /crm/notes HTTP/1.1\r\n{CALL}content-type: application/json\r\ncontent-length: {}",
        body.len()
    );
    socket.send(&format!("{head}\r\n\r\n{body}")).await;
    assert_eq!(gateway.event().await, Event::Begun);
    socket.0.set_zero_linger().unwrap();
    drop(socket);
}

#[tokio::test]
async fn a_write_outlives_its_caller_and_a_read_does_not() {
    let mut gateway = start().await;
    abandoned_write(&mut gateway).await;
    let mut socket = gateway.socket().await;
    socket.send(&format!("GET /crm/contacts/wait HTTP/1.1\r\n{CALL}\r\n")).await;
    assert_eq!(gateway.event().await, Event::Begun);
    socket.0.set_zero_linger().unwrap();
    drop(socket);
    assert_eq!(gateway.event().await, Event::Dropped, "the read");
    gateway.gate.add_permits(1);
    assert_eq!(gateway.event().await, Event::Done, "the write");
}

#[tokio::test]
async fn a_drain_waits_for_a_write_whose_caller_has_gone() {
    let mut gateway = start().await;
    abandoned_write(&mut gateway).await;
    gateway.stop.cancel();
    while tokio::net::TcpStream::connect(gateway.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!gateway.served.is_finished());
    gateway.gate.add_permits(1);
    let drained = tokio::time::timeout(PATIENCE, &mut gateway.served).await.unwrap().unwrap();
    assert_eq!(drained.unfinished_calls, 0);
    assert_eq!(gateway.event().await, Event::Done);
}

#[tokio::test]
async fn a_write_within_the_drain_answers() {
    let mut gateway = start().await;
    let write = tokio::spawn(gateway.call("POST", "/crm/notes").json(&json!({ "title": "wait" })).send());
    assert_eq!(gateway.event().await, Event::Begun);
    gateway.stop.cancel();
    gateway.gate.add_permits(1);
    let body: Value = write.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(body["operation"], "notes.create");
    assert_eq!(gateway.served.await.unwrap().unfinished_calls, 0);
}
