//! Entra ID (v2): any tenant's template, scopes in order, claims challenges; and External ID (B2C).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest_bearer::{
    BearerChallenge, ClientAuthentication, ErrorKind, NamedClient, SigningAlgorithm,
    SigningKeyFile, TokenEndpoint, TokenParameters, TokenSource,
};
use serde_json::{Value, json};

use crate::{Provider, Script, json, play, seconds, user};

fn token(number: u32) -> Value {
    json!({
        "token_type": "Bearer", "scope": "https://graph.microsoft.com/User.Read",
        "expires_in": 4711, "ext_expires_in": 4711, "access_token": format!("eyJ.{number}"),
        "refresh_token": format!("r-{number}"),
    })
}

fn dead() -> Value {
    json!({
        "error": "invalid_grant", "error_description": "AADSTS700082: The refresh token has expired.",
        "error_codes": [700_082], "timestamp": "2026-06-01 12:00:00Z", "trace_id": "t",
        "correlation_id": "c", "error_uri": "https://login.microsoftonline.com/error?code=700082",
    })
}

fn client() -> ClientAuthentication {
    ClientAuthentication::client_secret_post("6731de76", "s3cr3t")
}

/// A document at this place, which names this issuer.
fn document(provider: &Provider, place: &str, issuer: &str) {
    let document = json!({ "issuer": issuer, "token_endpoint": provider.url("/token") });
    provider.answers(place, [json(200, &document)]);
}

#[tokio::test]
async fn entra_s_common_endpoint_is_found_and_the_scopes_keep_their_order() {
    // K14, K23, K25
    let provider = Provider::start().await;
    document(
        &provider,
        "/common/v2.0/.well-known/openid-configuration",
        &provider.url("/{tenantid}/v2.0"),
    );
    let endpoint = TokenEndpoint::builder(client()).issuer(provider.url("/common/v2.0"));
    let scope = "https://graph.microsoft.com/User.Read api://orders/read";
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &json!({}))
            .header("www-authenticate", r#"Bearer error="invalid_token""#),
        end: json(400, &dead()),
    };
    let played = play(&provider, user(endpoint).scope(scope), script).await;
    assert_eq!(played.field("scope"), vec![Some(scope.to_owned()); 3]);
    assert_eq!(played.lifetime, seconds(4711));
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
    let words = played.end.error_response().expect("an answer");
    assert_eq!(words.member("error_codes"), Some(&json!([700_082])));
}

#[tokio::test]
async fn a_claims_challenge_of_entra_asks_for_no_token_and_says_what_the_sign_in_needs() {
    // K28, C11
    let provider = Provider::start().await;
    provider.answers("/token", [json(200, &token(1))]);
    let challenge = r#"Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="00000003", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxNzgwMzE1MjAwIn19fQ==""#;
    let refusal = json(
        401,
        &json!({ "error": { "code": "InvalidAuthenticationToken" } }),
    );
    provider.answers("/api/x", [refusal.header("www-authenticate", challenge)]);
    let grant = user(provider.endpoint(client()));
    let graph = NamedClient::new("graph", provider.url("/api"), grant).unwrap();
    let answer = graph.get("x").send().await.unwrap();
    let challenge: &BearerChallenge = answer.extensions().get().expect("a challenge");
    let claims = r#"{"access_token":{"nbf":{"essential":true,"value":"1780315200"}}}"#;
    assert_eq!(challenge.decoded_claims().as_deref(), Some(claims));
    assert_eq!(provider.seen("/token").len(), 1);
}

#[tokio::test]
async fn a_claims_challenge_of_entra_is_answered_where_so_set() {
    // K28
    let provider = Provider::start().await;
    provider.answers("/token", [json(200, &token(1)), json(200, &token(2))]);
    let challenge = r#"Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="00000003", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxNzgwMzE1MjAwIn19fQ==""#;
    let refusal = json(401, &json!({})).header("www-authenticate", challenge);
    provider.answers("/api/x", [refusal, json(200, &json!({}))]);
    let capable = r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#;
    let parameters = TokenParameters::new().extra("claims", capable);
    let grant = user(provider.endpoint(client())).parameters(parameters);
    let source = TokenSource::builder(grant)
        .ask_for_demanded_claims()
        .build()
        .unwrap();
    let graph = NamedClient::new("graph", provider.url("/api"), source).unwrap();
    assert_eq!(graph.get("x").send().await.unwrap().status(), 200);
    let asked = provider.seen("/token");
    let both = r#"{"access_token":{"nbf":{"essential":true,"value":"1780315200"},"xms_cc":{"values":["cp1"]}}}"#;
    assert_eq!(asked[1].field("claims").as_deref(), Some(both));
    assert_eq!(asked[1].field("refresh_token").as_deref(), Some("r-1"));
}

#[tokio::test]
async fn a_policy_of_external_id_has_its_document_and_its_issuer_apart() {
    // K23
    let provider = Provider::start().await;
    let issuer = "https://shop.b2clogin.com/0b7a5a2e-9f43-4d0f-8a7b-9c1d2e3f4a5b/v2.0/";
    document(
        &provider,
        "/shop/v2.0/.well-known/openid-configuration",
        issuer,
    );
    let place = provider.url("/shop/v2.0/.well-known/openid-configuration?p=b2c_1_in");
    let endpoint = TokenEndpoint::builder(client())
        .discovery_url(place)
        .issuer(issuer);
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &json!({}))
            .header("www-authenticate", r#"Bearer error="invalid_token""#),
        end: json(
            400,
            &json!({ "error": "invalid_grant", "error_description": "AADB2C90080" }),
        ),
    };
    let played = play(&provider, user(endpoint), script).await;
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
    assert_eq!(played.spent(), ["r-0", "r-1", "r-2"]);
}

#[tokio::test]
async fn an_application_of_entra_is_known_by_its_certificate() {
    // H1
    let provider = Provider::start().await;
    let name = format!("reqwest-bearer-entra-{}.pem", std::process::id());
    let file = std::env::temp_dir().join(name);
    let both = concat!(
        include_str!("../signing/keys/rsa_pkcs8.pem"),
        include_str!("../signing/keys/certificate.pem")
    );
    std::fs::write(&file, both).unwrap();
    let tenant = "/11111111-2222-3333-4444-555555555555/v2.0";
    document(
        &provider,
        &format!("{tenant}/.well-known/openid-configuration"),
        &provider.url(tenant),
    );
    let key = SigningKeyFile::new(&file).algorithm(SigningAlgorithm::Ps256);
    let client = ClientAuthentication::private_key_jwt("6731de76", key)
        .endpoint_as_audience()
        .plain_assertion_type();
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &json!({}))
            .header("www-authenticate", r#"Bearer error="invalid_token""#),
        end: json(400, &dead()),
    };
    let endpoint = TokenEndpoint::builder(client).issuer(provider.url(tenant));
    let played = play(&provider, user(endpoint), script).await;
    std::fs::remove_file(&file).unwrap();
    assert_eq!(played.spent(), ["r-0", "r-1", "r-2"]);
    let assertion = played.field("client_assertion").remove(0).unwrap();
    let part = |number| -> Value {
        let part = assertion.split('.').nth(number).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    // The digest is OpenSSL's.
    let digest = "jsGL8fZriUlxQjd5-bdRr3R3-NqvftUONMbsJn3bKLU";
    let header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": digest });
    assert_eq!(part(0), header);
    assert_eq!(part(1)["aud"], provider.url("/token"));
    assert_eq!(part(1)["iss"], "6731de76");
}
