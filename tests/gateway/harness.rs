//! A whole gateway and mock CRMs over real sockets; every reply is held against the contract.

use std::collections::BTreeMap;

use crosswalk::admin::{self, DemoConnection};
use crosswalk::config::Settings;
use crosswalk::contract;
use crosswalk::model::{AppId, ConnectionState, ConsumerId, Credentials, Secret, ServiceId};
use crosswalk::serve::{self, Running};
use crosswalk::storage::{NewConnection, Store};
use mock_server::{MockServer, Options, Vendor};
use reqwest::Method;
use serde_json::{Value, json};

/// The connectors that tests run on.
pub const SERVICES: [&str; 2] = ["hubspot", "pipedrive"];

/// A gateway, its mock CRMs, and a client.
pub struct World {
    pub mock: MockServer,
    pub gateway: Running,
    pub store: Store,
    client: reqwest::Client,
    settings: Settings,
    folder: tempfile::TempDir,
}

/// A reply of the gateway.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Reply {
    /// The body of a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.status < 300, "{} {:#}", self.status, self.body);
        self.body
    }

    /// The body of a failure of that kind.
    #[track_caller]
    pub fn fails(self, status: u16, type_name: &str) -> Value {
        assert_eq!(
            (self.status, self.body["type_name"].as_str()),
            (status, Some(type_name)),
            "{:#}",
            self.body
        );
        self.body
    }
}

/// One call to be sent.
pub struct Ask<'w> {
    world: &'w World,
    method: Method,
    path: String,
    consumer: String,
    service: Option<String>,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Option<Value>,
    gateway: Option<String>,
}

impl World {
    /// A fresh world: the demo's application and consumers, and empty accounts of any name.
    pub async fn start() -> World {
        World::with(|_| {}).await
    }

    /// A fresh world with settings of its own.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> World {
        let mock = mock_server::start("127.0.0.1:0".parse().unwrap(), Options::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults();
        settings.listen = "127.0.0.1:0".parse().unwrap();
        settings.data_dir = folder.path().to_owned();
        settings.private_ranges.push("127.0.0.0/8".parse().unwrap());
        for service in SERVICES {
            settings
                .base_urls
                .insert(service.to_owned(), format!("{}/{service}", mock.base_url()).parse().unwrap());
        }
        change(&mut settings);
        let store = serve::open(&settings).await.unwrap();
        let connections = SERVICES.map(|service| {
            let named = |what: &str| format!("demo-{service}-{what}");
            DemoConnection::oauth(service, &named("refresh"), &named("client"), &named("secret"))
        });
        let connectors = |id: &str| SERVICES.contains(&id).then_some(&[][..]);
        admin::seed_demo(&store, &connectors, &connections).await.unwrap();
        let gateway = serve::start(settings.clone(), store.clone()).await.unwrap();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        World { mock, gateway, store, client, settings, folder }
    }

    /// The same world with another gateway on the same data.
    pub async fn restart(self) -> World {
        self.gateway.stop().await;
        let store = serve::open(&self.settings).await.unwrap();
        let gateway = serve::start(self.settings.clone(), store.clone()).await.unwrap();
        World { gateway, store, ..self }
    }

    /// Another gateway on the same data.
    pub async fn another(&self) -> Running {
        let store = serve::open(&self.settings).await.unwrap();
        serve::start(self.settings.clone(), store).await.unwrap()
    }

    /// The data folder.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Connects a consumer to an empty account of the same name, with a static token.
    pub async fn connect(&self, service: &str, account: &str) {
        self.connect_with(service, account, account, BTreeMap::new()).await;
    }

    /// Connects a consumer to an empty account, with settings.
    pub async fn connect_with(
        &self,
        service: &str,
        consumer: &str,
        account: &str,
        settings: BTreeMap<String, String>,
    ) {
        let (name, token) = match service {
            "hubspot" => ("access_token", format!("pat-test-{account}")),
            _ => ("api_token", format!("test-{account}")),
        };
        let credentials =
            Credentials::Static { values: BTreeMap::from([(name.to_owned(), Secret::new(token))]) };
        self.connect_as(service, consumer, settings, credentials).await;
    }

    /// Connects a consumer to an empty account of the same name, with nothing but a refresh token.
    pub async fn connect_oauth(&self, service: &str, account: &str) {
        let credentials = Credentials::OAuth {
            access_token: Secret::new(""),
            refresh_token: Some(Secret::new(format!("test-refresh-{account}"))),
            expires_at: None,
            scope: String::new(),
        };
        self.connect_as(service, account, BTreeMap::new(), credentials).await;
    }

    async fn connect_as(
        &self,
        service: &str,
        consumer: &str,
        settings: BTreeMap<String, String>,
        credentials: Credentials,
    ) {
        let app = AppId::new("demo-app");
        let consumer = ConsumerId::new(consumer);
        let _ = self.store.create_consumer(&app, &consumer).await;
        self.store
            .create_connection(NewConnection {
                app: &app,
                consumer: &consumer,
                service: &ServiceId::new(service),
                state: ConnectionState::Callable,
                settings,
                captured: BTreeMap::new(),
                credentials: Some(credentials),
            })
            .await
            .unwrap();
    }

    /// A call for a consumer of one service.
    pub fn ask(&self, method: &str, path: &str) -> Ask<'_> {
        Ask {
            world: self,
            method: method.parse().unwrap(),
            path: path.to_owned(),
            consumer: "demo-consumer".to_owned(),
            service: None,
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            gateway: None,
        }
    }

    pub fn get(&self, path: &str) -> Ask<'_> {
        self.ask("GET", path)
    }

    /// A request outside of the API, whose reply is not held against the contract.
    pub async fn plain(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.gateway.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.send().await.unwrap()).await
    }

    /// What a browser gets that does not follow: status, headers, text.
    pub async fn browse(
        &self,
        url: &str,
        headers: &[(&str, &str)],
    ) -> (u16, reqwest::header::HeaderMap, String) {
        let request =
            headers.iter().fold(self.client.get(url), |request, (name, value)| request.header(*name, *value));
        let reply = request.send().await.unwrap();
        (reply.status().as_u16(), reply.headers().clone(), reply.text().await.unwrap())
    }

    pub async fn stop(self) {
        self.gateway.stop().await;
        self.mock.stop().await;
    }
}

async fn read(reply: reqwest::Response) -> Reply {
    let status = reply.status().as_u16();
    let headers = reply.headers().clone();
    let text = reply.text().await.unwrap();
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text)
            .unwrap_or_else(|fault| panic!("{status} is not JSON ({fault}): {text:.300}"))
    };
    Reply { status, headers, body, text }
}

impl Ask<'_> {
    pub fn of(mut self, service: &str) -> Self {
        self.service = Some(service.to_owned());
        self
    }

    pub fn consumer(mut self, consumer: &str) -> Self {
        self.consumer = consumer.to_owned();
        self
    }

    /// To another gateway than the world's own.
    pub fn at(mut self, url: &str) -> Self {
        self.gateway = Some(url.to_owned());
        self
    }

    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// The request, for a client of the test's own.
    pub fn request(self, client: &reqwest::Client) -> reqwest::RequestBuilder {
        let gateway = self.gateway.as_ref().unwrap_or(&self.world.gateway.url);
        let mut url = reqwest::Url::parse(&format!("{gateway}{}", self.path)).unwrap();
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(self.query);
        }
        let mut request = client.request(self.method, url);
        let mut headers = BTreeMap::from([
            ("authorization".to_owned(), "Bearer sk_demo_crosswalk".to_owned()),
            ("x-apideck-app-id".to_owned(), "demo-app".to_owned()),
            ("x-apideck-consumer-id".to_owned(), self.consumer),
        ]);
        headers.extend(self.service.map(|service| ("x-apideck-service-id".to_owned(), service)));
        headers.extend(self.headers);
        for (name, value) in headers.into_iter().filter(|(_, value)| value != "<none>") {
            request = request.header(name, value);
        }
        match self.body {
            Some(body) => request.json(&body),
            None => request,
        }
    }

    /// Sends it, and holds the reply against the contract.
    #[track_caller]
    pub fn send(self) -> impl Future<Output = Reply> + use<> {
        let (method, path) = (self.method.clone(), self.path.clone());
        let reply = self.try_send();
        async move {
            let reply = reply.await.unwrap();
            assert!(reply.headers.contains_key("request-id"), "no Request-Id");
            if let Some(faults) = against_contract(&method, &path, &reply) {
                panic!(
                    "{method} {path} answered {} {:#}\nwhich the contract does not allow: {faults}",
                    reply.status, reply.body
                );
            }
            reply
        }
    }

    /// Sends it; the connection may break.
    #[track_caller]
    pub fn try_send(self) -> impl Future<Output = reqwest::Result<Reply>> + use<> {
        let client = self.world.client.clone();
        let request = self.request(&client);
        async move { Ok(read(request.send().await?).await) }
    }
}

/// What the contract has against a reply; none where it is as promised.
fn against_contract(method: &Method, path: &str, reply: &Reply) -> Option<String> {
    let api = contract::Api::ALL.into_iter().find(|api| path.starts_with(&format!("/{}/", api.name())))?;
    let document = api.document();
    let path = path.split('?').next().unwrap();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let paths = document["paths"].as_object().unwrap();
    let fits = |pattern: &str| {
        let pattern: Vec<&str> = pattern.trim_start_matches('/').split('/').collect();
        pattern.len() == parts.len()
            && pattern.iter().zip(&parts).all(|(pattern, part)| pattern.starts_with('{') || pattern == part)
    };
    // Of two patterns that fit, the one with fewer names is meant: `…/import` before `…/{resource}`.
    let (_, item) = paths
        .iter()
        .filter(|(pattern, _)| fits(pattern))
        .min_by_key(|(pattern, _)| pattern.matches('{').count())?;
    let operation = item.get(method.as_str().to_lowercase())?;
    let answer = operation["responses"]
        .get(reply.status.to_string())
        .or_else(|| operation["responses"].get("default"))?;
    let answer = match answer["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#'))?,
        None => answer,
    };
    let schema = answer.pointer("/content/application~1json/schema")?;
    let mut whole = document.clone();
    whole.as_object_mut()?.extend(schema.as_object()?.clone());
    whole.as_object_mut()?.remove("paths");
    let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&whole).unwrap();
    let faults: Vec<String> = validator
        .iter_errors(&reply.body)
        .map(|fault| format!("\n  {}: {fault}", fault.instance_path()))
        .collect();
    (!faults.is_empty()).then(|| faults.concat())
}

/// The ids on a page.
pub fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
}

/// A vendor by service id.
pub fn vendor(service: &str) -> Vendor {
    match service {
        "hubspot" => Vendor::Hubspot,
        _ => Vendor::Pipedrive,
    }
}

/// A contact to write.
pub fn ada() -> Value {
    json!({
        "first_name": "Ada",
        "last_name": "Lovelace",
        "emails": [{ "email": "ada@example.com", "type": "primary" }],
        "phone_numbers": [{ "number": "+44 20 7946 0958", "type": "work" }],
    })
}
