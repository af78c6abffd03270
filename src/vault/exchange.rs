//! The gateway's own HTTP client, as the token exchange wants it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Response;
use url::Url;

use super::token::{HttpClient, Transport};
use crate::downstream::{Client, Scope};
use crate::model::{ConnectionId, Failure, Policy, Request, Safety};

/// Token requests through that client. A request is repeated only if it surely did not arrive: a refresh token that
/// rotates must not be sent twice.
pub fn http_client(client: Arc<Client>, timeout: Duration) -> HttpClient {
    let policy = Arc::new(Policy {
        attempts: 2,
        retry_write: Vec::new(),
        // Pauses are the vault's own affair: one connection's must not hold up the others on that host.
        honour_retry_after: false,
        ..Policy::default()
    });
    Arc::new(move |request| {
        let (client, policy) = (client.clone(), policy.clone());
        Box::pin(async move {
            let scope =
                Scope { connection: ConnectionId::new("token endpoint"), deadline: Instant::now() + timeout };
            let (head, body) = request.into_parts();
            let url = Url::parse(&head.uri.to_string())
                .map_err(|error| Transport { says: error.to_string(), unsent: true })?;
            let request = Request {
                step: Arc::from("oauth.token"),
                method: head.method,
                url,
                headers: head.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
                body: Some(body.into()),
                safety: Safety::Write,
            };
            let reply =
                client.send(request, &policy, &scope).await.outcome.map_err(|failure| unsent(&failure))?;
            let mut response = Response::new(reply.body.to_vec());
            *response.status_mut() = reply.status;
            *response.headers_mut() = reply.headers;
            Ok(response)
        })
    })
}

fn unsent(failure: &Failure) -> Transport {
    let says = match failure {
        Failure::NotSent(why) => format!("the token endpoint could not be reached: {why}"),
        Failure::Dropped(why) => format!("the token endpoint broke off: {why}"),
        Failure::TimedOut(after) => format!("the token endpoint did not answer within {} s", after.as_secs()),
        Failure::TooLarge(bytes) => format!("the token endpoint's reply is over {bytes} bytes"),
    };
    Transport { says, unsent: matches!(failure, Failure::NotSent(_)) }
}
