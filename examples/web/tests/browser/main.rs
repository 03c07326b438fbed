//! The example in a real browser: at a real provider, and at the one that it brings along.
//!
//! Pictures of the pages are left below `target/tmp/web-example`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "what is missing or not as it should be is a failed test"
)]

mod application;
mod chromium;
mod second_api;
mod tab;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use real_parts::{ApiRequest, AuthorizationServer, Issuer, WEB};
use reqwest::header::{COOKIE, LOCATION, ORIGIN};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use serde_json::json;

use crate::application::Application;
use crate::tab::Tab;

/// Soon enough to wait for its end, long enough to look at a page before.
const SHORT_TTL: u32 = 4;
/// Nothing ends by itself any more.
const LONG_TTL: u32 = 600;

/// An empty folder for the pictures of a test.
fn pictures(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("web-example")
        .join(test);
    // None is there at the first run.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the folder can be made");
    folder
}

/// The real provider, the application at its issuer with a path, and a browser.
struct World {
    server: AuthorizationServer,
    application: Application,
    tab: Tab,
}

impl World {
    /// Until a test says otherwise, nothing ends by itself.
    async fn start() -> Self {
        let settings = json!({ "pages": true, "accessTokenTtl": LONG_TTL });
        let server = AuthorizationServer::start_with(settings).await;
        let issuer = &server.tenant_a;
        let secret = tempfile::NamedTempFile::new().expect("a file for the secret");
        fs::write(secret.path(), format!("{}\n", WEB.secret)).expect("it can be written");
        let secret_file = secret.path().to_str().expect("a path in ASCII");
        let application = Application::start(&[
            "--issuer",
            issuer.url(),
            "--client-id",
            WEB.id,
            "--client-secret-file",
            secret_file,
            "--api",
            &issuer.api(),
            "--scope",
            "openid email offline_access",
        ])
        .await;
        let tab = Tab::open(&application.url).await;
        Self {
            server,
            application,
            tab,
        }
    }

    fn issuer(&self) -> &Issuer {
        &self.server.tenant_a
    }

    /// From the application's first page to the provider's, and back.
    async fn sign_in(&mut self, account: &str) {
        self.tab.visit("/").await;
        self.tab.click("Sign in").await;
        assert!(self.tab.url().await.starts_with(self.issuer().url()));
        self.tab.type_into("login", account).await;
        self.tab.type_into("password", "any").await;
        self.tab.click("Sign-in").await;
        self.tab.click("Continue").await;
        self.tab
            .expect(&[&format!("Hello, {account}"), "Your tokens"])
            .await;
    }

    /// Looks at the first page until the access token has ended.
    async fn wait_for_expiry(&mut self) {
        let began = Instant::now();
        while !self
            .tab
            .text()
            .await
            .contains("the next call gets a new one")
        {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "the token does not end"
            );
            self.tab.visit("/").await;
        }
    }

    /// No token, secret or session id stands in a page or in what the application printed (D6).
    async fn expect_no_secret_anywhere(&self, session_ids: &[String]) {
        let mut secrets = self.issuer().issued_tokens().await;
        assert!(secrets.len() >= 3, "a sign-in brings three tokens");
        secrets.push(WEB.secret.to_owned());
        secrets.extend_from_slice(session_ids);
        let output = self.application.output();
        assert!(
            output.contains("token request"),
            "it says what it does: {output}"
        );
        for (number, secret) in secrets.iter().enumerate() {
            assert!(
                !output.contains(secret),
                "secret {number} was printed:\n{output}"
            );
            for page in self.tab.pages() {
                assert!(
                    !page.contains(secret),
                    "secret {number} stands in a page:\n{page}"
                );
            }
        }
    }
}

/// Who asks without a browser.
fn without_browser() -> Client {
    let client = Client::builder().redirect(Policy::none()).build();
    client.expect("a client without TLS needs nothing from the machine")
}

/// The access token that a request to the API brought.
fn token_of(request: &ApiRequest) -> Option<&str> {
    request.authorization.as_deref()?.strip_prefix("Bearer ")
}

#[tokio::test]
async fn a_user_signs_in_calls_heals_a_revoked_token_outlives_another_and_signs_out() {
    // F1, F10
    let mut world = World::start().await;
    let pictures = pictures("real-provider");
    world.tab.visit("/").await;
    world.tab.expect(&["Welcome", "Sign in"]).await;
    world.tab.picture(&pictures, "1-signed-out").await;
    assert!(world.tab.session_cookie().await.is_none());

    // The id before the sign-in is worth nothing after it.
    world.tab.click("Sign in").await;
    let before = world
        .tab
        .session_cookie()
        .await
        .expect("a sign-in has begun");
    world.sign_in("alice").await;
    world.tab.picture(&pictures, "2-signed-in").await;
    let cookie = world
        .tab
        .session_cookie()
        .await
        .expect("somebody is signed in");
    assert_ne!(cookie.value, before.value);
    // 256 bits in base64url, and nothing else.
    assert_eq!(cookie.value.len(), 43);
    assert_eq!(
        (cookie.is_http_only, cookie.same_site.as_str()),
        (true, "Lax")
    );
    assert!(!cookie.is_secure, "this is http");

    world.tab.click("Call the API").await;
    world
        .tab
        .expect(&["200 OK", "\"sub\": \"alice\"", "the provider was not asked"])
        .await;
    world.tab.picture(&pictures, "3-called").await;

    // At this provider our own button would end the whole sign-in, so an administrator takes the
    // one token away. The one that heals the call is a short one.
    let seen = world.issuer().api_requests().await;
    let last = seen
        .last()
        .and_then(token_of)
        .expect("a call went out with a token");
    world.issuer().kill_access_token(last).await;
    world.issuer().set_access_token_ttl(SHORT_TTL).await;
    world.tab.click("Call again").await;
    world
        .tab
        .expect(&["200 OK", "refused the token with 401", "sent once more"])
        .await;
    world.tab.picture(&pictures, "4-healed").await;

    world.wait_for_expiry().await;
    world.tab.picture(&pictures, "5-expired").await;
    world.issuer().set_access_token_ttl(LONG_TTL).await;
    world.tab.click("Call the API").await;
    world
        .tab
        .expect(&["200 OK", "A new token was fetched"])
        .await;

    world.tab.click("Sign out").await;
    world.tab.expect(&["You are signed out", "Welcome"]).await;
    world.tab.picture(&pictures, "6-signed-out").await;
    assert!(world.tab.session_cookie().await.is_none());

    // What the API saw: nothing without a token of Alice's but the one refusal that healed.
    let seen = world.issuer().api_requests().await;
    let statuses: Vec<_> = seen.iter().map(|request| request.status).collect();
    assert_eq!(statuses, [200, 401, 200, 200]);
    let tokens: Vec<_> = seen.iter().filter_map(token_of).collect();
    assert_eq!(tokens.len(), 4, "every request brought a token");
    assert!(seen.iter().all(|request| request.path == "/api/orders/42"));
    for request in seen.iter().filter(|request| request.status == 200) {
        assert_eq!(request.sub.as_deref(), Some("alice"));
    }
    // The revoked one was the one of the call before; the others were all different.
    assert_eq!(tokens[0], tokens[1]);
    assert_ne!(tokens[1], tokens[2]);
    assert_ne!(tokens[2], tokens[3]);
    let issuer = world.issuer();
    assert_eq!(issuer.count_token_requests("authorization_code").await, 1);
    assert_eq!(issuer.count_token_requests("refresh_token").await, 2);

    everything_is_dead_after_the_sign_out(&world, &cookie.value).await;
    let session_ids = [before.value, cookie.value];
    world.expect_no_secret_anywhere(&session_ids).await;
    assert!(world.application.is_running());
    world.tab.close().await;
}

/// F10: the tokens at the provider, and the session here.
async fn everything_is_dead_after_the_sign_out(world: &World, session_id: &str) {
    let http = without_browser();
    let issuer = world.issuer();
    // The newest first: a spent refresh token would kill the others by its coming again.
    for token in issuer.issued_tokens().await.iter().rev() {
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let request = http
            .post(issuer.at("/token"))
            .basic_auth(WEB.id, Some(WEB.secret));
        let answer = request
            .form(&refresh)
            .send()
            .await
            .expect("the server is up");
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let request = http
            .get(format!("{}/orders/42", issuer.api()))
            .bearer_auth(token);
        let answer = request.send().await.expect("the server is up");
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    let request = http
        .get(format!("{}/orders", world.application.url))
        .header(COOKIE, format!("web_session={session_id}"));
    let answer = request.send().await.expect("the application is up");
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()[LOCATION], "/sign-in?next=%2Forders");
}

#[tokio::test]
async fn whatever_goes_wrong_is_a_clear_page_and_loses_nothing() {
    let mut world = World::start().await;
    let pictures = pictures("what-goes-wrong");

    // Cancelled at the provider.
    world.tab.visit("/sign-in").await;
    world.tab.click("[ Cancel ]").await;
    world
        .tab
        .expect(&["Nobody was signed in", "cancelled at the provider"])
        .await;
    world.tab.picture(&pictures, "1-cancelled").await;
    world.tab.click("Try again").await;
    assert!(world.tab.url().await.starts_with(world.issuer().url()));

    world.sign_in("bob").await;
    let cookie = world
        .tab
        .session_cookie()
        .await
        .expect("somebody is signed in");

    // Answers to sign-ins that were never begun here, complete or not.
    for query in [
        "",
        "?code=c",
        "?state=s",
        "?state=s&code=c",
        "?state=s&error=access_denied",
        "?state=a&state=b",
    ] {
        world.tab.visit(&format!("/signed-in{query}")).await;
        world.tab.expect(&["This sign-in was not begun here"]).await;
    }
    world.tab.picture(&pictures, "2-not-begun-here").await;
    world.tab.visit("/no-such-page?notice=<b>").await;
    world.tab.expect(&["There is no such page"]).await;

    // A button that is pressed from elsewhere.
    for origin in ["http://127.0.0.1:1", "null"] {
        let request = without_browser()
            .post(format!("{}/sign-out", world.application.url))
            .header(COOKIE, format!("web_session={}", cookie.value))
            .header(ORIGIN, origin);
        let answer = request.send().await.expect("the application is up");
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{origin}");
    }
    world.tab.visit("/").await;
    world.tab.expect(&["Hello, bob"]).await;

    // The provider ends the whole sign-in, as this one does when an access token is revoked that
    // still lives. The next call leads to the provider, and from there back to where the user wanted
    // to go.
    world.tab.click("Revoke the access token").await;
    world
        .tab
        .expect(&["The provider has revoked the access token"])
        .await;
    world.tab.picture(&pictures, "3-revoked").await;
    world.tab.click("Call the API").await;
    assert!(world.tab.url().await.starts_with(world.issuer().url()));
    assert_ne!(
        world.tab.session_cookie().await.map(|cookie| cookie.value),
        Some(cookie.value.clone())
    );
    // What comes now is to end before long.
    world.issuer().set_access_token_ttl(SHORT_TTL).await;
    world.tab.click("Continue").await;
    world.tab.expect(&["200 OK", "\"sub\": \"bob\""]).await;
    let session_ids = [cookie.value];
    world.expect_no_secret_anywhere(&session_ids).await;

    // The provider goes down.
    world.tab.visit("/").await;
    world.wait_for_expiry().await;
    let World {
        server,
        mut application,
        mut tab,
    } = world;
    drop(server);
    tab.click("Call the API").await;
    tab.expect(&["does not answer", "You are still signed in", "bob"])
        .await;
    tab.picture(&pictures, "4-provider-down").await;
    tab.visit("/").await;
    tab.expect(&["Hello, bob"]).await;
    tab.click("Sign out").await;
    tab.expect(&["You are signed out here", "could not be told"])
        .await;
    tab.picture(&pictures, "5-signed-out-here").await;
    tab.click("Sign in").await;
    tab.expect(&["The provider cannot sign you in"]).await;
    tab.picture(&pictures, "6-no-sign-in").await;
    assert!(application.is_running());
    tab.close().await;
}

#[tokio::test]
async fn with_nothing_installed_it_brings_a_provider_and_an_api_along() {
    let mut application = Application::start(&[]).await;
    let pictures = pictures("own-provider");
    let mut tab = Tab::open(&application.url).await;

    // A page that needs a user leads to the sign-in, and the sign-in back to the page.
    tab.visit("/orders").await;
    tab.expect(&["Sign in", "It takes your word for who you are"])
        .await;
    tab.picture(&pictures, "1-provider").await;
    tab.click("Cancel").await;
    tab.expect(&["cancelled at the provider"]).await;
    tab.visit("/orders").await;
    tab.type_into("name", "Ada <b>Lovelace</b>").await;
    tab.click("Sign in").await;
    tab.expect(&[
        "Ada <b>Lovelace</b>",
        "200 OK",
        "\"customer\": \"ada-b-lovelace-b\"",
    ])
    .await;

    tab.click("Revoke the access token").await;
    tab.picture(&pictures, "2-revoked").await;
    tab.click("Call the API").await;
    tab.expect(&["200 OK", "refused the token with 401"]).await;
    tab.picture(&pictures, "3-healed").await;
    tab.click("Sign out").await;
    tab.expect(&["You are signed out, and the provider has revoked your tokens"])
        .await;
    assert!(application.is_running());
    tab.close().await;
}
