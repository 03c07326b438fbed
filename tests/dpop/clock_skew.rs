//! H5, H1: a machine whose clock is wrong, and servers that refuse what it signs.

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use reqwest_bearer::reqwest::Url;
use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, ErrorKind, Event, Secret, SecretSource,
    SigningAlgorithm, SigningKey, TestClock, TokenEndpoint, TokenSource, TokenSourceBuilder,
};
use serde_json::{Value, json};

use crate::server::Servers;
use crate::support::http_server::{HttpServer, Reply, Seen};

/// What the events told: which server, by how many seconds it is ahead, and whether it is followed.
type Told = Arc<Mutex<Vec<(String, i64, bool)>>>;

fn told(builder: TokenSourceBuilder) -> (TokenSource, Told) {
    let told = Told::default();
    let telling = told.clone();
    let source = builder.on_event(move |event| {
        if let Event::ClockSkew {
            server,
            seconds_ahead,
            is_followed,
            ..
        } = event
        {
            telling
                .lock()
                .unwrap()
                .push((server.to_string(), *seconds_ahead, *is_followed));
        }
    });
    (source.build().unwrap(), told)
}

#[tokio::test]
async fn a_proof_is_dated_by_the_clock_of_the_server_that_refuses_it() {
    // H5
    for ahead in [600, -600] {
        let servers = Servers::start().await;
        for side in [&servers.issuer, &servers.api] {
            side.door(|door| door.seconds_ahead = ahead);
        }
        let (source, told) = told(servers.refreshing_builder(servers.endpoint()));
        let client = servers.client(&source);
        for _ in 0..2 {
            assert_eq!(client.get("x").send().await.unwrap().status(), 200);
        }
        // Each server has refused once, and neither refresh token nor token was replaced for it.
        assert_eq!((servers.issuer.requests(), servers.api.requests()), (2, 3));
        assert_eq!(servers.api.tokens(), ["access-1"; 3]);
        assert_eq!(servers.reuses(), 0);
        let origins = [&servers.issuer, &servers.api].map(|side| (side.url(""), ahead, true));
        assert_eq!(*told.lock().unwrap(), origins);
        // A proof by hand is dated alike, and the token ages as ever.
        let token = source.token().await.unwrap();
        let url = Url::parse(&servers.api.url("/x")).unwrap();
        let proof = token.dpop_proof(&Method::GET, &url).await.unwrap().unwrap();
        let claims = claims(proof.to_str().unwrap());
        let now = servers.clock.system_time();
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(
            claims["iat"],
            json!(since_epoch.saturating_add_signed(ahead))
        );
        assert_eq!(token.expires_at(), Some(now + Duration::from_secs(600)));
        servers.assert_no_faults();
    }
}

#[tokio::test]
async fn a_clock_that_is_too_far_off_is_told_and_not_followed() {
    // H5
    let servers = Servers::start().await;
    servers.issuer.door(|door| door.seconds_ahead = 901);
    let (source, told_of_issuer) = told(servers.builder());
    let error = source.token().await.unwrap_err();
    assert_eq!(error.oauth_code(), Some("invalid_dpop_proof"));
    assert_eq!(servers.issuer.requests(), 1);
    let origin = servers.issuer.url("");
    assert_eq!(*told_of_issuer.lock().unwrap(), [(origin, 901, false)]);

    let servers = Servers::start().await;
    servers.api.door(|door| door.seconds_ahead = -3_600);
    let (source, told_of_api) = told(servers.builder());
    let client = servers.client(&source);
    assert_eq!(client.get("x").send().await.unwrap().status(), 401);
    assert_eq!(servers.api.requests(), 1);
    let origin = servers.api.url("");
    assert_eq!(*told_of_api.lock().unwrap(), [(origin, -3_600, false)]);
}

#[tokio::test]
async fn a_date_beside_anything_but_a_refused_proof_changes_nothing() {
    // H5
    let servers = Servers::start().await;
    let date = || {
        let date = servers.clock.system_time() + Duration::from_secs(600);
        httpdate::fmt_http_date(date)
    };
    servers.issuer.then(
        Reply::new(400)
            .header("date", date())
            .json(&json!({ "error": "invalid_client" })),
    );
    let (source, told) = told(servers.builder());
    let error = source.token().await.unwrap_err();
    assert_eq!(error.oauth_code(), Some("invalid_client"));
    let (source, _) = (servers.source(), &told);
    let client = servers.client(&source);
    for refusal in [
        Reply::new(200),
        Reply::new(401).header("www-authenticate", r#"DPoP error="insufficient_scope""#),
    ] {
        servers.api.then(refusal.header("date", date()));
        client.get("x").send().await.unwrap();
    }
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    // The server takes the second of the client's clock alone.
    servers.assert_no_faults();
    assert_eq!((servers.issuer.requests(), servers.api.requests()), (2, 3));
    assert_eq!(*told.lock().unwrap(), []);
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_again_learns_the_date_for_the_next_call() {
    // H5
    let servers = Servers::start().await;
    servers.api.door(|door| door.seconds_ahead = 600);
    let client = servers.client(&servers.source());
    let once = async || {
        let stream = futures_util::stream::iter([Ok::<_, std::io::Error>("body")]);
        let body = reqwest::Body::wrap_stream(stream);
        client.put("x").body(body).send().await.unwrap().status()
    };
    assert_eq!(once().await, 401);
    assert_eq!(once().await, 200);
    assert_eq!(servers.issuer.requests(), 1);
}

#[tokio::test]
async fn a_server_that_refuses_the_date_by_its_own_clock_is_not_asked_a_third_time() {
    // H5
    let servers = Servers::start().await;
    let clock = servers.clock.clone();
    let refusal = |ahead: u64| {
        let date = clock.system_time() + Duration::from_secs(ahead);
        Reply::new(400)
            .header("date", httpdate::fmt_http_date(date))
            .json(&json!({ "error": "invalid_dpop_proof" }))
    };
    servers.issuer.then(refusal(600)).then(refusal(300));
    let error = servers.source().token().await.unwrap_err();
    assert_eq!(error.oauth_code(), Some("invalid_dpop_proof"));
    assert_eq!(servers.issuer.requests(), 2);
}

fn claims(jws: &str) -> Value {
    let claims = URL_SAFE_NO_PAD.decode(jws.split('.').nth(1).unwrap());
    serde_json::from_slice(&claims.unwrap()).unwrap()
}

/// An authorization server that takes assertions of its own time alone, ten minutes ahead.
async fn strict_server(clock: &TestClock) -> HttpServer {
    let clock = clock.clone();
    HttpServer::start(move |seen: Seen| {
        let now = clock.system_time() + Duration::from_secs(600);
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = claims(&seen.field("client_assertion").unwrap());
        let (iat, exp) = (
            claims["iat"].as_u64().unwrap(),
            claims["exp"].as_u64().unwrap(),
        );
        let is_good = (since_epoch - 5..=since_epoch).contains(&iat) && exp == iat + 60;
        let reply = if is_good {
            Reply::new(200)
                .json(&json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 600 }))
        } else {
            Reply::new(401)
                .header("date", httpdate::fmt_http_date(now))
                .json(&json!({ "error": "invalid_client" }))
        };
        std::future::ready(Some(reply))
    })
    .await
}

#[tokio::test]
async fn an_assertion_is_dated_by_the_clock_of_the_server_that_refuses_it() {
    // H1
    let clock = TestClock::new();
    let server = strict_server(&clock).await;
    let source = |client: ClientAuthentication| {
        let endpoint = TokenEndpoint::builder(client)
            .token_url(format!("{}/token", server.url()))
            .clock(&clock);
        let grant = ClientCredentials::new(endpoint.build().unwrap());
        told(TokenSource::builder(grant).clock(&clock).jitter(0.0))
    };
    let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let by_key = ClientAuthentication::private_key_jwt("client", key.clone());
    let secret = "a secret of thirty-two bytes, or of more";
    let by_secret = ClientAuthentication::client_secret_jwt("client", secret);
    for client in [by_key, by_secret] {
        let (source, told) = source(client);
        let token = source.token().await.unwrap();
        let end = clock.system_time() + Duration::from_secs(600);
        assert_eq!(token.expires_at(), Some(end));
        assert_eq!(
            *told.lock().unwrap(),
            [(server.url().to_owned(), 600, true)]
        );
    }
    // What was signed elsewhere would be the same once more.
    let stale = json!({ "iat": 1, "exp": 61 }).to_string();
    let stale = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(stale));
    let stale = SecretSource::from(Secret::new(stale));
    let (source, told) = source(ClientAuthentication::client_assertion("client", stale));
    let error = source.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(*told.lock().unwrap(), []);
}
