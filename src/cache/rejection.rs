//! What a refusal of a token by an API does, and what an acceptance does (C1, C4).

use std::time::Duration;

use reqwest::Url;

use crate::access_token::{Issued, Refusal};
use crate::cache::entry::Entry;
use crate::cache::history::PendingRefusal;
use crate::clock::Moment;
use crate::refuser::Refuser;

/// A token that is refused sooner than this after it was asked for is brand-new (C4). Less than a
/// second: a token that is revoked each second is refused a little before that age.
const SETTLED: Duration = Duration::from_millis(750);

/// How often a request had been sent when its token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    First,
    /// With another token, since the first one had been refused.
    Second,
}

impl Entry {
    /// An API, or the user by hand, refuses the token of this generation (C1). Says whether that is news.
    pub(crate) fn refuse(
        &self,
        generation: u64,
        refuser: &Refuser,
        sending: Sending,
        now: Moment,
    ) -> bool {
        let mut history = self.history();
        let present = self
            .present()
            .filter(|token| token.generation == generation);
        // A body that cannot be sent twice meets the API with the next call's token only; that
        // one is as good as sent again, until the API has accepted it. By hand nobody says so, and
        // its age has to tell.
        let is_replacement = present.as_ref().is_some_and(|token| {
            let is_accepted = match refuser {
                Refuser::Api(_) => token.standing.is_proven(),
                Refuser::ByHand => is_settled(token, now),
            };
            token.replaces_for.as_ref() == Some(refuser) && !is_accepted
        });
        if sending == Sending::Second || is_replacement {
            history
                .limiter
                .resend_refused(now.monotonic, refuser, generation);
        }
        let Some(token) = present else {
            return false;
        };
        let refusal = token.standing.refuse(now);
        if refusal == Refusal::Known {
            history.hand_over_refusal(now, refuser);
            return false;
        }
        let is_exempt =
            refusal == Refusal::First && token.standing.was_accepted() && is_settled(&token, now);
        history.refusal = Some(PendingRefusal {
            refuser: refuser.clone(),
            exempt: is_exempt,
        });
        drop(history);
        self.tell();
        true
    }

    /// The API at `url` has answered a request with the token of this generation.
    pub(crate) fn accept(&self, generation: u64, sent: Moment, is_success: bool, url: &Url) {
        let present = self.peek();
        let Some(token) = present
            .as_ref()
            .filter(|token| token.generation == generation)
        else {
            return;
        };
        token.standing.accept(sent, is_success);
        if let Some(refuser) = &token.replaces_for
            && !token.standing.is_proven()
            && refuser.is_at(url)
        {
            token.standing.prove();
            self.resend_accepted(refuser);
        }
    }

    /// An API has accepted a token that was sent because another one had been refused.
    pub(crate) fn resend_accepted(&self, refuser: &Refuser) {
        self.history().limiter.resend_accepted(refuser);
    }
}

fn is_settled(token: &Issued, now: Moment) -> bool {
    now.since(token.plan.asked) >= SETTLED
}
