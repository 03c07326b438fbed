//! The way of a request through a service of tower: a layer that gives it its token.

mod address;
mod answer;
mod bodies;
mod builder;
mod door;
mod grpc;
mod recorded;
mod replay;
mod service;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

pub use crate::tower::answer::AnswerBody;
pub use crate::tower::builder::BearerTokenLayerBuilder;
pub use crate::tower::recorded::RecordedBody;
pub use crate::tower::replay::Replay;
pub use crate::tower::service::BearerTokenService;

use crate::error::Error;
use crate::outgoing::Bearer;
use crate::source::TokenSource;
use crate::tower::address::Addresses;
use crate::tower::bodies::Bodies;
use crate::users::UserSessions;

/// The error of a layer, as tower has it: of what is below, or ours.
type BoxError = Box<dyn StdError + Send + Sync>;

/// Gives each request of a tower service an access token, and heals a refusal by one refresh and one resend:
/// what [`BearerTokenMiddleware`](crate::BearerTokenMiddleware) does, for clients that are no reqwest, such as
/// tonic's channel, `hyper-util`'s client, kube or octocrab.
///
/// Bound to the origins that it may send tokens to when it is made. `B` is the body of the requests, and
/// says whether one can be sent again: see [`Replay`].
///
/// ```
/// # use bytes::Bytes;
/// # use http_body_util::Full;
/// # use tower_layer::Layer;
/// # fn client<S>(http: S, grant: impl reqwest_bearer::Grant)
/// #     -> Result<reqwest_bearer::BearerTokenService<S, Full<Bytes>>, reqwest_bearer::Error> {
/// use reqwest_bearer::BearerTokenLayer;
///
/// // `http` is a `hyper_util::client::legacy::Client`, or any other service of requests.
/// let orders = BearerTokenLayer::for_origin("https://api.example.com", grant)?.layer(http);
/// # Ok(orders)
/// # }
/// ```
///
/// A gRPC client by tonic names no host in its requests, because its channel adds that below any layer; and
/// its body can be had again where it is recorded. Both is said when the layer is built
/// ([`relative_requests_to_origin`](BearerTokenLayerBuilder::relative_requests_to_origin),
/// [`build_recording`](BearerTokenLayerBuilder::build_recording)). The [guide](crate::guide::tower) has the
/// lines for it, and for other clients.
///
/// [`TokenOptions`](crate::TokenOptions), a [`Subject`](crate::Subject) and a
/// [`SubjectToken`](crate::SubjectToken) are taken from the extensions of the request. Those of the answer
/// have the [`BearerChallenge`](crate::BearerChallenge) of any 4xx, and after a 401 that could not be
/// healed the [`Error`] that says why. Errors of the service below come through untouched, as the boxed error
/// that they are with tower; ours are found among them by [`Error::find_in`].
///
/// # gRPC
///
/// An answer of the content type `application/grpc` says in `grpc-status` what came of the call. The code
/// `UNAUTHENTICATED` counts as a 401, `PERMISSION_DENIED` as a 403, and the codes of a server's own faults as
/// a 5xx, also before a rule of
/// [`refused_when`](crate::TokenSourceBuilder::refused_when). Where the answer consists of it (*trailers only*),
/// the request is sent again. Where it ends an answer that has begun, the caller has that answer already: it
/// is passed on, and the token is refused, so that the next call gets a new one. The `grpc-timeout` of a
/// request bounds the wait for its token, the request and its resend together.
///
/// # Where it goes
///
/// Retries belong outside (above): each then gets a token of its own. So do redirects: a service that follows
/// them *below* this layer carries the token along by rules of its own, while each request of one that is
/// above comes through this layer anew, and is sent with the token or not by where it goes. `hyper-util`'s
/// client, tonic's channel and kube follow none.
///
/// The time-out of a layer above bounds waiting, sending and sending again together, and dropping a call
/// stops no refresh.
pub struct BearerTokenLayer<B> {
    shared: Arc<Shared>,
    bodies: Bodies<B>,
}

/// What all services of one layer have in common.
#[derive(Debug)]
struct Shared {
    bearer: Bearer,
    addresses: Addresses,
}

impl<B: Replay> BearerTokenLayer<B> {
    /// Sends the tokens of `source` to this origin (scheme, host and port) and to no other.
    ///
    /// # Errors
    /// If the text is no origin, or one that is neither https nor loopback; and as
    /// [`build`](BearerTokenLayerBuilder::build).
    pub fn for_origin(
        origin: impl Into<String>,
        source: impl Into<TokenSource>,
    ) -> Result<Self, Error> {
        let builder = BearerTokenLayerBuilder::new(source.into().handle().clone());
        builder.origin(origin).build()
    }

    /// Sends the tokens of the user whom a request names to this origin and to no other: by a
    /// [`Subject`](crate::Subject) among its extensions, or else the one that its task is for
    /// ([`Subject::run`](crate::Subject::run)).
    ///
    /// # Errors
    /// As [`for_origin`](Self::for_origin).
    pub fn for_users(origin: impl Into<String>, users: &UserSessions) -> Result<Self, Error> {
        let builder = BearerTokenLayerBuilder::new(users.handle().clone());
        builder.origin(origin).build()
    }
}

// Not generic, so that `BearerTokenLayer::builder` needs no hint: which bodies there are is said last.
impl BearerTokenLayer<()> {
    /// A layer with settings.
    pub fn builder(source: impl Into<TokenSource>) -> BearerTokenLayerBuilder {
        BearerTokenLayerBuilder::new(source.into().handle().clone())
    }

    /// A layer with settings, for the tokens of the users whom requests name.
    pub fn users_builder(users: &UserSessions) -> BearerTokenLayerBuilder {
        BearerTokenLayerBuilder::new(users.handle().clone())
    }
}

impl<S, B> Layer<S> for BearerTokenLayer<B> {
    type Service = BearerTokenService<S, B>;

    fn layer(&self, inner: S) -> Self::Service {
        BearerTokenService::new(inner, Arc::clone(&self.shared), self.bodies)
    }
}

impl<B> Clone for BearerTokenLayer<B> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            bodies: self.bodies,
        }
    }
}

impl<B> fmt::Debug for BearerTokenLayer<B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BearerTokenLayer")
            .field("bearer", &self.shared.bearer)
            .finish_non_exhaustive()
    }
}
