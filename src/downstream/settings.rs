//! Limits of the HTTP client, the same for every connector.

use std::time::Duration;

use ipnet::IpNet;

/// What the HTTP client allows and how long it waits.
#[derive(Debug, Clone)]
pub struct Settings {
    /// For name lookup, connection and TLS handshake together.
    pub connect_timeout: Duration,
    /// For one attempt, from its start to the reply's last byte.
    pub attempt_timeout: Duration,
    /// The largest reply taken, in bytes after decompression.
    pub reply_bytes_max: usize,
    /// Requests under way at once to one host and port.
    pub per_host: usize,
    /// The longest wait for a turn at a host.
    pub queue_wait: Duration,
    /// The longest wait for a connection that the CRM told to pause; a longer pause fails at once.
    pub pause_wait: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// Networks that may be called although they are not public, and over plain HTTP: none in production,
    /// 127.0.0.0/8 in the demo.
    pub allow: Vec<IpNet>,
    /// Certificates (PEM) trusted besides the system's.
    pub roots_pem: Vec<u8>,
    /// The `User-Agent` of requests that name none.
    pub user_agent: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(30),
            reply_bytes_max: 16 << 20,
            per_host: 512,
            queue_wait: Duration::from_secs(5),
            pause_wait: Duration::from_secs(2),
            idle: Duration::from_secs(20),
            allow: Vec::new(),
            roots_pem: Vec::new(),
            user_agent: concat!("crosswalk/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}
