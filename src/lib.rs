//! Bearer tokens for reqwest.

mod challenge;
mod clock;
mod endpoint;
mod error;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod grant;
mod origin;
mod parameters;
mod path;
mod redirect;
mod secret;
mod token;
mod token_set;

pub use challenge::BearerChallenge;
#[cfg(any(test, feature = "test-util"))]
pub use clock::TestClock;
pub use endpoint::TokenEndpoint;
pub use error::{Error, ErrorKind};
pub use grant::{Grant, GrantRequest};
pub use parameters::TokenParameters;
pub use redirect::{http_client, redirect_policy};
pub use secret::Secret;
pub use token::TokenResponse;
pub use token_set::TokenSet;
