//! Wrong settings are found when they are given, by a message that says what to mend.

#![expect(clippy::panic, reason = "a helper of a test may fail it")]

use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;

use reqwest_bearer::{
    BearerTokenMiddleware, ClientAuthentication, ClientCredentials, ConstantToken, Error,
    ErrorKind, ExpiryMargin, GrantFn, MemoryStore, NamedClient, NamedClients, RefreshTokenGrant,
    Timeouts, TokenEndpoint, TokenParameters, TokenResponse, TokenSet, TokenSource,
    TokenSourceBuilder,
};

fn grant() -> GrantFn {
    GrantFn::new("any", |_| async { Ok(TokenResponse::bearer("t")) })
}

fn source() -> TokenSourceBuilder {
    TokenSource::builder(grant())
}

/// The message names `word`, and asks for nothing but other settings.
fn is_wrong<T: std::fmt::Debug>(outcome: Result<T, Error>, word: &str) {
    match outcome {
        Ok(made) => panic!("{made:?} was made, {word} notwithstanding"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
            assert!(!error.is_transient());
            assert!(
                error.to_string().contains(word),
                "`{error}` says nothing of {word}"
            );
        }
    }
}

#[test]
fn a_source_refuses_settings_that_cannot_work() {
    let second = Duration::from_secs(1);
    // B1: half a life or more.
    let share = |share| ExpiryMargin::of_lifetime(share).at_most(second);
    for wrong in [0.5, -0.1, f64::NAN] {
        let soft = source().refresh_before_expiry(share(wrong));
        is_wrong(soft.build(), "refresh_before_expiry");
    }
    // One that begins before the refresh, or is half a life.
    for wrong in [0.3, 0.5] {
        let hard = source().wait_before_expiry(share(wrong));
        is_wrong(hard.build(), "wait_before_expiry");
    }
    is_wrong(
        source().default_lifetime(Duration::ZERO).build(),
        "default_lifetime",
    );
    let none = Duration::ZERO;
    for (timeouts, word) in [
        (Timeouts::new().wait(none), "`wait`"),
        (Timeouts::new().attempt(none), "`attempt`"),
        (Timeouts::new().refresh(none), "`refresh`"),
    ] {
        is_wrong(source().timeouts(timeouts).build(), word);
    }
    is_wrong(source().name(" ").build(), "name");
    is_wrong(source().cache_capacity(0).build(), "cache_capacity");
}

#[test]
fn a_constant_token_that_cannot_be_sent_is_refused() {
    // D7
    for token in ["", "Bearer abc", "abc\n", "a\r\nX: y"] {
        is_wrong(ConstantToken::new(token), "constant token");
    }
}

#[test]
fn a_middleware_refuses_origins_that_are_none_or_not_safe() {
    // D1, D2
    for (origin, word) in [
        ("", "origin"),
        ("api.example.com", "origin"),
        ("https://", "origin"),
        ("ftp://api.example.com", "https"),
        ("https://api.example.com/v1", "path"),
        ("https://user:pass@api.example.com", "user information"),
        ("http://api.example.com", "allow_insecure_http"),
    ] {
        is_wrong(BearerTokenMiddleware::for_origin(origin, grant()), word);
    }
    is_wrong(BearerTokenMiddleware::builder(grant()).build(), "origin");
}

#[test]
fn a_named_client_refuses_base_urls_and_names_that_cannot_work() {
    // D1, D2
    for (base, word) in [
        ("", "URL"),
        ("orders", "URL"),
        ("https://", "URL"),
        ("data:,x", "https"),
        ("https://api.example.com/?x", "query"),
        ("https://api.example.com/#x", "fragment"),
        ("https://user:pass@api.example.com", "user information"),
        ("http://api.example.com", "allow_insecure_http"),
    ] {
        is_wrong(NamedClient::new("orders", base, grant()), word);
    }
    is_wrong(
        NamedClient::new("", "https://api.example.com", grant()),
        "name",
    );
    let twice = ["https://a.example.com", "https://b.example.com"]
        .map(|base| NamedClient::new("orders", base, grant()).expect("a good base URL"));
    is_wrong(NamedClients::new(twice), "orders");
}

#[test]
fn a_hook_for_refresh_tokens_beside_a_store_is_refused() {
    // D8, F2, K13: it would never be called.
    let with_store = || TokenSource::builder(grant()).store(MemoryStore::new());
    let saved = with_store().on_new_refresh_token(|_| ready(Ok::<_, Infallible>(())));
    is_wrong(saved.build(), "`on_new_refresh_token`");
    let loaded = with_store().reload_refresh_token(|| ready(Ok::<_, Infallible>(None)));
    is_wrong(loaded.build(), "`reload_refresh_token`");
}

#[tokio::test]
async fn what_is_wrong_with_a_grant_is_told_by_all_that_is_built_upon_its_conversion() {
    // D8, D7: there is no `build` between the grant and the client.
    let me = ClientAuthentication::none("me");
    let endpoint = TokenEndpoint::new("https://as.example.com/token", me).expect("a good URL");
    let reserved = || {
        let parameters = TokenParameters::new().extra("grant_type", "x");
        TokenSource::from(ClientCredentials::new(endpoint.clone()).parameters(parameters))
    };
    let unsendable = || {
        let tokens = TokenSet::new("a\r\nX: y").with_refresh_token("r");
        TokenSource::from(RefreshTokenGrant::from_token_set(endpoint.clone(), tokens))
    };
    let api = "https://api.example.com";
    for source in [reserved(), unsendable()] {
        let told = source
            .token()
            .await
            .expect_err("the grant cannot work")
            .to_string();
        for built in [
            NamedClient::new("orders", api, &source).map(drop),
            BearerTokenMiddleware::for_origin(api, &source).map(drop),
        ] {
            assert_eq!(built.expect_err("the grant cannot work").to_string(), told);
        }
    }
}

#[test]
fn no_message_repeats_a_password() {
    // D6
    let base = "https://user:s3cr3t@api.example.com";
    for error in [
        NamedClient::new("orders", base, grant()).err(),
        BearerTokenMiddleware::for_origin(base, grant()).err(),
    ] {
        let error = error.expect("a URL with a password is refused");
        assert!(!format!("{error} {error:?}").contains("s3cr3t"));
    }
}
