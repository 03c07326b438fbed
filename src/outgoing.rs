//! The path of one request, by whichever door it goes out: attach, send, judge the answer, resend once.

pub(crate) mod deadline;
pub(crate) mod door;
mod drain;
mod heal;
pub(crate) mod judge;
pub(crate) mod later;
mod proven;
pub(crate) mod resend_count;
pub(crate) mod settings;
pub(crate) mod stamp;
mod waiting;

use std::sync::Arc;

use http::HeaderMap;

use crate::cache::rejection::Sending;
use crate::call;
use crate::carrier::Carrier;
use crate::destinations::{Admission, Destinations};
use crate::error::{Error, ErrorKind};
use crate::options::TokenOptions;
use crate::outgoing::deadline::Deadline;
use crate::outgoing::door::{Door, Kept, Outbound};
use crate::outgoing::heal::Refused;
use crate::outgoing::judge::Sent;
use crate::outgoing::stamp::Stamp;
use crate::outgoing::waiting::Waiting;
use crate::source::handle::{Explicit, Handle};
use crate::token::TokenType;

/// Gives requests their tokens: whose, to which origins, and how.
#[derive(Clone, Debug)]
pub(crate) struct Bearer {
    pub(crate) tokens: Handle,
    /// The name of the named client that it is in, if it is in one.
    client: Option<Arc<str>>,
    destinations: Destinations,
    /// Whether a 401 that stays because the session is over is an error.
    ended_session_is_error: bool,
    carrier: Carrier,
}

impl Bearer {
    pub(crate) fn new(tokens: Handle, destinations: Destinations, carrier: Carrier) -> Self {
        Self {
            tokens,
            client: None,
            destinations,
            carrier,
            ended_session_is_error: false,
        }
    }

    /// The same for other tokens of the same source.
    pub(crate) fn with_tokens(&self, tokens: Handle) -> Self {
        Self {
            tokens,
            carrier: self.carrier.anew(),
            ..self.clone()
        }
    }

    /// Gives the request its token, sends it by this door, and once more if its token is refused.
    ///
    /// # Errors
    /// Those of what is below the door, untouched; and ours, if the request may not go out, or no token is
    /// to be had.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` would have room for its arguments twice, and no bound on its future"
    )]
    #[inline]
    pub(crate) fn carry<D: Door>(
        &self,
        mut request: D::Request,
        mut door: D,
    ) -> impl Future<Output = Result<D::Answer, D::Error>> + Send {
        async move {
            // Most requests have no extensions, and are spared three looks.
            let extensions = door.extensions();
            let (options, explicit) = if extensions.is_empty() {
                (None, Explicit::default())
            } else {
                (extensions.get(), Explicit::among(extensions))
            };
            match self.admits(&request, options, &door) {
                Ok(Admission::WithToken) => {}
                Ok(Admission::WithoutToken) => return door.send(request).await,
                Err(error) => return Err(self.failed::<D>(error)),
            }
            let engine = self.tokens.engine();
            let place = self.tokens.place_for_call(explicit, options);
            let place = place.map_err(|error| self.failed::<D>(error))?;
            let entry = place.as_ref().unwrap_or(&engine.entries.primary);
            let deadline = Deadline::of(&request, &engine.setup.clock);
            let kept = door.keep(&request);
            let takes_any = options.is_none_or(TokenOptions::takes_any_token);
            let ready = if takes_any {
                call::ready(engine, entry, |token| {
                    let sent = (!token.is_known_good()).then(|| engine.setup.clock.now());
                    let put = self
                        .carrier
                        .put(token, request.headers_mut(), &engine.setup.clock);
                    put.map(|()| Stamp::of(token, sent))
                })
            } else {
                None
            };
            let Some(stamp) = ready else {
                let bound = takes_any.then(|| call::ready_bound(engine, entry));
                let waiting = Waiting {
                    bound: bound.flatten(),
                    demand: self.tokens.demand(options),
                    kept,
                    deadline,
                    door,
                };
                // Boxed, as `heal` is: a call that has to wait can pay for its room, and no other has to.
                return Box::pin(self.send_later(entry, waiting, request)).await;
            };
            let stamp = stamp.map_err(|error| self.failed::<D>(error))?;

            deadline
                .bound(&mut request, &engine.setup.clock)
                .map_err(|error| self.failed::<D>(error))?;
            // A block, so that the future has no room for the answer beside that of `heal`.
            let refused = {
                let mut response = door.send(request).await?;
                let sent = Sent {
                    tokens: &self.tokens,
                    client: self.client.as_ref(),
                    entry,
                    stamp,
                    token_type: TokenType::Bearer,
                    url: kept.url(),
                    sending: Sending::First,
                };
                let judgement = sent.judge(&mut response);
                if !judgement.wants_another_token() {
                    return Ok(response);
                }
                Refused {
                    judgement,
                    stamp,
                    kept,
                    deadline,
                    response,
                    is_resent: false,
                    door,
                }
            };
            Box::pin(self.heal(entry, refused)).await
        }
    }

    /// Whether the request goes out as it is, whichever its origin. A caller's own header wins (D4).
    #[inline]
    pub(crate) fn leaves_alone(&self, headers: &HeaderMap, options: Option<&TokenOptions>) -> bool {
        // Requests have few headers: looking at each name is cheaper than hashing the one.
        options.is_some_and(|options| options.anonymous)
            || headers.keys().any(|name| name == self.carrier.header())
    }

    /// Whether this request is one for us.
    #[inline]
    fn admits<D: Door>(
        &self,
        request: &D::Request,
        options: Option<&TokenOptions>,
        door: &D,
    ) -> Result<Admission, Error> {
        door.check(request)?;
        if self.leaves_alone(request.headers(), options) {
            return Ok(Admission::WithoutToken);
        }
        self.destinations.admit(request.url())
    }

    /// Whether this reason is to take the place of the API's 401.
    fn is_session_over(&self, reason: &Error) -> bool {
        self.ended_session_is_error && reason.kind() == ErrorKind::SignInRequired
    }

    /// Why there is no answer, as the door hands it on.
    #[cold]
    pub(crate) fn failed<D: Door>(&self, error: Error) -> D::Error {
        D::failed(self.tokens.named(error))
    }
}
