//! What an answer says about the token that it answers.

use std::sync::Arc;

use reqwest::Url;

use crate::api_answer::ApiAnswer;
use crate::cache::entry::Entry;
use crate::cache::rejection::Sending;
use crate::call;
use crate::challenge::{BearerChallenge, challenge_to};
use crate::claims;
use crate::error::{Error, ErrorKind};
use crate::outgoing::door::Answer;
use crate::outgoing::later::Later;
use crate::outgoing::stamp::Stamp;
use crate::refuser::Refuser;
use crate::source::handle::Handle;
use crate::token::TokenType;

/// What an answer says about the token that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    Accepted,
    Refused,
    /// It is good, and lacks claims that the API demands (K28).
    LacksClaims,
    /// Neither: a server error, a 401 that another token would not mend, or an answer that says it at its end.
    Undecided,
    Elsewhere,
}

impl Judgement {
    /// Whether the request may succeed with another token.
    pub(crate) fn wants_another_token(self) -> bool {
        matches!(self, Self::Refused | Self::LacksClaims)
    }
}

/// A sending, as its answer is judged.
#[derive(Clone, Copy)]
pub(crate) struct Sent<'call> {
    pub(crate) tokens: &'call Handle,
    /// The named client whose request it is, if it is one's.
    pub(crate) client: Option<&'call Arc<str>>,
    pub(crate) entry: &'call Arc<Entry>,
    pub(crate) stamp: Stamp,
    pub(crate) token_type: TokenType,
    /// Where the request was sent.
    pub(crate) url: &'call Url,
    pub(crate) sending: Sending,
}

impl Sent<'_> {
    /// Notes what the API made of the token; says whether it refused it. An answer from another
    /// origin, where a redirect led and the token did not go, says nothing (C10), unless the rule of the
    /// source says otherwise.
    #[inline]
    pub(crate) fn judge(self, answer: &mut impl Answer) -> Judgement {
        if answer.is_judged_at_its_end(|| self.later()) {
            return Judgement::Undecided;
        }
        let status = answer.status();
        let seen = ApiAnswer {
            status,
            headers: answer.headers(),
            url: answer.url(self.url),
            requested: self.url,
            token_type: self.token_type,
        };
        let is_elsewhere = seen.is_from_elsewhere();
        let is_refused = self.tokens.is_refused_by(&seen);
        if is_refused || is_elsewhere || status == 401 {
            return self.judge_closely(is_refused, is_elsewhere, answer);
        }
        // RFC 6750 section 3.1 has a 400 with a challenge, too.
        if status.is_client_error() {
            attach_challenge(answer, self.token_type);
        }
        if status.is_server_error() {
            return Judgement::Undecided;
        }
        if let Some(sent) = self.stamp.sent {
            let generation = self.stamp.generation;
            self.entry
                .accept(generation, sent, status.is_success(), self.url);
        }
        Judgement::Accepted
    }

    /// What an answer is that does not simply take the token.
    #[cold]
    fn judge_closely(
        self,
        is_refused: bool,
        is_elsewhere: bool,
        answer: &mut impl Answer,
    ) -> Judgement {
        let is_401 = answer.status() == 401;
        if is_elsewhere && !is_refused {
            if is_401 {
                self.attach_reason(answer);
            }
            return Judgement::Elsewhere;
        }
        attach_challenge(answer, self.token_type);
        if !is_elsewhere && demanded_claims(self.tokens, answer).is_some() {
            Judgement::LacksClaims
        } else if is_refused {
            Judgement::Refused
        } else {
            Judgement::Undecided
        }
    }

    /// Says why a 401 of another origin is passed on (K20).
    #[cold]
    fn attach_reason(self, answer: &mut impl Answer) {
        let origin = answer.url(self.url).origin().ascii_serialization();
        let reason = Error::new(
            ErrorKind::OriginNotAllowed,
            format!(
                "{origin} refused the request, where a redirect led and no token went, so that another \
                 token would not help; ask there with a client of its own, or say what refuses a token \
                 with `refused_when_answered`"
            ),
        );
        answer.extensions_mut().insert(self.tokens.named(reason));
    }

    fn later(self) -> Later {
        Later {
            tokens: self.tokens.clone(),
            client: self.client.cloned(),
            entry: Arc::clone(self.entry),
            stamp: self.stamp,
            token_type: self.token_type,
            url: self.url.clone(),
            sending: self.sending,
        }
    }

    /// Notes the judgement of an answer after which this request is not sent again.
    pub(crate) fn note(self, judgement: Judgement, refuser: &Refuser) {
        match (judgement, self.sending) {
            (Judgement::Refused, sending) => {
                let (engine, generation) = (self.tokens.engine(), self.stamp.generation);
                let client = self.client;
                call::refuse(engine, self.entry, generation, refuser, sending, client);
            }
            (Judgement::Accepted, Sending::Second) => self.entry.resend_accepted(refuser),
            _ => {}
        }
    }
}

#[cfg_attr(
    not(feature = "tower"),
    expect(dead_code, reason = "no answer through reqwest waits for its trailers")
)]
impl Later {
    /// Judges the end of the answer, and does for the calls to come what a refusal asks for. The request
    /// itself is not sent again: its caller has read the answer.
    pub(crate) fn conclude(&self, end: &mut impl Answer) {
        let sent = Sent {
            tokens: &self.tokens,
            client: self.client.as_ref(),
            entry: &self.entry,
            stamp: self.stamp,
            token_type: self.token_type,
            url: &self.url,
            sending: self.sending,
        };
        let judgement = sent.judge(end);
        if judgement == Judgement::Accepted && self.sending == Sending::First {
            return;
        }
        let refuser = Refuser::at(&self.url);
        if judgement == Judgement::LacksClaims
            && let Some(claims) = demanded_claims(&self.tokens, end)
        {
            let lacking = self.stamp.lacking(claims, &refuser, self.client.as_ref());
            claims::ask_for(self.tokens.engine(), &self.entry, &lacking);
        }
        sent.note(judgement, &refuser);
    }
}

/// The claims that the API demands, if they are to be asked for (K28).
pub(crate) fn demanded_claims(tokens: &Handle, answer: &impl Answer) -> Option<Arc<str>> {
    if answer.status() != 401 || !tokens.asks_for_claims() {
        return None;
    }
    let challenge = answer.extensions().get::<BearerChallenge>()?;
    challenge.demanded_claims().map(Arc::from)
}

fn attach_challenge(answer: &mut impl Answer, token_type: TokenType) {
    if let Some(challenge) = challenge_to(token_type, answer.headers()) {
        answer.extensions_mut().insert(challenge);
    }
}
