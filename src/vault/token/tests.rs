use std::sync::Mutex;

use super::*;

fn endpoint(client_auth: ClientAuth) -> TokenEndpoint {
    TokenEndpoint {
        url: Url::parse("http://127.0.0.1:1/token").unwrap(),
        client_auth,
        extra_params: vec![("redirect_uri".to_owned(), "https://a.example/cb".to_owned())],
        capture: vec![
            ("api_domain".to_owned(), "api_domain".to_owned()),
            ("hub_id".to_owned(), "portal".to_owned()),
        ],
        final_errors: vec!["BAD_REFRESH_TOKEN".to_owned()],
        expires_in_s: None,
    }
}

type Seen = Arc<Mutex<Vec<Request<Vec<u8>>>>>;

/// A client that answers all requests so, and keeps them.
fn answering(status: u16, body: &str) -> (HttpClient, Seen) {
    let seen = Seen::default();
    let (kept, body) = (seen.clone(), body.to_owned());
    let client: HttpClient = Arc::new(move |request| {
        kept.lock().unwrap().push(request);
        let reply =
            Response::builder().status(status).header("retry-after", "7").body(body.clone().into_bytes());
        Box::pin(async move { Ok(reply.unwrap()) })
    });
    (client, seen)
}

async fn refresh(client_auth: ClientAuth, status: u16, body: &str) -> Result<Grant, Refusal> {
    let (client, _) = answering(status, body);
    let secret = Secret::new("cs-1");
    let oauth = OAuthClient { id: "c-1", secret: Some(&secret) };
    exchange(&client, &endpoint(client_auth), oauth, Offer::Refresh(&Secret::new("rt-1"))).await
}

#[tokio::test]
async fn the_client_proves_itself_as_told() {
    let secret = Secret::new("cs-1");
    for client_auth in [ClientAuth::Basic, ClientAuth::Body] {
        let (client, seen) = answering(200, r#"{"access_token":"at","token_type":"bearer"}"#);
        let oauth = OAuthClient { id: "c-1", secret: Some(&secret) };
        exchange(&client, &endpoint(client_auth), oauth, Offer::Refresh(&Secret::new("rt-1"))).await.unwrap();
        let request = seen.lock().unwrap().remove(0);
        let form: BTreeMap<String, String> =
            url::form_urlencoded::parse(request.body()).into_owned().collect();
        assert_eq!(form["grant_type"], "refresh_token");
        assert_eq!(form["refresh_token"], "rt-1");
        assert_eq!(form["redirect_uri"], "https://a.example/cb");
        let header = request.headers().get("authorization").map(|value| value.to_str().unwrap());
        match client_auth {
            // c-1:cs-1
            ClientAuth::Basic => {
                assert_eq!((header, form.get("client_secret")), (Some("Basic Yy0xOmNzLTE="), None))
            }
            ClientAuth::Body => {
                assert_eq!(
                    (header, form["client_id"].as_str(), form["client_secret"].as_str()),
                    (None, "c-1", "cs-1")
                );
            }
        }
    }
}

#[tokio::test]
async fn replies_are_read_as_crms_write_them() {
    // body, expires_in, refresh token, scope
    let rows = [
        (
            r#"{"access_token":"at","token_type":"Bearer","expires_in":1800,"refresh_token":"rt-2","scope":"a b"}"#,
            Some(1800),
            Some("rt-2"),
            Some("a b"),
        ),
        (r#"{"access_token":"at"}"#, None, None, None),
        (r#"{"access_token":"at","expires_in":"3599","scope":"a,b , c"}"#, Some(3599), None, Some("a b c")),
        (r#"{"access_token":"at","expires_in":3599.5,"scope":["a","b"]}"#, Some(3599), None, Some("a b")),
        (r#"{"access_token":"at","expires_in":3600000,"expires_in_sec":3600}"#, Some(3600), None, None),
        (r#"{"access_token":"at","expires_in":null,"refresh_token":null,"scope":null}"#, None, None, None),
        (r#"{"access_token":"at","expires_in":"soon","refresh_token":""}"#, None, None, None),
        (r#"{"access_token":"at","expires_in":0,"error":null}"#, None, None, None),
        (r#"{"access_token":"at","expires_in":-1,"token_type":null}"#, None, None, None),
    ];
    for (body, expires_in, refresh_token, scope) in rows {
        let grant =
            refresh(ClientAuth::Body, 200, body).await.unwrap_or_else(|error| panic!("{body}: {error:?}"));
        assert_eq!(grant.access_token.expose(), "at", "{body}");
        assert_eq!(grant.expires_in, expires_in, "{body}");
        assert_eq!(grant.refresh_token.as_ref().map(Secret::expose), refresh_token, "{body}");
        assert_eq!(grant.scope.as_deref(), scope, "{body}");
    }
}

#[tokio::test]
async fn values_are_captured_under_their_names() {
    let body = r#"{"access_token":"at","api_domain":"https://acme.example","hub_id":62515,"other":"x"}"#;
    let captured = refresh(ClientAuth::Basic, 200, body).await.unwrap().captured;
    let expected = [("api_domain", "https://acme.example"), ("portal", "62515")];
    assert_eq!(captured, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[tokio::test]
async fn refusals_are_final_or_not() {
    let finals = [
        (400, r#"{"error":"invalid_grant","error_description":"gone"}"#, "invalid_grant"),
        (401, r#"{"error":"invalid_client"}"#, "invalid_client"),
        (400, r#"{"error":"unauthorized_client"}"#, "unauthorized_client"),
        (200, r#"{"error":"invalid_grant"}"#, "invalid_grant"),
        (
            400,
            r#"{"status":"BAD_REFRESH_TOKEN","message":"missing or unknown refresh token"}"#,
            "BAD_REFRESH_TOKEN",
        ),
    ];
    for (status, body, expected) in finals {
        match refresh(ClientAuth::Body, status, body).await {
            Err(Refusal::Final { code, .. }) => assert_eq!(code, expected),
            other => panic!("{body}: {other:?}"),
        }
    }
    let transients = [
        (500, r#"{"error":"invalid_grant"}"#),
        (503, "oops"),
        (429, "{}"),
        (408, ""),
        (302, ""),
        (400, r#"{"error":"temporarily_unavailable"}"#),
        (400, r#"{"error":"invalid_request"}"#),
        (200, "<html>"),
        (200, "{}"),
        (200, "[]"),
        (403, "blocked"),
    ];
    for (status, body) in transients {
        let refusal = refresh(ClientAuth::Body, status, body).await;
        assert!(matches!(refusal, Err(Refusal::Transient { .. })), "{status} {body}: {refusal:?}");
    }
    let busy = refresh(ClientAuth::Body, 429, "").await;
    assert!(matches!(busy, Err(Refusal::Transient { retry_after_ms: Some(7000), .. })));
}

#[tokio::test]
async fn what_the_crm_says_is_kept_but_no_secret() {
    let body = r#"{"error":"invalid_grant","error_description":"token rt-1 of cs-1\nis revoked"}"#;
    let refusal = refresh(ClientAuth::Body, 400, body).await.unwrap_err();
    let says = "invalid_grant: token *** of *** is revoked".to_owned();
    assert_eq!(refusal, Refusal::Final { code: "invalid_grant".to_owned(), says });
}
