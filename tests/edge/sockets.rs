//! Silent, slow and idle peers.

use std::time::{Duration, Instant};

use crosswalk::config::Settings;

use crate::gateway::{CALL, Event, PATIENCE, Socket, settings, start_with};

const HEADER: Duration = Duration::from_millis(300);
const IDLE: Duration = Duration::from_millis(900);

fn hasty() -> Settings {
    let mut settings = settings();
    settings.timeouts.header = HEADER;
    settings.timeouts.idle = IDLE;
    settings
}

/// How long the gateway leaves a peer connected that sends this and then nothing more.
async fn left(text: &str) -> Duration {
    let gateway = start_with(hasty()).await;
    let started = Instant::now();
    let mut socket = gateway.socket().await;
    socket.send(text).await;
    socket.closed().await;
    started.elapsed()
}

#[tokio::test]
async fn peers_that_never_finish_their_headers_are_cut_after_the_header_time() {
    let rows = [
        ("nothing", ""),
        ("one byte", "G"),
        ("half a head", "GET /health HTTP/1.1\r\nhost: x\r\n"),
        ("an HTTP/2 preface without settings", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ];
    for (what, text) in rows {
        let time = left(text).await;
        assert!(time >= HEADER && time < IDLE, "{what}: {time:?}");
    }
}

#[tokio::test]
async fn headers_that_trickle_are_cut_all_the_same() {
    let gateway = start_with(hasty()).await;
    let started = Instant::now();
    let Socket(socket) = gateway.socket().await;
    let (read, mut write) = socket.into_split();
    let trickle = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        let _ = write.write_all(b"GET /health HTTP/1.1\r\nx: ").await;
        while write.write_all(b"y").await.is_ok() {
            tick.tick().await;
        }
    });
    let mut read = read;
    let mut bytes = Vec::new();
    let closed = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut bytes);
    let _ = tokio::time::timeout(PATIENCE, closed).await.expect("closed in time");
    trickle.abort();
    assert!(started.elapsed() >= HEADER && started.elapsed() < IDLE, "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_the_idle_time_and_not_after_the_header_time() {
    let gateway = start_with(hasty()).await;
    let mut socket = gateway.socket().await;
    socket.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (head, _) = socket.reply().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let started = Instant::now();
    socket.closed().await;
    // The clock of the gateway started a little before ours.
    assert!(started.elapsed() > IDLE - Duration::from_millis(100), "{:?}", started.elapsed());
}

#[tokio::test]
async fn the_second_request_on_a_connection_has_the_header_time_too() {
    let gateway = start_with(hasty()).await;
    let mut socket = gateway.socket().await;
    socket.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    socket.reply().await;
    let started = Instant::now();
    socket.send("GET /hea").await;
    socket.closed().await;
    assert!(started.elapsed() < IDLE - Duration::from_millis(100), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_connection_with_a_call_at_work_is_not_idle() {
    let mut gateway = start_with(hasty()).await;
    let mut socket = gateway.socket().await;
    socket.send(&format!("GET /crm/contacts/wait HTTP/1.1\r\n{CALL}\r\n")).await;
    assert_eq!(gateway.event().await, Event::Begun);
    tokio::time::sleep(IDLE + HEADER).await;
    gateway.gate.add_permits(1);
    let (head, _) = socket.reply().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_a_place() {
    let mut one = settings();
    one.limits.connections = 1;
    let gateway = start_with(one).await;
    let mut first = gateway.socket().await;
    first.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    first.reply().await;
    let mut second = gateway.socket().await;
    second.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let waited = tokio::time::timeout(Duration::from_millis(300), second.0.readable()).await;
    assert!(waited.is_err(), "the second connection was served beside the first");
    drop(first);
    let (head, _) = second.reply().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
}

#[tokio::test]
async fn what_is_not_http_does_no_harm() {
    let gateway = start_with(settings()).await;
    let mut socket = gateway.socket().await;
    socket.send("\u{16}\u{3}\u{1} this is no HTTP\r\n\r\n").await;
    socket.closed().await;
    let mut socket = gateway.socket().await;
    socket.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(socket.reply().await.0.starts_with("http/1.1 200"));
}
