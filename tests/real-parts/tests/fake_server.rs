//! The fake server of `reqwest-bearer-testing` beside a real one: one scenario, and the client sees the same.

use real_parts::{AuthorizationServer, BASIC, SignedIn};
use reqwest_bearer::{
    AuthorizationCode, BearerChallenge, ClientAuthentication, ClientCredentials, Error, Grant,
    GrantRequest, NamedClient, RefreshTokenGrant, Secret, TokenEndpoint, TokenKind,
    TokenParameters, TokenRequest, TokenSource,
};
use reqwest_bearer_testing::{FakeApi, FakeAuthorizationServer};

const SCOPE: &str = "openid offline_access email";
/// Appendix B of RFC 7636.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// What the scenario needs of a server.
trait Server {
    fn issuer(&self) -> String;
    fn api(&self) -> String;
    async fn sign_in(&self) -> SignedIn;
    async fn kill_access_token(&self, token: &str);
    async fn token_requests(&self) -> usize;
}

impl Server for AuthorizationServer {
    fn issuer(&self) -> String {
        self.root.url().to_owned()
    }

    fn api(&self) -> String {
        self.root.api()
    }

    async fn sign_in(&self) -> SignedIn {
        self.root.sign_in(BASIC.id, "alice", SCOPE).await
    }

    async fn kill_access_token(&self, token: &str) {
        self.root.kill_access_token(token).await;
    }

    async fn token_requests(&self) -> usize {
        self.root.token_requests().await.len()
    }
}

struct Fake {
    server: FakeAuthorizationServer,
    api: FakeApi,
}

impl Server for Fake {
    fn issuer(&self) -> String {
        self.server.issuer().to_owned()
    }

    fn api(&self) -> String {
        self.api.url().to_owned()
    }

    async fn sign_in(&self) -> SignedIn {
        let redirect_uri = "http://127.0.0.1:9/callback";
        let mut url = reqwest::Url::parse(&format!("{}/authorize", self.issuer())).expect("a URL");
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", BASIC.id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", SCOPE)
            .append_pair("code_challenge", CHALLENGE)
            .append_pair("code_challenge_method", "S256");
        let redirect = self
            .server
            .approve(url.as_str(), "alice")
            .expect("a known client");
        let redirect = reqwest::Url::parse(&redirect).expect("a URL");
        let code = redirect.query_pairs().find(|(name, _)| name == "code");
        SignedIn {
            code: code.expect("a code").1.into_owned(),
            code_verifier: VERIFIER.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
        }
    }

    async fn kill_access_token(&self, token: &str) {
        assert!(self.server.revoke(token), "there is no such token");
    }

    async fn token_requests(&self) -> usize {
        self.server.token_request_count()
    }
}

/// What the client sees, step by step, in words that have no token in them.
async fn transcript(server: &impl Server) -> Vec<String> {
    let mut seen = Vec::new();
    let endpoint = endpoint(server, BASIC.secret);

    let source = TokenSource::from(ClientCredentials::new(endpoint.clone()));
    let client = NamedClient::new("api", server.api(), &source).expect("a URL");
    let status = async || client.get("echo").send().await.expect("an answer").status();
    seen.push(format!("a token of the client's own: {}", status().await));
    let token = source.token().await.expect("a token");
    let scheme = token
        .authorization()
        .to_str()
        .expect("text")
        .split(' ')
        .next();
    seen.push(format!(
        "its scheme: {scheme:?}, its end: {}",
        token.expires_at().is_some()
    ));
    server.kill_access_token(token.expose()).await;
    let before = server.token_requests().await;
    seen.push(format!("after its revocation: {}", status().await));
    let made = server.token_requests().await - before;
    seen.push(format!("token requests for that: {made}"));

    let wrong = ClientCredentials::new(self::endpoint(server, "wrong"));
    let outcome = wrong.obtain(GrantRequest::default()).await;
    seen.push(format!("a wrong secret: {}", said(outcome)));
    let outcome = endpoint
        .request_token(TokenRequest::new("urn:example:nothing"))
        .await;
    seen.push(format!("an unknown grant: {}", said(outcome)));

    let plain = reqwest::Client::new();
    for token in [None, Some("nothing")] {
        let request = plain.get(server.api());
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let answer = request.send().await.expect("an answer");
        let challenge = BearerChallenge::find_in(&answer);
        let error = challenge.as_ref().and_then(BearerChallenge::error);
        seen.push(format!(
            "the API, asked with {token:?}: {} {error:?}",
            answer.status()
        ));
    }

    let signed_in = server.sign_in().await;
    let code = |verifier: &str| {
        AuthorizationCode::new(&signed_in.code)
            .redirect_uri(&signed_in.redirect_uri)
            .code_verifier(verifier)
    };
    let outcome = code(&"x".repeat(43)).exchange(&endpoint).await;
    seen.push(format!("a code with a wrong verifier: {}", said(outcome)));
    let tokens = code(&signed_in.code_verifier).exchange(&endpoint).await;
    let tokens = tokens.expect("a code");
    let scope = tokens.scope().map(ToOwned::to_owned);
    seen.push(format!("with its own: tokens for {scope:?}"));
    let access_token = tokens.access_token().expect("an access token").expose();
    let takes = async || {
        let request = plain
            .get(format!("{}/echo", server.api()))
            .bearer_auth(access_token);
        request.send().await.expect("an answer").status()
    };
    seen.push(format!("they are good: {}", takes().await));
    let outcome = code(&signed_in.code_verifier).exchange(&endpoint).await;
    seen.push(format!("the code once more: {}", said(outcome)));
    seen.push(format!("and what it had brought: {}", takes().await));

    let first = refresh_token(server, &endpoint).await;
    let second = refresh(&endpoint, &first).await.expect("a token");
    let second = second.refresh_token().cloned().expect("rotation");
    seen.push(format!(
        "a refresh brings another refresh token: {}",
        first != second
    ));
    let outcome = refresh(&endpoint, &first).await;
    seen.push(format!("the spent one: {}", said(outcome)));
    let outcome = refresh(&endpoint, &second).await;
    seen.push(format!("the newest one after that: {}", said(outcome)));

    let revoked = refresh_token(server, &endpoint).await;
    let outcome = endpoint.revoke(&revoked, TokenKind::RefreshToken).await;
    seen.push(format!(
        "a revocation: {:?}",
        outcome.map_err(|error| error.kind())
    ));
    let outcome = refresh(&endpoint, &revoked).await;
    seen.push(format!("a revoked refresh token: {}", said(outcome)));
    let outcome = endpoint.revoke("nothing", TokenKind::RefreshToken).await;
    seen.push(format!(
        "the revocation of nothing: {:?}",
        outcome.map_err(|error| error.kind())
    ));
    seen
}

fn endpoint(server: &impl Server, secret: &str) -> TokenEndpoint {
    let client = ClientAuthentication::client_secret_basic(BASIC.id, secret);
    TokenEndpoint::discover(server.issuer(), client).expect("an issuer on this machine")
}

async fn refresh_token(server: &impl Server, endpoint: &TokenEndpoint) -> Secret {
    let signed_in = server.sign_in().await;
    let tokens = AuthorizationCode::new(signed_in.code)
        .redirect_uri(signed_in.redirect_uri)
        .code_verifier(signed_in.code_verifier)
        .exchange(endpoint)
        .await
        .expect("a code");
    tokens.refresh_token().cloned().expect("a refresh token")
}

async fn refresh(
    endpoint: &TokenEndpoint,
    refresh_token: &Secret,
) -> Result<reqwest_bearer::TokenResponse, Error> {
    let grant = RefreshTokenGrant::new(endpoint.clone(), refresh_token);
    let request = GrantRequest::new(TokenParameters::new(), Some(refresh_token.clone()));
    grant.obtain(request).await
}

/// What can be done about it, as the client is told.
fn said<T>(outcome: Result<T, Error>) -> String {
    match outcome {
        Ok(_) => "tokens".to_owned(),
        Err(error) => format!(
            "{:?} {:?}, transient: {}",
            error.kind(),
            error.oauth_code(),
            error.is_transient()
        ),
    }
}

#[tokio::test]
async fn the_client_sees_at_the_fake_server_what_it_sees_at_a_real_one() {
    // J2
    let real = AuthorizationServer::start().await;
    let server = FakeAuthorizationServer::start().expect("a port");
    server.add_client(BASIC.id, BASIC.secret);
    let api = FakeApi::start(&server).expect("a port");
    let fake = Fake { server, api };
    let at_the_real_one = transcript(&real).await;
    println!("{at_the_real_one:#?}");
    assert_eq!(transcript(&fake).await, at_the_real_one);
}
