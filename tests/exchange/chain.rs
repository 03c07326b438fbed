//! Cross-app access: an exchange at one server, whose outcome is an assertion to another one.

use reqwest_bearer::{ErrorKind, ExchangedTokens, SubjectToken};
use serde_json::json;

use crate::server::{EXCHANGE, Exchange, JWT_BEARER, api, assert_kind, client, refusal, subject};
use crate::support::api::refusal as refused_by_api;

const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

async fn company() -> Exchange {
    let company = Exchange::start().await;
    company.differ(json!({ "issued_token_type": ID_JAG, "token_type": "N_A" }));
    company
}

#[tokio::test]
async fn what_the_company_asserts_is_taken_to_the_server_of_the_api_and_asked_for_anew_each_time() {
    // I2, I1
    let (company, other, api) = (company().await, Exchange::start().await, api().await);
    let exchange = company
        .grant()
        .audience("https://other.example.com")
        .scope("chat:read")
        .then_jwt_bearer(other.endpoint());
    let tokens = ExchangedTokens::new(exchange).unwrap();
    let caller = subject("id-token").token_type(SubjectToken::ID_TOKEN);
    let chat = client(&api, &tokens).for_subject_token(&caller);
    chat.get("x").send().await.unwrap();
    chat.get("x").send().await.unwrap();
    assert_eq!(
        (company.count(), other.count()),
        (1, 1),
        "kept as any token"
    );
    api.then(refused_by_api());
    chat.get("x").send().await.unwrap();
    let (first, second) = (company.requests(), other.requests());
    for seen in &first {
        for (name, value) in [
            ("grant_type", EXCHANGE),
            ("requested_token_type", ID_JAG),
            ("subject_token", "id-token"),
            ("subject_token_type", SubjectToken::ID_TOKEN),
            ("audience", "https://other.example.com"),
            ("scope", "chat:read"),
        ] {
            assert_eq!(seen.field(name).as_deref(), Some(value), "{name}");
        }
    }
    let assertions = second.iter().map(|seen| seen.field("assertion").unwrap());
    assert_eq!(assertions.collect::<Vec<_>>(), ["1~id-token", "2~id-token"]);
    for seen in &second {
        assert_eq!(seen.field("grant_type").as_deref(), Some(JWT_BEARER));
        assert_eq!(seen.field("scope"), None);
    }
    let sent = api.tokens();
    assert_eq!(sent.last().map(String::as_str), Some("1~2~id-token"));
}

#[tokio::test]
async fn a_refusal_by_either_server_is_about_the_caller() {
    // I2, I1
    let (company, other) = (company().await, Exchange::start().await);
    let exchange = company.grant().then_jwt_bearer(other.endpoint());
    let tokens = ExchangedTokens::new(exchange).unwrap();
    other.then(refusal("invalid_grant"));
    for (name, kind) in [
        ("a", ErrorKind::InvalidSubjectToken),
        ("b", ErrorKind::InvalidSubjectToken),
    ] {
        let token = tokens.for_subject_token(&subject(name)).token().await;
        assert_kind(&token.unwrap_err(), kind);
        company.kill("b");
    }
    tokens
        .for_subject_token(&subject("c"))
        .token()
        .await
        .unwrap();
}

#[tokio::test]
async fn an_assertion_of_another_kind_is_taken_nowhere() {
    // I2
    let (company, other) = (Exchange::start().await, Exchange::start().await);
    let exchange = company.grant().then_jwt_bearer(other.endpoint());
    let tokens = ExchangedTokens::new(exchange).unwrap();
    let error = tokens
        .for_subject_token(&subject("a"))
        .token()
        .await
        .unwrap_err();
    assert_kind(&error, ErrorKind::Protocol);
    assert_eq!(other.count(), 0);
}
