//! Clients with a key in place of a secret, at a real authorization server: npm's `oidc-provider`, which
//! takes no assertion twice.

use std::fs;
use std::time::SystemTime;

use real_parts::{AuthorizationServer, Folder, Issuer};
use reqwest_bearer::SigningAlgorithm::{EdDsa, Es256, Es384, Ps256, Ps512, Rs256};
use reqwest_bearer::{
    AuthorizationCode, ClientAuthentication, ClientCredentials, Error, ErrorKind, Grant,
    GrantRequest, RefreshTokenGrant, Secret, Signer, SigningAlgorithm, SigningKey, SigningKeyFile,
    TokenEndpoint, TokenKind, TokenParameters, TokenSet,
};
use serde_json::{Value, json};

const SECRET: &str = "a-secret-of-more-than-32-bytes-that-must-not-show";

/// A client as the server knows it.
fn registered(id: &str, method: &str, algorithm: &str) -> Value {
    json!({
        "client_id": id,
        "token_endpoint_auth_method": method,
        "token_endpoint_auth_signing_alg": algorithm,
        "grant_types": ["client_credentials", "authorization_code", "refresh_token"],
        "response_types": ["code"],
        "redirect_uris": ["http://127.0.0.1:9/callback"],
        "scope": "openid offline_access email api:read api:write",
    })
}

fn with_keys(id: &str, algorithm: SigningAlgorithm, keys: &[&SigningKey]) -> Value {
    let mut client = registered(id, "private_key_jwt", algorithm.as_str());
    let keys: Vec<_> = keys
        .iter()
        .map(|key| {
            let mut jwk = key.public_jwk().to_value();
            jwk["kid"] = json!(key.key_id());
            jwk["use"] = json!("sig");
            jwk
        })
        .collect();
    client["jwks"] = json!({ "keys": keys });
    client
}

async fn obtain(grant: &impl Grant, request: GrantRequest) -> Result<TokenSet, Error> {
    let asked_at = SystemTime::now();
    let response = grant.obtain(request).await?;
    Ok(TokenSet::from_response(response, asked_at))
}

async fn refresh(endpoint: &TokenEndpoint, refresh_token: &Secret) -> Result<TokenSet, Error> {
    let grant = RefreshTokenGrant::new(endpoint.clone(), refresh_token.clone());
    let request = GrantRequest::new(TokenParameters::new(), Some(refresh_token.clone()));
    obtain(&grant, request).await
}

async fn signed_in(issuer: &Issuer, endpoint: &TokenEndpoint, id: &str) -> TokenSet {
    let scope = "openid offline_access email";
    let signed_in = issuer.sign_in(id, "alice", scope).await;
    AuthorizationCode::new(signed_in.code)
        .redirect_uri(signed_in.redirect_uri)
        .code_verifier(signed_in.code_verifier)
        .exchange(endpoint)
        .await
        .expect("the server takes its own code")
}

fn refresh_token(tokens: &TokenSet) -> &Secret {
    tokens.refresh_token().expect("a refresh token")
}

async fn is_live(issuer: &Issuer, tokens: &TokenSet) -> bool {
    let token = tokens.access_token().expect("an access token").expose();
    let request = reqwest::Client::new().get(issuer.at("/api/echo"));
    let answer = request.bearer_auth(token).send().await;
    answer.expect("the server is up").status() == 200
}

/// A token of its own, a code, a refresh and a revocation.
async fn lives_a_whole_life(issuer: &Issuer, id: &str, client: ClientAuthentication) {
    let endpoint = TokenEndpoint::discover(issuer.url(), client).expect("an issuer");
    let grant = ClientCredentials::new(endpoint.clone());
    let tokens = obtain(&grant, GrantRequest::default()).await;
    assert!(is_live(issuer, &tokens.expect("a token")).await, "{id}");

    let tokens = signed_in(issuer, &endpoint, id).await;
    let tokens = refresh(&endpoint, refresh_token(&tokens)).await;
    let tokens = tokens.expect("the server refreshes");
    assert!(is_live(issuer, &tokens).await, "{id}");

    let revoked = endpoint.revoke(refresh_token(&tokens), TokenKind::RefreshToken);
    revoked.await.expect("the server revokes");
    assert!(!is_live(issuer, &tokens).await, "{id}");
    let dead = refresh(&endpoint, refresh_token(&tokens)).await;
    assert_eq!(
        dead.expect_err("it is revoked").kind(),
        ErrorKind::SignInRequired
    );
}

#[tokio::test]
async fn each_algorithm_is_taken_by_the_server_for_tokens_refreshes_and_revocations() {
    // H1
    let clients: Vec<_> = [Es256, Es384, Rs256, Ps256, Ps512, EdDsa]
        .into_iter()
        .map(|algorithm| {
            let key = SigningKey::generate(algorithm).expect("a key");
            (format!("by-{algorithm}"), algorithm, key.with_key_id("1"))
        })
        .collect();
    let registered: Vec<_> = clients
        .iter()
        .map(|(id, algorithm, key)| with_keys(id, *algorithm, &[key]))
        .collect();
    let server = AuthorizationServer::start_with(json!({ "clients": registered })).await;
    for (id, _, key) in clients {
        let client = || ClientAuthentication::private_key_jwt(&id, key.clone());
        lives_a_whole_life(&server.root, &id, client()).await;
        lives_a_whole_life(&server.tenant_a, &id, client().endpoint_as_audience()).await;
        lives_a_whole_life(&server.tenant_b, &id, client().plain_assertion_type()).await;
    }
}

#[tokio::test]
async fn a_client_that_signs_with_its_secret_is_taken_by_the_server() {
    // H1
    let mut registered = registered("by-secret", "client_secret_jwt", "HS256");
    registered["client_secret"] = json!(SECRET);
    let server = AuthorizationServer::start_with(json!({ "clients": [registered] })).await;
    let client = ClientAuthentication::client_secret_jwt("by-secret", SECRET);
    lives_a_whole_life(&server.root, "by-secret", client).await;
}

#[tokio::test]
async fn a_key_that_the_server_does_not_know_is_a_setting_to_mend_until_its_file_is_replaced() {
    // H1, H2, H8
    let known = SigningKey::generate(Es256).expect("a key").with_key_id("1");
    let next = SigningKey::generate(Es256).expect("a key").with_key_id("1");
    let unknown = SigningKey::generate(Es256).expect("a key");
    let registered = with_keys("filed", Es256, &[&known]);
    let rotated = with_keys("rotated", Es256, &[&next.clone().with_key_id("2"), &known]);
    let server = AuthorizationServer::start_with(json!({ "clients": [registered, rotated] })).await;
    let folder = Folder::new();
    let path = folder.join("key.pem");
    let write = |key: &SigningKey| {
        let pem = key.to_pem().expect("a text");
        fs::write(&path, pem.expose()).expect("a file");
    };

    write(&unknown);
    let client = ClientAuthentication::private_key_jwt("filed", SigningKeyFile::new(&path));
    let endpoint = TokenEndpoint::discover(server.root.url(), client).expect("an issuer");
    let grant = ClientCredentials::new(endpoint);
    let error = obtain(&grant, GrantRequest::default()).await;
    let error = error.expect_err("the server does not know this key");
    assert_eq!(
        (error.kind(), error.oauth_code()),
        (ErrorKind::Rejected, Some("invalid_client"))
    );
    let pem = unknown.to_pem().expect("a text");
    let secret = pem.expose().lines().nth(1).expect("a line");
    assert!(!format!("{error} {error:?}").contains(secret));
    write(&known);
    let tokens = obtain(&grant, GrantRequest::default()).await;
    assert!(is_live(&server.root, &tokens.expect("a token")).await);

    // Both keys of a client that is in the midst of a rotation are taken.
    let client = ClientAuthentication::private_key_jwt("rotated", SigningKeyFile::new(&path));
    let endpoint = TokenEndpoint::discover(server.root.url(), client).expect("an issuer");
    let tokens = signed_in(&server.root, &endpoint, "rotated").await;
    write(&next);
    let tokens = refresh(&endpoint, refresh_token(&tokens)).await;
    assert!(is_live(&server.root, &tokens.expect("a token")).await);
}
