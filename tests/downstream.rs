//! The HTTP client over real sockets, against a CRM that misbehaves as told: every row of what may happen to a request.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::VecDeque;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crosswalk::downstream::{Client, Scope, Settings};
use crosswalk::model::{ConnectionId, Failure, LimitHeaders, Policy, Request, ResetUnit, Safety, Sent};
use http::{HeaderName, Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// What the server does with the next request.
enum Act {
    /// Answers with these bytes and keeps the connection.
    Say(Vec<u8>),
    /// Answers with these bytes and closes the connection.
    SayAndClose(Vec<u8>),
    /// Answers with these bytes and then says nothing until the client has gone.
    SayAndHang(Vec<u8>),
    /// Answers when told to.
    Await(Arc<Notify>, Vec<u8>),
}

/// A server on the loopback that acts out a script and keeps what it received.
struct Crm {
    base: String,
    script: Arc<Mutex<VecDeque<Act>>>,
    received: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Crm {
    async fn start(script: Vec<Act>) -> Crm {
        Crm::listen(script, None).await
    }

    async fn listen(script: Vec<Act>, tls: Option<TlsAcceptor>) -> Crm {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let crm = Crm {
            base: format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port()),
            script: Arc::new(Mutex::new(script.into())),
            received: Arc::default(),
            connections: Arc::default(),
        };
        let (script, received) = (crm.script.clone(), crm.received.clone());
        let connections = crm.connections.clone();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (script, received, tls) = (script.clone(), received.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => act(socket, &script, &received).await,
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                act(socket, &script, &received).await;
                            }
                        }
                    }
                });
            }
        });
        crm
    }

    fn requests(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }

    fn url(&self, path: &str) -> url::Url {
        format!("{}{path}", self.base).parse().unwrap()
    }

    fn get(&self, path: &str) -> Request {
        Request {
            step: "contacts.list".into(),
            method: Method::GET,
            url: self.url(path),
            headers: Vec::new(),
            body: None,
            safety: Safety::Read,
        }
    }

    fn post(&self, path: &str) -> Request {
        let body = Some("{}".into());
        Request { method: Method::POST, body, safety: Safety::Write, ..self.get(path) }
    }
}

/// Serves one connection until it ends or the script closes it.
async fn act<S>(mut socket: S, script: &Mutex<VecDeque<Act>>, received: &Mutex<Vec<String>>)
where
    S: AsyncReadExt + AsyncWriteExt + Unpin,
{
    let mut pending = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = pending.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if !matches!(socket.read_buf(&mut pending).await, Ok(n) if n > 0) {
                return;
            }
        };
        let text = String::from_utf8(pending.drain(..head).collect()).unwrap();
        let length = text.to_ascii_lowercase().lines().find_map(|line| {
            line.strip_prefix("content-length: ").map(|length| length.parse::<usize>().unwrap())
        });
        while pending.len() < length.unwrap_or(0) {
            socket.read_buf(&mut pending).await.unwrap();
        }
        pending.drain(..length.unwrap_or(0));
        received.lock().unwrap().push(text);
        let next = script.lock().unwrap().pop_front();
        match next.expect("a request beyond the script") {
            Act::Say(bytes) => socket.write_all(&bytes).await.unwrap(),
            Act::SayAndClose(bytes) => {
                socket.write_all(&bytes).await.unwrap();
                let _ = socket.shutdown().await;
                return;
            }
            Act::SayAndHang(bytes) => {
                socket.write_all(&bytes).await.unwrap();
                let _ = socket.read_buf(&mut pending).await;
                return;
            }
            Act::Await(told, bytes) => {
                told.notified().await;
                socket.write_all(&bytes).await.unwrap();
            }
        }
    }
}

fn reply(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn ok(body: &str) -> Act {
    Act::Say(reply(200, "", body.as_bytes()))
}

fn settings() -> Settings {
    let allow = ["127.0.0.0/8", "::1/128"].map(|net| net.parse().unwrap()).to_vec();
    Settings { allow, attempt_timeout: Duration::from_secs(20), ..Settings::default() }
}

/// Repeats soon, so that a test that repeats is quick.
fn policy() -> Policy {
    Policy { backoff: Duration::from_millis(2), ..Policy::default() }
}

fn scope() -> Scope {
    within(Duration::from_secs(30))
}

fn within(time: Duration) -> Scope {
    Scope { connection: ConnectionId::new("c"), deadline: Instant::now() + time }
}

async fn send(request: Request) -> Sent {
    Client::new(settings()).send(request, &policy(), &scope()).await
}

fn body(sent: &Sent) -> &str {
    std::str::from_utf8(&sent.outcome.as_ref().unwrap().body).unwrap()
}

fn status(sent: &Sent) -> StatusCode {
    sent.outcome.as_ref().unwrap().status
}

#[tokio::test]
async fn a_request_arrives_as_it_was_made_and_the_reply_comes_back_whole() {
    let crm = Crm::start(vec![Act::Say(reply(201, "x-one: 1\r\nx-one: 2\r\n", b"{\"id\":\"7\"}"))]).await;
    let mut request = crm.post("/crm/v3/contacts?a=1&api_token=s3");
    request.headers.push((HeaderName::from_static("authorization"), "Bearer s3".parse().unwrap()));
    let sent = send(request).await;

    let reply = sent.outcome.as_ref().unwrap();
    assert_eq!(reply.status, 201);
    assert_eq!(reply.headers.get_all("x-one").iter().count(), 2);
    assert_eq!(&reply.body[..], b"{\"id\":\"7\"}");
    assert!(reply.elapsed > Duration::ZERO);
    let received = crm.requests();
    assert_eq!(received.len(), 1);
    assert!(received[0].starts_with("POST /crm/v3/contacts?a=1&api_token=s3 HTTP/1.1\r\n"), "{received:?}");
    for line in ["authorization: Bearer s3\r\n", "content-length: 2\r\n", "user-agent: crosswalk/"] {
        assert!(received[0].contains(line), "{line} in {received:?}");
    }
    assert!(!received[0].contains("cookie") && !received[0].contains("referer"));
    let attempt = &sent.attempts[0];
    assert_eq!((attempt.number, &*attempt.step, attempt.method.as_str()), (1, "contacts.list", "POST"));
    assert!(attempt.url.ends_with("/crm/v3/contacts?a=1&api_token=***"), "{}", attempt.url);
    assert_eq!(attempt.result, Ok(StatusCode::CREATED));
    assert!(!format!("{sent:?}").contains("s3"));
}

#[tokio::test]
async fn connections_are_reused() {
    let crm = Crm::start(vec![ok("1"), ok("2")]).await;
    let client = Client::new(settings());
    for expected in ["1", "2"] {
        let sent = client.send(crm.get("/"), &policy(), &scope()).await;
        assert_eq!(body(&sent), expected);
    }
    assert_eq!(crm.requests().len(), 2);
    assert_eq!(crm.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_refused_connection_is_not_sent_and_repeated_for_reads_and_writes() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let base = format!("http://127.0.0.1:{port}");
    let gone = Crm { base, script: Arc::default(), received: Arc::default(), connections: Arc::default() };
    for request in [gone.get("/?token=s3"), gone.post("/?token=s3")] {
        let sent = send(request).await;
        let Err(Failure::NotSent(why)) = &sent.outcome else { panic!("{sent:?}") };
        assert!(why.starts_with("127.0.0.1: ") && why.contains("refused"), "{why}");
        assert_eq!(sent.attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(!format!("{sent:?}").contains("s3"));
    }
}

#[tokio::test]
async fn a_connection_dropped_after_sending_repeats_a_read_only() {
    let crm = Crm::start(vec![Act::SayAndClose(Vec::new()), ok("second")]).await;
    let sent = send(crm.get("/")).await;
    assert_eq!(body(&sent), "second");
    assert!(matches!(sent.attempts[0].result, Err(Failure::Dropped(_))), "{sent:?}");
    assert_eq!(sent.attempts[1].result, Ok(StatusCode::OK));

    let crm = Crm::start(vec![Act::SayAndClose(Vec::new()), ok("twice!")]).await;
    let sent = send(crm.post("/")).await;
    assert!(matches!(sent.outcome, Err(Failure::Dropped(_))), "{sent:?}");
    assert_eq!(crm.requests().len(), 1);
}

#[tokio::test]
async fn a_truncated_reply_is_dropped_and_repeats_a_read_only() {
    let cut = || Act::SayAndClose(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half".to_vec());
    let crm = Crm::start(vec![cut(), ok("whole")]).await;
    assert_eq!(body(&send(crm.get("/")).await), "whole");

    let cut_chunked =
        Act::SayAndClose(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"hal".to_vec());
    for cut in [cut(), cut_chunked] {
        let crm = Crm::start(vec![cut]).await;
        let sent = send(crm.post("/")).await;
        assert!(matches!(sent.outcome, Err(Failure::Dropped(_))), "{sent:?}");
        assert_eq!(crm.requests().len(), 1);
    }
}

#[tokio::test]
async fn what_is_not_http_is_dropped() {
    let crm = Crm::start(vec![Act::SayAndClose(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())]).await;
    let sent = send(crm.post("/")).await;
    assert!(matches!(sent.outcome, Err(Failure::Dropped(_))), "{sent:?}");
}

#[tokio::test]
async fn a_slow_reply_times_out_and_a_read_is_repeated_once() {
    let slow = || Act::SayAndHang(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half".to_vec());
    let silent = || Act::SayAndHang(Vec::new());
    let time = Duration::from_millis(250);
    let client = Client::new(Settings { attempt_timeout: time, ..settings() });

    let crm = Crm::start(vec![slow(), silent()]).await;
    let sent = client.send(crm.get("/"), &Policy { attempts: 5, ..policy() }, &scope()).await;
    assert_eq!(sent.outcome.as_ref().unwrap_err(), &Failure::TimedOut(time));
    assert_eq!(sent.attempts.len(), 2);
    assert!(sent.attempts.iter().all(|attempt| attempt.elapsed >= time));

    let crm = Crm::start(vec![silent()]).await;
    let sent = client.send(crm.post("/"), &policy(), &scope()).await;
    assert_eq!(sent.outcome.unwrap_err(), Failure::TimedOut(time));
    assert_eq!(crm.requests().len(), 1);
}

#[tokio::test]
async fn a_call_never_outlives_its_deadline() {
    let crm = Crm::start(vec![Act::SayAndHang(Vec::new())]).await;
    let started = Instant::now();
    let client = Client::new(settings());
    let sent = client.send(crm.get("/"), &policy(), &within(Duration::from_millis(200))).await;
    assert!(matches!(sent.outcome, Err(Failure::TimedOut(_))), "{sent:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(sent.attempts.len(), 1);

    let sent = client.send(crm.get("/"), &policy(), &within(Duration::ZERO)).await;
    assert!(matches!(sent.outcome, Err(Failure::NotSent(_))), "{sent:?}");
    assert!(sent.attempts.is_empty());
}

#[tokio::test]
async fn too_many_requests_repeats_reads_and_writes_after_the_time_the_crm_asks() {
    for (status, headers, at_least_ms) in
        [(429, "retry-after: 0.2\r\n", 200), (429, "", 1), (429, "retry-after: 0\r\n", 0)]
    {
        for write in [false, true] {
            let crm = Crm::start(vec![Act::Say(reply(status, headers, b"slow down")), ok("done")]).await;
            let started = Instant::now();
            let sent = send(if write { crm.post("/") } else { crm.get("/") }).await;
            assert_eq!(body(&sent), "done");
            assert!(started.elapsed() >= Duration::from_millis(at_least_ms), "{headers}");
            assert_eq!(sent.attempts[0].result, Ok(StatusCode::TOO_MANY_REQUESTS));
            assert_eq!(sent.attempts.len(), 2);
        }
    }
}

#[tokio::test]
async fn a_longer_wait_than_the_call_has_is_handed_back_at_once_and_holds_the_connection() {
    let crm = Crm::start(vec![Act::Say(reply(429, "retry-after: 40\r\n", b"slow down")), ok("other")]).await;
    let client = Client::new(settings());
    let started = Instant::now();
    let sent = client.send(crm.get("/"), &policy(), &scope()).await;
    assert_eq!(status(&sent), 429);
    assert_eq!(sent.outcome.as_ref().unwrap().headers["retry-after"], "40");
    assert_eq!(sent.attempts.len(), 1);

    // The same connection is not asked again; what the CRM said stands.
    let held = client.send(crm.post("/"), &policy(), &scope()).await;
    assert_eq!(status(&held), 429);
    assert_eq!(body(&held), "slow down");
    assert_eq!(held.outcome.as_ref().unwrap().headers["retry-after"], "40");
    assert!(held.attempts.is_empty());
    assert_eq!(crm.requests().len(), 1);

    // Another connection is none the wiser.
    let other = Scope { connection: ConnectionId::new("other"), ..scope() };
    assert_eq!(body(&client.send(crm.get("/"), &policy(), &other).await), "other");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_used_up_limit_makes_the_next_request_wait_for_its_reset() {
    let spent = Act::Say(reply(200, "x-left: 0\r\nx-reset-ms: 250\r\n", b"first"));
    let crm = Crm::start(vec![spent, ok("second")]).await;
    let limits = vec![LimitHeaders {
        remaining: HeaderName::from_static("x-left"),
        reset: HeaderName::from_static("x-reset-ms"),
        unit: ResetUnit::Milliseconds,
    }];
    let (client, policy) = (Client::new(settings()), Policy { limits, ..policy() });
    let started = Instant::now();
    assert_eq!(body(&client.send(crm.get("/"), &policy, &scope()).await), "first");
    assert_eq!(body(&client.send(crm.get("/"), &policy, &scope()).await), "second");
    assert!(started.elapsed() >= Duration::from_millis(250));
}

#[tokio::test]
async fn an_unavailable_crm_repeats_a_write_only_where_the_policy_says_that_it_did_nothing() {
    let later = || Act::Say(reply(503, "retry-after: 0\r\n", b""));
    for (untouched, expected) in [(false, 503), (true, 200)] {
        let crm = Crm::start(vec![later(), ok("")]).await;
        let policy = Policy { unavailable_is_untouched: untouched, ..policy() };
        let sent = Client::new(settings()).send(crm.post("/"), &policy, &scope()).await;
        assert_eq!(status(&sent), expected);
    }
    let crm = Crm::start(vec![Act::Say(reply(500, "", b"oh")), ok("")]).await;
    assert_eq!(status(&send(crm.get("/")).await), 500);
    let crm = Crm::start((0..3).map(|_| Act::Say(reply(502, "", b"oh"))).collect()).await;
    assert_eq!(status(&send(crm.get("/")).await), 502);
    assert_eq!(crm.requests().len(), 3);
}

#[tokio::test]
async fn a_redirect_is_a_reply_and_not_followed() {
    let crm = Crm::start(vec![Act::Say(reply(302, "location: http://169.254.169.254/\r\n", b""))]).await;
    let sent = send(crm.get("/")).await;
    assert_eq!(status(&sent), 302);
    assert_eq!(sent.outcome.unwrap().headers["location"], "http://169.254.169.254/");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn compressed_replies_are_read_and_the_limit_counts_what_comes_out() {
    let coded = "content-encoding: gzip\r\n";
    let crm = Crm::start(vec![Act::Say(reply(200, coded, &gzip(b"{\"a\":1}")))]).await;
    assert_eq!(body(&send(crm.get("/")).await), "{\"a\":1}");
    assert!(crm.requests()[0].contains("accept-encoding: "));

    let bomb = gzip(&vec![b' '; 8 << 20]);
    assert!(bomb.len() < 16 << 10);
    let client = Client::new(Settings { reply_bytes_max: 1 << 20, ..settings() });
    let crm = Crm::start(vec![Act::Say(reply(200, coded, &bomb)), ok("twice!")]).await;
    let sent = client.send(crm.get("/"), &policy(), &scope()).await;
    assert_eq!(sent.outcome.unwrap_err(), Failure::TooLarge(1 << 20));
    assert_eq!(crm.requests().len(), 1);
}

#[tokio::test]
async fn a_reply_may_be_as_large_as_the_limit_and_no_larger() {
    let client = Client::new(Settings { reply_bytes_max: 300_000, ..settings() });
    let chunked = |length: usize| {
        let mut bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..length / 1000 {
            bytes.extend_from_slice(b"3e8\r\n");
            bytes.extend_from_slice(&[b'x'; 1000]);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    };
    let plain = |length: usize| reply(200, "", &vec![b'x'; length]);
    for (bytes, fits) in
        [(plain(300_000), true), (plain(300_001), false), (chunked(300_000), true), (chunked(301_000), false)]
    {
        // The client leaves in the middle of a reply that is too large, so the server's write may fail: it hangs up.
        let crm = Crm::start(vec![Act::SayAndHang(bytes)]).await;
        let sent = client.send(crm.get("/"), &policy(), &scope()).await;
        match sent.outcome {
            Ok(reply) => {
                assert!(fits && reply.body.len() == 300_000 && reply.body.iter().all(|&byte| byte == b'x'))
            }
            Err(failure) => assert!(!fits && failure == Failure::TooLarge(300_000), "{failure:?}"),
        }
    }
}

#[tokio::test]
async fn addresses_that_are_not_public_are_not_called() {
    let crm = Crm::start(vec![ok("reached!")]).await;
    let port = crm.url("/").port().unwrap();
    let strict = Client::new(Settings { allow: Vec::new(), ..settings() });
    let elsewhere = Client::new(Settings { allow: vec!["10.0.0.0/8".parse().unwrap()], ..settings() });
    let hosts = ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"];
    for host in hosts {
        for scheme in ["http", "https"] {
            for client in [&strict, &elsewhere] {
                let url = format!("{scheme}://{host}:{port}/").parse().unwrap();
                let sent = client.send(Request { url, ..crm.get("/") }, &policy(), &scope()).await;
                let Err(Failure::NotSent(why)) = &sent.outcome else { panic!("{host}: {sent:?}") };
                assert!(why.contains("not allowed"), "{host}: {why}");
                assert_eq!(sent.attempts.len(), 1, "{host}: asking again changes nothing");
            }
        }
    }
    assert!(crm.requests().is_empty());
}

#[tokio::test]
async fn a_batch_keeps_its_order_and_runs_so_many_at_once() {
    let (first, second) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let crm = Crm::start(vec![
        Act::Await(first.clone(), reply(200, "", b"one")),
        Act::Await(second.clone(), reply(200, "", b"two")),
        ok("three"),
    ])
    .await;
    let client = Client::new(settings());
    let requests = vec![crm.get("/1"), crm.get("/2"), crm.get("/3")];
    let batch = async {
        let policy = Policy { parallel: 2, ..policy() };
        client.send_all(requests, &policy, &scope()).await
    };
    let told = async {
        while crm.requests().len() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(crm.requests().len(), 2, "the third waits for its turn");
        second.notify_one();
        first.notify_one();
    };
    let (sent, ()) = tokio::join!(batch, told);
    let paths: Vec<&str> = sent.iter().map(|sent| sent.attempts[0].url.rsplit('/').next().unwrap()).collect();
    assert_eq!(paths, ["1", "2", "3"]);
    let mut bodies: Vec<&str> = sent.iter().map(body).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, ["one", "three", "two"]);
}

#[tokio::test]
async fn a_host_takes_so_many_requests_and_the_rest_is_not_sent() {
    let told = Arc::new(Notify::new());
    let crm = Crm::start(vec![Act::Await(told.clone(), reply(200, "", b"one"))]).await;
    let client = Client::new(Settings { per_host: 1, queue_wait: Duration::from_millis(20), ..settings() });
    let once = Policy { attempts: 1, ..policy() };
    let scope = scope();
    let first = client.send(crm.get("/1"), &once, &scope);
    let second = async {
        while crm.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        let sent = client.send(crm.get("/2"), &once, &scope).await;
        told.notify_one();
        sent
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(body(&first), "one");
    assert!(matches!(second.outcome, Err(Failure::NotSent(_))), "{second:?}");
}

#[tokio::test]
async fn a_certificate_must_be_trusted() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let crm = Crm::listen(vec![ok("secure")], Some(TlsAcceptor::from(Arc::new(config)))).await;

    let trusting = Client::new(Settings { roots_pem: made.cert.pem().into_bytes(), ..settings() });
    assert_eq!(trusting.tls_fault(), None);
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let wary = Client::new(Settings { roots_pem: other.cert.pem().into_bytes(), ..settings() });
    let sent = wary.send(crm.post("/"), &policy(), &scope()).await;
    let Err(Failure::NotSent(why)) = &sent.outcome else { panic!("{sent:?}") };
    assert!(why.contains("certificate"), "{why}");
    assert!(crm.requests().is_empty());
    assert_eq!(body(&trusting.send(crm.post("/"), &policy(), &scope()).await), "secure");
}

#[tokio::test]
async fn a_broken_root_certificate_is_told_and_stops_tls_only() {
    let roots_pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    let crm = Crm::start(vec![ok("plain")]).await;
    let client = Client::new(Settings { roots_pem, ..settings() });
    assert!(client.tls_fault().is_some());
    assert_eq!(body(&client.send(crm.get("/"), &policy(), &scope()).await), "plain");
    let url = "https://localhost:1/".parse().unwrap();
    let sent = client.send(Request { url, ..crm.get("/") }, &policy(), &scope()).await;
    assert!(matches!(sent.outcome, Err(Failure::NotSent(_))), "{sent:?}");
}
