//! The sending of a token that is bound to a key: with a proof, and once more where the API wants another
//! nonce in it (RFC 9449 sections 7 and 9).

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Next, Result as Chain};

use crate::access_token::Issued;
use crate::challenge::wants_nonce;
use crate::clock::Clock;
use crate::dpop::{Binding, DPOP_HEADER, Nonce, Proof, nonce_in};
use crate::error::Error;
use crate::middleware::deadline::Deadline;
use crate::middleware::drain::drain;
use crate::middleware::sending::{Kept, is_without_url};

/// One sending of a bound token.
pub(crate) struct Proven<'call> {
    pub(crate) binding: &'call Binding,
    pub(crate) token: &'call Issued,
    /// What a second sending is made of; `None` if there is to be none.
    pub(crate) kept: Option<&'call Kept>,
    pub(crate) deadline: &'call Deadline,
    pub(crate) clock: &'call Clock,
}

/// What came of it.
pub(crate) struct Answered {
    pub(crate) response: Response,
    /// Whether it has been sent twice: a request is for its nonce once, as it is once for its token (C3).
    pub(crate) is_resent: bool,
}

impl Proven<'_> {
    /// Sends the request, which has the token already. The nonce of each answer is learnt.
    ///
    /// # Errors
    /// If the key cannot sign, as an error of the chain; and the chain's own.
    pub(crate) async fn send(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Chain<Answered> {
        let sent = self.prove(&mut request, None).await;
        let sent = sent.map_err(Error::into_middleware)?;
        let mut response = self.run(request, extensions, next.clone()).await?;
        let once = |response| {
            Ok(Answered {
                response,
                is_resent: false,
            })
        };
        if !wants_nonce(response.status(), response.headers()) {
            return once(response);
        }
        let Some(Kept::Copy(kept)) = self.kept else {
            // What was learnt serves the next call.
            return once(response);
        };
        let Some(mut copy) = kept.try_clone() else {
            return once(response);
        };
        let ready = async {
            let nonce = given(&response, sent.as_ref())?;
            copy.headers_mut()
                .insert(http::header::AUTHORIZATION, self.token.header.clone());
            self.prove(&mut copy, Some(nonce)).await?;
            self.deadline.bound(&mut copy, self.clock)
        };
        if let Err(reason) = ready.await {
            // No error of ours stands in for the API's answer (C8).
            response.extensions_mut().insert(reason);
            return once(response);
        }
        // As with another token: half of what is left for the answer, half for the second sending.
        let half = self.deadline.left(std::time::Duration::MAX, self.clock) / 2;
        drain(response, self.clock, half).await;
        self.deadline.bound_from(half, &mut copy, self.clock);
        Ok(Answered {
            response: self.run(copy, extensions, next).await?,
            is_resent: true,
        })
    }

    /// Puts a proof into the request, with this nonce or the newest one; returns the nonce.
    async fn prove(
        &self,
        request: &mut Request,
        nonce: Option<Nonce>,
    ) -> Result<Option<Nonce>, Error> {
        let (method, url) = (request.method(), request.url());
        let proof = self.binding.prove(method, url, self.token.text(), nonce);
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

/// The nonce that an answer gives which wants one.
///
/// # Errors
/// If it is the one that was sent, or none that can be: another sending would be answered the same.
fn given(response: &Response, sent: Option<&Nonce>) -> Result<Nonce, Error> {
    let problem = match nonce_in(response.headers()) {
        Ok(Some(nonce)) if Some(&nonce) != sent => return Ok(nonce),
        Ok(Some(_)) => "gives the one that was in the proof",
        Ok(None) => "gives none",
        Err(_) => "gives one that cannot be sent: too long, or with a character that none has",
    };
    Err(Error::protocol(format!(
        "the API wants a DPoP nonce and {problem}"
    )))
}
