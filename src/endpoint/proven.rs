//! A token request with a proof of the key that the token is to be bound to (RFC 9449 section 5), sent
//! once more where the server wants another nonce in it (section 8).

use http::{Method, StatusCode};
use reqwest::Url;

use crate::dpop::{DpopKey, Nonce, Sending, USE_DPOP_NONCE, next_nonce};
use crate::endpoint::Setup;
use crate::endpoint::form::Form;
use crate::endpoint::members;
use crate::endpoint::supported::Supported;
use crate::endpoint::transport::Answer;
use crate::endpoint::verdict::{Asked, ErrorMember, error_member};
use crate::error::{Error, ErrorKind, HowFar};
use crate::error_response::ErrorResponse;

impl Setup {
    /// Sends the form with a proof. A server that wants a nonce has spent nothing yet, so the form goes out
    /// once more at once, with the nonce that the server gave, and with a client authentication of its own:
    /// no assertion is taken twice.
    ///
    /// # Errors
    /// As without a proof; and if the server is not content with its own nonce.
    pub(super) async fn post_proven(
        &self,
        url: Url,
        form: Form,
        supported: Option<&Supported>,
        key: &DpopKey,
    ) -> Result<Answer, Error> {
        let known = self.transport.nonces().of(&url);
        let answer = self.post_with(&url, form.clone(), supported, key, known.as_ref());
        let answer = answer.await?;
        if !wants_nonce(&answer) {
            return Ok(answer);
        }
        let nonce = given(&answer, known.as_ref())?;
        let again = self
            .post_with(&url, form, supported, key, Some(&nonce))
            .await?;
        if !wants_nonce(&again) {
            return Ok(again);
        }
        given(&again, Some(&nonce))?;
        // A third request might meet the next nonce as well: that is for the next attempt.
        let message = "the authorization server has changed its DPoP nonce between two requests";
        let error = Error::new(ErrorKind::Unavailable, message).got(HowFar::TurnedAway);
        Err(answered(error, &again))
    }

    async fn post_with(
        &self,
        url: &Url,
        form: Form,
        supported: Option<&Supported>,
        key: &DpopKey,
        nonce: Option<&Nonce>,
    ) -> Result<Answer, Error> {
        let sending = Sending {
            method: &Method::POST,
            url,
            ath: None,
            nonce: nonce.map(|nonce| &**nonce),
            now: self.clock.now(),
        };
        let proof = key.proof(&sending).await?;
        self.post_once(url.clone(), form, supported, Some(proof))
            .await
    }
}

/// 400 as RFC 9449 section 8 has it; 401 of servers that take the proof for client authentication.
fn wants_nonce(answer: &Answer) -> bool {
    if !matches!(
        answer.status,
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED
    ) {
        return false;
    }
    let members = members::read(&answer.headers, &answer.body);
    let member = members.map(|members| error_member(&members, Asked::OTHER));
    member == Some(ErrorMember::Code(USE_DPOP_NONCE.to_owned()))
}

/// The nonce that an answer gives which wants one.
///
/// # Errors
/// If another request with it would be answered the same.
fn given(answer: &Answer, sent: Option<&Nonce>) -> Result<Nonce, Error> {
    next_nonce(&answer.headers, sent).map_err(|problem| {
        let error = Error::protocol(format!(
            "the authorization server wants a DPoP nonce and {problem} (status {})",
            answer.status.as_u16()
        ));
        answered(error, answer)
    })
}

fn answered(error: Error, answer: &Answer) -> Error {
    let members = members::read(&answer.headers, &answer.body).unwrap_or_default();
    let response = ErrorResponse::new(answer.status, &members, answer.body.len());
    error
        .with_oauth_code(USE_DPOP_NONCE)
        .answered_with(response)
}
