//! What a client proves itself with is replaced while it calls, at a real authorization server that forgets the
//! old: a key by way of a time in which the server knows both, a secret without one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use real_parts::{AuthorizationServer, Folder, Issuer};
use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, NamedClient, SecretSource, SigningAlgorithm,
    SigningKey, SigningKeyFile, TokenEndpoint, TokenOptions,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const CALLERS: usize = 8;

/// How often is looked whether something has happened, and for how long at most.
const PACE: Duration = Duration::from_millis(5);
const LIMIT: Duration = Duration::from_secs(60);

fn registered(method: &str) -> Value {
    json!({
        "client_id": "rotated",
        "token_endpoint_auth_method": method,
        "grant_types": ["client_credentials"],
        "response_types": [],
        "redirect_uris": [],
        "scope": "api:read",
    })
}

/// A file that is replaced at once, as careful people do it.
struct Replaced(Folder);

impl Replaced {
    fn new(text: &str) -> Self {
        let file = Self(Folder::new());
        file.replace(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.0.join("secret")
    }

    fn replace(&self, text: &str) {
        let beside: &Path = &self.0.join("beside");
        fs::write(beside, text).expect("a file");
        fs::rename(beside, self.path()).expect("a file");
    }
}

/// Callers who call one after the other until they are told to end, and each of whom counts its calls.
struct Load {
    ends: Arc<AtomicBool>,
    calls: Vec<Arc<AtomicUsize>>,
    callers: JoinSet<()>,
}

impl Load {
    /// `options` are those of a caller's calls.
    fn begin(client: &NamedClient, options: impl Fn(usize) -> TokenOptions) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let mut load = Self {
            ends: ends.clone(),
            calls: Vec::new(),
            callers: JoinSet::new(),
        };
        for caller in 0..CALLERS {
            let calls = Arc::new(AtomicUsize::new(0));
            load.calls.push(calls.clone());
            let (client, options, ends) = (client.clone(), options(caller), ends.clone());
            load.callers.spawn(async move {
                while !ends.load(Ordering::SeqCst) {
                    let request = client.get("echo").with_extension(options.clone());
                    let answer = request.send().await.expect("a call does not fail");
                    assert_eq!(answer.status(), 200);
                    calls.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        load
    }

    /// Until each caller has begun and ended a call that began after this.
    async fn until_all_have_called(&self) {
        // The call that is under way may have begun before.
        let begun: Vec<_> = self.counts().collect();
        until(async || self.counts().zip(&begun).all(|(now, then)| now >= then + 2)).await;
    }

    fn counts(&self) -> impl Iterator<Item = usize> {
        self.calls.iter().map(|calls| calls.load(Ordering::SeqCst))
    }

    async fn end(mut self) {
        self.ends.store(true, Ordering::SeqCst);
        while let Some(ended) = self.callers.join_next().await {
            ended.expect("no call has failed");
        }
    }
}

async fn until(is_so: impl AsyncFn() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(PACE).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.expect("in time");
}

fn client(issuer: &Issuer, authentication: ClientAuthentication) -> NamedClient {
    let endpoint = TokenEndpoint::discover(issuer.url(), authentication).expect("an issuer");
    let grant = ClientCredentials::new(endpoint).scope("api:read");
    NamedClient::new("orders", issuer.api(), grant).expect("a base URL")
}

async fn refused(issuer: &Issuer) -> usize {
    let requests = issuer.token_requests().await.into_iter();
    requests
        .filter(|request| request.error.as_deref() == Some("invalid_client"))
        .count()
}

#[tokio::test]
async fn no_call_fails_while_a_key_file_is_replaced_and_the_server_forgets_the_old_key() {
    // H2
    let server = AuthorizationServer::start().await;
    let issuer = &server.root;
    let keys: Vec<_> = (0..6)
        .map(|_| SigningKey::generate(SigningAlgorithm::Es256).expect("a key"))
        .collect();
    let pem = |key: &SigningKey| key.to_pem().expect("a text").expose().to_owned();
    let knows = async |keys: &[&SigningKey]| {
        let keys: Vec<_> = keys.iter().map(|key| key.public_jwk().to_value()).collect();
        let mut client = registered("private_key_jwt");
        client["jwks"] = json!({ "keys": keys });
        issuer.register(&client).await;
    };

    knows(&[&keys[0]]).await;
    let file = Replaced::new(&pem(&keys[0]));
    let signed = ClientAuthentication::private_key_jwt("rotated", SigningKeyFile::new(file.path()));
    let client = client(issuer, signed);
    // Each caller has tokens of its own, and wants a new one each time.
    let load = Load::begin(&client, |caller| {
        let resource = format!("https://api.example.com/{caller}");
        TokenOptions::new().resource(resource).force_refresh()
    });
    for pair in keys.windows(2) {
        let [old, new] = pair else {
            unreachable!("two")
        };
        knows(&[old, new]).await;
        file.replace(&pem(new));
        load.until_all_have_called().await;
        knows(&[new]).await;
        load.until_all_have_called().await;
    }
    load.end().await;
    assert_eq!(refused(issuer).await, 0);
}

#[tokio::test]
async fn no_call_fails_while_a_secret_is_replaced_before_the_server_knows_the_new_one() {
    // E4: a server has one secret for a client, so there is a time in which one of the two is behind. The
    // tokens that there are outlast it.
    let server = AuthorizationServer::start_with(json!({ "accessTokenTtl": 8 })).await;
    let issuer = &server.root;
    let knows = async |secret: &str| {
        let mut client = registered("client_secret_basic");
        client["client_secret"] = json!(secret);
        issuer.register(&client).await;
    };

    knows("secret-0").await;
    let file = Replaced::new("secret-0\n");
    let secret = SecretSource::file(file.path());
    let client = client(
        issuer,
        ClientAuthentication::client_secret_basic("rotated", secret),
    );
    let load = Load::begin(&client, |_| TokenOptions::new());
    load.until_all_have_called().await;
    for number in 1..=2 {
        let (secret, refused_before) = (format!("secret-{number}"), refused(issuer).await);
        file.replace(&format!("{secret}\n"));
        until(async || refused(issuer).await > refused_before).await;
        knows(&secret).await;
        let issued = issuer.count_token_requests("client_credentials").await;
        until(async || issuer.count_token_requests("client_credentials").await > issued).await;
        load.until_all_have_called().await;
    }
    load.end().await;
}
