//! TLS on accepted sockets, with certificates that are read again when they change.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;

use crate::config;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The current certificate and key.
#[derive(Debug)]
pub(super) struct Certificates {
    files: config::Tls,
    current: ArcSwap<ServerConfig>,
}

impl Certificates {
    /// Reads the files.
    ///
    /// Errors: a file that cannot be read, holds no certificate or key, or a key that does not belong.
    pub(super) fn load(files: &config::Tls) -> io::Result<Certificates> {
        Ok(Certificates { files: files.clone(), current: ArcSwap::from_pointee(read(files)?) })
    }

    /// An acceptor with the current certificate; it offers HTTP/2 and HTTP/1.1.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Reads the files again whenever they change or SIGHUP comes. Files that do not fit are told of, and the last
    /// good ones stay.
    pub(super) async fn watch(&self) {
        let mut seen = stamps(&self.files);
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            tracing::warn!("SIGHUP cannot be listened to");
            return;
        };
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            let asked = tokio::select! {
                _ = hangup.recv() => true,
                _ = look.tick() => false,
            };
            let now = stamps(&self.files);
            if !asked && now == seen {
                continue;
            }
            seen = now;
            match read(&self.files) {
                Ok(config) => {
                    self.current.store(Arc::new(config));
                    tracing::info!(certificate = %self.files.certificate.display(), "certificate read again");
                }
                Err(error) => {
                    tracing::error!(%error, "the changed certificate cannot be used; the last one stays");
                }
            }
        }
    }
}

type Stamp = Option<(SystemTime, u64)>;

fn stamps(files: &config::Tls) -> (Stamp, Stamp) {
    let stamp = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    (stamp(&files.certificate), stamp(&files.key))
}

fn read(files: &config::Tls) -> io::Result<ServerConfig> {
    let told =
        |path: &Path, error: &dyn std::fmt::Display| io::Error::other(format!("{}: {error}", path.display()));
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| told(&files.certificate, &error))?;
    if chain.is_empty() {
        return Err(told(&files.certificate, &"holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| told(&files.key, &error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| told(&files.certificate, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
