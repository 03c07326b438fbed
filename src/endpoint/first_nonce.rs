//! The first nonce of a server, asked for by a request that spends nothing: some servers spend a refresh token or
//! a code before they judge the proof beside it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use reqwest::Url;
use tokio::sync::Mutex as Turn;

use crate::dpop::{DpopKey, Nonce};
use crate::endpoint::form::Form;
use crate::endpoint::transport::status_says_all;
use crate::endpoint::{Setup, TokenKind};
use crate::error::{Error, ErrorKind, HowFar};
use crate::error_response::ErrorResponse;
use crate::random_id::random_id;

/// What is known of asking for it.
#[derive(Default)]
pub(crate) struct FirstNonce {
    /// Whoever has it asks. Those who wait for it do not ask again.
    turn: Turn<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How often it was asked for.
    rounds: u64,
    /// The origin that has answered, and gave none: it would answer the same again.
    silent: Option<String>,
    /// Why there is none, as long as nobody has been told.
    fault: Option<Error>,
}

impl FirstNonce {
    /// Why there is none, told once for each time that it was asked for.
    pub(crate) fn fault(&self) -> Option<Error> {
        self.state().fault.take()
    }

    fn is_silent(&self, origin: &str) -> bool {
        self.state().silent.as_deref() == Some(origin)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a server that answers so, and gives no nonce, would answer the next time as well: it is not in trouble,
/// and what is wrong with the client may be mended.
fn is_final(status: StatusCode) -> bool {
    let is_refusal = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    !is_refusal && !status_says_all(status)
}

impl Setup {
    /// The nonce of the server of `url`, which no answer has given yet, if so set. A failure costs no more than
    /// its time, a quarter of the attempt's at most: the request goes on without.
    pub(super) async fn first_nonce(&self, url: &Url, key: &DpopKey) -> Option<Nonce> {
        let first = self.first_nonce.as_ref()?;
        let origin = url.origin().ascii_serialization();
        if first.is_silent(&origin) {
            return None;
        }
        let rounds = first.state().rounds;
        let turn = first.turn.lock().await;
        let nonces = self.transport.nonces();
        if first.state().rounds == rounds && nonces.of(url).is_none() {
            let asked = tokio::select! {
                biased;
                asked = self.ask_for_nonce(url, key) => asked,
                () = self.clock.sleep(self.transport.timeout() / 4) => Err(Error::new(
                    ErrorKind::Timeout,
                    "the authorization server gave no DPoP nonce in time; the request goes on without",
                )),
            };
            let mut state = first.state();
            state.rounds += 1;
            match asked {
                Ok(()) => {}
                Err(fault) => {
                    let answer = fault.error_response();
                    if answer.is_some_and(|answer| is_final(answer.status())) {
                        state.silent = Some(origin);
                    }
                    state.fault = Some(fault.got(HowFar::NotSent).at_server(url));
                }
            }
        }
        drop(turn);
        nonces.of(url)
    }

    /// Revokes a token that there is not. RFC 7009 section 2.2: that is no error, and does nothing.
    ///
    /// # Errors
    /// If no nonce comes of it.
    async fn ask_for_nonce(&self, url: &Url, key: &DpopKey) -> Result<(), Error> {
        let Some(place) = self.revocation_url().await? else {
            return Err(Error::settings(
                "no DPoP nonce was asked for, since no revocation endpoint is known; give `revocation_url`",
            ));
        };
        if place.origin() != url.origin() {
            return Err(Error::settings(
                "no DPoP nonce was asked for, since the revocation endpoint is at another origin than the \
                 token endpoint",
            ));
        }
        let mut form = Form::default();
        form.push("token", random_id()?);
        form.push("token_type_hint", TokenKind::RefreshToken.hint());
        let answer = self.post_with(&place, form, None, key, None).await?;
        if self.transport.nonces().of(url).is_some() {
            return Ok(());
        }
        let message = format!(
            "the authorization server gave no DPoP nonce in answer to a revocation (status {})",
            answer.status.as_u16()
        );
        let error = Error::protocol(message);
        Err(error.answered_with(ErrorResponse::of_status(answer.status)))
    }
}
