//! G1 and G3: what a warm call allocates, and what a further token takes.
//!
//! Counted, not timed: allocations of this thread, which are the same in every run. What the call
//! costs beside other middlewares (G2) is measured by the workspace member `benches`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where something is not as it should be"
)]

#[cfg(feature = "metrics")]
#[expect(dead_code, reason = "one thing of it is asked here")]
#[path = "support/recorder.rs"]
mod recorder;

use allocation_counter::{AllocationInfo, measure};
use async_trait::async_trait;
use futures_util::FutureExt;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderValue};
use reqwest::{Request, Response, ResponseBuilderExt};
use reqwest_bearer::{
    BearerTokenMiddleware, ClientAuthentication, ConstantToken, ExchangedTokens, GrantFn,
    MemoryStore, Subject, SubjectToken, TokenEndpoint, TokenExchange, TokenOptions, TokenResponse,
    TokenSet, TokenSource, UserSessions,
};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, Result};
use std::time::{Duration, SystemTime};

const ORIGIN: &str = "https://api.example.com";
/// A request without an extension.
const PLAIN: Option<&TokenOptions> = None;

/// Answers without a network.
struct Canned;

#[async_trait]
impl Middleware for Canned {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        let url = request.url().clone();
        let answer = http::Response::builder().url(url).body("").unwrap();
        Ok(Response::from(answer))
    }
}

/// The least that a client does which can send a request again.
struct ConstantHeaderAndCopy(HeaderValue);

#[async_trait]
impl Middleware for ConstantHeaderAndCopy {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let copy = request.try_clone();
        request.headers_mut().insert(AUTHORIZATION, self.0.clone());
        let response = next.clone().run(request, extensions).await?;
        match copy {
            Some(copy) if response.status() == 401 => next.run(copy, extensions).await,
            _ => Ok(response),
        }
    }
}

fn client(middleware: impl Middleware) -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::new())
        .with(middleware)
        .with(Canned)
        .build()
}

fn limit() -> ClientWithMiddleware {
    let header = HeaderValue::from_str(&format!("Bearer {}", "x".repeat(1024))).unwrap();
    client(ConstantHeaderAndCopy(header))
}

fn ours(lifetime: Option<Duration>) -> ClientWithMiddleware {
    let grant = GrantFn::new("g", move |_| async move {
        let token = TokenResponse::bearer("x".repeat(1024));
        Ok(match lifetime {
            Some(lifetime) => token.with_expires_in(lifetime),
            None => token,
        })
    });
    client(BearerTokenMiddleware::for_origin(ORIGIN, grant).unwrap())
}

/// What one call allocates after the first ones.
async fn warm_call<E>(client: &ClientWithMiddleware, extension: Option<&E>) -> u64
where
    E: Clone + Send + Sync + 'static,
{
    for _ in 0..10 {
        send(client, extension).await;
    }
    let AllocationInfo { count_total, .. } = measure(|| {
        send(client, extension)
            .now_or_never()
            .expect("a warm call waits for nothing");
    });
    count_total
}

async fn send<E>(client: &ClientWithMiddleware, extension: Option<&E>)
where
    E: Clone + Send + Sync + 'static,
{
    let mut request = client.get(format!("{ORIGIN}/v1/orders/42"));
    if let Some(extension) = extension {
        request = request.with_extension(extension.clone());
    }
    assert_eq!(request.send().await.unwrap().status(), 200);
}

/// What a sign-in brings, with an access token of this length that ends in the year 2100.
fn tokens(length: usize) -> TokenSet {
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(4_102_444_800);
    TokenSet::new("x".repeat(length)).with_expires_at(end)
}

#[tokio::test]
async fn a_warm_call_allocates_nothing_besides_the_copy_for_the_resend() {
    // G1
    let least = warm_call(&limit(), PLAIN).await;
    assert!(least > 0, "the counter counts");
    for lifetime in [None, Some(Duration::from_secs(3600))] {
        assert_eq!(warm_call(&ours(lifetime), PLAIN).await, least);
    }
    let constant = BearerTokenMiddleware::for_any_origin(ConstantToken::new("x").unwrap());
    assert_eq!(warm_call(&client(constant), PLAIN).await, least);
}

#[cfg(feature = "metrics")]
#[tokio::test]
async fn a_warm_call_allocates_nothing_for_a_recorder_either() {
    // G1, J1
    let recorder = recorder::Recorder::default();
    let _listening = metrics::set_default_local_recorder(&recorder);
    let least = warm_call(&limit(), PLAIN).await;
    let ours = ours(Some(Duration::from_secs(3600)));
    assert_eq!(warm_call(&ours, PLAIN).await, least);
    assert!(recorder.touches() > 0, "the first call has waited");
}

#[tokio::test]
async fn a_warm_call_for_a_scope_allocates_nothing_besides_either() {
    // G1
    let options = TokenOptions::new().scope("orders:read");
    let least = warm_call(&limit(), Some(&options)).await;
    let ours = ours(Some(Duration::from_secs(3600)));
    assert_eq!(warm_call(&ours, Some(&options)).await, least);
}

#[tokio::test]
async fn a_warm_call_of_a_user_allocates_nothing_besides_either() {
    // G1, F1: through each of the three doors.
    let grant = GrantFn::new("g", |_| async { Ok(TokenResponse::bearer("unused")) });
    let users = UserSessions::with_grant(grant).build().unwrap();
    let session = Subject::new("a-session").unwrap();
    users.sign_in(&session, tokens(1024)).await.unwrap();
    let of_user = BearerTokenMiddleware::for_origin(ORIGIN, users.for_subject(&session)).unwrap();
    let of_any = BearerTokenMiddleware::for_users(ORIGIN, &users).unwrap();
    let (limit, handle, any) = (limit(), client(of_user), client(of_any));

    let least = warm_call(&limit, PLAIN).await;
    assert_eq!(warm_call(&handle, PLAIN).await, least);
    // The scope is made once for each incoming request, and its calls are free.
    let ambient = session.run(warm_call(&any, PLAIN)).await;
    assert_eq!(ambient, least);

    let least = warm_call(&limit, Some(&session)).await;
    assert_eq!(warm_call(&any, Some(&session)).await, least);
}

#[test]
fn one_more_user_costs_at_most_a_kibibyte_besides_the_token() {
    // G3, the sessions' place in the store not counted.
    const USERS: i64 = 1000;
    const TOKEN: usize = 1024;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let source = |store: &MemoryStore| {
        let grant = GrantFn::new("g", |_| async { Ok(TokenResponse::bearer("unused")) });
        let builder = UserSessions::with_grant(grant).store(store.clone());
        builder.build().unwrap()
    };
    let session = |number: i64| Subject::new(format!("session-{number:035}")).unwrap();
    let store = MemoryStore::new();
    let front = source(&store);
    for number in 0..=USERS {
        let session = session(number);
        let signed_in = front.sign_in(&session, tokens(TOKEN));
        runtime.block_on(signed_in).unwrap();
    }
    let other = source(&store);
    let call = |number: i64| {
        let token = other.for_subject(&session(number));
        runtime.block_on(token.token()).unwrap();
    };
    call(USERS);
    let AllocationInfo { bytes_current, .. } = measure(|| (0..USERS).for_each(call));
    let each = bytes_current / USERS;
    assert!(each > 1024, "the tokens are kept: {each}");
    assert!(each <= 2048, "{each} bytes a user, with a token of {TOKEN}");
}

#[cfg(feature = "dpop")]
#[test]
fn one_more_user_with_a_key_costs_at_most_two_kibibytes_besides_the_token() {
    // G3, H5: what the cryptographic library keeps of the key is in its own memory, and is not counted. The
    // nonces of servers are no user's.
    const USERS: usize = 1000;
    const TOKEN: usize = 1024;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let store = MemoryStore::new();
    let source = || {
        let grant = GrantFn::new("g", |_| async { Ok(TokenResponse::bearer("unused")) });
        let builder = UserSessions::with_grant(grant).store(store.clone());
        builder.dpop().build().unwrap()
    };
    let session = |number: usize| Subject::new(format!("session-{number:035}")).unwrap();
    let front = source();
    for number in 0..=USERS {
        let key = reqwest_bearer::DpopKey::generate().unwrap();
        let tokens = tokens(TOKEN).with_dpop_key(&key);
        runtime
            .block_on(front.sign_in(&session(number), tokens))
            .unwrap();
    }
    let other = source();
    let call = |number: usize| {
        let token = other.for_subject(&session(number));
        runtime.block_on(token.token()).unwrap();
    };
    call(USERS);
    let AllocationInfo { bytes_current, .. } = measure(|| (0..USERS).for_each(call));
    let each = usize::try_from(bytes_current).unwrap() / USERS;
    assert!(each > TOKEN, "the tokens are kept: {each}");
    assert!(
        each <= TOKEN + 2048,
        "{each} bytes a user, with a token of {TOKEN}"
    );
}

#[test]
fn one_more_caller_costs_little_more_than_a_kibibyte_besides_the_two_tokens() {
    // I1
    const CALLERS: i64 = 1000;
    const TOKEN: usize = 1024;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let server = runtime.block_on(wiremock::MockServer::start());
    let answer = wiremock::ResponseTemplate::new(200).set_body_json(serde_json::json!({
        "access_token": "x".repeat(TOKEN),
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "expires_in": 3600,
    }));
    let mock = wiremock::Mock::given(wiremock::matchers::any()).respond_with(answer);
    runtime.block_on(mock.mount(&server));
    let client = ClientAuthentication::none("service");
    let endpoint = TokenEndpoint::new(server.uri(), client).unwrap();
    let tokens = ExchangedTokens::new(TokenExchange::new(endpoint)).unwrap();
    let fetch = |caller: i64| {
        let text = format!("{caller:0width$}", width = TOKEN);
        let caller = SubjectToken::new(text).unwrap();
        let source = tokens.for_subject_token(&caller);
        runtime.block_on(source.token()).unwrap();
    };
    // The server keeps what it was sent, on threads of its own; its answers and our connections are made
    // here once.
    (CALLERS..CALLERS + 10).for_each(fetch);
    let AllocationInfo { bytes_current, .. } = measure(|| (0..CALLERS).for_each(fetch));
    let each = bytes_current / CALLERS;
    assert!(each > 2048, "both tokens are kept: {each}");
    assert!(
        each <= 2048 + 1024 + 256,
        "{each} bytes a caller, with two tokens of {TOKEN}"
    );
}

#[test]
fn one_more_key_costs_at_most_a_kibibyte_besides_its_token() {
    // G3
    const KEYS: i64 = 1000;
    const TOKEN: usize = 1024;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let grant = GrantFn::new("g", |_| async {
        Ok(TokenResponse::bearer("x".repeat(TOKEN)).with_expires_in(Duration::from_secs(3600)))
    });
    let source = TokenSource::from(grant);
    let fetch = |key: i64| {
        let options = TokenOptions::new().scope(format!("user-{key}"));
        runtime.block_on(source.token_with(&options)).unwrap();
    };
    fetch(KEYS);
    let AllocationInfo { bytes_current, .. } = measure(|| (0..KEYS).for_each(fetch));
    let each = bytes_current / KEYS;
    assert!(each > 1024, "the tokens are kept: {each}");
    assert!(each <= 2048, "{each} bytes a key, with a token of {TOKEN}");
}
