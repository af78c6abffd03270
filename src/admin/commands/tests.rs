use std::fs;

use clap::Parser;
use serde_json::Value;

use super::*;
use crate::access::{self, Access};
use crate::model::ConnectionState;
use crate::storage::{Key, Location};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

struct World {
    store: Store,
}

impl World {
    async fn new() -> World {
        World { store: Store::open(Location::Memory, Key::random().unwrap()).await.unwrap() }
    }

    async fn try_run(&self, line: &str, stdin: &str) -> Result<String, Error> {
        let words = std::iter::once("crosswalk").chain(line.split(' '));
        let command = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}")).command;
        let needed = ["subdomain".to_owned()];
        let connectors = |id: &str| match id {
            "hubspot" => Some(&[][..]),
            "needy" => Some(&needed[..]),
            _ => None,
        };
        let mut out = Vec::new();
        run(command, &self.store, &connectors, &mut stdin.as_bytes(), &mut out).await?;
        Ok(String::from_utf8(out).unwrap())
    }

    async fn run(&self, line: &str, stdin: &str) -> String {
        self.try_run(line, stdin).await.unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    async fn json(&self, line: &str, stdin: &str) -> Value {
        serde_json::from_str(&self.run(&format!("{line} --json"), stdin).await).unwrap()
    }

    async fn refused(&self, line: &str, stdin: &str) -> String {
        self.try_run(line, stdin).await.unwrap_err().to_string()
    }
}

#[tokio::test]
async fn from_nothing_to_a_connection_that_can_be_called() {
    let world = World::new().await;
    assert!(world.run("apps create shop --name Shop", "").await.contains("Shop"));
    let key =
        world.json("keys create --app shop --label ci --expires-in-days 30", "").await[0]["key"].clone();
    let access = Access::new(world.store.clone(), access::Settings::default());
    access.authenticate(key.as_str(), "shop").await.unwrap();

    world.run("consumers create --app shop ann", "").await;
    let shown = world
        .run(
            "integrations enable --app shop hubspot --client-id c-1 --client-secret - --scope a --scope b",
            "hush-1\n",
        )
        .await;
    assert!(
        shown.contains("c-1") && shown.contains("***") && shown.contains("a b") && !shown.contains("hush"),
        "{shown}"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens.json");
    fs::write(&file, r#"{"access_token":"hush-2","refresh_token":"hush-3","expires_in":1800}"#).unwrap();
    let line = format!(
        "connections create --app shop --consumer ann hubspot --set currency=EUR --credentials {}",
        file.display()
    );
    let shown = world.json(&line, "").await;
    assert_eq!((&shown[0]["state"], &shown[0]["settings"]["currency"]), (&json!("callable"), &json!("EUR")));
    assert!(!shown.to_string().contains("hush"));

    let app = AppId::new("shop");
    assert_eq!(
        world.store.integrations(&app).await.unwrap()[0].client_secret.as_ref().unwrap().expose(),
        "hush-1"
    );
    let opened =
        world.store.opened_connections(&app, &ConsumerId::new("ann")).await.unwrap().remove(0).1.unwrap();
    assert!(
        matches!(opened.credentials, Credentials::OAuth { access_token, .. } if access_token.expose() == "hush-2")
    );
}

#[tokio::test]
async fn keys_are_shown_once_and_revoked_for_good() {
    let world = World::new().await;
    world.run("apps create shop", "").await;
    let made = world.json("keys create --app shop", "").await[0].clone();
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let listed = world.run("keys list --app shop", "").await;
    assert!(listed.contains(id) && listed.contains("valid") && !listed.contains(key), "{listed}");
    assert!(world.run(&format!("keys revoke --app shop {id}"), "").await.contains("revoked"));
    let access = Access::new(world.store.clone(), access::Settings::default());
    access.authenticate(Some(key), "shop").await.unwrap_err();

    world.run("apps create other", "").await;
    assert!(world.refused(&format!("keys revoke --app other {id}"), "").await.contains("no API key"));
    let imported = world.run("keys create --app shop --import -", "my-own-key\n").await;
    assert!(!imported.contains("my-own-key"), "{imported}");
    access.authenticate(Some("my-own-key"), "shop").await.unwrap();
}

#[tokio::test]
async fn connections_come_as_far_as_they_can() {
    let world = World::new().await;
    world.run("apps create shop", "").await;
    world.run("consumers create --app shop ann", "").await;
    let state = async |line: &str, stdin: &str| {
        world.json(line, stdin).await[0]["state"].as_str().unwrap().to_owned()
    };
    let create = "connections create --app shop --consumer ann needy";
    let delete = "connections delete --app shop --consumer ann needy";
    assert_eq!(state(create, "").await, "added");
    world.run(delete, "").await;
    assert_eq!(state(&format!("{create} --credentials -"), "api_key=k").await, "authorized");
    world.run(delete, "").await;
    assert_eq!(
        state(&format!("{create} --set subdomain=acme --credentials -"), "api_key=k").await,
        "callable"
    );

    let (app, ann) = (AppId::new("shop"), ConsumerId::new("ann"));
    let of = world.store.connections(&app, Some(&ann)).await.unwrap().remove(0).connection;
    world.store.invalidate_connection(&of, 1, "invalid_grant", "revoked by the user").await.unwrap();
    let listed = world.run("connections list --app shop", "").await;
    assert!(listed.contains("invalid") && listed.contains("revoked by the user"), "{listed}");
    let line = "connections authorize --app shop --consumer ann needy --credentials -";
    assert_eq!(state(line, "api_key=k2").await, "callable");
    let off = world.json("connections disable --app shop --consumer ann needy", "").await;
    assert_eq!(off[0]["enabled"], false);
    let on = world.json("connections enable --app shop --consumer ann needy", "").await;
    assert_eq!((&on[0]["enabled"], of.state), (&json!(true), ConnectionState::Callable));
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let world = World::new().await;
    world.run("apps create shop", "").await;
    world.run("consumers create --app shop ann", "").await;
    for (line, stdin, says) in [
        ("apps create shop", "", "application shop already"),
        ("consumers create --app nobody ann", "", "no application nobody"),
        ("consumers list --app nobody", "", "no application nobody"),
        ("keys create --app nobody", "", "no application nobody"),
        ("keys create --app shop --import -", "  ", "no secret"),
        ("keys create --app shop --import -", "short", "8 visible"),
        ("integrations enable --app shop hubspott", "", "no connector hubspott"),
        ("integrations enable --app shop hubspot --client-secret /no/such/file", "", "/no/such/file"),
        ("connections create --app shop --consumer ann hubspott", "", "no connector hubspott"),
        ("connections create --app shop --consumer bob hubspot", "", "no consumer bob"),
        ("connections delete --app shop --consumer ann hubspot", "", "no connection of ann to hubspot"),
        ("connections enable --app shop --consumer ann hubspot", "", "no connection of ann to hubspot"),
    ] {
        let error = world.refused(line, stdin).await;
        assert!(error.contains(says), "{line}: {error}");
    }
}
