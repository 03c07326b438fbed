//! Bearer tokens for reqwest.

mod clock;
mod endpoint;
mod error;
mod grant;
mod parameters;
mod retry_after;
mod secret;
mod token;
mod token_set;

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
pub use parameters::TokenParameters;
pub use secret::Secret;
pub use token::TokenResponse;
pub use token_set::TokenSet;
