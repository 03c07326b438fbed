//! What becomes of a request whose token an API has refused.

use std::sync::Arc;

use crate::cache::entry::Entry;
use crate::cache::rejection::Sending;
use crate::call;
use crate::claims;
use crate::outgoing::Bearer;
use crate::outgoing::deadline::Deadline;
use crate::outgoing::door::{Answer, Door, Kept};
use crate::outgoing::drain::make_room;
use crate::outgoing::judge::{Judgement, Sent, demanded_claims};
use crate::outgoing::proven::Proven;
use crate::outgoing::resend_count::ResendCount;
use crate::outgoing::stamp::Stamp;
use crate::refuser::Refuser;
use crate::token::TokenType;

/// A sending of which an API wants another token, and what a second one needs.
pub(super) struct Refused<D: Door> {
    pub(super) judgement: Judgement,
    pub(super) stamp: Stamp,
    pub(super) kept: D::Kept,
    pub(super) deadline: Deadline,
    pub(super) response: D::Answer,
    /// Whether it was sent twice for a nonce already (C3).
    pub(super) is_resent: bool,
    pub(super) door: D,
}

impl Bearer {
    /// Another token and another sending, if both can be had; otherwise the answer that is there
    /// (C7, C8).
    pub(super) async fn heal<D: Door>(
        &self,
        entry: &Arc<Entry>,
        refused: Refused<D>,
    ) -> Result<D::Answer, D::Error> {
        let engine = self.tokens.engine();
        let client = self.client.as_ref();
        let Refused {
            judgement,
            stamp,
            kept,
            deadline,
            mut response,
            is_resent,
            mut door,
        } = refused;
        let refuser = Refuser::at(kept.url());
        let claims = match judgement {
            Judgement::LacksClaims => demanded_claims(&self.tokens, &response),
            _ => None,
        };
        let lacking = claims.map(|claims| stamp.lacking(claims, &refuser, client));
        if lacking.is_none() {
            let (generation, sending) = (stamp.generation, Sending::First);
            call::refuse(engine, entry, generation, &refuser, sending, client);
        }
        let Some(mut copy) = kept.again() else {
            if let Some(lacking) = lacking {
                claims::ask_for(engine, entry, &lacking);
            }
            return Ok(response);
        };
        let within = deadline.left(engine.setup.settings.timeouts.wait, &engine.setup.clock);
        let newer = match &lacking {
            Some(lacking) => claims::token_with(engine, entry, lacking, within).await,
            None => {
                let (generation, handovers) = (stamp.generation, stamp.handovers);
                call::renewed(engine, entry, generation, handovers, within, client).await
            }
        };
        let newer = match newer {
            Ok(newer) => newer,
            Err(reason) if self.is_session_over(&reason) => return Err(self.failed::<D>(reason)),
            Err(reason) => {
                response.extensions_mut().insert(self.tokens.named(reason));
                return Ok(response);
            }
        };
        let clock = &engine.setup.clock;
        let proven = Proven::of(&newer, (&kept, !is_resent), &deadline, &self.tokens);
        let ready = self.prepare(&newer, proven.as_ref(), &mut copy, &deadline);
        let nonce = match ready.await {
            Ok(nonce) => nonce,
            Err(reason) => {
                response.extensions_mut().insert(self.tokens.named(reason));
                return Ok(response);
            }
        };
        make_room(response, &mut copy, &deadline, clock).await;
        let stamp = Stamp::of(&newer, Some(clock.now()));
        ResendCount::after(1 + u32::from(is_resent), door.extensions_mut());
        let sent = match proven {
            Some(proven) => {
                let answered = proven.send(copy, nonce, &mut door).await;
                answered.map(|answered| answered.response)
            }
            None => door.send(copy).await,
        };
        ResendCount::end(door.extensions_mut());
        let mut response = sent?;
        let sent = Sent {
            tokens: &self.tokens,
            client,
            entry,
            stamp,
            token_type: TokenType::of(newer.binding.as_ref()),
            url: kept.url(),
            sending: Sending::Second,
        };
        let judgement = sent.judge(&mut response);
        sent.note(judgement, &refuser);
        Ok(response)
    }
}
