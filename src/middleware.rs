//! The way of a request through reqwest-middleware.

mod builder;
mod chain;

use std::pin::Pin;

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result as Chain};

pub use crate::middleware::builder::BearerTokenMiddlewareBuilder;

use crate::carrier::Carrier;
use crate::destinations::Destinations;
use crate::error::Error;
use crate::middleware::chain::ChainDoor;
use crate::outgoing::Bearer;
use crate::source::TokenSource;
use crate::source::handle::Handle;
use crate::users::UserSessions;

/// Gives each request an access token, and heals a 401 by one refresh and
/// one resend.
///
/// Bound to the origins that it may send tokens to when it is made. Retry and tracing middleware
/// belongs outside, that is, before it in the chain: each retry then gets a token of its own.
///
/// ```
/// # fn client(grant: impl reqwest_bearer::Grant) -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::BearerTokenMiddleware;
///
/// let http = reqwest_bearer::http_client(reqwest::Client::builder())?;
/// let orders = reqwest_middleware::ClientBuilder::new(http.into())
///     .with(BearerTokenMiddleware::for_origin("https://api.example.com", grant)?)
///     .build();
/// # Ok(())
/// # }
/// ```
///
/// A `reqwest::Client` that was not built by [`http_client`](crate::http_client) follows redirects
/// by its own rules; see [`redirect_policy`](crate::redirect_policy) for what they leak.
///
/// What an API says beside a refusal is in the extensions of the response: the
/// [`BearerChallenge`](crate::BearerChallenge) of any 4xx (insufficient scope, step-up,
/// claims), and after a 401 that could not be healed the [`Error`] that says why.
///
/// A redirect to another origin takes no token along, also where both origins are among those that the
/// token may go to: what is followed is decided below the middleware, which cannot give the second
/// request a token of its own. The 401 that comes of it is passed on with the reason; ask the other
/// origin itself.
///
/// The time-out of a request bounds the wait for its token, the request and its resend together;
/// a client-wide time-out of reqwest cannot be read, and counts for each send alone.
#[derive(Clone, Debug)]
pub struct BearerTokenMiddleware(Bearer);

impl BearerTokenMiddleware {
    /// Sends the tokens of `source` to this origin (scheme, host and port) and to no other.
    ///
    /// # Errors
    /// If the text is no origin, or one that is neither https nor loopback.
    pub fn for_origin(
        origin: impl Into<String>,
        source: impl Into<TokenSource>,
    ) -> Result<Self, Error> {
        Self::builder(source).origin(origin).build()
    }

    /// Sends the tokens of the user whom a request names to this origin and to no other: by a
    /// [`Subject`](crate::Subject) among its extensions, or else the one that its task is for
    /// ([`Subject::run`](crate::Subject::run)).
    ///
    /// # Errors
    /// As [`for_origin`](Self::for_origin).
    pub fn for_users(origin: impl Into<String>, users: &UserSessions) -> Result<Self, Error> {
        Self::users_builder(users).origin(origin).build()
    }

    /// Sends the tokens of `source` to any https or loopback origin that a request names. For
    /// clients whose URLs are all your own; a URL from elsewhere takes the token with it. With a source whose
    /// tokens are bound to a key (DPoP) each call is an error: take [`builder`](Self::builder), and say
    /// which client is below.
    #[must_use]
    pub fn for_any_origin(source: impl Into<TokenSource>) -> Self {
        let mut handle = source.into().handle().clone();
        if handle.fault.is_none() && handle.offers_dpop() {
            handle.fault = Some(builder::follows_with_a_proof());
        }
        Self(Bearer::new(handle, Destinations::any(), Carrier::default()))
    }

    /// A middleware with settings.
    pub fn builder(source: impl Into<TokenSource>) -> BearerTokenMiddlewareBuilder {
        BearerTokenMiddlewareBuilder::new(source.into().handle().clone())
    }

    /// A middleware with settings, for the tokens of the users whom requests name.
    pub fn users_builder(users: &UserSessions) -> BearerTokenMiddlewareBuilder {
        BearerTokenMiddlewareBuilder::new(users.handle().clone())
    }

    /// The same middleware for other tokens of the same source.
    pub(crate) fn with_tokens(&self, tokens: Handle) -> Self {
        Self(self.0.with_tokens(tokens))
    }

    pub(crate) fn new(bearer: Bearer) -> Self {
        Self(bearer)
    }
}

/// What an `async_trait` method returns.
type Answer<'call> = Pin<Box<dyn Future<Output = Chain<Response>> + Send + 'call>>;

impl Middleware for BearerTokenMiddleware {
    // What `async_trait` would write, except that it moves the request, and the future of every
    // call then has room for it twice: more than an allocator has at hand. A warm call would cost
    // 1.45 of the limit that the benches measure by, where 1.25 is the goal and this a hair less.
    fn handle<'middleware, 'extensions, 'chain, 'call>(
        &'middleware self,
        request: Request,
        extensions: &'extensions mut Extensions,
        next: Next<'chain>,
    ) -> Answer<'call>
    where
        'middleware: 'call,
        'extensions: 'call,
        'chain: 'call,
    {
        Box::pin(self.0.carry(request, ChainDoor { next, extensions }))
    }
}
