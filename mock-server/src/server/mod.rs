//! Room: server. In: sockets. Out: requests as plain values to a vendor's room, its replies back, with the faults asked
//! for. The only room that names hyper. Never: what a vendor means.

mod body;
mod handle;

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::world::World;

/// Accepts connections until told to stop; then every connection is closed.
pub async fn run(listener: TcpListener, world: Arc<World>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, peer)) = accepted {
                    let _ = stream.set_nodelay(true);
                    connections.spawn(serve(stream, peer, Arc::clone(&world)));
                }
            }
            Some(_) = connections.join_next() => {}
            _ = stop.changed() => break,
        }
    }
    connections.shutdown().await;
}

async fn serve(stream: tokio::net::TcpStream, _peer: SocketAddr, world: Arc<World>) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let world = Arc::clone(&world);
        async move { handle::handle(request, &world).await }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(1 << 20);
    // Errors here are the peer's hanging up and our own dropped connections.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}
