//! The sending of a token that is bound to a key: with a proof, and once more where the API wants another
//! nonce in it, or shows that its clock is another (RFC 9449 sections 7 and 9).

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use http::header::AUTHORIZATION;

use crate::access_token::Issued;
use crate::challenge::{refuses_proof, wants_nonce};
use crate::dpop::{Binding, DPOP_HEADER, Nonce, Proof, next_nonce};
use crate::engine::Setup;
use crate::error::{Error, ErrorKind};
use crate::outgoing::deadline::Deadline;
use crate::outgoing::door::{Answer, Door, Kept, Outbound};
use crate::outgoing::drain::make_room;
use crate::outgoing::resend_count::ResendCount;
use crate::source::handle::Handle;

/// The sending of a bound token.
pub(crate) struct Proven<'call, K> {
    binding: &'call Binding,
    token: &'call Issued,
    /// What a second sending is made of.
    kept: &'call K,
    /// Whether there is to be a second sending.
    may_repeat: bool,
    deadline: &'call Deadline,
    tokens: &'call Handle,
}

/// What came of it.
pub(crate) struct Answered<A> {
    pub(crate) response: A,
    /// Whether it has been sent twice: a request is for its proof once, as it is once for its token (C3).
    pub(crate) is_resent: bool,
}

/// Why a request is sent once more.
enum Again {
    /// Its proof was refused for its date, and the server's clock is known by now.
    Redated,
    /// The API wants another nonce than the one that was sent.
    WithNonce { sent: Option<Nonce> },
}

impl<'call, K: Kept> Proven<'call, K> {
    /// The sending of this token; `None` for a bearer token.
    pub(crate) fn of(
        token: &'call Issued,
        (kept, may_repeat): (&'call K, bool),
        deadline: &'call Deadline,
        tokens: &'call Handle,
    ) -> Option<Self> {
        Some(Self {
            binding: token.binding.as_ref()?,
            token,
            kept,
            may_repeat,
            deadline,
            tokens,
        })
    }

    /// Sends the request, which has the token already, and a proof with this nonce. The nonce of each answer
    /// is learnt.
    ///
    /// # Errors
    /// The door's own.
    pub(crate) async fn send<D: Door<Request = K::Request, Kept = K>>(
        &self,
        request: D::Request,
        sent: Option<Nonce>,
        door: &mut D,
    ) -> Result<Answered<D::Answer>, D::Error> {
        let (response, is_redated) = self.run(request, door).await?;
        if !is_redated && !wants_nonce(response.status(), response.headers()) {
            return once(response);
        }
        // Boxed: few calls meet a nonce that has changed, and no other has room for a second sending.
        let again = if is_redated {
            Again::Redated
        } else {
            Again::WithNonce { sent }
        };
        Box::pin(self.send_again(response, again, door)).await
    }

    /// Sends a copy, with another proof, if that is possible.
    async fn send_again<D: Door<Request = K::Request, Kept = K>>(
        &self,
        mut response: D::Answer,
        again: Again,
        door: &mut D,
    ) -> Result<Answered<D::Answer>, D::Error> {
        let clock = &self.tokens.engine().setup.clock;
        let copy = self.may_repeat.then(|| self.kept.again());
        let Some(mut copy) = copy.flatten() else {
            // What was learnt serves the next call.
            return once(response);
        };
        let nonce = match again {
            Again::Redated => Ok(None),
            Again::WithNonce { sent } => next_nonce(response.headers(), sent.as_ref()).map(Some),
        };
        let ready = async {
            let nonce = nonce.map_err(|problem| {
                Error::protocol(format!("the API wants a DPoP nonce and {problem}"))
            })?;
            copy.headers_mut()
                .insert(AUTHORIZATION, self.token.header.clone());
            self.prove_with(&mut copy, nonce).await?;
            self.deadline.bound(&mut copy, clock)
        };
        if let Err(reason) = ready.await {
            // No error of ours stands in for the API's answer (C8).
            response.extensions_mut().insert(self.tokens.named(reason));
            return once(response);
        }
        make_room(response, &mut copy, self.deadline, clock).await;
        ResendCount::after(
            1 + ResendCount::among(door.extensions()),
            door.extensions_mut(),
        );
        let sent = self.run(copy, door).await;
        ResendCount::end(door.extensions_mut());
        Ok(Answered {
            response: sent?.0,
            is_resent: true,
        })
    }

    /// Puts a proof into the request, with the newest nonce that is known; returns the nonce.
    ///
    /// # Errors
    /// If the key cannot sign, or not in time.
    pub(crate) async fn prove(&self, request: &mut impl Outbound) -> Result<Option<Nonce>, Error> {
        self.prove_with(request, None).await
    }

    async fn prove_with(
        &self,
        request: &mut impl Outbound,
        nonce: Option<Nonce>,
    ) -> Result<Option<Nonce>, Error> {
        let (method, url) = (request.method(), request.url());
        let proof = self.binding.prove(method, url, nonce);
        let Setup {
            clock, settings, ..
        } = &self.tokens.engine().setup;
        let within = self.deadline.left(settings.timeouts.wait, clock);
        let fault = |kind, message| Err(Error::new(kind, message));
        let proof = tokio::select! {
            biased;
            proof = AssertUnwindSafe(proof).catch_unwind() => proof.unwrap_or_else(|_| fault(
                ErrorKind::Panicked,
                "what signs the proof of a token panicked",
            )),
            () = clock.sleep(within) => fault(
                ErrorKind::Timeout,
                "what signs the proof of a token did not answer in time",
            ),
        };
        let Proof { header, nonce } = proof?;
        request.headers_mut().insert(DPOP_HEADER, header);
        Ok(nonce)
    }

    /// Returns the answer, and whether another proof would be dated otherwise than the one that it refuses.
    fn run<'run, D: Door>(
        &'run self,
        request: D::Request,
        door: &'run mut D,
    ) -> impl Future<Output = Result<(D::Answer, bool), D::Error>> {
        let setup = &self.tokens.engine().setup;
        let sent = setup.clock.now();
        // Not inside, which would have room for the request once more.
        let running = door.send(request);
        async move {
            let response = running.await?;
            let url = response.url(self.kept.url());
            let headers = response.headers();
            self.binding.learn(url, headers);
            if !refuses_proof(response.status(), headers) {
                return Ok((response, false));
            }
            let is_redated = self.binding.learn_date(url, headers, sent);
            if let Some(skew) = self.binding.untold_skew() {
                setup.telemetry.clock_skew(&skew);
            }
            Ok((response, is_redated))
        }
    }
}

fn once<A, E>(response: A) -> Result<Answered<A>, E> {
    Ok(Answered {
        response,
        is_resent: false,
    })
}
