//! The rules of the fake server, at their edges, as any client sees them.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use std::time::Duration;

use reqwest::{Client, StatusCode};
use reqwest_bearer::TestClock;
use reqwest_bearer_testing::FakeAuthorizationServer;
use serde_json::Value;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

struct World {
    clock: TestClock,
    server: FakeAuthorizationServer,
    http: Client,
}

impl World {
    fn new() -> Self {
        let clock = TestClock::new();
        let server = FakeAuthorizationServer::start_with_clock(&clock).unwrap();
        let http = Client::new();
        Self {
            clock,
            server,
            http,
        }
    }

    /// A token request of the client that every server knows.
    async fn ask(&self, fields: &[(&str, &str)]) -> (StatusCode, Value) {
        self.ask_as(
            "client",
            Some(FakeAuthorizationServer::CLIENT_SECRET),
            fields,
        )
        .await
    }

    async fn ask_as(
        &self,
        client: &str,
        secret: Option<&str>,
        fields: &[(&str, &str)],
    ) -> (StatusCode, Value) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let request = self.http.post(self.server.token_url());
        let request = match secret {
            Some(secret) => request.basic_auth(client, Some(secret)),
            None => {
                form.append_pair("client_id", client);
                request
            }
        };
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form.finish()).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn refresh(&self, refresh_token: &str) -> (StatusCode, Value) {
        self.ask(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ])
        .await
    }

    async fn token(&self) -> String {
        let (status, body) = self.ask(&[("grant_type", "client_credentials")]).await;
        assert_eq!(status, 200, "{body}");
        text(&body, "access_token")
    }
}

fn text(body: &Value, member: &str) -> String {
    body[member].as_str().unwrap().to_owned()
}

fn is_refusal(answer: &(StatusCode, Value), status: u16, code: &str) {
    assert_eq!(
        (answer.0.as_u16(), &answer.1["error"]),
        (status, &code.into())
    );
}

#[tokio::test]
async fn a_token_is_valid_until_its_time_is_up_and_not_a_moment_longer() {
    // J2
    let world = World::new();
    world.server.set_token_lifetime(SECOND);
    let token = world.token().await;
    world.clock.advance(SECOND - MILLISECOND);
    assert!(world.server.is_valid(&token));
    world.clock.advance(MILLISECOND);
    assert!(!world.server.is_valid(&token));
    assert!(!world.server.is_valid("another"));
}

#[tokio::test]
async fn a_lifetime_is_told_as_it_is() {
    // J2
    let world = World::new();
    for (lifetime, told) in [(600_000, "600"), (1_500, "1.5"), (0, "0")] {
        world
            .server
            .set_token_lifetime(Duration::from_millis(lifetime));
        let (_, body) = world.ask(&[("grant_type", "client_credentials")]).await;
        assert_eq!(body["expires_in"].to_string(), told);
    }
}

#[tokio::test]
async fn a_member_can_be_changed_and_taken_away() {
    // J2
    let world = World::new();
    world.server.set_member("expires_in", Value::Null);
    world
        .server
        .set_member("instance_url", "https://eu.example.com");
    let (_, body) = world.ask(&[("grant_type", "client_credentials")]).await;
    assert!(body.get("expires_in").is_none());
    assert_eq!(body["instance_url"], "https://eu.example.com");
}

#[tokio::test]
async fn no_server_takes_the_token_of_another_one() {
    // J2
    let (one, other) = (World::new(), World::new());
    let (token, _) = (one.token().await, other.token().await);
    assert!(one.server.is_valid(&token) && !other.server.is_valid(&token));
}

#[tokio::test]
async fn a_client_proves_itself_by_its_secret_in_the_header_or_in_the_body() {
    // J2
    let world = World::new();
    let grant = ("grant_type", "client_credentials");
    // Most of these mean something else in a URL, in a form or in Basic credentials.
    let (id, secret) = ("a:b/+%&=", "p:a+s s%2F&=w?/rd");
    world.server.add_client(id, secret);
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let (sent_id, sent_secret) = (encoded(id), encoded(secret));
    let in_header = world.ask_as(&sent_id, Some(&sent_secret), &[grant]).await;
    assert_eq!(in_header.0, 200);
    let in_body = world
        .ask_as(id, None, &[grant, ("client_secret", secret)])
        .await;
    assert_eq!(in_body.0, 200);
    let seen = world.server.token_requests();
    assert!(
        seen.iter()
            .all(|seen| seen.client_id().as_deref() == Some(id))
    );
    is_refusal(
        &world.ask_as("client", Some("wrong"), &[grant]).await,
        401,
        "invalid_client",
    );
    is_refusal(
        &world.ask_as("nobody", Some("s3cr3t"), &[grant]).await,
        401,
        "invalid_client",
    );
    is_refusal(
        &world.ask_as("client", None, &[grant]).await,
        401,
        "invalid_client",
    );
    world.server.add_public_client("app");
    is_refusal(
        &world.ask_as("app", None, &[grant]).await,
        400,
        "unauthorized_client",
    );
    is_refusal(
        &world.ask_as("app", Some(""), &[grant]).await,
        401,
        "invalid_client",
    );
}

#[tokio::test]
async fn a_request_without_a_grant_or_with_an_unknown_one_is_refused() {
    // J2
    let world = World::new();
    is_refusal(&world.ask(&[]).await, 400, "invalid_request");
    is_refusal(
        &world.ask(&[("grant_type", "password")]).await,
        400,
        "unsupported_grant_type",
    );
    let without = world.ask(&[("grant_type", "refresh_token")]).await;
    is_refusal(&without, 400, "invalid_request");
}

#[tokio::test]
async fn a_spent_refresh_token_ends_all_that_was_granted_with_it() {
    // J2: rotation with reuse detection.
    let world = World::new();
    let set = world.server.sign_in("alice");
    let first = set.refresh_token().unwrap().expose();
    let (_, second) = world.refresh(first).await;
    let access = text(&second, "access_token");
    assert!(world.server.is_valid(&access));
    assert_eq!(world.server.user_of(&access).as_deref(), Some("alice"));
    is_refusal(&world.refresh(first).await, 400, "invalid_grant");
    assert!(!world.server.is_valid(&access));
    let newest = text(&second, "refresh_token");
    is_refusal(&world.refresh(&newest).await, 400, "invalid_grant");
    // Whoever signs in again has nothing to do with it.
    let again = world.server.sign_in("alice");
    assert_eq!(
        world
            .refresh(again.refresh_token().unwrap().expose())
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn a_refresh_token_that_does_not_rotate_is_good_until_it_is_revoked() {
    // J2
    let world = World::new();
    world.server.rotate_refresh_tokens(false);
    let set = world.server.sign_in("alice");
    let token = set.refresh_token().unwrap().expose();
    for _ in 0..3 {
        let (status, body) = world.refresh(token).await;
        assert_eq!(status, 200);
        assert!(body.get("refresh_token").is_none());
    }
    assert!(world.server.revoke(token));
    is_refusal(&world.refresh(token).await, 400, "invalid_grant");
    assert!(!world.server.is_valid(set.access_token().unwrap().expose()));
}

#[tokio::test]
async fn a_refresh_token_is_its_own_client_s_alone() {
    // J2: what another client sends spends and ends nothing.
    let world = World::new();
    world.server.add_client("another", "s");
    let set = world.server.sign_in("alice");
    let token = set.refresh_token().unwrap().expose();
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    is_refusal(
        &world.ask_as("another", Some("s"), &fields).await,
        400,
        "invalid_grant",
    );
    assert_eq!(world.refresh(token).await.0, 200);
}

#[tokio::test]
async fn a_revoked_access_token_takes_nothing_with_it() {
    // J2
    let world = World::new();
    let set = world.server.sign_in("alice");
    let access = set.access_token().unwrap().expose();
    assert!(world.server.revoke(access));
    assert!(!world.server.is_valid(access));
    assert_eq!(
        world.refresh(set.refresh_token().unwrap().expose()).await.0,
        200
    );
    assert!(!world.server.revoke("another"));
}

#[tokio::test]
async fn the_end_of_a_user_and_a_change_of_keys_end_what_they_should() {
    // J2
    let world = World::new();
    let (alice, bob) = (world.server.sign_in("alice"), world.server.sign_in("bob"));
    let is_valid = |set: &reqwest_bearer::TokenSet| {
        world.server.is_valid(set.access_token().unwrap().expose())
    };
    world.server.end_user("alice");
    assert!(!is_valid(&alice) && is_valid(&bob));
    let refreshed = world.refresh(alice.refresh_token().unwrap().expose()).await;
    is_refusal(&refreshed, 400, "invalid_grant");
    world.server.revoke_access_tokens();
    assert!(!is_valid(&bob));
    assert_eq!(
        world.refresh(bob.refresh_token().unwrap().expose()).await.0,
        200
    );
}

#[tokio::test]
async fn a_code_is_good_once_and_for_its_own_verifier_redirect_and_client() {
    // J2: RFC 6749 section 4.1.3, RFC 7636.
    let world = World::new();
    world.server.add_public_client("app");
    // Appendix B of RFC 7636.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let authorize = |more: &str| {
        let url = format!(
            "{}/authorize?response_type=code&client_id=app&state=s1\
             &redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb{more}",
            world.server.issuer()
        );
        world.server.approve(&url, "alice").unwrap()
    };
    let pkce = format!("&code_challenge={challenge}&code_challenge_method=S256");
    let code = |redirect: &str| {
        let url = reqwest::Url::parse(redirect).unwrap();
        let found: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(found["state"], "s1");
        assert_eq!(found["iss"], world.server.issuer());
        found["code"].clone()
    };
    let ask = async |client: &str, code: &str, redirect: &str, verifier: &str| {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ];
        world.ask_as(client, None, &fields).await
    };
    let redirect = "https://app.example.com/cb";
    world.server.add_public_client("thief");
    let good = code(&authorize(&pkce));
    for (client, redirect, verifier) in [
        ("thief", redirect, verifier),
        ("app", "https://app.example.com/", verifier),
        ("app", redirect, challenge),
    ] {
        is_refusal(
            &ask(client, &good, redirect, verifier).await,
            400,
            "invalid_grant",
        );
    }
    let (status, tokens) = ask("app", &good, redirect, verifier).await;
    assert_eq!(status, 200, "{tokens}");
    let access = text(&tokens, "access_token");
    assert!(world.server.is_valid(&access));
    assert_eq!(world.server.user_of(&access).as_deref(), Some("alice"));
    is_refusal(
        &ask("app", &good, redirect, verifier).await,
        400,
        "invalid_grant",
    );
    assert!(
        !world.server.is_valid(&access),
        "what the code had brought is revoked"
    );
    // A public client without PKCE, and PKCE without a hash.
    for more in [
        "",
        "&code_challenge=x",
        "&code_challenge=x&code_challenge_method=plain",
    ] {
        assert!(authorize(more).contains("error=invalid_request"), "{more}");
    }
    assert!(world.server.approve("no question mark", "alice").is_err());
    let nobody = "x?response_type=code&client_id=nobody&redirect_uri=https%3A%2F%2Fx";
    assert!(world.server.approve(nobody, "alice").is_err());
}

#[tokio::test]
async fn a_refresh_asks_for_what_was_granted_or_less() {
    // J2: RFC 6749 section 6.
    let world = World::new();
    let url = "x?response_type=code&client_id=client&redirect_uri=https%3A%2F%2Fx&scope=a%20b";
    let redirect = world.server.approve(url, "alice").unwrap();
    let redirect = reqwest::Url::parse(&redirect).unwrap();
    let code = redirect.query_pairs().next().unwrap().1.into_owned();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", "https://x"),
    ];
    let (_, tokens) = world.ask(&fields).await;
    assert_eq!(tokens["scope"], "a b");
    let ask = async |token: &str, scope: &str| {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("scope", scope),
        ];
        world.ask(&fields).await
    };
    let refresh_token = text(&tokens, "refresh_token");
    is_refusal(&ask(&refresh_token, "a c").await, 400, "invalid_scope");
    let (_, narrowed) = ask(&refresh_token, "b").await;
    assert_eq!(narrowed["scope"], "b");
    let (_, whole) = world.refresh(&text(&narrowed, "refresh_token")).await;
    assert_eq!(whole["scope"], "a b");
}

#[tokio::test]
async fn a_token_is_exchanged_while_it_is_valid() {
    // J2: RFC 8693.
    let world = World::new();
    let set = world.server.sign_in("alice");
    let exchange = async |token: &str| {
        let fields = [
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            ("subject_token", token),
            (
                "subject_token_type",
                "urn:ietf:params:oauth:token-type:access_token",
            ),
        ];
        world.ask(&fields).await
    };
    let subject_token = set.access_token().unwrap().expose();
    let (status, body) = exchange(subject_token).await;
    assert_eq!(status, 200);
    assert!(body["issued_token_type"].is_string());
    let exchanged = text(&body, "access_token");
    assert_eq!(world.server.user_of(&exchanged).as_deref(), Some("alice"));
    assert!(world.server.revoke(subject_token));
    is_refusal(&exchange(subject_token).await, 400, "invalid_request");
}

#[tokio::test]
async fn a_request_that_is_no_request_is_answered_and_ends_nothing() {
    // J2: no task of the server panics, whatever comes.
    let world = World::new();
    let issuer = world.server.issuer();
    for (method, path, header, body) in [
        ("GET", "/token", "", &b""[..]),
        ("GET", "/authorize?%zz=%ff&client_id", "", b""),
        ("POST", "/token", "Basic !!!", b"\xff\xfe%"),
        ("POST", "/token", "Basic AAAA", b"grant_type"),
        ("POST", "/token", "Basic", b"&&&===&"),
        ("POST", "/revoke", "Bearer", b"token=%"),
        ("POST", "/device_authorization", "", b"client_id=%ff"),
        ("DELETE", "/nowhere", "", b""),
    ] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = world.http.request(method, format!("{issuer}{path}"));
        let request = request.header("authorization", header).body(body.to_vec());
        let status = request.send().await.unwrap().status().as_u16();
        assert!((400..500).contains(&status), "{path} {header}: {status}");
    }
    world.token().await;
}

#[tokio::test]
async fn what_was_seen_shows_who_asked_for_what_and_no_secret() {
    // D6, J2
    let world = World::new();
    let set = world.server.sign_in("alice");
    let refresh_token = set.refresh_token().unwrap().expose();
    world.refresh(refresh_token).await;
    let scoped = [("grant_type", "client_credentials"), ("scope", "a b")];
    world.ask(&scoped).await;
    let seen = world.server.token_requests();
    assert_eq!(seen[0].grant_type().as_deref(), Some("refresh_token"));
    assert_eq!(
        seen[0].field("refresh_token").as_deref(),
        Some(refresh_token)
    );
    assert_eq!(seen[1].scope().as_deref(), Some("a b"));
    let shown = format!("{seen:?}");
    assert!(
        shown.contains("client_credentials") && shown.contains("a b"),
        "{shown}"
    );
    assert!(
        !shown.contains(refresh_token) && !shown.contains("Basic"),
        "{shown}"
    );
}
