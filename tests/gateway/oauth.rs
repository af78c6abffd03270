//! How a customer connects: through a browser, against the mock CRMs' own OAuth servers.

use crosswalk::model::{AppId, ConnectionState, ConsumerId, ServiceId};
use mock_server::faults::{Fault, Kind};
use mock_server::journal::Filter;
use reqwest::header::HeaderMap;
use serde_json::json;
use url::Url;

use crate::harness::{SERVICES, World, vendor};

/// Where the application wants browsers back.
pub const HOME: &str = "https://app.example/connected?from=crm";

/// A browser's page: status, headers, text.
type Page = (u16, HeaderMap, String);

fn app() -> AppId {
    AppId::new("demo-app")
}

/// A world whose application lets browsers be sent home.
async fn world() -> World {
    let world = World::start().await;
    world.store.add_redirect_uri(&app(), HOME).await.unwrap();
    world
}

/// The link that lets a browser connect that consumer.
pub fn link(world: &World, service: &str, consumer: &str) -> String {
    let (consumer, service) = (ConsumerId::new(consumer), ServiceId::new(service));
    world.gateway.app.vault.authorize_link(&world.gateway.url, (&app(), &consumer, &service)).unwrap()
}

fn location(page: &Page) -> Url {
    assert_eq!(page.0, 302, "{} {:?}", page.2, page.1);
    Url::parse(page.1["location"].to_str().unwrap()).unwrap()
}

fn param(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn cookie(page: &Page) -> String {
    let cookie = page.1["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    assert!(cookie.contains("Path=/vault/callback;"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

/// A browser that follows a link as far as the CRM's callback: where it is sent, and the cookie it holds.
pub async fn consent(world: &World, link: &str, account: &str) -> (Url, String) {
    let begun = world.browse(link, &[("accept", "text/html")]).await;
    let mut page = location(&begun);
    page.query_pairs_mut().append_pair("mock_user", account);
    let back = location(&world.browse(page.as_str(), &[("accept", "text/html")]).await);
    assert!(back.as_str().starts_with(&format!("{}/vault/callback?", world.gateway.url)), "{back}");
    (back, cookie(&begun))
}

/// A browser that goes the whole way: where it ends.
async fn connect(world: &World, service: &str, consumer: &str) -> Url {
    let (back, cookie) = consent(world, &link(world, service, consumer), consumer).await;
    location(&world.browse(back.as_str(), &[("accept", "text/html"), ("cookie", &cookie)]).await)
}

async fn state(world: &World, service: &str, consumer: &str) -> Option<ConnectionState> {
    let all = world.store.connections(&app(), Some(&ConsumerId::new(consumer))).await.unwrap();
    all.into_iter().find(|stored| stored.connection.service.as_str() == service).map(|s| s.connection.state)
}

async fn consumer(world: &World, id: &str) {
    world.store.create_consumer(&app(), &ConsumerId::new(id)).await.unwrap();
}

#[tokio::test]
async fn the_whole_life_of_a_connection() {
    let world = world().await;
    for service in SERVICES {
        let who = format!("life-{service}");
        consumer(&world, &who).await;
        let contacts = async || world.get("/crm/contacts").of(service).consumer(&who).send().await;
        contacts().await.fails(404, "ConnectionNotFoundError");

        let home = connect(&world, service, &who).await;
        assert_eq!(home.as_str(), format!("{HOME}&service_id={service}"));
        assert_eq!(state(&world, service, &who).await, Some(ConnectionState::Callable));
        contacts().await.ok();

        world.mock.expire_tokens(vendor(service), &who);
        contacts().await.ok();
        assert_eq!(world.mock.refresh_counts(vendor(service), &who).granted, 1, "{service}");

        world.mock.revoke_account(vendor(service), &who);
        contacts().await.fails(401, "ConnectorCredentialsError");
        assert_eq!(state(&world, service, &who).await, Some(ConnectionState::Invalid));

        connect(&world, service, &who).await;
        assert_eq!(state(&world, service, &who).await, Some(ConnectionState::Callable));
        contacts().await.ok();

        // Renewed on demand, without a browser.
        let token = world.ask("POST", &format!("/vault/connections/crm/{service}/token")).consumer(&who);
        assert_eq!(token.body(json!({})).send().await.ok()["data"]["state"], "callable");
        assert_eq!(world.mock.refresh_counts(vendor(service), &who).granted, 2, "{service}");

        let whose = (&app(), &ConsumerId::new(&who), &ServiceId::new(service));
        let link = world.gateway.app.vault.revoke_link(&world.gateway.url, whose).unwrap();
        let end = world.browse(&link, &[("accept", "text/html")]).await;
        assert_eq!(location(&end).as_str(), format!("{HOME}&service_id={service}"));
        assert_eq!(state(&world, service, &who).await, Some(ConnectionState::Added));
        let told = world.mock.journal(&Filter::default());
        let told =
            told.iter().filter(|entry| entry.path.ends_with("/revoke") && entry.vendor == vendor(service));
        assert_eq!(told.map(|entry| entry.status).collect::<Vec<_>>().len(), 1, "the CRM was told");
        contacts().await.fails(401, "ConnectorCredentialsError");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_state_is_used_once_in_its_own_browser_and_before_its_end() {
    let world = world().await;
    consumer(&world, "states").await;
    let (back, cookie) = consent(&world, &link(&world, "hubspot", "states"), "states").await;
    let call = async |url: &str, cookie: &str| {
        let (status, _, text) = world.browse(url, &[("cookie", cookie)]).await;
        let body: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        (status, body["type_name"].as_str().unwrap_or_default().to_owned())
    };
    let refused = (400, "OAuthInvalidStateError".to_owned());
    assert_eq!(call(back.as_str(), "").await, refused, "another browser");
    assert_eq!(call(back.as_str(), "crosswalk_oauth_x=y").await, refused);
    let state = param(&back, "state").unwrap();
    let altered = back.as_str().replace(&state, &format!("B{}", &state[1..]));
    assert_eq!(call(&altered, &cookie).await, refused);
    assert_eq!(super::oauth::state(&world, "hubspot", "states").await, None, "nothing was stored");
    assert_eq!(call(back.as_str(), &cookie).await.0, 302, "and the right one still can");
    assert_eq!(call(back.as_str(), &cookie).await, refused, "once");
    world.stop().await;
}

#[tokio::test]
async fn what_goes_wrong_is_told_to_the_application_and_never_leads_elsewhere() {
    let world = world().await;
    consumer(&world, "wrong").await;
    let html = [("accept", "text/html,*/*;q=0.8")];
    let link = link(&world, "hubspot", "wrong");

    // Nobody is sent anywhere by a link that is not ours, or to an address that is not the application's.
    for (url, name) in [
        (link.replace("state=", "state=x"), "OAuthInvalidStateError"),
        (link.replace("/hubspot/", "/pipedrive/"), "OAuthInvalidStateError"),
        (link.replace("/demo-app?", "/other-app?"), "OAuthInvalidStateError"),
        (format!("{link}&redirect_uri=https://evil.example/%3Cscript%3E"), "OAuthRedirectUriError"),
        (format!("{link}&redirect_uri=https://app.example/connected"), "OAuthRedirectUriError"),
        (format!("{}/vault/callback?code=1&state=%3Cscript%3E", world.gateway.url), "OAuthInvalidStateError"),
    ] {
        let (status, headers, text) = world.browse(&url, &html).await;
        assert_eq!((status, headers.get("location")), (400, None), "{url}");
        assert!(headers["content-type"].to_str().unwrap().starts_with("text/html"), "{headers:?}");
        assert!(text.contains(name) && !text.contains("<script>") && !text.contains("evil"), "{text}");
        let (_, _, json) = world.browse(&url, &[("accept", "application/json")]).await;
        assert!(json.starts_with('{') && json.contains(name), "{json}");
    }

    // The default is taken letter by letter too.
    world.store.remove_redirect_uri(&app(), HOME).await.unwrap();
    world.store.add_redirect_uri(&app(), "https://app.example").await.unwrap();
    let (back, cookie) = consent(&world, &link, "deny").await;
    let told = location(&world.browse(back.as_str(), &[("accept", "text/html"), ("cookie", &cookie)]).await);
    assert!(told.as_str().starts_with("https://app.example/?error="), "{told}");
    world.store.remove_redirect_uri(&app(), "https://app.example").await.unwrap();
    world.store.add_redirect_uri(&app(), HOME).await.unwrap();

    // The user says no; the CRM fails; the CRM refuses the code.
    let (back, cookie) = consent(&world, &link, "deny").await;
    let with = |cookie: &str| [("accept", "text/html".to_owned()), ("cookie", cookie.to_owned())];
    let browse = async |url: &str, cookie: &str| {
        let headers = with(cookie);
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        location(&world.browse(url, &headers).await)
    };
    let told = browse(back.as_str(), &cookie).await;
    assert!(told.as_str().starts_with(&format!("{HOME}&error=access_denied")), "{told}");
    assert_eq!(param(&told, "error_type").as_deref(), Some("OAuthCodeExchangeError"));

    let (back, cookie) = consent(&world, &link, "wrong").await;
    let failing = Kind::Status { status: 500, body: None, retry_after_s: None };
    world.mock.fault(Fault::once(failing).on("POST", "/oauth/*"));
    let told = browse(back.as_str(), &cookie).await;
    assert_eq!(param(&told, "error").as_deref(), Some("temporarily_unavailable"), "{told}");

    let (back, cookie) = consent(&world, &link, "wrong").await;
    let code = param(&back, "code").unwrap();
    let told = browse(&back.as_str().replace(&code, "guessed"), &cookie).await;
    assert_eq!(param(&told, "error_type").as_deref(), Some("OAuthCodeExchangeError"), "{told}");
    assert_eq!(state(&world, "hubspot", "wrong").await, None);

    // More than the application has settled on is not asked for.
    let told = browse(&format!("{link}&scope=oauth+crm.schemas.everything"), "").await;
    assert_eq!(param(&told, "error_type").as_deref(), Some("RequestValidationError"), "{told}");
    world.stop().await;
}

#[tokio::test]
async fn with_a_nonce_the_application_confirms_before_anything_counts() {
    let world = world().await;
    consumer(&world, "careful").await;
    let link = format!("{}&nonce=n-1", link(&world, "hubspot", "careful"));
    let (back, cookie) = consent(&world, &link, "careful").await;
    let home = location(&world.browse(back.as_str(), &[("accept", "text/html"), ("cookie", &cookie)]).await);
    let told: Vec<(String, String)> =
        url::form_urlencoded::parse(home.fragment().unwrap().as_bytes()).into_owned().collect();
    assert_eq!(told[0], ("nonce".to_owned(), "n-1".to_owned()));
    assert_eq!(state(&world, "hubspot", "careful").await, None, "not callable yet");
    let confirm = async |token: &str, who: &str| {
        let ask = world.ask("POST", "/vault/connections/crm/hubspot/confirm").consumer(who);
        ask.body(json!({ "confirm_token": token })).send().await
    };
    consumer(&world, "other").await;
    confirm("dG9rZW4", "careful").await.fails(400, "OAuthInvalidStateError");
    assert_eq!(confirm(&told[1].1, "careful").await.ok()["data"]["confirmed"], true);
    confirm(&told[1].1, "careful").await.fails(400, "OAuthInvalidStateError");
    world.get("/crm/contacts").of("hubspot").consumer("careful").send().await.ok();
    world.stop().await;
}

#[tokio::test]
async fn an_application_may_send_the_browser_itself() {
    let world = world().await;
    consumer(&world, "itself").await;
    let ask = world.ask("POST", "/vault/connections/crm/hubspot/callback-state").consumer("itself");
    let made = ask.body(json!({ "redirect_uri": HOME })).send().await.ok();
    let state = made["data"]["state"].as_str().unwrap();
    let mut page = Url::parse(&format!("{}/oauth/authorize", world.mock.hubspot_url())).unwrap();
    page.query_pairs_mut()
        .append_pair("client_id", "demo-hubspot-client")
        .append_pair("redirect_uri", &format!("{}/vault/callback", world.gateway.url))
        .append_pair("scope", "oauth")
        .append_pair("state", state)
        .append_pair("mock_user", "itself");
    let back = location(&world.browse(page.as_str(), &[]).await);
    let home = location(&world.browse(back.as_str(), &[("accept", "text/html")]).await);
    assert!(home.as_str().starts_with(HOME), "{home}");
    world.get("/crm/contacts").of("hubspot").consumer("itself").send().await.ok();
    world.stop().await;
}

/// A world in which HubSpot's OAuth side is another vendor's.
async fn like(vendor_says: &str) -> (World, tempfile::TempDir) {
    let connectors = tempfile::tempdir().unwrap();
    let file = format!("{}/connectors/hubspot/manifest.yaml", env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(file).unwrap();
    let (before, after) =
        (manifest.find("  oauth2:\n").unwrap(), manifest.find("  # A private app's").unwrap());
    let manifest = format!("{}  oauth2:\n{vendor_says}{}", &manifest[..before], &manifest[after..]);
    std::fs::create_dir(connectors.path().join("hubspot")).unwrap();
    std::fs::write(connectors.path().join("hubspot/manifest.yaml"), manifest).unwrap();
    let pipedrive = format!("{}/connectors/pipedrive/manifest.yaml", env!("CARGO_MANIFEST_DIR"));
    std::fs::create_dir(connectors.path().join("pipedrive")).unwrap();
    std::fs::copy(pipedrive, connectors.path().join("pipedrive/manifest.yaml")).unwrap();
    let world = World::with(|settings| settings.connectors_dir = Some(connectors.path().to_owned())).await;
    world.store.add_redirect_uri(&app(), HOME).await.unwrap();
    (world, connectors)
}

/// Salesforce: PKCE, no `expires_in`, a refresh reply without the refresh token.
#[tokio::test]
async fn a_crm_with_pkce_that_does_not_say_how_long() {
    let (world, _connectors) = like(
        "    authorize_url: https://login.salesforce.example/oauth/authorize\n    token_url: https://login.salesforce.example/oauth/v1/token\n    pkce: true\n    scopes: [api, refresh_token]\n",
    )
    .await;
    consumer(&world, "sf").await;
    let mut settings = world.mock.settings(vendor("hubspot"), "sf");
    (settings.omit_expires_in, settings.omit_refresh_token) = (true, true);
    world.mock.set_settings(vendor("hubspot"), "sf", settings);
    connect(&world, "hubspot", "sf").await;
    let asked = world.mock.journal(&Filter::default());
    let page = asked.iter().find(|entry| entry.path == "/oauth/authorize").unwrap();
    let query = page.query.clone().unwrap();
    assert!(query.contains("code_challenge_method=S256") && !query.contains("verifier"), "{query}");
    let exchange = asked.iter().find(|entry| entry.path == "/oauth/v1/token").unwrap();
    assert!(exchange.body.contains("code_verifier="), "{}", exchange.body);
    for _ in 0..2 {
        world.get("/crm/contacts").of("hubspot").consumer("sf").send().await.ok();
        // Nothing is renewed ahead, as nobody knows when; after a refusal it is.
        world.mock.expire_tokens(vendor("hubspot"), "sf");
    }
    world.get("/crm/contacts").of("hubspot").consumer("sf").send().await.ok();
    assert_eq!(world.mock.refresh_counts(vendor("hubspot"), "sf").granted, 2);
    world.stop().await;
}

/// Zoho: extra authorize parameters, scopes between commas, the data centre in the callback, refusals with status 200.
#[tokio::test]
async fn a_crm_with_data_centres_and_refusals_that_look_like_success() {
    let says = "    authorize_url: https://accounts.zoho.example/oauth/authorize\n    token_url: [\"{accounts}/oauth/v1/token\", https://accounts.zoho.example/oauth/v9/token]\n    hosts: [accounts.zoho.example, accounts.zoho-eu.example]\n    scopes: [a.ALL, b.READ]\n    scope_separator: \",\"\n    authorize_params: { access_type: offline, prompt: consent }\n    capture_callback: { accounts-server: accounts, location: data_centre }\n";
    let (world, _connectors) = like(says).await;
    consumer(&world, "zoho").await;
    let mut settings = world.mock.settings(vendor("hubspot"), "zoho");
    settings.refuse_with_200 = true;
    let server = |host: &str| {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![pair("accounts-server", host), pair("location", "eu")]
    };
    settings.callback_params = server("https://accounts.evil.example");
    world.mock.set_settings(vendor("hubspot"), "zoho", settings.clone());
    let told = connect(&world, "hubspot", "zoho").await;
    assert_eq!(param(&told, "error_type").as_deref(), Some("OAuthCodeExchangeError"), "{told}");
    assert_eq!(
        world.mock.count(&Filter { method: Some("POST".to_owned()), ..Filter::default() }),
        0,
        "no code left"
    );

    settings.callback_params = server("https://accounts.zoho-eu.example");
    world.mock.set_settings(vendor("hubspot"), "zoho", settings);
    connect(&world, "hubspot", "zoho").await;
    let asked = world.mock.journal(&Filter::default());
    let query = asked.iter().find(|entry| entry.path == "/oauth/authorize").unwrap().query.clone().unwrap();
    assert!(query.contains("scope=a.ALL%2Cb.READ") && query.contains("access_type=offline"), "{query}");
    assert!(asked.iter().any(|entry| entry.path == "/oauth/v1/token"), "the data centre's own endpoint");
    let stored = world.store.connections(&app(), Some(&ConsumerId::new("zoho"))).await.unwrap().remove(0);
    assert_eq!(stored.connection.captured["data_centre"], "eu");
    world.get("/crm/contacts").of("hubspot").consumer("zoho").send().await.ok();
    world.mock.revoke_account(vendor("hubspot"), "zoho");
    world
        .get("/crm/contacts")
        .of("hubspot")
        .consumer("zoho")
        .send()
        .await
        .fails(401, "ConnectorCredentialsError");
    assert_eq!(state(&world, "hubspot", "zoho").await, Some(ConnectionState::Invalid));
    world.stop().await;
}
