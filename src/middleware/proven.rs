//! The sending of a token that is bound to a key: with a proof, and once more where the API wants another
//! nonce in it (RFC 9449 sections 7 and 9).

use std::time::Duration;

use http::Extensions;
use http::header::AUTHORIZATION;
use reqwest::{Request, Response};
use reqwest_middleware::{Next, Result as Chain};

use crate::access_token::Issued;
use crate::challenge::wants_nonce;
use crate::dpop::{Binding, DPOP_HEADER, Nonce, Proof, next_nonce};
use crate::error::Error;
use crate::middleware::deadline::Deadline;
use crate::middleware::drain::drain;
use crate::middleware::sending::{Kept, is_without_url};
use crate::source::handle::Handle;

/// The sending of a bound token.
pub(crate) struct Proven<'call> {
    binding: &'call Binding,
    token: &'call Issued,
    /// What a second sending is made of; `None` if there is to be none.
    kept: Option<&'call Kept>,
    deadline: &'call Deadline,
    tokens: &'call Handle,
}

/// What came of it.
pub(crate) struct Answered {
    pub(crate) response: Response,
    /// Whether it has been sent twice: a request is for its nonce once, as it is once for its token (C3).
    pub(crate) is_resent: bool,
}

impl<'call> Proven<'call> {
    /// The sending of this token; `None` for a bearer token.
    pub(crate) fn of(
        token: &'call Issued,
        kept: Option<&'call Kept>,
        deadline: &'call Deadline,
        tokens: &'call Handle,
    ) -> Option<Self> {
        Some(Self {
            binding: token.binding.as_ref()?,
            token,
            kept,
            deadline,
            tokens,
        })
    }

    /// Sends the request, which has the token already, and a proof with this nonce. The nonce of each answer
    /// is learnt.
    ///
    /// # Errors
    /// The chain's own.
    pub(crate) async fn send(
        &self,
        request: Request,
        sent: Option<Nonce>,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Chain<Answered> {
        let response = self.run(request, extensions, next.clone()).await?;
        if !wants_nonce(response.status(), response.headers()) {
            return once(response);
        }
        // Boxed: few calls meet a nonce that has changed, and no other has room for a second sending.
        Box::pin(self.send_again(response, sent, extensions, next)).await
    }

    /// Sends a copy, with the nonce that the answer gives, if that is possible.
    async fn send_again(
        &self,
        mut response: Response,
        sent: Option<Nonce>,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Chain<Answered> {
        let clock = &self.tokens.engine().setup.clock;
        let Some(Kept::Copy(kept)) = self.kept else {
            // What was learnt serves the next call.
            return once(response);
        };
        let Some(mut copy) = kept.try_clone() else {
            return once(response);
        };
        let ready = async {
            let nonce = next_nonce(response.headers(), sent.as_ref()).map_err(|problem| {
                Error::protocol(format!("the API wants a DPoP nonce and {problem}"))
            })?;
            copy.headers_mut()
                .insert(AUTHORIZATION, self.token.header.clone());
            self.prove_with(&mut copy, Some(nonce)).await?;
            self.deadline.bound(&mut copy, clock)
        };
        if let Err(reason) = ready.await {
            // No error of ours stands in for the API's answer (C8).
            response.extensions_mut().insert(self.tokens.named(reason));
            return once(response);
        }
        // As with another token: half of what is left for the answer, half for the second sending.
        let half = self.deadline.left(Duration::MAX, clock) / 2;
        drain(response, clock, half).await;
        self.deadline.bound_from(half, &mut copy, clock);
        Ok(Answered {
            response: self.run(copy, extensions, next).await?,
            is_resent: true,
        })
    }

    /// Puts a proof into the request, with the newest nonce that is known; returns the nonce.
    ///
    /// # Errors
    /// If the key cannot sign.
    pub(crate) async fn prove(&self, request: &mut Request) -> Result<Option<Nonce>, Error> {
        self.prove_with(request, None).await
    }

    async fn prove_with(
        &self,
        request: &mut Request,
        nonce: Option<Nonce>,
    ) -> Result<Option<Nonce>, Error> {
        let (method, url) = (request.method(), request.url());
        let proof = self.binding.prove(method, url, nonce);
        let Proof { header, nonce } = proof.await?;
        request.headers_mut().insert(DPOP_HEADER, header);
        Ok(nonce)
    }

    async fn run(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Chain<Response> {
        let asked = request.url().clone();
        let response = next.run(request, extensions).await?;
        let url = if is_without_url(&response) {
            &asked
        } else {
            response.url()
        };
        self.binding.learn(url, response.headers());
        Ok(response)
    }
}

fn once(response: Response) -> Chain<Answered> {
    Ok(Answered {
        response,
        is_resent: false,
    })
}
