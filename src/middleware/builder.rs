//! The settings of a middleware: where its tokens may go.

use std::fmt;

use crate::carrier::{Carried, CarrierSettings};
use crate::destinations::Elsewhere;
use crate::error::Error;
use crate::middleware::BearerTokenMiddleware;
use crate::outgoing::settings::{BearerSettings, Redirects, Travelling};
use crate::redirect::SameOriginClient;
use crate::source::handle::Handle;

/// Makes a [`BearerTokenMiddleware`].
#[must_use = "a builder makes nothing until `build` is called"]
#[derive(Clone)]
pub struct BearerTokenMiddlewareBuilder {
    settings: BearerSettings,
    redirects: Redirects,
}

impl BearerTokenMiddlewareBuilder {
    pub(crate) fn new(tokens: Handle) -> Self {
        Self {
            settings: BearerSettings::new(tokens),
            redirects: Redirects::Unknown,
        }
    }

    /// Adds an origin that tokens may be sent to: scheme, host and port, such as
    /// `https://api.example.com`. Default: none; at least one has to be named.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.settings.origins.push(origin.into());
        self
    }

    /// Lets the token go to any https or loopback origin that a request names. Default: only to
    /// the origins that were added.
    pub fn any_origin(mut self) -> Self {
        self.settings.any_origin = true;
        self
    }

    /// Sends requests to other origins without a token. Default: they fail with
    /// [`OriginNotAllowed`](crate::ErrorKind::OriginNotAllowed) before anything is sent.
    pub fn other_origins_without_token(mut self) -> Self {
        self.settings.elsewhere = Elsewhere::WithoutToken;
        self
    }

    /// Lets the token travel by plain http, where everybody on the way can read it and use it.
    /// Default: https, or http to this machine.
    pub fn allow_insecure_http(mut self) -> Self {
        self.settings.insecure_http = true;
        self
    }

    /// Turns a 401 that could not be healed because the user has to sign in again into the error that
    /// says so ([`SignInRequired`](crate::ErrorKind::SignInRequired)): a session that is over then shows
    /// itself in one way, whether the API has answered or not. Default: the caller gets the API's own
    /// answer, with that error in its extensions
    /// ([`Error::find_in_response`]).
    pub fn error_on_ended_session(mut self) -> Self {
        self.settings.ended_session_is_error = true;
        self
    }

    /// The header that the token goes in, marked as sensitive: `X-Shopify-Access-Token`,
    /// `x-amz-access-token`. A request that has this header already is left as it is. The token is alone
    /// in it, unless a [`scheme`](Self::scheme) is set.
    ///
    /// reqwest takes no header but `Authorization` out of a request that a redirect leads to another
    /// origin. So with any other one, the client below has to be one that stays at home: name it with
    /// [`over`](Self::over).
    /// Default: `Authorization`.
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.settings.carrier.header = Some(name.into());
        self
    }

    /// The word before the token: `token` at older GitHub, `OAuth` at Yandex, `Zoho-oauthtoken`.
    /// Default: `Bearer` in `Authorization`, and none in any other header.
    pub fn scheme(mut self, scheme: impl Into<String>) -> Self {
        self.settings.carrier.scheme = Some(scheme.into());
        self
    }

    /// Sends the token alone, without a word before it, in `Authorization` too.
    /// Default: see [`scheme`](Self::scheme).
    pub fn without_scheme(mut self) -> Self {
        self.settings.carrier.without_scheme = true;
        self
    }

    /// Sends the id token in place of the access token, as Kubernetes and identity-aware proxies want
    /// it. Have the token endpoint
    /// [`expires_with_id_token`](crate::TokenEndpointBuilder::expires_with_id_token), so that a new one
    /// is fetched before it ends; an id token that has expired is an error, and is not sent.
    /// Default: the access token.
    pub fn id_token(mut self) -> Self {
        self.settings.carrier.token = Carried::IdToken;
        self
    }

    /// Says that the requests go out by this client, whose redirects carry no header to another origin.
    /// Default: nothing is known of the client, and a [`header`](Self::header) other than
    /// `Authorization` is an error of [`build`](Self::build). So it is with tokens that are bound to a key
    /// (DPoP), for which the client has to be one that follows no redirect
    /// ([`http_client_without_redirects`](crate::http_client_without_redirects)).
    pub fn over(mut self, client: &SameOriginClient) -> Self {
        self.redirects = if client.follows_none() {
            Redirects::CaredFor
        } else {
            Redirects::AtHome
        };
        self
    }

    /// Says that where the client below carries the header along redirects is the care of whoever built
    /// it. With reqwest's own policy, **any redirect to another origin delivers the token there**.
    /// Default: as with [`over`](Self::over).
    pub fn over_client_with_own_redirects(mut self) -> Self {
        self.redirects = Redirects::CaredFor;
        self
    }

    /// The middleware of this named client.
    pub(crate) fn of_client(mut self, name: &str) -> Self {
        self.settings.client = Some(name.into());
        self
    }

    /// How the token goes into a request, as a named client has it set.
    pub(crate) fn carrier(mut self, settings: CarrierSettings) -> Self {
        self.settings.carrier = settings;
        self
    }

    /// Makes the middleware.
    ///
    /// # Errors
    /// If no origin was named, or a text is no origin, or one that a token cannot travel to
    /// safely; if a header or a scheme cannot carry a token, or the header, or a proof, would travel along
    /// redirects; and what is wrong with the grant, where its source was made by `into()`.
    pub fn build(self) -> Result<BearerTokenMiddleware, Error> {
        let bearer = self.settings.check(self.redirects, follows)?;
        Ok(BearerTokenMiddleware::new(bearer))
    }
}

fn follows(travelling: Travelling<'_>) -> Error {
    match travelling {
        Travelling::Proof => follows_with_a_proof(),
        Travelling::Token(carrier) => {
            let header = carrier.header();
            Error::settings(format!(
                "the token in the header `{header}` would go along with redirects to other origins, \
                 since reqwest takes `authorization` out and no other header; send by a client from \
                 `same_origin_http_client`, and name it with `over`"
            ))
        }
    }
}

/// reqwest takes the header of a proof along with every redirect, wherever that leads.
pub(super) fn follows_with_a_proof() -> Error {
    Error::settings(
        "the tokens are bound to a DPoP key, and the proof of each request is for its URL alone: with a \
         redirect it would go along to another one; send by a client from \
         `http_client_without_redirects`, and name it with `over`",
    )
}

impl fmt::Debug for BearerTokenMiddlewareBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BearerTokenMiddlewareBuilder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
