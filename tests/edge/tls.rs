//! TLS and its certificates.

use std::path::Path;
use std::time::{Duration, Instant};

use crosswalk::config::{Settings, Tls};
use crosswalk::edge::Gate;

use crate::gateway::{PATIENCE, settings, start_with};

struct Identity {
    certificate: String,
    key: String,
}

fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    Identity { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

impl Identity {
    fn write(&self, folder: &Path) -> Settings {
        let files = Tls { certificate: folder.join("tls.crt"), key: folder.join("tls.key") };
        std::fs::write(&files.key, &self.key).unwrap();
        std::fs::write(&files.certificate, &self.certificate).unwrap();
        Settings { tls: Some(files), ..settings() }
    }

    /// A client that trusts this certificate and no other.
    fn client(&self, http1: bool) -> reqwest::Client {
        let root = reqwest::Certificate::from_pem(self.certificate.as_bytes()).unwrap();
        let builder = reqwest::Client::builder().no_proxy().tls_certs_only([root]).timeout(PATIENCE);
        if http1 { builder.http1_only() } else { builder }.build().unwrap()
    }
}

#[tokio::test]
async fn both_protocols_are_offered_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let identity = identity();
    let gateway = start_with(identity.write(folder.path())).await;
    assert!(gateway.url.starts_with("https://"));
    for (http1, version) in [(false, http::Version::HTTP_2), (true, http::Version::HTTP_11)] {
        let request = identity
            .client(http1)
            .get(format!("{}/crm/contacts", gateway.url))
            .header("authorization", "Bearer k")
            .header("x-apideck-app-id", "a")
            .header("x-apideck-consumer-id", "c");
        let reply = request.send().await.unwrap();
        assert_eq!((reply.status().as_u16(), reply.version()), (200, version));
        let body: serde_json::Value = reply.json().await.unwrap();
        assert_eq!(body["base"], gateway.url);
    }
}

#[tokio::test]
async fn a_changed_certificate_is_used_without_a_restart_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (identity(), identity());
    let settings = old.write(folder.path());
    let gateway = start_with(settings.clone()).await;
    let health = format!("{}/health", gateway.url);
    assert!(old.client(false).get(&health).send().await.is_ok());
    assert!(new.client(false).get(&health).send().await.is_err());

    let files = settings.tls.unwrap();
    std::fs::write(&files.certificate, "broken").unwrap();
    std::fs::write(&files.key, &new.key).unwrap();
    // Two looks at the files later the broken pair has been seen.
    tokio::time::sleep(Duration::from_millis(2200)).await;
    assert!(old.client(false).get(&health).send().await.is_ok(), "the last good certificate stays");

    new.write(folder.path());
    let deadline = Instant::now() + PATIENCE;
    while new.client(false).get(&health).send().await.is_err() {
        assert!(Instant::now() < deadline, "the new certificate is never used");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(old.client(false).get(&health).send().await.is_err());
}

#[tokio::test]
async fn a_peer_that_never_shakes_hands_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut hasty = identity().write(folder.path());
    hasty.timeouts.header = Duration::from_millis(200);
    let gateway = start_with(hasty).await;
    let started = Instant::now();
    let mut socket = gateway.socket().await;
    socket.closed().await;
    assert!(started.elapsed() >= Duration::from_millis(200) && started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn files_that_do_not_fit_stop_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (identity(), identity());
    let settings = one.write(folder.path());
    let files = settings.tls.clone().unwrap();
    std::fs::write(&files.key, &other.key).unwrap();
    let error = Gate::open(&settings).await.unwrap_err().to_string();
    assert!(error.contains("tls.crt"), "{error}");
    std::fs::write(&files.certificate, "no certificate").unwrap();
    let error = Gate::open(&settings).await.unwrap_err().to_string();
    assert!(error.contains("holds no certificate"), "{error}");
    std::fs::remove_file(&files.key).unwrap();
    std::fs::write(&files.certificate, &one.certificate).unwrap();
    let error = Gate::open(&settings).await.unwrap_err().to_string();
    assert!(error.contains("tls.key"), "{error}");
}
