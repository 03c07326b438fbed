//! Servers whose documents are not where their issuer is, or not whole.

use reqwest_bearer::{
    ClientAuthentication, Error, ErrorKind, MemoryStore, Revocation, Subject, TokenEndpoint,
    TokenEndpointBuilder, TokenKind, TokenSet, UserSessions,
};
use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::soon;
use crate::{count_at, request, token};

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

/// A server with a token endpoint and a revocation endpoint that no document names yet.
async fn server() -> MockServer {
    let server = MockServer::start().await;
    for (place, answer) in [
        ("/token", token("t")),
        ("/revoke", ResponseTemplate::new(200)),
    ] {
        Mock::given(method("POST"))
            .and(path(place))
            .respond_with(answer)
            .mount(&server)
            .await;
    }
    server
}

async fn mount(server: &MockServer, place: &str, document: &Value) {
    Mock::given(method("GET"))
        .and(path(place))
        .respond_with(ResponseTemplate::new(200).set_body_json(document))
        .mount(server)
        .await;
}

fn document(server: &MockServer, issuer: &str) -> Value {
    json!({ "issuer": issuer, "token_endpoint": format!("{}/token", server.uri()) })
}

fn with_revocation(server: &MockServer, issuer: &str, place: &str) -> Value {
    let mut document = document(server, issuer);
    document["revocation_endpoint"] = place.into();
    document
}

fn builder() -> TokenEndpointBuilder {
    TokenEndpoint::builder(ClientAuthentication::none("me"))
}

async fn asked(builder: TokenEndpointBuilder) -> Result<TokenEndpoint, Error> {
    let endpoint = builder.build()?;
    endpoint.request_token(request()).await?;
    Ok(endpoint)
}

#[tokio::test]
async fn the_place_of_a_document_and_its_issuer_are_set_apart() {
    // K23, E7
    let server = server().await;
    for issuer in [
        // Inside of a cluster, with the name that the world has for it.
        "https://login.example.com/realms/shop",
        // Azure AD B2C, Entra's template, a name that is no URL.
        "https://shop.b2clogin.com/0b7a5a2e-9f43-4d0f-8a7b-9c1d2e3f4a5b/v2.0/",
        "https://login.microsoftonline.com/{tenantid}/v2.0",
        "http://adfs.example.com/adfs/services/trust",
        "accounts.example.com",
    ] {
        server.reset().await;
        Mock::given(method("GET"))
            .and(path("/there"))
            .and(query_param("p", "b2c_1_in"))
            .respond_with(ResponseTemplate::new(200).set_body_json(document(&server, issuer)))
            .mount(&server)
            .await;
        Mock::given(method("POST"))
            .respond_with(token("t"))
            .mount(&server)
            .await;
        let there = format!("{}/there?p=b2c_1_in", server.uri());
        asked(builder().discovery_url(&there).issuer(issuer))
            .await
            .expect(issuer);
        assert_eq!(count_at(&server, "/there").await, 1);
        // Of another issuer it is refused as ever, and both are named.
        let other = builder().discovery_url(&there).issuer("https://other.test");
        let error = asked(other).await.expect_err("another issuer");
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains("https://other.test"), "{error}");
        assert_eq!(count_at(&server, "/token").await, 1);
    }
}

#[tokio::test]
async fn an_issuer_is_left_unchecked_by_an_explicit_word_alone() {
    // K23, E7
    let server = server().await;
    let no_issuer = json!({ "token_endpoint": format!("{}/token", server.uri()) });
    mount(&server, "/other", &document(&server, "https://other.test")).await;
    mount(&server, "/none", &no_issuer).await;
    mount(&server, OPENID, &document(&server, "https://other.test")).await;
    for place in ["/other", "/none"] {
        let there = format!("{}{place}", server.uri());
        let word = builder().discovery_url(&there).unchecked_issuer();
        asked(word).await.expect(place);
        let error = asked(builder().discovery_url(&there).issuer(server.uri())).await;
        assert_eq!(error.expect_err(place).kind(), ErrorKind::Protocol);
    }
    asked(builder().issuer(server.uri()).unchecked_issuer())
        .await
        .expect("unchecked");
    let error = asked(builder().issuer(server.uri())).await;
    assert_eq!(error.expect_err("checked").kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn the_tenant_in_entra_s_document_stands_for_the_one_that_is_asked_for() {
    // K23
    let server = server().await;
    let template = format!("{}/{{tenantid}}/v2.0", server.uri());
    let place = format!("/common/v2.0{OPENID}");
    mount(&server, &place, &document(&server, &template)).await;
    let common = format!("{}/common/v2.0", server.uri());
    asked(builder().issuer(common)).await.expect("a token");
    let place = format!("/common/evil/v2.0{OPENID}");
    mount(&server, &place, &document(&server, &template)).await;
    let evil = format!("{}/common/evil/v2.0", server.uri());
    asked(builder().issuer(evil))
        .await
        .expect_err("two segments");
}

async fn revoke(endpoint: &TokenEndpoint) -> Result<(), Error> {
    soon(endpoint.revoke("r", TokenKind::RefreshToken)).await
}

#[tokio::test]
async fn what_one_document_lacks_is_taken_from_the_other() {
    // K24, E7
    let server = server().await;
    let issuer = server.uri();
    let revocation = format!("{issuer}/revoke");
    mount(&server, OPENID, &document(&server, &issuer)).await;
    let complete = with_revocation(&server, &issuer, &revocation);
    mount(&server, OAUTH, &complete).await;
    let endpoint = asked(builder().issuer(&issuer)).await.expect("a token");
    assert_eq!(count_at(&server, OAUTH).await, 0, "no token needs it");
    for count in 1..=3 {
        revoke(&endpoint).await.expect("revoked");
        assert_eq!(count_at(&server, "/revoke").await, count);
    }
    assert_eq!(count_at(&server, OPENID).await, 1);
    assert_eq!(count_at(&server, OAUTH).await, 1);
}

#[tokio::test]
async fn another_document_is_taken_only_from_the_very_same_issuer_and_at_home() {
    // K24, E7
    for (named, revocation) in [
        ("{}/", "{}/revoke"),
        ("https://other.test", "{}/revoke"),
        ("{}", "https://other.test/revoke"),
        ("{}", "http://localhost:1/revoke"),
        ("{}", "canary"),
    ] {
        let server = server().await;
        let issuer = server.uri();
        let here = |text: &str| text.replace("{}", &issuer);
        mount(&server, OPENID, &document(&server, &issuer)).await;
        let other = with_revocation(&server, &here(named), &here(revocation));
        mount(&server, OAUTH, &other).await;
        let endpoint = builder().issuer(&issuer).build().expect("settings");
        let error = revoke(&endpoint).await.expect_err("no place");
        assert_eq!(error.kind(), ErrorKind::Settings, "{named} {revocation}");
        assert_eq!(count_at(&server, OAUTH).await, 1);
        assert_eq!(count_at(&server, "/revoke").await, 0);
    }
}

#[tokio::test]
async fn no_document_is_completed_whose_place_was_set_apart_or_whose_issuer_is_unchecked() {
    // K24, E7
    let server = server().await;
    let issuer = server.uri();
    let complete = with_revocation(&server, &issuer, &format!("{issuer}/revoke"));
    mount(&server, OPENID, &document(&server, &issuer)).await;
    mount(&server, OAUTH, &complete).await;
    let apart = builder()
        .discovery_url(format!("{issuer}{OPENID}"))
        .issuer(&issuer);
    let unchecked = builder().issuer(&issuer).unchecked_issuer();
    for builder in [apart, unchecked] {
        let endpoint = builder.build().expect("settings");
        let error = revoke(&endpoint).await.expect_err("no place");
        assert_eq!(error.kind(), ErrorKind::Settings);
        assert_eq!(count_at(&server, OAUTH).await, 0);
    }
}

#[tokio::test]
async fn that_the_other_document_cannot_be_had_for_now_is_no_answer() {
    // K24, F10
    let server = server().await;
    let issuer = server.uri();
    mount(&server, OPENID, &document(&server, &issuer)).await;
    Mock::given(method("GET"))
        .and(path(OAUTH))
        .respond_with(ResponseTemplate::new(503))
        .mount(&server)
        .await;
    let endpoint = builder().issuer(&issuer).build().expect("settings");
    let source = UserSessions::new(&endpoint);
    let subject = Subject::new("alice").expect("a subject");
    let tokens = TokenSet::new("a").with_refresh_token("r");
    source.sign_in(&subject, tokens).await.expect("signed in");
    let signed_out = source.sign_out(&subject).await.expect("signed out");
    match soon(signed_out.outcome()).await {
        Revocation::Failed(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn with_a_token_url_of_its_own_an_issuer_is_asked_for_the_revocation_endpoint_alone() {
    // K23, E7
    let server = server().await;
    let issuer = server.uri();
    let mut complete = with_revocation(&server, &issuer, &format!("{issuer}/revoke"));
    complete["token_endpoint"] = format!("{issuer}/elsewhere").into();
    mount(&server, OPENID, &complete).await;
    let both = builder()
        .token_url(format!("{issuer}/token"))
        .issuer(&issuer);
    let endpoint = asked(both).await.expect("a token");
    assert_eq!(count_at(&server, OPENID).await, 0);
    revoke(&endpoint).await.expect("revoked");
    assert_eq!(count_at(&server, "/elsewhere").await, 0);
}

#[tokio::test]
async fn a_session_is_found_by_namespace_or_issuer_or_token_url_in_this_order() {
    // E7, D8, F3
    let store = MemoryStore::new();
    let subject = Subject::new("session").expect("an id");
    let users = |builder: TokenEndpointBuilder| {
        let endpoint = builder.build().expect("settings");
        let source = UserSessions::builder(&endpoint).store(store.clone());
        source.build().expect("settings")
    };
    let issuer = || builder().issuer("https://a.b/x");
    let same: [&dyn Fn() -> TokenEndpointBuilder; 5] = [
        &issuer,
        &|| issuer().token_url("https://a.b/t"),
        &|| issuer().discovery_url("https://inside.test/d"),
        &|| issuer().unchecked_issuer(),
        &|| {
            builder()
                .token_url("https://c.d/t")
                .namespace("https://a.b/x")
        },
    ];
    let other: [&dyn Fn() -> TokenEndpointBuilder; 4] = [
        &|| builder().token_url("https://a.b/t"),
        &|| issuer().namespace("shop"),
        &|| builder().issuer("https://a.b/y"),
        &|| {
            let place = "https://a.b/d";
            builder().discovery_url(place).unchecked_issuer()
        },
    ];
    for (number, signed_in) in same.iter().enumerate() {
        let name = number.to_string();
        let tokens = TokenSet::new(&name).with_refresh_token("r");
        let source = users(signed_in());
        source.sign_in(&subject, tokens).await.expect("signed in");
        for (count, there) in same.iter().enumerate() {
            let there = users(there()).for_subject(&subject);
            let token = there.token().await.expect("the stored one");
            assert_eq!(token.expose(), name, "{count}");
        }
        for (count, elsewhere) in other.iter().enumerate() {
            let status = users(elsewhere()).status_of(&subject).await;
            assert!(status.expect("a store").is_none(), "{count}");
        }
    }
}
