//! The way of a request whose token is not there yet, or is bound to a key: it can wait, for the token and for
//! a proof.

use std::sync::Arc;

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Next, Result as Chain};

use crate::access_token::Issued;
use crate::cache::entry::Entry;
use crate::cache::policy::Demand;
use crate::call;
use crate::dpop::Nonce;
use crate::error::Error;
use crate::middleware::deadline::Deadline;
use crate::middleware::proven::Proven;
use crate::middleware::sending::{Kept, Stamp};
use crate::middleware::{BearerTokenMiddleware, Refused};
use crate::token::TokenType;

/// A request that waits, and what it is sent again from.
pub(super) struct Waiting<'chain> {
    /// A token that is there, and waits for nothing but its proof.
    pub(super) bound: Option<Arc<Issued>>,
    pub(super) demand: Demand,
    pub(super) kept: Kept,
    pub(super) deadline: Deadline,
    pub(super) next: Next<'chain>,
}

impl BearerTokenMiddleware {
    /// Gets the token and sends the request; its answer is judged as any is.
    // Not an `async fn`, which would have room for its arguments twice.
    pub(super) fn send_later(
        &self,
        entry: &Arc<Entry>,
        waiting: Waiting<'_>,
        mut request: Request,
        extensions: &mut Extensions,
    ) -> impl Future<Output = Chain<Response>> {
        let Waiting {
            bound,
            mut demand,
            kept,
            deadline,
            next,
        } = waiting;
        async move {
            let engine = self.tokens.engine();
            let clock = &engine.setup.clock;
            let (token, sent) = match bound {
                // As of a warm call with a bearer token: most successes say nothing new.
                Some(token) => {
                    let sent = (!token.is_known_good()).then(|| clock.now());
                    (token, sent)
                }
                None => {
                    demand.within = deadline.left(demand.within, clock);
                    demand.only_try = matches!(kept, Kept::Address(_));
                    // Boxed, so that a call with a bound token at hand has no room for it.
                    let client = self.client.as_ref();
                    let served = Box::pin(call::token(engine, entry, &demand, client)).await;
                    let token = served.map_err(|error| self.failed(error))?.token;
                    (token, Some(clock.now()))
                }
            };
            let proven = Proven::of(&token, Some(&kept), &deadline, &self.tokens);
            let ready = self.prepare(&token, proven.as_ref(), &mut request, &deadline);
            let nonce = ready.await.map_err(|error| self.failed(error))?;
            let stamp = Stamp::of(&token, sent);
            let (mut response, is_resent) = match proven {
                Some(proven) => {
                    let sent = proven.send(request, nonce, extensions, next.clone());
                    let answered = sent.await?;
                    (answered.response, answered.is_resent)
                }
                None => (next.clone().run(request, extensions).await?, false),
            };
            let token_type = TokenType::of(token.binding.as_ref());
            let judgement = self.judge(entry, stamp, token_type, kept.url(), &mut response);
            if !judgement.wants_another_token() {
                return Ok(response);
            }
            let refused = Refused {
                judgement,
                stamp,
                kept,
                deadline,
                response,
                is_resent,
                next,
            };
            Box::pin(self.heal(entry, refused, extensions)).await
        }
    }

    /// Puts the token into the request, and its proof if it has one; returns the nonce in that. What is left
    /// of the time-out is known last, since a key that is elsewhere takes its time to sign.
    ///
    /// # Errors
    /// If the request cannot be sent, or not in time.
    pub(super) async fn prepare(
        &self,
        token: &Issued,
        proven: Option<&Proven<'_>>,
        request: &mut Request,
        deadline: &Deadline,
    ) -> Result<Option<Nonce>, Error> {
        let clock = &self.tokens.engine().setup.clock;
        self.carrier.put(token, request.headers_mut(), clock)?;
        let nonce = match proven {
            Some(proven) => proven.prove(request).await?,
            None => None,
        };
        deadline.bound(request, clock).map(|()| nonce)
    }
}
