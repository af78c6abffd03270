//! A CRM that answers at once: the first time a request is seen it is asked of the real one, then the answer is repeated.
//!
//! `GET /__replay/count` tells how many requests there were, `GET /__replay/paths` the path and query of each kind.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_LENGTH, DATE, HOST, TRANSFER_ENCODING};
use hyper::http::{request, response};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use crate::Fault;

/// A request as it is recognised: method, path and query, body. Whose key it carries makes no difference.
type Key = (Method, String, Bytes);

struct Tape {
    client: Client<HttpConnector, Full<Bytes>>,
    upstream: SocketAddr,
    answers: Mutex<HashMap<Key, (response::Parts, Bytes)>>,
    count: AtomicU64,
}

/// Listens until the process is ended.
pub async fn run(listen: SocketAddr, upstream: SocketAddr) -> Result<(), Fault> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let tape = Arc::new(Tape { client, upstream, answers: Mutex::default(), count: AtomicU64::new(0) });
    let listener = TcpListener::bind(listen).await?;
    println!("ready mock=http://{}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let tape = Arc::clone(&tape);
        let service = service_fn(move |request| {
            let tape = Arc::clone(&tape);
            async move { Ok::<_, Infallible>(answer(&tape, request).await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
    }
}

async fn answer(tape: &Tape, request: Request<Incoming>) -> Response<Full<Bytes>> {
    match request.uri().path() {
        "/__replay/count" => return plain(tape.count.load(Ordering::Relaxed).to_string()),
        "/__replay/paths" => return plain(paths(tape)),
        _ => {}
    }
    tape.count.fetch_add(1, Ordering::Relaxed);
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let key = (parts.method.clone(), path, body);
    let known = tape.answers.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    let (parts, body) = match known {
        Some(known) => known,
        None => match ask(tape, parts, &key).await {
            Ok(fresh) => {
                if fresh.0.status.is_success() {
                    let mut answers = tape.answers.lock().unwrap_or_else(PoisonError::into_inner);
                    answers.insert(key, fresh.clone());
                }
                fresh
            }
            Err(fault) => {
                let mut failed = plain(fault.to_string());
                *failed.status_mut() = hyper::StatusCode::BAD_GATEWAY;
                return failed;
            }
        },
    };
    Response::from_parts(parts, Full::new(body))
}

async fn ask(tape: &Tape, parts: request::Parts, key: &Key) -> Result<(response::Parts, Bytes), Fault> {
    let mut request = Request::from_parts(parts, Full::new(key.2.clone()));
    *request.uri_mut() = format!("http://{}{}", tape.upstream, key.1).parse()?;
    request.headers_mut().remove(HOST);
    let (mut parts, body) = tape.client.request(request).await?.into_parts();
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, DATE] {
        parts.headers.remove(name);
    }
    Ok((parts, body.collect().await?.to_bytes()))
}

fn paths(tape: &Tape) -> String {
    let answers = tape.answers.lock().unwrap_or_else(PoisonError::into_inner);
    let mut paths: Vec<String> =
        answers.keys().map(|(method, path, _)| format!("{method} {path}\n")).collect();
    paths.sort();
    paths.concat()
}

fn plain(text: String) -> Response<Full<Bytes>> {
    Response::new(Full::new(text.into()))
}
