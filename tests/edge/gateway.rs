//! A gateway on a free port whose handler does what the record's id says, and a socket that speaks by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crosswalk::config::Settings;
use crosswalk::contract::{Api, Contract};
use crosswalk::edge::{Arriving, Drained, Gate, Server};
use crosswalk::error::Result;
use crosswalk::model::{Answer, Body, Context, Piece, Secret, Stream};
use futures_util::StreamExt as _;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest that anything in these tests may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What the handler tells of a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// It has begun.
    Begun,
    /// It has answered.
    Done,
    /// It was dropped before it could answer.
    Dropped,
}

pub struct Gateway {
    pub address: SocketAddr,
    pub url: String,
    pub events: mpsc::UnboundedReceiver<Event>,
    /// Calls for the id `wait`, and creates of a note titled `wait`, go on once there is a permit.
    pub gate: Arc<Semaphore>,
    pub stop: CancellationToken,
    pub served: JoinHandle<Drained>,
}

pub fn settings() -> Settings {
    Settings { listen: "127.0.0.1:0".parse().unwrap(), ..Settings::defaults() }
}

pub async fn start() -> Gateway {
    start_with(settings()).await
}

pub async fn start_with(settings: Settings) -> Gateway {
    let (told, events) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let handler = move |context: Context, key: Secret, call: Arriving| {
        answer(context, key, call, told.clone(), Arc::clone(&opened))
    };
    let settings = Arc::new(settings);
    let door = Gate::open(&settings).await.unwrap();
    let (address, url) = (door.address(), door.url());
    let contract = Arc::new(Contract::load().unwrap());
    let server = Server::new(&door, settings, contract, handler).unwrap();
    let stop = CancellationToken::new();
    let served = tokio::spawn(door.serve(server, stop.clone()));
    Gateway { address, url, events, gate, stop, served }
}

async fn answer(
    context: Context,
    key: Secret,
    call: Arriving,
    told: mpsc::UnboundedSender<Event>,
    gate: Arc<Semaphore>,
) -> Result<Answer> {
    let call = call.call().await?;
    let title = call.body.as_ref().and_then(|body| body.get("title")).and_then(Value::as_str);
    let wanted = call.id.as_deref().or(title).unwrap_or_default();
    match wanted {
        "panic" => panic!("a secret in a panic"),
        "wait" => {
            let telling = Telling(told, false);
            telling.0.send(Event::Begun).unwrap();
            let _permit = gate.acquire().await.unwrap();
            telling.done();
        }
        "endless" => {
            let pieces = [Piece::Data(Bytes::from_static(b"half of it\n"))];
            let content_type = HeaderValue::from_static("text/plain");
            let pieces = futures_util::stream::iter(pieces).boxed();
            let mut answer = Answer::json(StatusCode::OK, "");
            answer.body = Body::Stream(Stream { content_type, pieces, says_its_end: true });
            return Ok(answer);
        }
        _ => {}
    }
    let body = json!({
        "operation": call.operation.to_string(),
        "id": call.id,
        "parent": call.parent,
        "body": call.body,
        "limit": call.query.limit,
        "raw": call.query.raw,
        "path": call.path,
        "key": key.expose(),
        "app": context.app.as_str(),
        "consumer": context.consumer.as_str(),
        "service": context.service.as_ref().map(|service| service.as_str()),
        "remote": context.remote.to_string(),
        "base": context.public_base,
        "traceparent": context.trace.map(|trace| trace.parent),
    });
    let mut answer = Answer::json(StatusCode::OK, body.to_string());
    answer.downstream = Duration::from_millis(7);
    Ok(answer)
}

struct Telling(mpsc::UnboundedSender<Event>, bool);

impl Telling {
    fn done(mut self) {
        self.1 = true;
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        let _ = self.0.send(if self.1 { Event::Done } else { Event::Dropped });
    }
}

impl Gateway {
    /// The next thing that the handler tells.
    pub async fn event(&mut self) -> Event {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("an event in time").unwrap()
    }

    /// A request with all headers that a call needs.
    pub fn call(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.bare(method, path)
            .header("authorization", "Bearer sk_test")
            .header("x-apideck-app-id", "app-1")
            .header("x-apideck-consumer-id", "consumer-1")
    }

    pub fn bare(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        client().request(method.parse().unwrap(), format!("{}{path}", self.url))
    }

    pub async fn socket(&self) -> Socket {
        Socket(TcpStream::connect(self.address).await.unwrap())
    }
}

pub fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

/// The JSON of a success.
pub async fn success(request: reqwest::RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    assert!(status.is_success(), "{status} {body}");
    body
}

/// The status and JSON of a failure, which has the form that the contract gives errors.
pub async fn failure(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let id = response.headers()["request-id"].to_str().unwrap().to_owned();
    assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
    let body: Value = response.json().await.unwrap();
    is_contract_error(&body);
    assert_eq!(body["request_id"], id);
    assert_eq!(body["status_code"], status);
    (status, body)
}

/// The type of a failure and its status.
pub async fn failure_type(request: reqwest::RequestBuilder) -> (u16, String) {
    let (status, body) = failure(request).await;
    (status, body["type_name"].as_str().unwrap().to_owned())
}

fn is_contract_error(body: &Value) {
    let contract: Value = serde_json::from_slice(&Contract::load().unwrap().json(Api::Crm)).unwrap();
    let schema = json!({ "$ref": "#/components/schemas/Error", "components": contract["components"] });
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let faults: Vec<String> = validator.iter_errors(body).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{body}: {faults:?}");
}

/// The faults listed in `detail`, as place and message.
pub fn faults(body: &Value) -> Vec<(String, String)> {
    let errors = body["detail"]["errors"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    errors
        .iter()
        .map(|error| {
            let place = error.get("pointer").or_else(|| error.get("parameter")).unwrap();
            (text(place), text(&error["message"]))
        })
        .collect()
}

/// A socket that speaks by hand.
pub struct Socket(pub TcpStream);

/// The headers of a call, for requests by hand.
pub const CALL: &str =
    "host: x\r\nauthorization: Bearer k\r\nx-apideck-app-id: a\r\nx-apideck-consumer-id: c\r\n";

impl Socket {
    pub async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Head and body of one reply that has a content-length.
    pub async fn reply(&mut self) -> (String, String) {
        tokio::time::timeout(PATIENCE, self.reply_at_leisure()).await.expect("a reply in time")
    }

    async fn reply_at_leisure(&mut self) -> (String, String) {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            assert_ne!(self.0.read_buf(&mut bytes).await.unwrap(), 0, "closed after {bytes:?}");
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        let length: usize = length.parse().unwrap();
        while bytes.len() < end + length {
            assert_ne!(self.0.read_buf(&mut bytes).await.unwrap(), 0, "closed within the body");
        }
        (head, String::from_utf8(bytes[end..].to_vec()).unwrap())
    }

    /// Reads until the gateway closes; what came is returned.
    pub async fn closed(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = self.0.read_to_end(&mut bytes);
        // A reset is a way of closing, too.
        let _ = tokio::time::timeout(PATIENCE, read).await.expect("closed in time");
        bytes
    }
}
