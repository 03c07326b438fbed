//! J2: a token for libraries that send requests by themselves, by one object-safe trait.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use reqwest_bearer::{
    BearerToken, BearerTokenFuture, BearerTokenProvider, ConstantToken, Error, ErrorKind,
    NamedClient, Subject, TestClock, TokenResponse, TokenSource, UserSessions, reqwest,
};
use support::api::{Api, refusal};
use support::issuer::{Issuer, failure};
use support::login::Login;
use support::{landed, soon, under_way};

/// A library as somebody else writes it: it has a client of its own, and no type parameter.
#[derive(Debug)]
struct Library {
    url: String,
    http: reqwest::Client,
    tokens: Arc<dyn BearerTokenProvider>,
}

#[derive(Debug)]
struct LibraryError(Error);

impl std::fmt::Display for LibraryError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("no token for the archive")
    }
}

impl std::error::Error for LibraryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl Library {
    /// Takes what many share, as well as what is its own.
    fn new(url: &str, tokens: impl BearerTokenProvider) -> Self {
        Self {
            url: format!("{url}/archive"),
            http: reqwest::Client::new(),
            tokens: Arc::new(tokens),
        }
    }

    async fn store(&self) -> Result<u16, LibraryError> {
        let token = self.tokens.bearer_token().await.map_err(LibraryError)?;
        let status = self.send(&token).await;
        if status != 401 {
            return Ok(status);
        }
        token.invalidate();
        let next = self.tokens.bearer_token().await.map_err(LibraryError)?;
        Ok(self.send(&next).await)
    }

    async fn send(&self, token: &BearerToken) -> u16 {
        let request = self.http.get(&self.url);
        let request = request.header("authorization", token.authorization().clone());
        soon(request.send()).await.unwrap().status().as_u16()
    }
}

/// A provider that is no source: a fake in five lines.
struct Fake;

impl BearerTokenProvider for Fake {
    fn bearer_token(&self) -> BearerTokenFuture<'_> {
        Box::pin(async { BearerToken::new("a-token") })
    }
}

async fn api() -> Api {
    Api::that_takes(|_| true).await
}

#[tokio::test]
async fn a_library_is_tested_with_a_fake_and_runs_with_a_source() {
    // J2
    let (api, issuer) = (api().await, Issuer::new());
    let source = issuer.source(&TestClock::new());
    let shared: Arc<dyn BearerTokenProvider> = Arc::new(source.clone());
    let constant = TokenSource::from(ConstantToken::new("constant").unwrap());
    for library in [
        Library::new(api.url(), Fake),
        Library::new(api.url(), source),
        Library::new(api.url(), shared),
        Library::new(api.url(), constant),
    ] {
        assert_eq!(library.store().await.unwrap(), 200);
    }
    assert_eq!(api.tokens(), ["a-token", "token-1", "token-1", "constant"]);
}

#[tokio::test]
async fn a_provider_gives_what_the_source_gives_with_its_end_and_its_header() {
    // J2, B8
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.source(&clock);
    let provider: &dyn BearerTokenProvider = &source;
    let token = provider.bearer_token().await.unwrap();
    assert_eq!(token.expose(), "token-1");
    assert_eq!(token.authorization(), "Bearer token-1");
    assert!(token.authorization().is_sensitive());
    let end = clock.system_time() + Duration::from_secs(600);
    assert_eq!(token.expires_at(), Some(end));
    clock.advance(Duration::from_secs(600));
    let next = provider.bearer_token().await.unwrap();
    assert_eq!(next.expose(), "token-2");
    assert_eq!(next.expires_at(), Some(end + Duration::from_secs(600)));
}

#[tokio::test]
async fn a_thousand_requests_of_a_library_that_find_no_token_cost_one_token_request() {
    // J2, A1
    let issuer = Issuer::new();
    let source: Arc<dyn BearerTokenProvider> = Arc::new(issuer.source(&TestClock::new()));
    let asked = (0..1000).map(|_| source.bearer_token());
    let tokens = join_all(asked).await;
    assert!(tokens.iter().all(|token| {
        let token = token.as_ref().unwrap();
        token.expose() == "token-1"
    }));
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test]
async fn a_library_that_gives_up_its_wait_loses_no_token() {
    // J2, A2
    let issuer = Issuer::new();
    let source = issuer.hold().source(&TestClock::new());
    let library: Arc<dyn BearerTokenProvider> = Arc::new(source.clone());
    let asking = under_way(async move { library.bearer_token().await.map(drop) }).await;
    issuer.until_requests(1).await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    issuer.release();
    landed(&source).await;
    let token = BearerTokenProvider::bearer_token(&source).await.unwrap();
    assert_eq!((token.expose(), issuer.requests()), ("token-1", 1));
}

#[tokio::test]
async fn a_library_says_that_a_token_was_refused_and_gets_another_one() {
    // J2, C1
    let (api, issuer) = (api().await, Issuer::new());
    let library = Library::new(api.url(), issuer.source(&TestClock::new()));
    api.then(refusal());
    assert_eq!(library.store().await.unwrap(), 200);
    assert_eq!(api.tokens(), ["token-1", "token-2"]);
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn many_requests_that_were_refused_together_cost_one_refresh() {
    // J2, C1: each says so, some when the next token is there already.
    let issuer = Issuer::new();
    let source = issuer.source(&TestClock::new());
    let provider: &dyn BearerTokenProvider = &source;
    let sent = join_all((0..200).map(|_| provider.bearer_token())).await;
    for token in &sent {
        token.as_ref().unwrap().clone().invalidate();
        let next = provider.bearer_token().await.unwrap();
        assert_eq!(next.expose(), "token-2");
    }
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn a_library_whose_api_refuses_every_token_makes_no_flood() {
    // J2, C4: the first refusal refreshes at once, the next one after a pause.
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.source(&clock);
    let provider: &dyn BearerTokenProvider = &source;
    let refuse_twenty = async || {
        for _ in 0..20 {
            provider.bearer_token().await.unwrap().invalidate();
        }
    };
    refuse_twenty().await;
    assert_eq!(issuer.requests(), 2);
    clock.advance(Duration::from_secs(1));
    refuse_twenty().await;
    assert_eq!(issuer.requests(), 3);
}

#[tokio::test]
async fn a_handle_of_a_user_gives_that_users_token_alone() {
    // J2, F1, D8
    let login = Login::start().await;
    let clock = TestClock::new();
    let users = UserSessions::builder(&login.endpoint()).clock(&clock);
    let users = users.build().unwrap();
    let subject = |name| Subject::new(name).unwrap();
    for name in ["alice", "bob"] {
        let tokens = login.sign_in(name, clock.system_time());
        users.sign_in(&subject(name), tokens).await.unwrap();
    }
    let of = |name| -> Arc<dyn BearerTokenProvider> { Arc::new(users.for_subject(&subject(name))) };
    let (alice, bob) = (of("alice"), of("bob"));
    let token = alice.bearer_token().await.unwrap();
    token.invalidate();
    let next = alice.bearer_token().await.unwrap();
    let of_bob = bob.bearer_token().await.unwrap();
    let owners = [&token, &next, &of_bob].map(|token| login.owner(token.expose()));
    assert_eq!(owners.map(Option::unwrap), ["alice", "alice", "bob"]);
    assert_ne!(next.expose(), token.expose());
    // Only alice's was refused.
    assert_eq!(login.token_requests(), 1);
    let error = of("carol").bearer_token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
}

#[tokio::test]
async fn a_named_clients_source_gives_the_token_that_the_client_sends() {
    // J2
    let (api, issuer) = (api().await, Issuer::new());
    let source = issuer.source(&TestClock::new());
    let client = NamedClient::new("orders", api.url(), source).unwrap();
    client.get("x").send().await.unwrap();
    let library = Library::new(api.url(), client.source());
    assert_eq!(library.store().await.unwrap(), 200);
    assert_eq!(api.tokens(), ["token-1"; 2]);
}

#[tokio::test]
async fn an_error_goes_through_a_library_and_is_found_again() {
    // J2, E8
    let issuer = Issuer::new();
    let source = issuer.always(failure()).source(&TestClock::new());
    let library = Library::new("http://127.0.0.1:9", source.clone());
    let error = library.store().await.unwrap_err();
    let found = Error::find_in(&error).unwrap();
    assert_eq!(found.kind(), ErrorKind::Protocol);
    assert_eq!(found.token_source(), Some(source.name()));
}

#[tokio::test]
async fn without_an_end_a_token_serves_until_it_is_refused() {
    // J2, B11
    let issuer = Issuer::new();
    issuer.then(TokenResponse::bearer("endless"));
    let source = issuer.source(&TestClock::new());
    let token = BearerTokenProvider::bearer_token(&source).await.unwrap();
    assert_eq!((token.expose(), token.expires_at()), ("endless", None));
}

#[test]
fn a_provider_of_ones_own_hears_of_each_refusal() -> Result<(), Error> {
    // J2
    let told = Arc::new(AtomicUsize::new(0));
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
    let token = BearerToken::new("own")?.with_expires_at(end);
    token.invalidate();
    let token = token.on_invalidate({
        let told = told.clone();
        move || {
            told.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert_eq!((token.expose(), token.expires_at()), ("own", Some(end)));
    token.invalidate();
    token.clone().invalidate();
    assert_eq!(told.load(Ordering::Relaxed), 2);
    Ok(())
}

#[test]
fn a_token_that_no_header_can_carry_is_an_error() {
    // J2, D7
    for wrong in ["", "canary b", "canary\r\nx: y", "canaré", " canary"] {
        let error = BearerToken::new(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(
            error.to_string().contains("the provider's token"),
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains("canar"));
    }
}

#[tokio::test]
async fn nothing_shows_the_token() {
    // J2, D6
    let source = TokenSource::from(ConstantToken::new("canary").unwrap());
    let token = BearerTokenProvider::bearer_token(&source).await.unwrap();
    let library = Library::new("http://127.0.0.1:9", source);
    for shown in [
        format!("{token:?}"),
        format!("{:?}", token.authorization()),
        format!("{library:?}"),
    ] {
        assert!(!shown.contains("canary"), "{shown}");
    }
}
