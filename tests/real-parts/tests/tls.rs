//! https at the token endpoint and at the API, and TLS to Redis, with certificates that nobody trusts
//! who was not told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use real_parts::fleet::{Call, Line, Orders, Place, Tokens, now};
use real_parts::{
    AuthorizationServer, CertificateAuthority, Folder, RedisServer, TlsProxy, Worker,
};
use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, Error, ErrorKind, NamedClient, NamedClientBuilder,
    Protection, RedisStore, StoreKey, TokenEndpoint, TokenSource, TokenStore, reqwest,
};
use serde_json::json;

use crate::http_server::{HttpServer, Reply};

#[path = "../../support/http_server.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod http_server;

/// How often is looked whether something has happened.
const PACE: Duration = Duration::from_millis(5);

/// An authorization server and an API behind TLS, one origin each.
struct Https {
    authority: CertificateAuthority,
    login: TlsProxy,
    api: TlsProxy,
    token_requests: Arc<AtomicUsize>,
    _servers: [HttpServer; 2],
}

impl Https {
    /// The API takes the newest token. Its path `/elsewhere` leads to this URL.
    async fn start(elsewhere: String) -> Self {
        let authority = CertificateAuthority::new();
        let token_requests = Arc::new(AtomicUsize::new(0));
        let newest = token_requests.clone();
        let login = HttpServer::start(move |_| {
            let number = newest.fetch_add(1, Ordering::SeqCst) + 1;
            let token = json!({ "access_token": format!("token-{number}"), "expires_in": 3600 });
            async move { Some(Reply::new(200).json(&token)) }
        })
        .await;
        let newest = token_requests.clone();
        let api = HttpServer::start(move |seen| {
            let newest = format!("token-{}", newest.load(Ordering::SeqCst));
            let reply = match seen.path.as_str() {
                "/elsewhere" => Reply::new(307).header("location", &elsewhere),
                _ if seen.token() == Some(newest) => Reply::new(200).body("welcome"),
                _ => Reply::new(401),
            };
            async move { Some(reply) }
        })
        .await;
        Self {
            login: TlsProxy::before(address(login.url()), &authority).await,
            api: TlsProxy::before(address(api.url()), &authority).await,
            authority,
            token_requests,
            _servers: [login, api],
        }
    }

    /// Trusts the authority, and nobody else.
    fn http(&self) -> reqwest::ClientBuilder {
        let certificate = self.authority.certificate();
        let certificate = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
        reqwest::Client::builder().tls_certs_only([certificate])
    }

    fn source(&self, http: reqwest::ClientBuilder) -> TokenSource {
        let me = ClientAuthentication::client_secret_post("me", "s3cr3t");
        let endpoint = TokenEndpoint::builder(me)
            .token_url(format!("https://{}/token", self.login.address()))
            .http(http)
            .build()
            .unwrap();
        TokenSource::from(ClientCredentials::new(endpoint))
    }

    fn client(&self, source: &TokenSource) -> NamedClientBuilder {
        let url = format!("https://{}", self.api.address());
        NamedClient::builder("api", url, source).http(self.http())
    }
}

fn address(url: &str) -> SocketAddr {
    let (_, address) = url.split_once("//").unwrap();
    address.parse().unwrap()
}

#[tokio::test]
async fn a_token_is_got_sent_and_healed_over_https() {
    // D2, E1, C1
    let servers = Https::start(String::new()).await;
    let source = servers.source(servers.http());
    let api = servers.client(&source).build().unwrap();
    assert_eq!(api.get("hello").send().await.unwrap().status(), 200);
    assert_eq!(servers.token_requests.load(Ordering::SeqCst), 1);

    // Somebody else has got a newer one, and the API takes no other: one refresh, one resend.
    servers.token_requests.fetch_add(1, Ordering::SeqCst);
    let answer = api.get("hello").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), "welcome");
    assert_eq!(servers.token_requests.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn no_secret_goes_to_a_token_endpoint_whose_certificate_nobody_vouches_for() {
    // D2, E8
    let servers = Https::start(String::new()).await;
    let source = servers.source(reqwest::Client::builder());
    let api = servers.client(&source).build().unwrap();
    let error = api.get("hello").send().await.unwrap_err();
    let error = Error::find_in(&error).expect("it is ours");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let causes = causes(error);
    assert!(causes.contains("certificate"), "{causes}");
    assert_eq!(servers.login.served(), 0);
    assert_eq!(servers.api.served(), 0, "nothing was sent without a token");
}

#[tokio::test]
async fn a_redirect_from_https_to_http_at_the_same_host_carries_no_token() {
    // D3
    let plain = HttpServer::start(|seen| {
        let reply = Reply::new(200).body(seen.token().unwrap_or_default());
        async move { Some(reply) }
    })
    .await;
    let servers = Https::start(plain.url().to_owned()).await;
    let source = servers.source(servers.http());
    let api = servers.client(&source).build().unwrap();
    let answer = api.get("elsewhere").send().await.unwrap();
    assert_eq!(answer.url().scheme(), "http");
    assert_eq!(answer.text().await.unwrap(), "", "the token went along");
}

#[tokio::test]
async fn a_fleet_s_tokens_go_to_redis_by_tls() {
    // F2
    let redis = RedisServer::start().await;
    let authority = CertificateAuthority::new();
    let proxy = TlsProxy::before(redis.address(), &authority).await;
    let server = AuthorizationServer::start().await;
    let folder = Folder::new();
    let trusted = folder.join("authority.pem");
    std::fs::write(&trusted, authority.certificate()).unwrap();

    // A program of its own, since what the operating system trusts is said by its environment.
    let orders = Orders {
        issuer: server.root.url().to_owned(),
        api: server.root.api(),
        store: Place::Redis(format!("rediss://{}", proxy.address())),
        // Nobody: the application's own token, which is shared through the store as well.
        users: Vec::new(),
        tokens: Tokens::Bearer,
        calls_per_second: 20.0,
        first_user_at: now(),
        next_user_after: 0.0,
        abort_before_save: 0.0,
        abort_until: 0.0,
        token_request_timeout: 10.0,
        log: folder.join("lines.jsonl"),
    };
    let program = env!("CARGO_BIN_EXE_fleet_worker");
    let mut worker = Worker::start_with(program, orders, &[("SSL_CERT_FILE", trusted.as_path())]);
    let called = async {
        while !worker.lines().iter().any(is_good_call) {
            tokio::time::sleep(PACE).await;
        }
    };
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, called).await.expect("a call");
    worker.tell_to_end();
    worker.until_ended().await;

    let lines = worker.lines();
    let failed = |line: &Line| matches!(line, Line::StoreFailed { .. });
    assert!(!lines.iter().any(failed), "{lines:?}");
    let records: Vec<String> = redis.ask(&["KEYS", "*:record"]).await;
    assert_eq!(records.len(), 1, "{records:?}");
    assert!(proxy.served() > 0);
}

#[tokio::test]
async fn a_redis_whose_certificate_nobody_vouches_for_is_told_nothing() {
    // F4, E8
    let redis = RedisServer::start().await;
    let proxy = TlsProxy::before(redis.address(), &CertificateAuthority::new()).await;
    let url = format!("rediss://:s3cr3t@{}", proxy.address());
    let store = RedisStore::open(url, Protection::plain_text()).unwrap();
    let error = store.load(&StoreKey::of(["anything"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    let causes = causes(&error);
    assert!(causes.contains("certificate"), "{causes}");
    assert!(!causes.contains("s3cr3t"), "{causes}");
    assert_eq!(proxy.served(), 0);
}

fn is_good_call(line: &Line) -> bool {
    let Line::Call(Call { status, error, .. }) = line else {
        return false;
    };
    *status == Some(200) && error.is_none()
}

/// What an error says, and what it says of its reasons.
fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
