//! Clients with a key in place of a secret, at real authorization servers: npm's `oidc-provider`, which
//! takes no assertion twice, and Debian's `glewlwyd`, which finds a key by its id
//! alone and takes an assertion only if it is for the very URL that it is sent to.

use std::fs;
use std::time::SystemTime;

use real_parts::{AuthorizationServer, Folder, Glewlwyd, Issuer, IssuerUnderTest};
use reqwest_bearer::SigningAlgorithm::{EdDsa, Es256, Es384, Ps256, Ps512, Rs256};
use reqwest_bearer::{
    AuthorizationCode, ClientAuthentication, ClientCredentials, Error, Grant, GrantRequest,
    RefreshTokenGrant, Secret, Signer, SigningAlgorithm, SigningKey, SigningKeyFile, TokenEndpoint,
    TokenKind, TokenParameters, TokenSet,
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

async fn signed_in(issuer: &impl IssuerUnderTest, endpoint: &TokenEndpoint, id: &str) -> TokenSet {
    let signed_in = issuer.sign_in_at(id, "alice", None).await;
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

/// Whether the API takes the token, which is any application's or user's.
async fn is_live(issuer: &Issuer, tokens: &TokenSet) -> bool {
    is_taken(&issuer.at("/api/echo"), tokens).await
}

/// Whether userinfo takes the token, which is a user's.
async fn is_live_user_s(issuer: &impl IssuerUnderTest, tokens: &TokenSet) -> bool {
    let userinfo = format!("{}/{}", issuer.userinfo_base(), issuer.userinfo_path());
    is_taken(&userinfo, tokens).await
}

async fn is_taken(place: &str, tokens: &TokenSet) -> bool {
    let token = tokens.access_token().expect("an access token").expose();
    let request = reqwest::Client::new().get(place).bearer_auth(token);
    request.send().await.expect("the server is up").status() == 200
}

/// A token of its own, a code, a refresh and a revocation. Returns the first.
async fn lives_a_whole_life<I: IssuerUnderTest>(
    issuer: &I,
    id: &str,
    client: ClientAuthentication,
) -> TokenSet {
    let endpoint = TokenEndpoint::discover(issuer.url(), client).expect("an issuer");
    let grant = ClientCredentials::new(endpoint.clone());
    let application = GrantRequest::new(TokenParameters::new().scope(I::APPLICATION_SCOPE), None);
    let application = obtain(&grant, application).await.expect("a token");

    let tokens = signed_in(issuer, &endpoint, id).await;
    let tokens = refresh(&endpoint, refresh_token(&tokens)).await;
    let tokens = tokens.expect("the server refreshes");
    assert!(is_live_user_s(issuer, &tokens).await, "{id}");

    let revoked = endpoint.revoke(refresh_token(&tokens), TokenKind::RefreshToken);
    revoked.await.expect("the server revokes");
    let lives_on = !I::REVOCATION_ENDS_ACCESS_TOKENS;
    assert_eq!(is_live_user_s(issuer, &tokens).await, lives_on, "{id}");
    let dead = refresh(&endpoint, refresh_token(&tokens)).await;
    assert_eq!(dead.expect_err("it is revoked").kind(), I::REVOKED);
    application
}

/// A key, and a client's id, for each algorithm.
fn clients_by_algorithm() -> Vec<(String, SigningAlgorithm, SigningKey)> {
    let algorithms = [Es256, Es384, Rs256, Ps256, Ps512, EdDsa].into_iter();
    let clients = algorithms.map(|algorithm| {
        let key = SigningKey::generate(algorithm).expect("a key");
        (format!("by-{algorithm}"), algorithm, key.with_key_id("1"))
    });
    clients.collect()
}

fn all_registered(clients: &[(String, SigningAlgorithm, SigningKey)]) -> Vec<Value> {
    let clients = clients.iter();
    clients
        .map(|(id, algorithm, key)| with_keys(id, *algorithm, &[key]))
        .collect()
}

#[tokio::test]
async fn each_algorithm_is_taken_by_the_server_for_tokens_refreshes_and_revocations() {
    // H1
    let clients = clients_by_algorithm();
    let registered = all_registered(&clients);
    let server = AuthorizationServer::start_with(json!({ "clients": registered })).await;
    let (root, a, b) = (&server.root, &server.tenant_a, &server.tenant_b);
    for (id, _, key) in clients {
        let client = || ClientAuthentication::private_key_jwt(&id, key.clone());
        let (at_endpoint, plain) = (
            client().endpoint_as_audience(),
            client().plain_assertion_type(),
        );
        assert!(is_live(root, &lives_a_whole_life(root, &id, client()).await).await);
        assert!(is_live(a, &lives_a_whole_life(a, &id, at_endpoint).await).await);
        assert!(is_live(b, &lives_a_whole_life(b, &id, plain).await).await);
    }
}

#[tokio::test]
async fn each_algorithm_is_taken_by_glewlwyd_for_tokens_refreshes_and_revocations() {
    // H1
    let clients = clients_by_algorithm();
    let server = Glewlwyd::start(&all_registered(&clients)).await;
    for (id, _, key) in clients {
        let client = ClientAuthentication::private_key_jwt(&id, key).endpoint_as_audience();
        lives_a_whole_life(&server, &id, client.clone()).await;
        lives_a_whole_life(&server, &id, client.plain_assertion_type()).await;
    }
}

fn registered_with_secret() -> Value {
    let mut registered = registered("by-secret", "client_secret_jwt", "HS256");
    registered["client_secret"] = json!(SECRET);
    registered
}

#[tokio::test]
async fn a_client_that_signs_with_its_secret_is_taken_by_the_server() {
    // H1
    let clients = [registered_with_secret()];
    let server = AuthorizationServer::start_with(json!({ "clients": clients })).await;
    let client = ClientAuthentication::client_secret_jwt("by-secret", SECRET);
    let tokens = lives_a_whole_life(&server.root, "by-secret", client).await;
    assert!(is_live(&server.root, &tokens).await);
}

#[tokio::test]
async fn a_client_that_signs_with_its_secret_is_taken_by_glewlwyd() {
    // H1
    let server = Glewlwyd::start(&[registered_with_secret()]).await;
    let client = ClientAuthentication::client_secret_jwt("by-secret", SECRET);
    let client = client.endpoint_as_audience();
    lives_a_whole_life(&server, "by-secret", client).await;
}

/// A key of one client in a file, and a folder that it is in.
struct KeyFile(Folder);

impl KeyFile {
    fn new() -> Self {
        Self(Folder::new())
    }

    fn write(&self, key: &SigningKey) {
        let pem = key.to_pem().expect("a text");
        fs::write(self.0.join("key.pem"), pem.expose()).expect("a file");
    }

    fn client(&self, id: &str) -> ClientAuthentication {
        let file = SigningKeyFile::new(self.0.join("key.pem")).key_id("1");
        ClientAuthentication::private_key_jwt(id, file).endpoint_as_audience()
    }
}

async fn an_unknown_key_is_a_setting_to_mend<I: IssuerUnderTest>(issuer: &I, known: &SigningKey) {
    let unknown = SigningKey::generate(Es256).expect("a key");
    let file = KeyFile::new();
    file.write(&unknown);
    let endpoint = TokenEndpoint::discover(issuer.url(), file.client("filed"));
    let grant = ClientCredentials::new(endpoint.expect("an issuer")).scope(I::APPLICATION_SCOPE);
    let request = || GrantRequest::new(TokenParameters::new().scope(I::APPLICATION_SCOPE), None);
    let error = obtain(&grant, request()).await;
    let error = error.expect_err("the server does not know this key");
    assert_eq!((error.kind(), error.oauth_code()), I::UNKNOWN_KEY);
    let pem = unknown.to_pem().expect("a text");
    let secret = pem.expose().lines().nth(1).expect("a line");
    assert!(!format!("{error} {error:?}").contains(secret));
    file.write(known);
    obtain(&grant, request()).await.expect("a token");
}

#[tokio::test]
async fn a_key_that_the_server_does_not_know_is_a_setting_to_mend_until_its_file_is_replaced() {
    // H1, H2, H8
    let known = SigningKey::generate(Es256).expect("a key").with_key_id("1");
    let clients = [with_keys("filed", Es256, &[&known])];
    let server = AuthorizationServer::start_with(json!({ "clients": clients })).await;
    an_unknown_key_is_a_setting_to_mend(&server.root, &known).await;
}

#[tokio::test]
async fn a_key_that_glewlwyd_does_not_know_is_a_setting_to_mend_until_its_file_is_replaced() {
    // H1, H2, H8
    let known = SigningKey::generate(Es256).expect("a key").with_key_id("1");
    let server = Glewlwyd::start(&[with_keys("filed", Es256, &[&known])]).await;
    an_unknown_key_is_a_setting_to_mend(&server, &known).await;
}

#[tokio::test]
async fn both_keys_of_a_client_in_the_midst_of_a_rotation_are_taken() {
    // H1, H2
    let known = SigningKey::generate(Es256).expect("a key").with_key_id("1");
    let next = SigningKey::generate(Es256).expect("a key").with_key_id("1");
    let rotated = with_keys("rotated", Es256, &[&next.clone().with_key_id("2"), &known]);
    let server = AuthorizationServer::start_with(json!({ "clients": [rotated] })).await;
    let folder = Folder::new();
    let path = folder.join("key.pem");
    let write = |key: &SigningKey| {
        let pem = key.to_pem().expect("a text");
        fs::write(&path, pem.expose()).expect("a file");
    };
    write(&known);
    let client = ClientAuthentication::private_key_jwt("rotated", SigningKeyFile::new(&path));
    let endpoint = TokenEndpoint::discover(server.root.url(), client).expect("an issuer");
    let tokens = signed_in(&server.root, &endpoint, "rotated").await;
    write(&next);
    let tokens = refresh(&endpoint, refresh_token(&tokens)).await;
    assert!(is_live(&server.root, &tokens.expect("a token")).await);
}
