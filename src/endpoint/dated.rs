//! A request with what was signed for it, sent once more where the server refuses that and its clock shows why.

use http::{HeaderValue, Method, StatusCode};
use reqwest::Url;

use crate::clock::Moment;
use crate::dpop::{DpopKey, INVALID_DPOP_PROOF, Nonce, Sending};
use crate::endpoint::Setup;
use crate::endpoint::form::Form;
use crate::endpoint::members;
use crate::endpoint::supported::Supported;
use crate::endpoint::transport::Answer;
use crate::endpoint::verdict::{Asked, ErrorMember, error_member};
use crate::error::Error;

/// What an assertion is refused by that is out of date (RFC 6749 section 5.2).
const INVALID_CLIENT: &str = "invalid_client";

/// What a request's proof is made of.
#[derive(Clone, Copy)]
pub(super) struct Proving<'request> {
    pub(super) key: &'request DpopKey,
    pub(super) nonce: Option<&'request Nonce>,
}

impl Proving<'_> {
    /// The proof of a request to this URL, which has no token yet.
    pub(super) async fn proof(&self, url: &Url, now: Moment) -> Result<HeaderValue, Error> {
        let sending = Sending {
            method: &Method::POST,
            url,
            ath: None,
            nonce: self.nonce.map(|nonce| &**nonce),
            now,
        };
        self.key.proof(&sending).await
    }
}

impl Setup {
    /// Sends the form with an assertion and a proof, as far as there are any. Where one of them is refused and
    /// the answer shows that this machine's clock is wrong, nothing was done for it, and the form goes out once
    /// more at once.
    ///
    /// # Errors
    /// As for one request.
    pub(super) async fn post_dated(
        &self,
        url: &Url,
        form: Form,
        supported: Option<&Supported>,
        proving: Option<Proving<'_>>,
    ) -> Result<Answer, Error> {
        if proving.is_none() && !self.authentication.is_dated() {
            return self.post_once(url, form, supported, None).await;
        }
        let sent = self.clock.now();
        let answer = self.post_once(url, form.clone(), supported, proving);
        let answer = answer.await?;
        let is_refused = self.refuses_what_is_signed(&answer, proving.is_some());
        let skews = self.transport.skews();
        if !is_refused || !skews.learn(url, &answer.headers, sent, self.clock.now()) {
            return Ok(answer);
        }
        self.post_once(url, form, supported, proving).await
    }

    fn refuses_what_is_signed(&self, answer: &Answer, is_proven: bool) -> bool {
        if !matches!(
            answer.status,
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED
        ) {
            return false;
        }
        let is_dated = self.authentication.is_dated();
        let members = members::read(&answer.headers, &answer.body);
        match members.map(|members| error_member(&members, Asked::OTHER)) {
            Some(ErrorMember::Code(code)) => {
                (is_proven && code == INVALID_DPOP_PROOF) || (is_dated && code == INVALID_CLIENT)
            }
            _ => false,
        }
    }
}
