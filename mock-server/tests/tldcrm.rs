//! TLDCRM over real sockets.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use mock_server::MockServer;
use serde_json::{Value, json};
use support::Api;

struct Tld(Api, String);

impl Tld {
    fn new(server: &MockServer, key: &str) -> Tld {
        Tld(Api::new(&server.tldcrm_url(), ""), key.to_owned())
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let sent = self.0.plain(method, path).header("tld-api-id", "7").header("tld-api-key", &self.1);
        let reply = sent.json(&body).send().await.unwrap();
        (reply.status().as_u16(), reply.json().await.unwrap())
    }

    async fn rows(&self, table: &str, query: Value) -> Value {
        let (status, reply) = self.send("GET", &format!("/api/egress/{table}"), query).await;
        assert_eq!(status, 200, "{reply}");
        reply["response"]["results"].clone()
    }
}

#[tokio::test]
async fn the_demo_table_is_followed_by_next_urls_to_its_end() {
    let server = MockServer::local().await.unwrap();
    let tld = Tld::new(&server, "demo-tldcrm-key");
    let query = json!({ "columns": ["lead_id", "date_modified"], "limit": 300, "order_by": "date_modified", "sort": "DESC" });
    let (_, mut page) = tld.send("GET", "/api/egress/leads", query).await;
    let mut rows = Vec::new();
    loop {
        rows.extend(page["response"]["results"].as_array().unwrap().clone());
        let Some(next) = page["response"]["navigate"]["next"].as_str() else { break };
        let path = next.strip_prefix(&server.tldcrm_url()).unwrap().to_owned();
        assert!(!path.contains("api_key") && path.contains("columns=lead_id%2Cdate_modified"), "{path}");
        page = tld.send("GET", &path, json!({})).await.1;
    }
    let ids: std::collections::HashSet<u64> =
        rows.iter().map(|row| row["lead_id"].as_u64().unwrap()).collect();
    assert_eq!((rows.len(), ids.len()), (2000, 2000));
    let times: Vec<&str> = rows.iter().map(|row| row["date_modified"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|one, next| one >= next));
    assert_eq!(rows[0].as_object().unwrap().len(), 2, "only the columns asked for");
    assert_eq!(
        tld.rows("users", json!({ "limit": 1 })).await[0]["password"],
        "$2y$10$mock",
        "all columns unless asked"
    );
}

#[tokio::test]
async fn results_are_an_array_an_object_or_false() {
    let server = MockServer::local().await.unwrap();
    let tld = Tld::new(&server, "test-shapes");
    let (status, made) = tld
        .send("POST", "/api/ingress/leads", json!({ "first_name": "Maya", "phone": "+1 (555) 123-4567" }))
        .await;
    assert_eq!((status, &made["response"]["message"]), (200, &json!("Lead Added.")));
    let id = made["response"]["lead_id"].clone();
    let one = tld.rows("leads", json!({ "lead_id": id })).await;
    assert_eq!((&one["first_name"], &one["phone"]), (&json!("Maya"), &json!("5551234567")));
    assert_eq!(tld.rows("leads", json!({ "lead_id": 1 })).await, json!(false));
    assert_eq!(tld.rows("leads", json!({ "email": "none" })).await, json!(false));
    assert!(
        tld.rows("leads", json!({ "no_such_filter": 1 })).await.is_array(),
        "unknown filters are passed over"
    );
    let soon = json!({ "date_created_greater_equal": "2999-01-01" });
    assert_eq!(tld.rows("leads", soon).await, json!(false));

    let change = json!({ "lead_id": id, "last_name": "Stone", "status_id": 5 });
    assert_eq!(tld.send("PUT", "/api/ingress/leads", change).await.0, 200);
    let one = tld.rows("leads", json!({ "lead_id": id })).await;
    assert_eq!((&one["first_name"], &one["status_name"]), (&json!("Maya"), &json!("Quoted")));
    assert_eq!(tld.send("DELETE", "/api/ingress/leads", json!({ "lead_id": id })).await.0, 200);
    assert_eq!(tld.rows("leads", json!({ "lead_id": id })).await["trashed"], 1, "still there, trashed");
    assert_eq!(tld.send("PUT", "/api/ingress/leads", json!({ "lead_id": 1, "email": "x" })).await.0, 400);
    let none = tld
        .send("POST", "/api/ingress/callback", json!({ "lead_id": 1, "callback": "2026-05-10 13:12:00" }))
        .await;
    assert_eq!((none.0, &none.1["response"]["error"]), (200, &json!("Lead does not exist.")));
    let tagged = tld
        .send("POST", "/api/ingress/tags/leads", json!({ "tag_id": "vip,new one", "lead_id": [id] }))
        .await
        .1;
    assert_eq!(tagged["response"]["updated"], 2);
    let again =
        tld.send("POST", "/api/ingress/tags/leads", json!({ "tag_id": "vip", "lead_id": [id] })).await;
    assert_eq!((again.0, &again.1["response"]["error"]), (200, &json!("No Tags Added.")));
}

#[tokio::test]
async fn credentials_come_as_headers_or_parameters_and_formats_stream() {
    let server = MockServer::local().await.unwrap();
    let api = Api::new(&server.tldcrm_url(), "");
    let status = async |path: &str| {
        let reply = api.plain("GET", path).send().await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    };
    assert!(status("/api/egress/leads").await.1.contains("No API ID Provided"));
    assert!(status("/api/egress/leads?api_id=7").await.1.contains("No API Key Provided"));
    assert_eq!(status("/api/egress/leads?api_id=7&api_key=wrong").await.0, 401);
    let flat =
        status("/api/egress/vendors?api=7&apikey=demo-tldcrm-key&format=json&limit=0&columns=vendor_id,name")
            .await;
    assert_eq!(serde_json::from_str::<Vec<Value>>(&flat.1).unwrap().len(), 2002);
    let csv =
        status("/api/egress/vendors?api=7&apikey=demo-tldcrm-key&format=csv&limit=2&columns=vendor_id,name")
            .await
            .1;
    assert!(csv.starts_with("vendor_id,name\r\n") && csv.lines().count() == 3, "{csv}");
    let form = api.plain("POST", "/api/egress/users").form(&[
        ("api_id", "7"),
        ("api_key", "demo-tldcrm-key"),
        ("limit", "1"),
    ]);
    assert_eq!(form.send().await.unwrap().status(), 200);
    let columns = status("/api/egress/leads/docs/columns?api=7&apikey=demo-tldcrm-key").await.1;
    assert!(columns.contains("date_modified"));
}
