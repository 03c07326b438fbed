//! What the same test asks of authorization servers that issue tokens for tokens and for assertions.

use std::future::Future;

use reqwest_bearer::{AuthorizationCode, ClientAuthentication, TokenEndpoint};
use serde_json::{Value, json};

use crate::python::PythonServer;
use crate::{BASIC, Issuer, TokenRequest};

/// The token exchange of RFC 8693 section 2.1.
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The JWT bearer grant of RFC 7523 section 2.1.
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// An issuer with a small API beside it, which says whose token it was sent.
pub trait IssuerWithApi {
    /// The issuer as its discovery document names it.
    fn url(&self) -> &str;

    /// The base URL of the API. It answers below every path, e.g. at `echo`.
    fn api(&self) -> String;

    /// Kills one access token, and nothing else.
    fn kill_access_token(&self, access_token: &str) -> impl Future<Output = ()> + Send;

    /// The token requests so far, in order.
    fn token_requests(&self) -> impl Future<Output = Vec<TokenRequest>> + Send;
}

/// One that exchanges tokens. Its constants say where such servers differ and the standard lets them. The
/// audiences `orders` and `stock` are known to it, and no others.
pub trait ExchangingIssuer: IssuerWithApi {
    /// What comes of an exchange that asks for `api:read api:write`, for a token that has the first alone: the
    /// scope of another token (RFC 6749 section 3.3), or else the code of an error.
    const MORE_THAN_THERE_IS: Result<&str, &str>;

    /// Whether an exchange may name who acts for the user (RFC 8693 section 2.1, `actor_token`: optional).
    const TAKES_ACTORS: bool;

    /// The access token of a user who has signed in at a client that is not the one which exchanges it, as it
    /// comes with a request.
    fn incoming(&self, account: &str, scope: &str) -> impl Future<Output = String> + Send;
}

impl IssuerWithApi for Issuer {
    fn url(&self) -> &str {
        self.url()
    }

    fn api(&self) -> String {
        self.api()
    }

    async fn kill_access_token(&self, access_token: &str) {
        self.kill_access_token(access_token).await;
    }

    async fn token_requests(&self) -> Vec<TokenRequest> {
        self.token_requests().await
    }
}

/// Its exchange is ours (`provider/exchange.js`): the library has none.
impl ExchangingIssuer for Issuer {
    const MORE_THAN_THERE_IS: Result<&str, &str> = Err("invalid_scope");
    const TAKES_ACTORS: bool = true;

    async fn incoming(&self, account: &str, scope: &str) -> String {
        let client = ClientAuthentication::client_secret_basic(BASIC.id, BASIC.secret);
        let endpoint = TokenEndpoint::discover(self.url(), client).expect("an issuer");
        let signed_in = self.sign_in(BASIC.id, account, scope).await;
        let tokens = AuthorizationCode::new(signed_in.code)
            .redirect_uri(signed_in.redirect_uri)
            .code_verifier(signed_in.code_verifier)
            .exchange(&endpoint)
            .await
            .expect("the server takes its own code");
        let token = tokens.access_token().expect("an access token");
        token.expose().to_owned()
    }
}

/// The authorization server of Python's idpyoidc: its access tokens are JWT, and its own policy judges exchanges.
#[derive(Debug)]
pub struct Idpyoidc(PythonServer);

impl Idpyoidc {
    /// Starts a server that knows these clients, each with `client_id`, `client_secret` and a list of
    /// `allowed_scopes`, and a client at which users sign in.
    pub async fn start(clients: &[Value]) -> Self {
        let mut clients = clients.to_vec();
        clients.push(json!({
            "client_id": BASIC.id,
            "client_secret": BASIC.secret,
            "allowed_scopes": ["api:read", "api:write"],
        }));
        let settings = json!({ "clients": clients });
        Self(PythonServer::start("exchange_server.py", &settings).await)
    }
}

impl IssuerWithApi for Idpyoidc {
    fn url(&self) -> &str {
        self.0.url()
    }

    fn api(&self) -> String {
        self.0.api()
    }

    async fn kill_access_token(&self, access_token: &str) {
        self.0.kill_access_token(access_token).await;
    }

    async fn token_requests(&self) -> Vec<TokenRequest> {
        self.0.token_requests().await
    }
}

impl ExchangingIssuer for Idpyoidc {
    const MORE_THAN_THERE_IS: Result<&str, &str> = Ok("api:read");
    const TAKES_ACTORS: bool = false;

    async fn incoming(&self, account: &str, scope: &str) -> String {
        let who = json!({ "client": BASIC.id, "account": account, "scope": scope });
        let token = self.0.post("/admin/sign-in", who.to_string()).await;
        token.as_str().expect("a token").to_owned()
    }
}

/// The authorization server of Python's Authlib: it takes assertions, each once.
#[derive(Debug)]
pub struct Authlib(PythonServer);

impl Authlib {
    /// Starts a server that knows these clients, each with `client_id`, `scope` and `jwks`, and lets them
    /// assert these users.
    pub async fn start(clients: &[Value], users: &[&str]) -> Self {
        let settings = json!({ "clients": clients, "users": users });
        Self(PythonServer::start("assertion_server.py", &settings).await)
    }
}

impl IssuerWithApi for Authlib {
    fn url(&self) -> &str {
        self.0.url()
    }

    fn api(&self) -> String {
        self.0.api()
    }

    async fn kill_access_token(&self, access_token: &str) {
        self.0.kill_access_token(access_token).await;
    }

    async fn token_requests(&self) -> Vec<TokenRequest> {
        self.0.token_requests().await
    }
}
