//! The settings of a layer: where its tokens may go, and how bodies are had again.

use std::fmt;
use std::sync::Arc;

use http_body::Body;
use reqwest::Url;

use crate::carrier::Carried;
use crate::destinations::Elsewhere;
use crate::error::Error;
use crate::outgoing::settings::{BearerSettings, Redirects, Travelling};
use crate::source::handle::Handle;
use crate::tower::address::Addresses;
use crate::tower::bodies::{Bodies, Recording};
use crate::tower::recorded::RecordedBody;
use crate::tower::replay::Replay;
use crate::tower::{BearerTokenLayer, BoxError, Shared};

/// Makes a [`BearerTokenLayer`].
#[must_use = "a builder makes nothing until one of its `build` functions is called"]
#[derive(Clone)]
pub struct BearerTokenLayerBuilder {
    settings: BearerSettings,
    redirects: Redirects,
    takes_relative: bool,
}

impl BearerTokenLayerBuilder {
    pub(super) fn new(tokens: Handle) -> Self {
        Self {
            settings: BearerSettings::new(tokens),
            redirects: Redirects::Unknown,
            takes_relative: false,
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

    /// Says that requests which name no origin, only a path, go to the one [`origin`](Self::origin) of this
    /// layer: those of tonic, whose channel adds scheme and host below any layer. See that the channel goes
    /// there: nothing here can. Default: such a request is an error, and is not sent.
    pub fn relative_requests_to_origin(mut self) -> Self {
        self.takes_relative = true;
        self
    }

    /// Lets the token travel by plain http, where everybody on the way can read it and use it.
    /// Default: https, or http to this machine.
    pub fn allow_insecure_http(mut self) -> Self {
        self.settings.insecure_http = true;
        self
    }

    /// Turns a 401 that could not be healed because the user has to sign in again into the error that
    /// says so ([`SignInRequired`](crate::ErrorKind::SignInRequired)). With tonic, which makes a status of the
    /// API's answer and drops its extensions, there is no other way to hear it.
    /// Default: the caller gets the API's own answer, with that error in its extensions.
    pub fn error_on_ended_session(mut self) -> Self {
        self.settings.ended_session_is_error = true;
        self
    }

    /// The header that the token goes in, marked as sensitive. A request that has this header already is
    /// left as it is. The token is alone in it, unless a [`scheme`](Self::scheme) is set. Needs
    /// [`over_service_without_redirects`](Self::over_service_without_redirects).
    /// Default: `Authorization`.
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.settings.carrier.header = Some(name.into());
        self
    }

    /// The word before the token. Default: `Bearer` in `Authorization`, and none in any other header.
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
    /// it; an id token that has expired is an error, and is not sent.
    /// Default: the access token.
    pub fn id_token(mut self) -> Self {
        self.settings.carrier.token = Carried::IdToken;
        self
    }

    /// Says that the service below follows no redirects, or that where it takes headers along with them is
    /// the care of whoever built it: what a token in another [`header`](Self::header) than `Authorization`
    /// needs, and one that is bound to a key (DPoP), whose proofs are for one URL each.
    /// Default: nothing is known of the service, and such a token is an error of [`build`](Self::build).
    pub fn over_service_without_redirects(mut self) -> Self {
        self.redirects = Redirects::CaredFor;
        self
    }

    /// Makes the layer, for requests whose bodies can be sent again by themselves: those that are empty or
    /// whole, and any type of yours that says how ([`Replay`]).
    ///
    /// # Errors
    /// If no origin was named, or a text is no origin, or one that a token cannot travel to
    /// safely; if a header or a scheme cannot carry a token, or the header, or a proof, would travel along
    /// redirects; if relative requests are to go to the origin, and it is not one; and what is wrong with the
    /// grant, where its source was made by `into()`.
    pub fn build<B: Replay>(self) -> Result<BearerTokenLayer<B>, Error> {
        self.finish(Bodies::Replayed(B::replay))
    }

    /// Makes the layer, for requests whose bodies this function copies: it promises what [`Replay`] does, such
    /// as `OctoBody::try_clone` of octocrab and `Body::try_clone` of kube.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_replaying<B>(
        self,
        replay: fn(&B) -> Option<B>,
    ) -> Result<BearerTokenLayer<B>, Error> {
        self.finish(Bodies::Replayed(replay))
    }

    /// Makes the layer, for requests whose bodies are recorded while they are sent, up to 64 KiB. The function
    /// makes a body of the client's type of a recorded one, as `tonic::body::Body::new` does.
    /// Streams, and what is longer, are sent once: their token is refused, and the answer is passed on.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_recording<B: Body<Error: Into<BoxError>>>(
        self,
        wrap: fn(RecordedBody<B>) -> B,
    ) -> Result<BearerTokenLayer<B>, Error> {
        let begin = RecordedBody::begin;
        self.finish(Bodies::Recorded(Recording { begin, wrap }))
    }

    /// Makes the layer, for requests that are sent once, whatever their bodies: a refused token is renewed for
    /// the next one, and the answer is passed on. In the last part of its token's life a request waits for the
    /// new one.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_sending_once<B>(self) -> Result<BearerTokenLayer<B>, Error> {
        self.finish(Bodies::SentOnce)
    }

    fn finish<B>(self, bodies: Bodies<B>) -> Result<BearerTokenLayer<B>, Error> {
        let relative_to = match &self.settings.origins[..] {
            _ if !self.takes_relative => None,
            [origin] if !self.settings.any_origin => Some(origin.clone()),
            _ => {
                return Err(Error::settings(
                    "`relative_requests_to_origin` says that requests without an origin go to the one of this \
                 layer; name exactly one with `origin`, and leave out `any_origin`",
                ));
            }
        };
        let bearer = self.settings.check(self.redirects, follows)?;
        // What was checked is an origin, and so a URL.
        let relative_to = relative_to.and_then(|origin| Url::parse(&origin).ok());
        Ok(BearerTokenLayer {
            shared: Arc::new(Shared {
                bearer,
                addresses: Addresses::new(relative_to),
            }),
            bodies,
        })
    }
}

fn follows(travelling: Travelling<'_>) -> Error {
    let what = match travelling {
        Travelling::Proof => {
            "the tokens are bound to a DPoP key, and the proof of each request is for its URL alone"
        }
        Travelling::Token(_) => "the token is in another header than `authorization`",
    };
    Error::settings(format!(
        "{what}: a service that follows redirects would take it along to another place; if the one below the \
         layer follows none, say `over_service_without_redirects`"
    ))
}

impl fmt::Debug for BearerTokenLayerBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BearerTokenLayerBuilder")
            .field("settings", &self.settings)
            .field("takes_relative", &self.takes_relative)
            .finish_non_exhaustive()
    }
}
