//! FAPI 2.0: a client with a PS256 key whose assertions are for the issuer alone, tokens that are bound to a key,
//! and refresh tokens that stay.

use reqwest_bearer::{ClientAuthentication, DpopKey, ErrorKind, SigningAlgorithm, SigningKey};
use serde_json::json;

use crate::support::http_server::Reply;
use crate::{Provider, json, part, play_bound, proofs};

#[tokio::test]
async fn fapi_2_has_assertions_for_the_issuer_bound_tokens_and_refresh_tokens_that_stay() {
    // H1, H5
    let (provider, api) = (Provider::start().await, Provider::start().await);
    let key = SigningKey::from_pem(include_str!("../signing/keys/rsa_pkcs8.pem")).unwrap();
    let key = key.with_algorithm(SigningAlgorithm::Ps256).unwrap();
    let client = ClientAuthentication::private_key_jwt("bank-client", key.with_key_id("2026"));
    let proving = DpopKey::generate().unwrap();
    let tokens = |access_token: &str, refresh_token| {
        let mut tokens = json!({
            "access_token": access_token, "token_type": "DPoP", "expires_in": 300,
        });
        if let Some(refresh_token) = refresh_token {
            tokens["refresh_token"] = json!(refresh_token);
        }
        json(200, &tokens)
    };
    let refusal = Reply::new(401).header("www-authenticate", r#"DPoP error="invalid_token""#);
    let fine = || Reply::new(200);
    let end = play_bound(
        &provider,
        &api,
        client,
        &proving,
        vec![tokens("at-1", Some("r-1")), tokens("at-2", None)],
        vec![fine(), refusal, fine()],
    )
    .await;
    assert_eq!(end.kind(), ErrorKind::SignInRequired);

    let requests = provider.seen("/token");
    let spent: Vec<_> = requests
        .iter()
        .filter_map(|seen| seen.field("refresh_token"))
        .collect();
    assert_eq!(spent, ["r-1", "r-1"]);
    for request in requests {
        let assertion = request.field("client_assertion").unwrap();
        assert_eq!(part(&assertion, 0)["alg"], "PS256");
        assert_eq!(part(&assertion, 1)["aud"], provider.url(""));
    }
    for proof in proofs(&api, "/x") {
        assert!(part(&proof, 1)["ath"].is_string());
    }
}
