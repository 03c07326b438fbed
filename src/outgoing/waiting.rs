//! The way of a request whose token is not there yet, or is bound to a key: it can wait, for the token and for
//! a proof.

use std::sync::Arc;

use crate::access_token::Issued;
use crate::cache::entry::Entry;
use crate::cache::policy::Demand;
use crate::cache::rejection::Sending;
use crate::call;
use crate::dpop::Nonce;
use crate::error::Error;
use crate::outgoing::Bearer;
use crate::outgoing::deadline::Deadline;
use crate::outgoing::door::{Door, Kept, Outbound};
use crate::outgoing::heal::Refused;
use crate::outgoing::judge::Sent;
use crate::outgoing::proven::Proven;
use crate::outgoing::stamp::Stamp;
use crate::token::TokenType;

/// A request that waits, and what it is sent again from.
pub(super) struct Waiting<D: Door> {
    /// A token that is there, and waits for nothing but its proof.
    pub(super) bound: Option<Arc<Issued>>,
    pub(super) demand: Demand,
    pub(super) kept: D::Kept,
    pub(super) deadline: Deadline,
    pub(super) door: D,
}

impl Bearer {
    /// Gets the token and sends the request; its answer is judged as any is.
    // Not an `async fn`, which would have room for its arguments twice.
    pub(super) fn send_later<D: Door>(
        &self,
        entry: &Arc<Entry>,
        waiting: Waiting<D>,
        mut request: D::Request,
    ) -> impl Future<Output = Result<D::Answer, D::Error>> + Send {
        let Waiting {
            bound,
            mut demand,
            kept,
            deadline,
            mut door,
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
                    demand.only_try = !kept.is_whole();
                    // Boxed, so that a call with a bound token at hand has no room for it.
                    let served =
                        Box::pin(call::token(engine, entry, &demand, self.client.as_ref())).await;
                    let token = served.map_err(|error| self.failed::<D>(error))?.token;
                    (token, Some(clock.now()))
                }
            };
            let proven = Proven::of(&token, (&kept, true), &deadline, &self.tokens);
            let ready = self.prepare(&token, proven.as_ref(), &mut request, &deadline);
            let nonce = ready.await.map_err(|error| self.failed::<D>(error))?;
            let stamp = Stamp::of(&token, sent);
            let (mut response, is_resent) = match proven {
                Some(proven) => {
                    let answered = proven.send(request, nonce, &mut door).await?;
                    (answered.response, answered.is_resent)
                }
                None => (door.send(request).await?, false),
            };
            let token_type = TokenType::of(token.binding.as_ref());
            let sent = Sent {
                tokens: &self.tokens,
                client: self.client.as_ref(),
                entry,
                stamp,
                token_type,
                url: kept.url(),
                sending: Sending::First,
            };
            let judgement = sent.judge(&mut response);
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
                door,
            };
            Box::pin(self.heal(entry, refused)).await
        }
    }

    /// Puts the token into the request, and its proof if it has one; returns the nonce in that. What is left
    /// of the time-out is known last, since a key that is elsewhere takes its time to sign.
    ///
    /// # Errors
    /// If the request cannot be sent, or not in time.
    pub(super) async fn prepare<K: Kept>(
        &self,
        token: &Issued,
        proven: Option<&Proven<'_, K>>,
        request: &mut impl Outbound,
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
