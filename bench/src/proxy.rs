//! A bare proxy: hyper's server in front of hyper's pooled client, bodies passed on as they come.

use std::convert::Infallible;
use std::net::SocketAddr;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use crate::Fault;

/// Listens until the process is ended.
pub async fn run(listen: SocketAddr, upstream: SocketAddr) -> Result<(), Fault> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Incoming> = Client::builder(TokioExecutor::new()).build(connector);
    let listener = TcpListener::bind(listen).await?;
    println!("ready gateway=http://{} mock=http://{upstream}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let client = client.clone();
        let service = service_fn(move |request| {
            let client = client.clone();
            async move { Ok::<_, Infallible>(pass(&client, upstream, request).await) }
        });
        // A connection that breaks is the caller's to report.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
    }
}

type Answer = Response<http_body_util::Either<Incoming, http_body_util::Empty<bytes::Bytes>>>;

async fn pass(
    client: &Client<HttpConnector, Incoming>,
    upstream: SocketAddr,
    mut request: Request<Incoming>,
) -> Answer {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    if let Ok(uri) = format!("http://{upstream}{path}").parse::<Uri>() {
        *request.uri_mut() = uri;
        request.headers_mut().remove(hyper::header::HOST);
        if let Ok(answer) = client.request(request).await {
            return answer.map(http_body_util::Either::Left);
        }
    }
    let mut answer = Response::new(http_body_util::Either::Right(http_body_util::Empty::new()));
    *answer.status_mut() = hyper::StatusCode::BAD_GATEWAY;
    answer
}
