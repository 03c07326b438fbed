//! On behalf of the caller, as Microsoft Entra has it.

use reqwest_bearer::{ErrorKind, ExchangedTokens};
use serde_json::json;

use crate::server::{Exchange, JWT_BEARER, api, assert_kind, client, error_of, subject};
use crate::support::http_server::Reply;

const GRAPH: &str = "https://graph.microsoft.com/.default";

async fn entra() -> Exchange {
    let entra = Exchange::start().await;
    entra.differ(json!({ "issued_token_type": null }));
    entra
}

#[tokio::test]
async fn the_incoming_token_is_an_assertion_and_the_use_is_named() {
    // I1
    let (entra, api) = (entra().await, api().await);
    let tokens = ExchangedTokens::new(entra.grant().on_behalf_of().scope(GRAPH)).unwrap();
    let graph = client(&api, &tokens);
    for _ in 0..2 {
        let graph = graph.for_subject_token(&subject("incoming"));
        graph.get("me").send().await.unwrap();
    }
    let requests = entra.requests();
    assert_eq!(requests.len(), 1);
    for (name, value) in [
        ("grant_type", JWT_BEARER),
        ("assertion", "incoming"),
        ("requested_token_use", "on_behalf_of"),
        ("scope", GRAPH),
    ] {
        assert_eq!(requests[0].field(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(requests[0].field("subject_token"), None);
    assert_eq!(api.tokens(), ["1~incoming", "1~incoming"]);
}

#[tokio::test]
async fn the_claims_that_entra_wants_of_the_next_sign_in_reach_the_caller() {
    // I1, K12
    let (entra, api) = (entra().await, api().await);
    let tokens = ExchangedTokens::new(entra.grant().on_behalf_of().scope(GRAPH)).unwrap();
    let graph = client(&api, &tokens);
    let claims = r#"{"access_token":{"polids":{"essential":true,"values":["5ce7"]}}}"#;
    for (number, answer) in [
        json!({ "error": "interaction_required", "suberror": "basic_action", "claims": claims }),
        json!({ "error": "invalid_grant", "suberror": "basic_action", "claims": claims }),
    ]
    .into_iter()
    .enumerate()
    {
        entra.then(Reply::new(400).json(&answer));
        let caller = subject(&format!("without-a-second-factor-{number}"));
        let error = error_of(graph.for_subject_token(&caller).get("me").send().await);
        assert_kind(&error, ErrorKind::SignInRequired);
        assert_eq!(error.claims(), Some(claims));
    }
    // Another caller, or the same with another token, is served.
    let stepped_up = subject("with-a-second-factor");
    graph
        .for_subject_token(&stepped_up)
        .get("me")
        .send()
        .await
        .unwrap();
    entra.then(Reply::new(400).json(&json!({ "error": "invalid_grant" })));
    let expired = graph.for_subject_token(&subject("expired"));
    let error = error_of(expired.get("me").send().await);
    assert_kind(&error, ErrorKind::InvalidSubjectToken);
    assert_eq!(error.claims(), None);
}
