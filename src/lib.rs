//! Bearer tokens for reqwest.

mod access_token;
mod ambient;
mod challenge;
mod clock;
mod destinations;
mod endpoint;
mod error;
mod flight;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod grant;
mod jitter;
mod keeper;
mod middleware;
mod named;
mod options;
mod origin;
mod parameters;
mod path;
mod redirect;
mod retry_after;
mod schedule;
mod secret;
mod source;
mod telemetry;
mod token;
mod token_set;

// Their types are in our signatures, so a program can name exactly the versions that we were built
// with, and needs no dependency of its own for `reqwest::Client::builder()`.
pub use reqwest;
pub use reqwest_middleware;

pub use access_token::AccessToken;
pub use challenge::BearerChallenge;
#[cfg(any(test, feature = "test-util"))]
pub use clock::TestClock;
pub use endpoint::{
    ClientAuthentication, SecretSource, TokenEndpoint, TokenEndpointBuilder, TokenKind,
    TokenRequest,
};
pub use error::{Error, ErrorKind};
pub use grant::{
    AuthorizationCode, ClientCredentials, ConstantToken, Grant, GrantFn, GrantRequest,
    RefreshTokenGrant, TokenFile,
};
pub use middleware::{BearerTokenMiddleware, BearerTokenMiddlewareBuilder};
pub use named::{NamedClient, NamedClientBuilder, NamedClients};
pub use options::TokenOptions;
pub use parameters::TokenParameters;
pub use redirect::{http_client, redirect_policy};
pub use secret::Secret;
pub use source::{TokenSource, TokenSourceBuilder, TokenStatus};
pub use telemetry::{Event, RefreshReason};
pub use token::TokenResponse;
pub use token_set::TokenSet;
