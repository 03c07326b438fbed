//! What an assertion says, to whom, and how often one is made.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, Secret, SigningAlgorithm, SigningKey, TestClock,
    TokenEndpoint, TokenEndpointBuilder, TokenKind, TokenRequest, TokenSource,
};
use serde_json::{Value, json};

use crate::support::authorization_server::{Answer, AuthorizationServer};
use crate::support::http_server::{HttpServer, Reply, Seen};
use crate::{claims, header, pem, verifies};

/// A server with one document; it gives a token to whoever asks, and revokes whatever it is told.
struct Server {
    http: HttpServer,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// With its own URL as the issuer in its document.
    async fn start() -> Self {
        Self::naming(ToOwned::to_owned).await
    }

    /// With the issuer that this makes of its own URL.
    async fn naming(issuer: fn(&str) -> String) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let noted = seen.clone();
        let http = HttpServer::start(move |request| {
            let host = request.headers["host"].to_str().unwrap();
            let own = format!("http://{host}");
            let reply = match request.path.as_str() {
                "/.well-known/openid-configuration" => Reply::new(200).json(&json!({
                    "issuer": issuer(&own),
                    "token_endpoint": format!("{own}/token"),
                    "revocation_endpoint": format!("{own}/revoke"),
                })),
                "/revoke" => Reply::new(200),
                _ => Reply::new(200).json(&json!({
                    "access_token": "t", "token_type": "Bearer", "expires_in": 60,
                })),
            };
            if request.path != "/.well-known/openid-configuration" {
                noted.lock().unwrap().push(request);
            }
            std::future::ready(Some(reply))
        })
        .await;
        Self { http, seen }
    }

    fn url(&self, place: &str) -> String {
        format!("{}{place}", self.http.url())
    }

    fn assertions(&self) -> Vec<String> {
        assertions(&self.seen.lock().unwrap())
    }

    /// Whom the assertion of a token request is for.
    async fn audience(&self, endpoint: &TokenEndpoint) -> String {
        let request = TokenRequest::new("client_credentials");
        endpoint.request_token(request).await.unwrap();
        let assertion = self.assertions().pop().unwrap();
        claims(&assertion)["aud"].as_str().unwrap().to_owned()
    }
}

fn assertions(seen: &[Seen]) -> Vec<String> {
    let assertions = seen.iter().map(|seen| seen.field("client_assertion"));
    assertions.map(|assertion| assertion.unwrap()).collect()
}

fn key() -> SigningKey {
    SigningKey::from_pem(pem!("p256_pkcs8")).unwrap()
}

fn client() -> ClientAuthentication {
    ClientAuthentication::private_key_jwt("me", key())
}

fn builder(client: ClientAuthentication) -> TokenEndpointBuilder {
    TokenEndpoint::builder(client)
}

fn since_epoch(time: SystemTime) -> u64 {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH);
    since_epoch.unwrap().as_secs()
}

#[tokio::test]
async fn an_assertion_says_who_it_is_of_and_for_how_long_it_is_good() {
    // H1
    let server = Server::start().await;
    let clock = TestClock::new();
    let endpoint = builder(ClientAuthentication::private_key_jwt(
        "a client/ü",
        key().with_key_id("7"),
    ));
    let endpoint = endpoint.token_url(server.url("/token")).clock(&clock);
    let endpoint = endpoint.build().unwrap();
    clock.advance(Duration::from_secs(1000));
    let audience = server.audience(&endpoint).await;
    assert_eq!(audience, server.url("/token"));
    let assertion = server.assertions().pop().unwrap();
    assert!(verifies(&assertion, &key()));
    let expected = json!({"alg": "ES256", "kid": "7", "typ": "client-authentication+jwt"});
    assert_eq!(header(&assertion), expected);
    let said = claims(&assertion);
    let (now, jti) = (since_epoch(clock.system_time()), &said["jti"]);
    let expected = json!({
        "iss": "a client/ü", "sub": "a client/ü", "aud": server.url("/token"),
        "iat": now, "exp": now + 60, "jti": jti,
    });
    assert_eq!(said, expected);
    let jti = URL_SAFE_NO_PAD.decode(jti.as_str().unwrap()).unwrap();
    assert_eq!(jti.len(), 16);
    let seen = server.seen.lock().unwrap();
    let field = |name: &str| seen[0].field(name).unwrap();
    assert_eq!(field("client_id"), "a client/ü");
    assert_eq!(
        field("client_assertion_type"),
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    assert!(seen[0].headers.get("authorization").is_none());
    assert!(seen[0].field("client_secret").is_none());
}

#[tokio::test]
async fn it_is_for_the_issuer_that_the_settings_name_and_the_document_confirms() {
    // H1
    let server = Server::start().await;
    let (issuer, token_url) = (server.url(""), server.url("/token"));
    let build = |builder: TokenEndpointBuilder| builder.build().unwrap();
    for (endpoint, audience) in [
        (build(builder(client()).issuer(&issuer)), &issuer),
        // The document is not needed for tokens then, and nobody has fetched it.
        (
            build(
                builder(client())
                    .issuer("https://a.test")
                    .token_url(&token_url),
            ),
            &"https://a.test".to_owned(),
        ),
        (build(builder(client()).token_url(&token_url)), &token_url),
        // By one slash it is another text, and servers compare texts.
        (
            build(builder(client()).issuer(format!("{issuer}/"))),
            &token_url,
        ),
        // One word changes it.
        (
            build(builder(client().endpoint_as_audience()).issuer(&issuer)),
            &token_url,
        ),
        (
            build(builder(client().assertion_audience("https://b.test")).issuer(&issuer)),
            &"https://b.test".to_owned(),
        ),
    ] {
        assert_eq!(server.audience(&endpoint).await, *audience);
    }
}

#[tokio::test]
async fn it_is_never_for_an_issuer_that_a_document_alone_names() {
    // H1
    const PLACE: &str = "/.well-known/openid-configuration";
    let issuers: [fn(&str) -> String; 2] = [
        |_| "https://bank.example.com".to_owned(),
        // Not even the place of the document, which the settings do name.
        |own| format!("{own}{PLACE}"),
    ];
    for issuer in issuers {
        let server = Server::naming(issuer).await;
        for settings in [
            builder(client()).issuer(server.url("")).unchecked_issuer(),
            builder(client())
                .discovery_url(server.url(PLACE))
                .unchecked_issuer(),
        ] {
            let endpoint = settings.build().unwrap();
            assert_eq!(server.audience(&endpoint).await, server.url("/token"));
        }
    }
}

#[tokio::test]
async fn a_revocation_has_an_assertion_of_its_own_for_the_same_audience() {
    // H1
    let server = Server::start().await;
    let issuer = server.url("");
    let named = builder(client()).issuer(&issuer).build().unwrap();
    let unnamed = builder(client())
        .token_url(server.url("/token"))
        .revocation_url(server.url("/revoke"))
        .build()
        .unwrap();
    for (endpoint, audience) in [(named, &issuer), (unnamed, &server.url("/revoke"))] {
        endpoint.revoke("t", TokenKind::AccessToken).await.unwrap();
        let assertion = server.assertions().pop().unwrap();
        assert!(verifies(&assertion, &key()));
        assert_eq!(claims(&assertion)["aud"], **audience);
    }
}

#[tokio::test]
async fn each_attempt_of_a_flight_has_an_assertion_of_its_own() {
    // H1, E4
    let server = AuthorizationServer::start().await;
    for _ in 0..2 {
        server.then(Answer::Reply(Reply::new(503)));
    }
    let endpoint = TokenEndpoint::new(server.token_url(), client()).unwrap();
    let source = TokenSource::from(ClientCredentials::new(endpoint));
    source.token().await.unwrap();
    let assertions = assertions(&server.requests());
    assert_eq!(assertions.len(), 3);
    assert!(
        assertions
            .iter()
            .all(|assertion| verifies(assertion, &key()))
    );
    let ids: BTreeSet<_> = assertions
        .iter()
        .map(|assertion| claims(assertion)["jti"].to_string())
        .collect();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn a_function_that_signs_is_told_for_whom_of_whom_and_which_attempt_it_is() {
    // H1, E4
    let server = AuthorizationServer::start().await;
    server.then(Answer::Reply(Reply::new(503)));
    let (clock, heard) = (TestClock::new(), Arc::<Mutex<Vec<Value>>>::default());
    let hearing = heard.clone();
    let client = ClientAuthentication::client_assertion_from_fn("me", move |context| {
        let attempt = context.attempt();
        hearing.lock().unwrap().push(json!([
            context.audience(),
            context.client_id(),
            attempt,
            since_epoch(context.issued_at()),
        ]));
        async move { Ok::<_, Infallible>(Secret::new(format!("jwt{attempt}"))) }
    });
    let endpoint = builder(client).token_url(server.token_url()).clock(&clock);
    let endpoint = endpoint.build().unwrap();
    let source = TokenSource::from(ClientCredentials::new(endpoint));
    source.token().await.unwrap();
    assert_eq!(assertions(&server.requests()), ["jwt1", "jwt2"]);
    let (url, now) = (server.token_url(), since_epoch(clock.system_time()));
    let expected = [1, 2].map(|attempt| json!([url, "me", attempt, now]));
    assert_eq!(*heard.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_secret_signs_by_hs256() {
    // H1
    let server = Server::start().await;
    let secret = "a secret of thirty-two bytes, ü.";
    assert!(secret.len() >= 32);
    let client = ClientAuthentication::client_secret_jwt("me", secret).plain_assertion_type();
    let endpoint = builder(client).issuer(server.url("")).build().unwrap();
    assert_eq!(server.audience(&endpoint).await, server.url(""));
    let assertion = server.assertions().pop().unwrap();
    assert_eq!(header(&assertion), json!({"alg": "HS256", "typ": "JWT"}));
    assert_eq!(claims(&assertion)["sub"], "me");
    let (text, signature) = assertion.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    assert!(hmac::verify(&key, text.as_bytes(), &signature).is_ok());
}

#[tokio::test]
async fn a_certificate_is_named_by_its_digest_and_sent_along_where_so_set() {
    // H1
    let server = Server::start().await;
    let both = concat!(pem!("rsa_pkcs8"), pem!("certificate"));
    let key = SigningKey::from_pem(both).unwrap();
    let key = key.with_algorithm(SigningAlgorithm::Ps256).unwrap();
    let client = || ClientAuthentication::private_key_jwt("me", key.clone());
    // As OpenSSL has them.
    let digest = "jsGL8fZriUlxQjd5-bdRr3R3-NqvftUONMbsJn3bKLU";
    let sha1 = "79wdd8HNm2xE5ARNBOg55ThdMPo";
    let base64: String = pem!("certificate")
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let typ = "client-authentication+jwt";
    for (client, expected) in [
        (
            client(),
            json!({"alg": "PS256", "typ": typ, "x5t#S256": digest}),
        ),
        (
            client().sha1_certificate_thumbprint().certificate_chain(),
            json!({"alg": "PS256", "typ": typ, "x5t#S256": digest, "x5t": sha1, "x5c": [base64]}),
        ),
        (
            client().plain_assertion_type(),
            json!({"alg": "PS256", "typ": "JWT", "x5t#S256": digest}),
        ),
    ] {
        let endpoint = builder(client).token_url(server.url("/token"));
        server.audience(&endpoint.build().unwrap()).await;
        let assertion = server.assertions().pop().unwrap();
        assert_eq!(header(&assertion), expected);
        assert!(verifies(&assertion, &key));
    }
}
