//! Drives a fixed number of calls over so many connections, each sending its next call when it has its answer.
//!
//! It speaks just enough HTTP/1.1 to cost little beside what it measures: one request, written once, sent again and again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::{Fault, usage};

/// The longest wait for one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The largest answer taken.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// What to send, how often, and whom to watch.
#[derive(Debug, Args)]
pub struct Options {
    /// The server.
    #[arg(long)]
    to: SocketAddr,
    /// Path and query of the call.
    #[arg(long)]
    path: String,
    /// A header, `name: value`; may be repeated.
    #[arg(long)]
    header: Vec<String>,
    /// Calls that are measured.
    #[arg(long, default_value_t = 20_000)]
    calls: u32,
    /// Calls before those, not measured.
    #[arg(long, default_value_t = 2_000)]
    warm_up: u32,
    /// Connections, each with one call under way.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How many records (`data` or `results`) the answer must hold; nothing is measured if it holds another number.
    #[arg(long)]
    records: Option<usize>,
    /// The process whose CPU time and memory are taken.
    #[arg(long)]
    pid: u32,
    /// A `replay` that tells how many requests reached it.
    #[arg(long)]
    replay: Option<SocketAddr>,
    /// What the line of results begins with.
    #[arg(long, default_value = "load")]
    name: String,
}

/// Checks one answer, warms up, measures, and prints one line of `key=value`.
pub async fn run(options: Options) -> Result<(), Fault> {
    let request: Arc<[u8]> = request(options.to, &options.path, &options.header).into();
    let bytes = check(&options, &request).await?;
    drive(&options, &request, options.warm_up).await?;

    let requests_before = requests_seen(&options).await?;
    let cpu_before = usage::cpu_us(options.pid)?;
    let started = Instant::now();
    let (mut latencies, failed) = drive(&options, &request, options.calls).await?;
    let wall = started.elapsed();
    let cpu = usage::cpu_us(options.pid)?.saturating_sub(cpu_before);
    let rss = usage::rss_kib(options.pid)?;
    let requests = requests_seen(&options).await? - requests_before;

    latencies.sort_unstable();
    let calls = f64::from(options.calls.max(1));
    println!(
        "name={} calls={} failed={failed} cpu_us={:.1} p50_us={} p99_us={} rss_mib={:.1} calls_per_s={:.0} bytes={bytes} requests_per_call={:.2}",
        options.name,
        options.calls,
        cpu as f64 / calls,
        percentile(&latencies, 50),
        percentile(&latencies, 99),
        rss as f64 / 1024.0,
        calls / wall.as_secs_f64(),
        requests as f64 / calls,
    );
    Ok(())
}

fn request(to: SocketAddr, path: &str, headers: &[String]) -> Vec<u8> {
    let mut text = format!("GET {path} HTTP/1.1\r\nhost: {to}\r\naccept: application/json\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

fn percentile(sorted: &[u32], percent: usize) -> u32 {
    let at = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(at).copied().unwrap_or_default()
}

/// Sends one call and looks at its answer. Returns the size of the body.
async fn check(options: &Options, request: &[u8]) -> Result<usize, Fault> {
    let mut socket = TcpStream::connect(options.to).await?;
    let mut buffer = Vec::new();
    let answer = timeout(ANSWER_WITHIN, ask(&mut socket, request, &mut buffer)).await??;
    let text = String::from_utf8_lossy(&answer.body);
    if answer.status != 200 {
        return Err(format!("{}: {} {text}", options.path, answer.status).into());
    }
    if let Some(wanted) = options.records {
        let body: HashMap<String, Value> = serde_json::from_slice(&answer.body)?;
        let records = body.get("data").or(body.get("results")).and_then(Value::as_array).map(Vec::len);
        if records != Some(wanted) {
            return Err(format!("{}: {records:?} records instead of {wanted}: {text}", options.path).into());
        }
    }
    Ok(answer.body.len())
}

/// How many requests reached the replaying server; 0 if none is named.
async fn requests_seen(options: &Options) -> Result<u64, Fault> {
    let Some(replay) = options.replay else { return Ok(0) };
    let mut socket = TcpStream::connect(replay).await?;
    let asking = request(replay, "/__replay/count", &[]);
    let answer = timeout(ANSWER_WITHIN, ask(&mut socket, &asking, &mut Vec::new())).await??;
    Ok(String::from_utf8(answer.body)?.parse()?)
}

/// Sends so many calls. Returns the latency of each in microseconds and how many failed.
async fn drive(options: &Options, request: &Arc<[u8]>, calls: u32) -> Result<(Vec<u32>, u32), Fault> {
    let left = Arc::new(AtomicI64::new(i64::from(calls)));
    let mut tasks = JoinSet::new();
    for _ in 0..options.connections.max(1) {
        tasks.spawn(connection(options.to, Arc::clone(request), Arc::clone(&left)));
    }
    let (mut latencies, mut failed) = (Vec::with_capacity(calls as usize), 0);
    while let Some(done) = tasks.join_next().await {
        let (mut some, faults) = done?;
        latencies.append(&mut some);
        failed += faults;
    }
    Ok((latencies, failed))
}

/// One connection's share; it connects anew after a failure.
async fn connection(to: SocketAddr, request: Arc<[u8]>, left: Arc<AtomicI64>) -> (Vec<u32>, u32) {
    let (mut latencies, mut failed) = (Vec::new(), 0);
    let mut socket = None;
    let mut buffer = Vec::with_capacity(64 << 10);
    while left.fetch_sub(1, Ordering::Relaxed) > 0 {
        let started = Instant::now();
        let answered = timeout(ANSWER_WITHIN, async {
            if socket.is_none() {
                let fresh = TcpStream::connect(to).await?;
                fresh.set_nodelay(true)?;
                buffer.clear();
                socket = Some(fresh);
            }
            let socket = socket.as_mut().ok_or("no connection")?;
            ask(socket, &request, &mut buffer).await
        });
        match answered.await {
            Ok(Ok(answer)) if answer.status == 200 && !answer.body.is_empty() => {
                latencies.push(u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            Ok(Ok(_)) => failed += 1,
            Ok(Err(_)) | Err(_) => {
                failed += 1;
                socket = None;
            }
        }
    }
    (latencies, failed)
}

struct Answer {
    status: u16,
    body: Vec<u8>,
}

/// Sends a request and reads its answer. `buffer` keeps what came beyond it.
async fn ask(socket: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> Result<Answer, Fault> {
    socket.write_all(request).await?;
    let head_end = loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            break end;
        }
        more(socket, buffer).await?;
    };
    let rest = buffer.split_off(head_end + 4);
    let head = String::from_utf8(std::mem::replace(buffer, rest))?.to_ascii_lowercase();
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if let Some(length) = header("content-length:") {
        let length: usize = length.parse()?;
        fill(socket, buffer, length).await?;
        let rest = buffer.split_off(length);
        return Ok(Answer { status, body: std::mem::replace(buffer, rest) });
    }
    if header("transfer-encoding:") != Some("chunked") {
        return Err("an answer of unknown length".into());
    }
    let mut body = Vec::new();
    loop {
        let line_end = loop {
            if let Some(end) = find(buffer, b"\r\n") {
                break end;
            }
            more(socket, buffer).await?;
        };
        let size = std::str::from_utf8(buffer.get(..line_end).unwrap_or_default())?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)?;
        if body.len() + size > ANSWER_BYTES_MAX {
            return Err("an answer that is too large".into());
        }
        fill(socket, buffer, line_end + 2 + size + 2).await?;
        body.extend_from_slice(buffer.get(line_end + 2..line_end + 2 + size).unwrap_or_default());
        buffer.drain(..line_end + 2 + size + 2);
        if size == 0 {
            return Ok(Answer { status, body });
        }
    }
}

async fn fill(socket: &mut TcpStream, buffer: &mut Vec<u8>, length: usize) -> Result<(), Fault> {
    if length > ANSWER_BYTES_MAX {
        return Err("an answer that is too large".into());
    }
    while buffer.len() < length {
        more(socket, buffer).await?;
    }
    Ok(())
}

async fn more(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(), Fault> {
    buffer.reserve(32 << 10);
    match socket.read_buf(buffer).await? {
        0 => Err("the connection ended within an answer".into()),
        _ => Ok(()),
    }
}

fn find(buffer: &[u8], text: &[u8]) -> Option<usize> {
    buffer.windows(text.len()).position(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn served(bytes: &'static [u8]) -> TcpStream {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            for byte in bytes.chunks(7) {
                socket.write_all(byte).await.unwrap();
                tokio::task::yield_now().await;
            }
            socket.read_to_end(&mut Vec::new()).await.unwrap();
        });
        TcpStream::connect(address).await.unwrap()
    }

    #[tokio::test]
    async fn answers_are_read_one_after_another() {
        let mut socket = served(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\
              HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\n\r\n\
              HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n",
        )
        .await;
        let mut buffer = Vec::new();
        for (status, body) in [(200, "hello"), (200, "abc0123456789"), (404, "")] {
            let answer = ask(&mut socket, b"", &mut buffer).await.unwrap();
            assert_eq!((answer.status, std::str::from_utf8(&answer.body).unwrap()), (status, body));
        }
        assert!(buffer.is_empty());
    }

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let all: Vec<u32> = (1..=101).collect();
        assert_eq!((percentile(&all, 50), percentile(&all, 99), percentile(&[], 50)), (51, 100, 0));
    }
}
