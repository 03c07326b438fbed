//! What real providers answer, by their own documents, and what the crate makes of it with the settings
//! that `docs/PROVIDERS.md` shows. One file for each provider; a new one is a new file and its line here.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper of a test may fail it"
)]

#[path = "../support/mod.rs"]
mod support;

mod amazon;
mod apigee;
mod atlassian;
mod auth0;
mod azure_devops;
mod bluesky;
mod cognito;
mod duende;
mod ebay;
mod entra;
mod fapi;
mod github;
mod gitlab;
mod google;
mod hubspot;
mod keycloak;
mod notion;
mod okta;
mod quickbooks;
mod salesforce;
mod shopify;
mod slack;
mod strava;
mod tiktok;
mod x;
mod xero;
mod zoom;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest_bearer::{
    AccessToken, AuthorizationCode, ClientAuthentication, ClientCredentials, DpopKey, Error, Grant,
    NamedClient, NamedClientBuilder, NamedUserClient, RefreshTokenGrant, Subject, TestClock,
    TokenEndpoint, TokenEndpointBuilder, TokenOptions, TokenSource, TokenSourceBuilder,
    UserSessions,
};
use serde_json::Value;

use crate::support::http_server::{HttpServer, Reply, Seen};
use crate::support::soon;

/// A provider with its API on one server: each place has its answers in turn, the last one for good.
pub(crate) struct Provider {
    http: HttpServer,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    answers: HashMap<String, VecDeque<Reply>>,
    seen: Vec<(String, Seen)>,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let answering = state.clone();
        let http = HttpServer::start(move |seen| {
            let reply = answering.lock().unwrap().answer(seen);
            async move { Some(reply) }
        })
        .await;
        Self { http, state }
    }

    pub(crate) fn url(&self, place: &str) -> String {
        format!("{}{place}", self.http.url())
    }

    pub(crate) fn answers(&self, place: &str, replies: impl IntoIterator<Item = Reply>) -> &Self {
        let mut state = self.state.lock().unwrap();
        let replies = replies.into_iter().collect();
        state.answers.insert(place.to_owned(), replies);
        drop(state);
        self
    }

    /// What came to this place so far.
    pub(crate) fn seen(&self, place: &str) -> Vec<Seen> {
        let state = self.state.lock().unwrap();
        let seen = state.seen.iter().filter(|(known, _)| known == place);
        seen.map(|(_, seen)| seen.clone()).collect()
    }

    /// The token endpoint at `/token`, as this client.
    pub(crate) fn endpoint(&self, client: ClientAuthentication) -> TokenEndpointBuilder {
        TokenEndpoint::builder(client).token_url(self.url("/token"))
    }
}

impl State {
    fn answer(&mut self, seen: Seen) -> Reply {
        let place = seen.path.split('?').next().unwrap_or_default().to_owned();
        self.seen.push((place.clone(), seen));
        match self.answers.get_mut(&place) {
            Some(replies) if replies.len() > 1 => replies.pop_front().unwrap(),
            Some(replies) => replies.front().unwrap().clone(),
            None => Reply::new(404),
        }
    }
}

/// What a provider says in the life of one token.
pub(crate) struct Script {
    /// To the first two token requests.
    pub(crate) tokens: [Value; 2],
    /// The API, to a token that has expired.
    pub(crate) refusal: Reply,
    /// To the third token request.
    pub(crate) end: Reply,
}

/// What came of it.
pub(crate) struct Played {
    pub(crate) token_requests: Vec<Seen>,
    pub(crate) calls: Vec<Seen>,
    /// The first one, and how long it lives.
    pub(crate) token: AccessToken,
    pub(crate) lifetime: Option<Duration>,
    /// What the third token request ended with.
    pub(crate) end: Error,
}

pub(crate) fn json(status: u16, body: &Value) -> Reply {
    Reply::new(status).json(body)
}

/// What the grant of a signed-in user comes to.
pub(crate) fn user(endpoint: TokenEndpointBuilder) -> RefreshTokenGrant {
    RefreshTokenGrant::new(endpoint.build().unwrap(), "r-0")
}

/// What the application's own grant comes to.
pub(crate) fn application(endpoint: TokenEndpointBuilder) -> ClientCredentials {
    ClientCredentials::new(endpoint.build().unwrap())
}

/// Plays the script: a first call, a call whose token has expired and is healed, and a token that cannot
/// be had any more.
pub(crate) async fn play(provider: &Provider, grant: impl Grant, script: Script) -> Played {
    play_with(provider, grant, script, |source| source, |client| client).await
}

/// The same with settings.
pub(crate) async fn play_with(
    provider: &Provider,
    grant: impl Grant,
    script: Script,
    source: impl FnOnce(TokenSourceBuilder) -> TokenSourceBuilder,
    client: impl FnOnce(NamedClientBuilder) -> NamedClientBuilder,
) -> Played {
    let [first, second] = script.tokens;
    let fine = || Reply::new(200).body("fine");
    provider.answers(
        "/token",
        [json(200, &first), json(200, &second), script.end],
    );
    provider.answers("/api/x", [fine(), script.refusal, fine()]);
    let clock = TestClock::new();
    let source = source(TokenSource::builder(grant).clock(&clock));
    let source = source.build().unwrap();
    let client = client(NamedClient::builder("api", provider.url("/api"), &source));
    let client = client.build().unwrap();

    let call = async || {
        soon(client.get("x").send())
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    };
    assert_eq!(call().await, "fine");
    let token = soon(source.token()).await.unwrap();
    let lifetime = token
        .expires_at()
        .map(|end| end.duration_since(clock.system_time()).unwrap());
    assert_eq!(call().await, "fine", "healed");
    let other = TokenOptions::new().force_refresh();
    let end = soon(source.token_with(&other)).await.expect_err("the end");
    Played {
        token_requests: provider.seen("/token"),
        calls: provider.seen("/api/x"),
        token,
        lifetime,
        end,
    }
}

impl Played {
    /// The values of a header of the calls, one for each.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let values = self.calls.iter().map(|call| &call.headers[name]);
        values.map(|value| value.to_str().unwrap()).collect()
    }

    /// A field of the token requests, of each.
    pub(crate) fn field(&self, name: &str) -> Vec<Option<String>> {
        let requests = self.token_requests.iter();
        requests.map(|request| request.field(name)).collect()
    }

    /// Which refresh tokens were spent.
    pub(crate) fn spent(&self) -> Vec<String> {
        self.field("refresh_token").into_iter().flatten().collect()
    }
}

/// Plays the life of a session whose tokens are bound to its key (RFC 9449), with an API of another origin: a
/// sign-in, a call, a call whose token the API takes no more, and a refresh token that is dead. `tokens` are the answers to
/// the code and to the first refresh; those with a nonce in front want it in a proof.
pub(crate) async fn play_bound(
    provider: &Provider,
    api: &Provider,
    client: ClientAuthentication,
    key: &DpopKey,
    tokens: Vec<Reply>,
    calls: Vec<Reply>,
) -> Error {
    let document = serde_json::json!({
        "issuer": provider.url(""), "token_endpoint": provider.url("/token"),
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
    });
    let dead = json(400, &serde_json::json!({ "error": "invalid_grant" }));
    provider
        .answers(
            "/.well-known/oauth-authorization-server",
            [json(200, &document)],
        )
        .answers("/token", tokens.into_iter().chain([dead]));
    api.answers("/x", calls);
    let endpoint = TokenEndpoint::discover(provider.url(""), client).unwrap();
    let users = UserSessions::builder(&endpoint).dpop().build().unwrap();
    let code = AuthorizationCode::new("code").dpop(key);
    let alice = Subject::new("session-1").unwrap();
    let signed_in = code.exchange(&endpoint).await.unwrap();
    users.sign_in(&alice, signed_in).await.unwrap();
    let client = NamedUserClient::new("api", api.url(""), &users).unwrap();
    let client = client.for_subject(&alice);
    for _ in 0..2 {
        assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    }
    let anew = TokenOptions::new().force_refresh();
    let end = users.for_subject(&alice).token_with(&anew).await;
    end.expect_err("the end")
}

/// The header, or the claims, of a JWS.
pub(crate) fn part(jws: &str, number: usize) -> Value {
    let part = jws.split('.').nth(number).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The proofs that came to this place, in order.
pub(crate) fn proofs(provider: &Provider, place: &str) -> Vec<String> {
    let seen = provider.seen(place).into_iter();
    seen.map(|seen| seen.headers["dpop"].to_str().unwrap().to_owned())
        .collect()
}

pub(crate) fn seconds(count: u64) -> Option<Duration> {
    Some(Duration::from_secs(count))
}

#[test]
fn each_provider_in_the_document_has_a_test_and_each_test_a_provider() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/PROVIDERS.md")).unwrap();
    let sections = document.split("\n## ").skip(1);
    let mut named: Vec<_> = sections
        .map(|section| {
            let place = section.split("tests/providers/").nth(1);
            place.expect(section).split('`').next().unwrap().to_owned()
        })
        .collect();
    named.sort();
    let files = std::fs::read_dir(root.join("tests/providers")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> = names.filter(|name| name != "main.rs").collect();
    files.sort();
    assert_eq!(named, files);
}
