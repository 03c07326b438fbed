//! Bluesky (atproto): a client whose id is the URL of its metadata, with an ES256 key; sessions that are bound to a
//! key of their own, nonces that authorization server and PDS give apart, and refresh tokens for one use.

use reqwest_bearer::{ClientAuthentication, DpopKey, ErrorKind, SigningAlgorithm, SigningKey};
use serde_json::json;

use crate::support::http_server::Reply;
use crate::{Provider, json, part, play_bound, proofs};

const CLIENT_ID: &str = "https://app.example.com/oauth/client-metadata.json";

#[tokio::test]
async fn bluesky_s_sessions_follow_the_nonces_of_both_servers_and_rotate() {
    // H1, H5, H6
    let (provider, pds) = (Provider::start().await, Provider::start().await);
    let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let client = ClientAuthentication::private_key_jwt(CLIENT_ID, key.with_key_id("2026"));
    let tokens = |number: u32| {
        json!({
            "access_token": format!("at-{number}"), "token_type": "DPoP", "expires_in": 3599,
            "refresh_token": format!("r-{number}"), "scope": "atproto transition:generic",
            "sub": "did:plc:ewvi7nxzyoun6zhxrhs64oiz",
        })
    };
    let wants_nonce = json(400, &json!({ "error": "use_dpop_nonce" })).header("dpop-nonce", "as-1");
    let refusal = |error: &str| {
        Reply::new(401)
            .header("www-authenticate", format!(r#"DPoP error="{error}""#))
            .header("dpop-nonce", "pds-1")
    };
    let fine = || Reply::new(200).header("dpop-nonce", "pds-1");
    let end = play_bound(
        &provider,
        &pds,
        client,
        &DpopKey::generate().unwrap(),
        vec![
            wants_nonce,
            json(200, &tokens(1)).header("dpop-nonce", "as-2"),
            json(200, &tokens(2)).header("dpop-nonce", "as-2"),
        ],
        vec![
            refusal("use_dpop_nonce"),
            fine(),
            refusal("invalid_token"),
            fine(),
        ],
    )
    .await;
    assert_eq!(end.kind(), ErrorKind::SignInRequired);

    let nonces = |server, place| -> Vec<_> {
        let proofs = proofs(server, place).into_iter();
        proofs
            .map(|proof| part(&proof, 1)["nonce"].clone())
            .collect()
    };
    assert_eq!(
        nonces(&provider, "/token"),
        [json!(null), json!("as-1"), json!("as-2"), json!("as-2")]
    );
    assert_eq!(
        nonces(&pds, "/x"),
        [json!(null), json!("pds-1"), json!("pds-1"), json!("pds-1")]
    );
    let requests = provider.seen("/token");
    let spent: Vec<_> = requests
        .iter()
        .filter_map(|seen| seen.field("refresh_token"))
        .collect();
    assert_eq!(spent, ["r-1", "r-2"]);
    for request in requests {
        let assertion = request.field("client_assertion").unwrap();
        assert_eq!(part(&assertion, 0)["kid"], "2026");
        assert_eq!(part(&assertion, 1)["iss"], CLIENT_ID);
        assert_eq!(part(&assertion, 1)["aud"], provider.url(""));
    }
}
