//! The trait by which a library takes its tokens from wherever the program has them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::bearer_token::BearerToken;
use crate::error::Error;

/// What [`BearerTokenProvider::bearer_token`] returns: a future in a box, since the trait is object-safe.
pub type BearerTokenFuture<'provider> =
    Pin<Box<dyn Future<Output = Result<BearerToken, Error>> + Send + 'provider>>;

/// A bearer token from somewhere: for libraries that send requests by themselves and leave it to the
/// program where the tokens come from.
///
/// Such a library takes an `Arc<dyn BearerTokenProvider>`, has no type parameter for it, and asks for each
/// request anew. It sends nothing by this crate, so it says itself that an API has answered 401
/// ([`BearerToken::invalidate`]), and sends once more if it can:
///
/// ```
/// use std::sync::Arc;
/// use reqwest_bearer::{BearerTokenProvider, Error};
/// # struct Connection;
/// # impl Connection {
/// #     async fn send(&self, _authorization: &reqwest_bearer::reqwest::header::HeaderValue) -> u16 { 200 }
/// # }
///
/// pub struct Archive {
///     connection: Connection,
///     tokens: Arc<dyn BearerTokenProvider>,
/// }
///
/// impl Archive {
///     pub async fn store(&self) -> Result<u16, Error> {
///         let token = self.tokens.bearer_token().await?;
///         let status = self.connection.send(token.authorization()).await;
///         if status != 401 {
///             return Ok(status);
///         }
///         token.invalidate();
///         let next = self.tokens.bearer_token().await?;
///         Ok(self.connection.send(next.authorization()).await)
///     }
/// }
/// ```
///
/// A program hands in a [`TokenSource`](crate::TokenSource): its own, a user's
/// ([`UserSessions::for_subject`](crate::UserSessions::for_subject)), a caller's
/// ([`ExchangedTokens::for_subject_token`](crate::ExchangedTokens::for_subject_token)), or that of a client
/// ([`NamedClient::source`](crate::NamedClient::source)). One refresh at a time, ahead of the end, and the
/// memory for failures are those of the source. **Where the token goes is the library's care**: no origin is
/// checked, and no redirect.
///
/// A test hands in a fake:
///
/// ```
/// use reqwest_bearer::{BearerToken, BearerTokenFuture, BearerTokenProvider};
///
/// struct Fake;
///
/// impl BearerTokenProvider for Fake {
///     fn bearer_token(&self) -> BearerTokenFuture<'_> {
///         Box::pin(async { BearerToken::new("a-token") })
///     }
/// }
/// ```
///
/// That a token was refused is not a second method: a wrapper around a provider (one that counts, or
/// chooses among several) would forget to pass it on, and its users would be without the answer to a 401
/// for a reason that no test of theirs shows. It goes back by the token.
pub trait BearerTokenProvider: Send + Sync + 'static {
    /// The token to send now: the kept one, or a new one. Warm, it waits for nothing.
    ///
    /// Dropping the future ends this wait alone.
    ///
    /// # Errors
    /// If there is none to be had; [`Error::kind`] says what the program can do, and
    /// [`Error::is_transient`] whether waiting helps. A library keeps it as the `source` of an error of its
    /// own, where [`Error::find_in`] finds it again.
    fn bearer_token(&self) -> BearerTokenFuture<'_>;
}

/// So that what many share goes where a library takes `impl BearerTokenProvider`.
impl<P: BearerTokenProvider + ?Sized> BearerTokenProvider for Arc<P> {
    fn bearer_token(&self) -> BearerTokenFuture<'_> {
        P::bearer_token(self)
    }
}

/// So that a library derives `Debug` for what has a provider in it.
impl fmt::Debug for dyn BearerTokenProvider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BearerTokenProvider")
    }
}
