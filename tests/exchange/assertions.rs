//! Assertions for tokens: signed by this program, read from elsewhere, or as the tokens themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest_bearer::{
    Error, ErrorKind, GoogleServiceAccount, JwtBearer, MemoryStore, NamedClient, Secret,
    SecretSource, SelfSignedToken, SignedAssertion, SigningAlgorithm, SigningKey, TestClock,
    TokenSource,
};
use serde_json::{Value, json};

use crate::server::{Exchange, JWT_BEARER, api, assert_kind, ending, refusal};
use crate::support::api::{Api, refusal as refused_by_api};
use crate::support::authorization_server::AuthorizationServer;

const PEM: &str = include_str!("../signing/keys/rsa_pkcs8.pem");
const EMAIL: &str = "worker@project.iam.gserviceaccount.com";

/// Header and claims.
fn parts(jwt: &str) -> (Value, Value) {
    let mut parts = jwt.split('.').map(|part| {
        let part = URL_SAFE_NO_PAD.decode(part).unwrap();
        serde_json::from_slice(&part).unwrap_or_default()
    });
    let header = parts.next().unwrap();
    let claims = parts.next().unwrap();
    assert_eq!(parts.count(), 1, "a signature");
    (header, claims)
}

fn since_epoch(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn google(server: &Exchange) -> GoogleServiceAccount {
    let json = json!({
        "type": "service_account",
        "client_email": EMAIL,
        "private_key_id": "kid-1",
        "private_key": PEM,
        "token_uri": server.token_url(),
    });
    GoogleServiceAccount::from_json(&json.to_string()).unwrap()
}

#[tokio::test]
async fn each_attempt_takes_an_assertion_of_its_own_to_the_server() {
    // I2
    let clock = TestClock::new();
    let (server, api) = (Exchange::start().await, api().await);
    let key = SigningKey::generate(SigningAlgorithm::Es256)
        .unwrap()
        .with_key_id("one");
    let assertion = SignedAssertion::new(key, "https://as.example.com")
        .issuer("service")
        .subject("alice")
        .claim("purpose", "test")
        .lifetime(Duration::from_secs(60));
    let grant = JwtBearer::signed(server.endpoint_by(&clock), assertion).scope("read");
    let source = TokenSource::builder(grant).clock(&clock).build().unwrap();
    let client = NamedClient::new("api", api.url(), &source).unwrap();
    client.get("x").send().await.unwrap();
    api.then(refused_by_api());
    client.get("x").send().await.unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    let mut ids = Vec::new();
    for seen in &requests {
        assert_eq!(seen.field("grant_type").as_deref(), Some(JWT_BEARER));
        assert_eq!(seen.field("scope").as_deref(), Some("read"));
        assert_eq!(seen.field("requested_token_use"), None);
        let (header, mut claims) = parts(&seen.field("assertion").unwrap());
        assert_eq!(
            header,
            json!({ "alg": "ES256", "kid": "one", "typ": "JWT" })
        );
        ids.push(claims["jti"].take());
        let now = since_epoch(clock.system_time());
        let expected = json!({
            "aud": "https://as.example.com", "iss": "service", "sub": "alice", "purpose": "test",
            "iat": now, "exp": now + 60, "jti": null,
        });
        assert_eq!(claims, expected);
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn an_assertion_from_a_file_a_function_or_another_source_is_read_for_each_token() {
    // I2
    let (server, issuer) = (Exchange::start().await, AuthorizationServer::start().await);
    let path =
        std::env::temp_dir().join(format!("reqwest-bearer-assertion-{}", std::process::id()));
    std::fs::write(&path, "from-file-1\n").unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let function = SecretSource::from_fn(move || {
        let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
        async move { Ok::<_, Error>(Secret::new(format!("from-function-{call}"))) }
    });
    let inner = TokenSource::from(issuer.client_credentials());
    let of =
        |assertion: SecretSource| TokenSource::from(JwtBearer::new(server.endpoint(), assertion));
    let sources = [
        of(SecretSource::file(&path)),
        of(function),
        of(SecretSource::from(&inner)),
    ];
    for source in &sources {
        source.invalidate(&source.token().await.unwrap());
    }
    std::fs::write(&path, "from-file-2\n").unwrap();
    inner.invalidate(&inner.token().await.unwrap());
    for source in &sources {
        source.token().await.unwrap();
    }
    std::fs::remove_file(&path).unwrap();
    let requests = server.requests();
    let sent: Vec<_> = requests
        .iter()
        .map(|seen| seen.field("assertion").unwrap())
        .collect();
    assert_eq!(
        sent,
        [
            "from-file-1",
            "from-function-1",
            "access-1",
            "from-file-2",
            "from-function-2",
            "access-2"
        ]
    );
}

#[tokio::test]
async fn a_refused_assertion_has_wrong_settings_and_no_user_to_ask_and_is_in_no_store() {
    // I2, E8
    let server = Exchange::start().await;
    server.then(refusal("invalid_grant"));
    let grant = JwtBearer::new(server.endpoint(), "assertion");
    let error = TokenSource::from(grant.clone()).token().await.unwrap_err();
    assert_kind(&error, ErrorKind::Rejected);
    let signed = google(&server).self_signed("https://api.example.com");
    for builder in [TokenSource::builder(grant), TokenSource::builder(signed)] {
        let error = builder.store(MemoryStore::new()).build().unwrap_err();
        assert_kind(&error, ErrorKind::Settings);
    }
}

#[tokio::test]
async fn the_key_file_of_a_google_service_account_is_all_that_it_needs() {
    // I2
    let (server, api) = (Exchange::start().await, api().await);
    let account = google(&server);
    assert!(!format!("{account:?}").contains("PRIVATE"));
    let storage = account.scope("storage").unwrap();
    let client = NamedClient::new("storage", api.url(), storage).unwrap();
    client.get("x").send().await.unwrap();
    let seen = &server.requests()[0];
    let (header, claims) = parts(&seen.field("assertion").unwrap());
    assert_eq!(
        header,
        json!({ "alg": "RS256", "kid": "kid-1", "typ": "JWT" })
    );
    assert_eq!(claims["iss"], EMAIL);
    assert_eq!(claims["aud"], server.token_url());
    assert_eq!(claims["scope"], "storage");
    assert_eq!(claims.get("sub"), None);
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(life, 3_600);
    for bad in [
        "",
        "{}",
        "canary",
        r#"{"client_email":"canary","private_key":"canary"}"#,
    ] {
        let error = GoogleServiceAccount::from_json(bad).unwrap_err();
        assert_kind(&error, ErrorKind::Settings);
        assert!(!format!("{error:?} {error}").contains("canary"));
    }
}

#[tokio::test]
async fn an_id_token_for_an_audience_is_the_token_and_its_end_is_the_end() {
    // I2
    let clock = TestClock::new();
    let server = Exchange::start().await;
    let id_token = ending("worker", &clock, 500);
    server.differ(json!({
        "access_token": null, "token_type": null, "expires_in": null, "issued_token_type": null,
        "id_token": id_token,
    }));
    let source = google(&server).id_token("https://run.example.com").unwrap();
    let token = TokenSource::from(source).token().await.unwrap();
    assert_eq!(token.expose(), id_token);
    assert!(token.expires_at().is_some());
    let (_, claims) = parts(&server.requests()[0].field("assertion").unwrap());
    assert_eq!(claims["target_audience"], "https://run.example.com");
    assert_eq!(claims.get("scope"), None);
}

#[tokio::test]
async fn a_token_that_the_program_signs_itself_needs_no_server_and_is_signed_anew_before_it_ends() {
    // I2
    let clock = TestClock::new();
    let (server, api) = (Exchange::start().await, Api::that_takes(|_| true).await);
    let token = google(&server).self_signed("https://pubsub.googleapis.com/");
    let source = TokenSource::builder(token)
        .clock(&clock)
        .jitter(0.0)
        .build()
        .unwrap();
    let client = NamedClient::new("pubsub", api.url(), &source).unwrap();
    client.get("x").send().await.unwrap();
    client.get("x").send().await.unwrap();
    clock.advance(Duration::from_secs(3_600));
    client.get("x").send().await.unwrap();
    let sent = api.tokens();
    assert!(sent[0] == sent[1] && sent[1] != sent[2]);
    let (header, claims) = parts(&sent[2]);
    assert_eq!(header["kid"], "kid-1");
    assert_eq!(
        (&claims["iss"], &claims["sub"]),
        (&json!(EMAIL), &json!(EMAIL))
    );
    assert_eq!(claims["aud"], "https://pubsub.googleapis.com/");
    assert_eq!(claims["iat"], since_epoch(clock.system_time()));
    assert_eq!(server.count(), 0);
    let printed = format!("{:?}", SelfSignedToken::new(google(&server).assertion()));
    assert!(
        !printed.contains("PRIVATE") && !printed.contains(EMAIL),
        "{printed}"
    );
}
