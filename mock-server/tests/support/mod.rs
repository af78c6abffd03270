//! What the tests share: a small client.

#![allow(dead_code, missing_docs)]

use reqwest::{Client, Method, Response};
use serde_json::{Map, Value};

pub struct Api {
    base: String,
    token: String,
    client: Client,
}

impl Api {
    pub fn new(base: &str, token: &str) -> Api {
        let client =
            Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Api { base: base.to_owned(), token: token.to_owned(), client }
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    pub fn plain(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Response {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.unwrap()
    }

    async fn read(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let reply = self.send(method, path, body).await;
        let status = reply.status().as_u16();
        let text = reply.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{method} {path}: {status} {text}")))
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.read("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.read("POST", path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> (u16, Value) {
        self.read("PATCH", path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        self.read("PUT", path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> u16 {
        self.send("DELETE", path, None).await.status().as_u16()
    }

    pub async fn deleted(&self, path: &str) -> (u16, Value) {
        self.read("DELETE", path, None).await
    }

    pub async fn status(&self, method: &str, path: &str) -> u16 {
        self.send(method, path, None).await.status().as_u16()
    }

    pub async fn status_of(&self, method: &str, path: &str, body: Value) -> u16 {
        self.send(method, path, Some(body)).await.status().as_u16()
    }
}

pub fn members(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}
