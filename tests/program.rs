//! The program itself: its verbs, signals and exit codes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn crosswalk(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosswalk"));
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    crosswalk(arguments).output().unwrap()
}

/// A demo at work; killed when dropped.
struct Demo {
    child: Child,
    said: String,
    gateway: String,
    mock: String,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn demo(temporary: &Path, more: &[&str]) -> Demo {
    let fixed = ["demo", "--listen", "127.0.0.1:0", "--mock-listen", "127.0.0.1:0"];
    let mut command = crosswalk(&[&fixed[..], more].concat());
    // What it tells on standard error would fill a pipe that no one reads.
    let child = command.env("TMPDIR", temporary).stderr(Stdio::null()).spawn().unwrap();
    let mut demo = Demo { child, said: String::new(), gateway: String::new(), mock: String::new() };
    let mut lines = BufReader::new(demo.child.stdout.as_mut().unwrap());
    loop {
        let start = demo.said.len();
        assert_ne!(lines.read_line(&mut demo.said).unwrap(), 0, "ended before it was ready: {}", demo.said);
        if let Some(ready) = demo.said[start..].strip_prefix("ready gateway=") {
            let (gateway, mock) = ready.trim_end().split_once(" mock=").unwrap();
            (demo.gateway, demo.mock) = (gateway.to_owned(), mock.to_owned());
            return demo;
        }
    }
}

impl Demo {
    /// Sends a signal and waits for the end: the exit code, and what else was said.
    fn signal(mut self, name: &str) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
        let mut rest = String::new();
        self.child.stdout.as_mut().unwrap().read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

#[tokio::test]
async fn the_demo_says_when_it_serves_and_stops_cleanly() {
    for signal in ["-TERM", "-INT"] {
        let folder = tempfile::tempdir().unwrap();
        let demo = demo(folder.path(), &[]);
        assert!(demo.said.contains("curl ") && demo.said.contains("sk_demo_crosswalk"), "{}", demo.said);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let health = client.get(format!("{}/health", demo.gateway)).send().await.unwrap();
        assert_eq!(health.status(), 200);
        let call = client
            .get(format!("{}/crm/contacts", demo.gateway))
            .header("authorization", "Bearer wrong")
            .header("x-apideck-app-id", "demo-app")
            .header("x-apideck-consumer-id", "demo-consumer");
        assert_eq!(call.send().await.unwrap().status(), 401);
        assert!(client.get(&demo.mock).send().await.is_ok());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the data folder");
        assert_eq!(demo.signal(signal), (Some(0), String::new()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the data folder is gone");
    }
}

#[test]
fn a_demo_with_a_data_folder_leaves_it() {
    let (temporary, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = kept.path().join("data");
    for _ in 0..2 {
        let demo = demo(temporary.path(), &["--data", data.to_str().unwrap()]);
        assert_eq!(demo.signal("-TERM").0, Some(0));
    }
    assert!(data.join("crosswalk.db").exists() && data.join("master.key").exists());
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn all_faults_of_the_settings_are_told_and_nothing_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crosswalk.toml");
    std::fs::write(&file, "listne = \"x\"\n[limits]\ncalls = \"many\"\n").unwrap();
    let output = run(&["serve", "--config", file.to_str().unwrap(), "--base-url", "hubspot"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    for fault in [
        "3 faults",
        "crosswalk.toml:1: listne",
        "crosswalk.toml:3: limits.calls",
        "--base-url: must be SERVICE=URL",
    ] {
        assert!(told.contains(fault), "{fault}: {told}");
    }
}

#[test]
fn the_settings_and_the_contract_can_be_printed() {
    let output = run(&["serve", "--print-config"]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("# body_bytes = 1048576"));
    let output = run(&["openapi"]);
    let contract: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(contract["openapi"], "3.1.0");
}

#[test]
fn the_database_is_migrated_and_administered() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let output = run(&["migrate", "--data", data]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("is up to date"), "{:?}", output.status);
    assert!(run(&["apps", "create", "app-1", "--data", data]).status.success());
    let output = run(&["apps", "list", "--json", "--data", data]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("app-1"));
}
