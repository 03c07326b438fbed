//! The settings of a middleware: where its tokens may go.

use std::fmt;
use std::sync::Arc;

use crate::carrier::{Carried, CarrierSettings};
use crate::destinations::{Destinations, Elsewhere};
use crate::error::Error;
use crate::middleware::BearerTokenMiddleware;
use crate::redirect::SameOriginClient;
use crate::source::handle::Handle;

/// Makes a [`BearerTokenMiddleware`].
#[must_use = "a builder makes nothing until `build` is called"]
#[derive(Clone)]
pub struct BearerTokenMiddlewareBuilder {
    tokens: Handle,
    client: Option<Arc<str>>,
    origins: Vec<String>,
    any_origin: bool,
    elsewhere: Elsewhere,
    insecure_http: bool,
    ended_session_is_error: bool,
    carrier: CarrierSettings,
    redirects: Redirects,
}

/// What is known of the client below, as far as it decides where a header may travel (D3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Redirects {
    /// Nothing: good enough for `Authorization`, which reqwest itself takes care of.
    Unknown,
    /// It leaves no origin: good enough for a token in another header.
    AtHome,
    /// It follows none, or is the program's care, by `over_client_with_own_redirects`: good enough for proofs, each of
    /// which is for one URL.
    CaredFor,
}

impl BearerTokenMiddlewareBuilder {
    pub(crate) fn new(tokens: Handle) -> Self {
        Self {
            tokens,
            client: None,
            origins: Vec::new(),
            any_origin: false,
            elsewhere: Elsewhere::Refused,
            insecure_http: false,
            ended_session_is_error: false,
            carrier: CarrierSettings::default(),
            redirects: Redirects::Unknown,
        }
    }

    /// Adds an origin that tokens may be sent to: scheme, host and port, such as
    /// `https://api.example.com`. Default: none; at least one has to be named.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Lets the token go to any https or loopback origin that a request names. Default: only to
    /// the origins that were added.
    pub fn any_origin(mut self) -> Self {
        self.any_origin = true;
        self
    }

    /// Sends requests to other origins without a token. Default: they fail with
    /// [`OriginNotAllowed`](crate::ErrorKind::OriginNotAllowed) before anything is sent.
    pub fn other_origins_without_token(mut self) -> Self {
        self.elsewhere = Elsewhere::WithoutToken;
        self
    }

    /// Lets the token travel by plain http, where everybody on the way can read it and use it.
    /// Default: https, or http to this machine.
    pub fn allow_insecure_http(mut self) -> Self {
        self.insecure_http = true;
        self
    }

    /// Turns a 401 that could not be healed because the user has to sign in again into the error that
    /// says so ([`SignInRequired`](crate::ErrorKind::SignInRequired)): a session that is over then shows
    /// itself in one way, whether the API has answered or not. Default: the caller gets the API's own
    /// answer, with that error in its extensions
    /// ([`Error::find_in_response`]).
    pub fn error_on_ended_session(mut self) -> Self {
        self.ended_session_is_error = true;
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
        self.carrier.header = Some(name.into());
        self
    }

    /// The word before the token: `token` at older GitHub, `OAuth` at Yandex, `Zoho-oauthtoken`.
    /// Default: `Bearer` in `Authorization`, and none in any other header.
    pub fn scheme(mut self, scheme: impl Into<String>) -> Self {
        self.carrier.scheme = Some(scheme.into());
        self
    }

    /// Sends the token alone, without a word before it, in `Authorization` too.
    /// Default: see [`scheme`](Self::scheme).
    pub fn without_scheme(mut self) -> Self {
        self.carrier.without_scheme = true;
        self
    }

    /// Sends the id token in place of the access token, as Kubernetes and identity-aware proxies want
    /// it. Have the token endpoint
    /// [`expires_with_id_token`](crate::TokenEndpointBuilder::expires_with_id_token), so that a new one
    /// is fetched before it ends; an id token that has expired is an error, and is not sent.
    /// Default: the access token.
    pub fn id_token(mut self) -> Self {
        self.carrier.token = Carried::IdToken;
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
        self.client = Some(name.into());
        self
    }

    /// How the token goes into a request, as a named client has it set.
    pub(crate) fn carrier(mut self, settings: CarrierSettings) -> Self {
        self.carrier = settings;
        self
    }

    /// Makes the middleware.
    ///
    /// # Errors
    /// If no origin was named, or a text is no origin, or one that a token cannot travel to
    /// safely; if a header or a scheme cannot carry a token, or the header, or a proof, would travel along
    /// redirects; and what is wrong with the grant, where its source was made by `into()`.
    pub fn build(self) -> Result<BearerTokenMiddleware, Error> {
        if let Some(fault) = &self.tokens.fault {
            return Err(self.tokens.named(fault.clone()));
        }
        let origins = (!self.any_origin).then_some(self.origins);
        let destinations = Destinations::new(origins, self.elsewhere, self.insecure_http)?;
        let carrier = self.carrier.check()?;
        if self.tokens.offers_dpop() {
            carrier.check_dpop()?;
            if self.redirects != Redirects::CaredFor {
                return Err(follows_with_a_proof());
            }
        }
        if !carrier.is_dropped_on_redirect() && self.redirects == Redirects::Unknown {
            let header = carrier.header();
            return Err(Error::settings(format!(
                "the token in the header `{header}` would go along with redirects to other origins, \
                 since reqwest takes `authorization` out and no other header; send by a client from \
                 `same_origin_http_client`, and name it with `over`"
            )));
        }
        Ok(BearerTokenMiddleware::new(
            self.tokens,
            self.client,
            destinations,
            carrier,
            self.ended_session_is_error,
        ))
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
        // Without the origins, which are not yet checked for passwords.
        formatter
            .debug_struct("BearerTokenMiddlewareBuilder")
            .field("source", &self.tokens.name())
            .field("any_origin", &self.any_origin)
            .field("elsewhere", &self.elsewhere)
            .field("insecure_http", &self.insecure_http)
            .finish_non_exhaustive()
    }
}
