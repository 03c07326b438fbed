//! A [reqwest-middleware](reqwest_middleware) that gives every request the right OAuth 2.0 access
//! token: fetched once, renewed in the background, healed after a 401, never sent to another origin.
//!
//! ```no_run
//! use reqwest_bearer::{ClientAuthentication, ClientCredentials, NamedClient, TokenEndpoint};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = ClientAuthentication::client_secret_basic("my-client", "s3cr3t");
//! let endpoint = TokenEndpoint::discover("https://login.example.com", client)?;
//! let grant = ClientCredentials::new(endpoint);
//! let orders = NamedClient::new("orders", "https://api.example.com/v1", grant)?;
//! let order = orders.get("orders/42").send().await?.text().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it does for you
//!
//! - **One refresh at a time.** A thousand calls that find no token make one token request. It is a
//!   task of its own: a caller that goes away does not lose it, and all waiters share its outcome.
//! - **Ahead of time.** In the last 20 % of a token's life, at most 5 minutes, one refresh runs
//!   behind the calls, which go on with the present token.
//! - **401 healed.** A refused token is refreshed once, and each request that it was refused for is
//!   sent once more. What another token would not mend is passed on as it is, as a
//!   [`BearerChallenge`].
//! - **Outages survived.** While the token lives, calls go on; after that they fail at once with one
//!   shared error that says when to come back. No number of callers becomes a flood on the
//!   authorization server, not even below an API that always says 401.
//! - **At home.** A client is bound to its origins, and no redirect takes the token elsewhere.
//!
//! # The ladder
//!
//! Each rung is a few lines, and you never need the rung above.
//!
//! 1. A [`BearerTokenMiddleware`], bound to an API's origin, in a client of
//!    [`reqwest_middleware`]; built on [`http_client`], whose redirects keep the token at home.
//!    For a client that is no reqwest (gRPC by tonic), a [layer of tower](guide::tower).
//! 2. A [`TokenSource`] with settings ([`TokenSource::builder`]): when to refresh, what counts as a
//!    refusal, a hook for each [`Event`]. By hand it gives tokens to whatever is not reqwest, as a
//!    [`BearerTokenProvider`] to [libraries](guide::libraries) that send by themselves, and
//!    [keeps one fresh](TokenSource::keep_fresh) for a WebSocket or a pool.
//! 3. [`NamedClients`]: a registry of [`NamedClient`]s with base URLs, built once at start, from code or from a
//!    [configuration](guide::config); and [`NamedTenantClient`], for tenants that are known only at run time.
//! 4. [Users](guide::users): [`UserSessions`], at which users whose sign-in [began
//!    here](guide::sign_in) or elsewhere [sign in](UserSessions::sign_in) and
//!    [out](UserSessions::sign_out), and a [`NamedUserClient`] for each API. A request goes out for a
//!    [`Subject`]; the tokens live in a [`TokenStore`], which [many processes](guide::fleets) may share.
//! 5. [Callers](guide::exchange): a service that calls for its own callers exchanges their tokens, by
//!    [`ExchangedTokens`], and a [`NamedExchangeClient`] whose requests go out for a [`SubjectToken`].
//! 6. A command-line program: `FileStore`, and a user who signs in by a `LoopbackReceiver` or on
//!    [another device](DeviceAuthorizationRequest).
//! 7. [APIs that name their servers](guide::resources): [`NamedClient::for_resource`], of an API's URL
//!    alone, and [`ProtectedResource`], for programs that register themselves.
//! 8. [`TokenOptions`] per request: scope, resource, audience, a minimum lifetime, a forced refresh,
//!    no token.
//! 9. A [`Grant`] of your own, as an `async fn` or a closure ([`GrantFn`]), or a [`TokenStore`]. A
//!    fixed token is [`ConstantToken`], one that is rotated in a file [`TokenFile`]; an assertion gets one by
//!    [`JwtBearer`].
//!
//! Below all of them, [`TokenEndpoint`] and [`ClientAuthentication`] say which
//! [authorization server](guide::servers) to ask, and as whom. Every wrong setting is an [`Error`] when
//! it is given; building asks no server.
//!
//! [`providers`] has the lines for the authorization servers that people use, from Okta to Apigee.
//!
//! # Features
//!
//! None is on by default, and none changes what another part does ([more of them](guide::features)).
//!
//! | feature | what it adds | what it costs |
//! |---|---|---|
//! | `rustls` | https by rustls, with aws-lc-rs | 20 crates, some of it C |
//! | `native-tls` | https by the platform's TLS | 16 crates; OpenSSL's headers on Linux |
//! | `json` | `.json(..)` on requests and answers | nothing more to compile |
//! | `encryption` | `EncryptedStore`, around any store | 9 crates |
//! | `redis` | `RedisStore`, for many processes, and `encryption` | 20 crates |
//! | `file` | `FileStore`, for command-line programs | nothing more to compile |
//! | `config` | `NamedClientsConfig`: named clients from a [configuration](guide::config) | 1 crate |
//! | `signing` | `private_key_jwt` and `client_secret_jwt`; `SigningKey`, and `Signer` for keys in a KMS | 11 crates, some of it C; nothing beside `rustls` |
//! | `dpop` | `DpopKey`: tokens that are bound to a key (RFC 9449), and `signing` | nothing beside `signing` |
//! | `mtls` | `ClientCertificate`: client authentication by a certificate, and tokens that are bound to it (RFC 8705); `rustls` and `signing` | nothing beside `rustls` |
//! | `loopback` | `LoopbackReceiver`: the redirect of a [sign-in](guide::sign_in), for command-line programs | nothing more to compile |
//! | `tracing` | a span for each refresh, an event for each token request | nothing more to compile |
//! | `metrics` | durations, counts and states by the facade `metrics`: [monitoring](guide::monitoring) | 2 crates |
//! | `oauth2` | [`TokenSet`]s from the token responses of `oauth2` 5: `TokenSet::from_oauth2` | 23 crates; none of its HTTP clients |
//! | `openidconnect` | the same, by the name that users of `openidconnect` 4 look for | as `oauth2` |
//! | `tower` | `BearerTokenLayer`, for clients of [tower](guide::tower): tonic, hyper, kube, octocrab | nothing more to compile |
//! | `test-util` | `TestClock`, and a jitter that a test sets | nothing |
//!
//! One of the first two, here or on `reqwest` itself, is what https needs.
//!
//! # Guarantees
//!
//! [`promises`] has them line by line, with the ids that stand at the tests; [`architecture`] says where
//! each thing is decided. Their limits:
//!
//! - The redirects of a ready-made `reqwest::Client` are its owner's care
//!   ([`client_with_own_redirects`](NamedClientBuilder::client_with_own_redirects)); those of an
//!   [`HttpClient`] are ours.
//! - A client-wide timeout of reqwest cannot be read by a middleware, and counts for each sending
//!   alone; the timeout of a request bounds waiting, sending and sending again together.
//! - Secrets are zeroised when they go, but for the copies in header values and request bodies, and in
//!   the buffers of the HTTP, TLS and Redis clients.
//! - A tokio runtime with I/O and time is needed; there is no version for wasm.

mod access_token;
mod ambient;
mod api_answer;
mod authorization;
mod bearer_token;
mod bearer_token_provider;
mod by_origin;
mod cache;
mod call;
mod carrier;
mod challenge;
mod claims;
mod clock;
mod clock_skew;
#[cfg(feature = "config")]
mod config;
mod cooldown;
mod destinations;
#[cfg_attr(
    not(feature = "dpop"),
    expect(
        unreachable_pub,
        reason = "without the feature there is no key, and no bound token"
    )
)]
mod dpop;
mod endpoint;
mod engine;
mod error;
mod error_response;
mod exchanged;
mod expiry_margin;
mod flight;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod grant;
mod id_token;
mod jitter;
mod key;
mod middleware;
#[cfg(feature = "mtls")]
mod mtls;
mod named;
mod options;
mod origin;
mod outgoing;
mod parameters;
mod path;
mod random_id;
mod redirect;
mod refresh;
mod refusal_rule;
mod refuser;
mod reserved_headers;
mod resource;
mod retry_after;
mod schedule;
mod scope;
mod secret;
mod session;
mod shown;
mod sign_in;
#[cfg(feature = "signing")]
mod signer;
mod source;
mod step_up;
mod store;
mod subject;
mod subject_token;
mod telemetry;
mod timeouts;
mod token;
mod token_owner;
mod token_set;
#[cfg(feature = "tower")]
mod tower;
mod users;
mod wiping;

// Their types are in our signatures, so a program can name exactly the versions that we were built
// with, and needs no dependency of its own for `reqwest::Client::builder()`.
#[cfg(feature = "redis")]
pub use redis;
pub use reqwest;
pub use reqwest_middleware;

pub use access_token::AccessToken;
pub use api_answer::ApiAnswer;
#[cfg(feature = "loopback")]
pub use authorization::LoopbackReceiver;
pub use authorization::{
    AuthorizationRequest, DeviceAuthorizationRequest, PendingAuthorization,
    PendingDeviceAuthorization,
};
pub use bearer_token::BearerToken;
pub use bearer_token_provider::{BearerTokenFuture, BearerTokenProvider};
pub use challenge::BearerChallenge;
#[cfg(any(test, feature = "test-util"))]
pub use clock::TestClock;
#[cfg(feature = "config")]
pub use config::{NamedClientsBuilder, NamedClientsConfig};
#[cfg(feature = "dpop")]
pub use dpop::DpopKey;
pub use endpoint::{
    AssertionContext, AuthorizationServer, ClientAuthentication, RawAnswer, RegisteredClient,
    RegistrationRequest, SecretSource, ServerMetadata, TokenEndpoint, TokenEndpointBuilder,
    TokenKind, TokenRequest,
};
pub use error::{Delivery, Error, ErrorKind};
pub use error_response::ErrorResponse;
pub use exchanged::{ExchangedTokens, ExchangedTokensBuilder};
pub use expiry_margin::ExpiryMargin;
pub use grant::{
    AuthorizationCode, ClientCredentials, ConstantToken, Grant, GrantFn, GrantRequest, JwtBearer,
    RefreshTokenGrant, ResourceCredentials, TokenExchange, TokenFile,
};
#[cfg(feature = "signing")]
pub use grant::{GoogleServiceAccount, SelfSignedToken, SignedAssertion};
pub use middleware::{BearerTokenMiddleware, BearerTokenMiddlewareBuilder};
#[cfg(feature = "mtls")]
pub use mtls::ClientCertificate;
pub use named::{
    NamedClient, NamedClientBuilder, NamedClients, NamedExchangeClient, NamedExchangeClientBuilder,
    NamedTenantClient, NamedTenantClientBuilder, NamedUserClient, NamedUserClientBuilder,
    TenantSettings,
};
pub use options::TokenOptions;
pub use outgoing::resend_count::ResendCount;
pub use parameters::TokenParameters;
pub use redirect::{
    HttpClient, SameOriginClient, http_client, http_client_without_redirects, redirect_policy,
    same_origin_http_client, same_origin_redirect_policy,
};
pub use resource::{ProtectedResource, ProtectedResourceBuilder, ResourceMetadata};
pub use secret::Secret;
#[cfg(feature = "signing")]
pub use signer::{
    Jws, PublicJwk, Signer, SigningAlgorithm, SigningKey, SigningKeyFile, SigningKeySource,
};
pub use source::{TokenSource, TokenSourceBuilder, TokenStatus, TokenWatch};
pub use step_up::StepUp;
#[cfg(feature = "file")]
pub use store::FileStore;
#[cfg(feature = "encryption")]
pub use store::{EncryptedStore, EncryptionKeys, Protection};
pub use store::{Lease, MemoryStore, StoreKey, StoredRecord, TokenStore, Version};
#[cfg(feature = "redis")]
pub use store::{RedisStore, RedisStoreBuilder};
pub use subject::Subject;
pub use subject_token::SubjectToken;
#[cfg(feature = "metrics")]
pub use telemetry::describe_metrics;
pub use telemetry::{Event, RefreshReason};
pub use timeouts::Timeouts;
pub use token::TokenResponse;
pub use token_owner::TokenOwner;
pub use token_set::TokenSet;
#[cfg(feature = "tower")]
pub use tower::{
    AnswerBody, BearerTokenLayer, BearerTokenLayerBuilder, BearerTokenService, RecordedBody, Replay,
};
pub use users::{
    AccessTokenStatus, Revocation, SignOut, UserSessions, UserSessionsBuilder, UserStatus,
};

/// A page of `docs/`. Its links lead to files, which is right in the repository; here the same names lead
/// to modules, since of two definitions the first counts.
macro_rules! page {
    ($name:literal) => {
        concat!(
            "[the promises]: crate::promises\n",
            "[users]: crate::guide::users\n",
            "[configuration]: crate::guide::config\n",
            "[fleets]: crate::guide::fleets\n",
            "[signin]: crate::guide::sign_in\n",
            "[resources]: crate::guide::resources\n",
            "[exchange]: crate::guide::exchange\n",
            "[providers]: crate::providers\n",
            "[testing]: crate::guide::testing\n",
            "[tower]: crate::guide::tower\n",
            "[monitoring]: crate::guide::monitoring\n\n",
            include_str!(concat!("../docs/", $name, ".md")),
        )
    };
}

/// What a reader of the crate's first page wants to know next, one page each.
pub mod guide {
    #[doc = page!("USERS")]
    pub mod users {}

    #[doc = page!("SIGNIN")]
    pub mod sign_in {}
    #[doc = page!("RESOURCES")]
    pub mod resources {}

    #[doc = page!("EXCHANGE")]
    pub mod exchange {}

    #[doc = page!("CONFIG")]
    pub mod config {}

    #[doc = page!("FLEETS")]
    pub mod fleets {}

    #[doc = page!("SERVERS")]
    pub mod servers {}

    #[doc = page!("FEATURES")]
    pub mod features {}

    // Its examples are compiled where their clients are: by `tests/tower`.
    #[cfg(not(doctest))]
    #[doc = page!("TOWER")]
    pub mod tower {}

    #[doc = page!("MONITORING")]
    pub mod monitoring {}

    #[doc = page!("LIBRARIES")]
    pub mod libraries {}

    #[doc = page!("TESTING")]
    pub mod testing {}

    #[doc = page!("COMPARISON")]
    pub mod comparison {}
}

#[doc = page!("PROMISES")]
pub mod promises {}

#[doc = page!("ARCHITECTURE")]
pub mod architecture {}

#[doc = page!("PROVIDERS")]
pub mod providers {}

// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
