//! A claims challenge of an API, answered by a token request that carries the claims (K28).
//!
//! The token that lacks them is not refused: for other calls, and at other APIs, it is as good as before.

use std::sync::Arc;
use std::time::Duration;

use crate::access_token::Issued;
use crate::cache::entry::Entry;
use crate::cache::outcome::{Outcome, superseded};
use crate::call;
use crate::clock::system_time;
use crate::engine::{Engine, Setup};
use crate::error::{Error, ErrorKind};
use crate::flight::Waiter;
use crate::refresh::start;
use crate::refuser::Refuser;
use crate::telemetry::{Awaited, Wait};

/// How many flights a call waits for that bring nothing of the claims, before and besides the one that does.
const MOST_ROUNDS: u32 = 3;

/// A token that lacks claims, and what it was sent for.
pub(crate) struct Lacking<'call> {
    pub(crate) generation: u64,
    /// How often the token's subject had passed to somebody else.
    pub(crate) handovers: u32,
    pub(crate) claims: Arc<str>,
    pub(crate) demanded_by: &'call Refuser,
    /// The named client whose call it is, if it is one's.
    pub(crate) client: Option<&'call Arc<str>>,
}

enum Next {
    /// Another token has come meanwhile, which may be refused or expired itself.
    Newer,
    /// For a flight, which carries the claims or does not.
    Wait(Waiter<Outcome>, Carries),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carries {
    These,
    Others,
}

/// A token that was got with the claims, or that took the present one's place meanwhile.
///
/// # Errors
/// The reason why there is none: the caller then gets the API's own answer (C8).
pub(crate) async fn token_with(
    engine: &Arc<Engine>,
    entry: &Arc<Entry>,
    lacking: &Lacking<'_>,
    within: Duration,
) -> Result<Arc<Issued>, Error> {
    let mut wait = None;
    let token = token_after(engine, entry, lacking, within, &mut wait).await;
    if let Some(wait) = wait {
        wait.end(token.as_ref().err().map(Error::kind));
    }
    token
}

/// The same. If the call has to wait here, `wait` has begun when this returns.
async fn token_after<'call>(
    engine: &'call Arc<Engine>,
    entry: &Arc<Entry>,
    lacking: &Lacking<'call>,
    within: Duration,
    wait: &mut Option<Wait<'call>>,
) -> Result<Arc<Issued>, Error> {
    let Setup {
        clock, telemetry, ..
    } = &engine.setup;
    let client = lacking.client;
    let began = clock.now();
    let mut rounds = 0;
    loop {
        let looked = next(engine, entry, lacking)?;
        let left = within.saturating_sub(clock.now().waited_since(began));
        let (flight, carries) = match looked {
            Next::Newer => {
                let (generation, handovers) = (lacking.generation, lacking.handovers);
                // Measures what it waits itself.
                if let Some(wait) = wait.take() {
                    wait.end(None);
                }
                return call::renewed(engine, entry, generation, handovers, left, client).await;
            }
            Next::Wait(flight, carries) => (flight, carries),
        };
        if rounds == MOST_ROUNDS && carries == Carries::Others {
            return Err(not_their_turn());
        }
        wait.get_or_insert_with(|| Wait::begin(telemetry, clock, Awaited::Token { client }));
        let outcome = tokio::select! {
            biased;
            outcome = flight.outcome() => outcome,
            () = clock.sleep(left) => return Err(Error::new(
                ErrorKind::Timeout,
                "no token with the claims that the API demands came in time",
            )),
        };
        match (carries, outcome) {
            (Carries::These, Some(Err(missed))) => return Err(missed.into_error()),
            // The next look finds the token, or that the claims were asked for in vain.
            (Carries::These, Some(Ok(_))) => {}
            (Carries::These, None) if rounds == MOST_ROUNDS => return Err(not_their_turn()),
            // It was for others, or its runtime is gone (A4).
            _ => rounds += 1,
        }
    }
}

/// Begins to ask for the claims, if nothing speaks against it, for the calls to come.
pub(crate) fn ask_for(engine: &Arc<Engine>, entry: &Arc<Entry>, lacking: &Lacking<'_>) {
    // Why not is no matter of this call: it has the API's answer.
    let _ = next(engine, entry, lacking);
}

fn next(engine: &Arc<Engine>, entry: &Arc<Entry>, lacking: &Lacking<'_>) -> Result<Next, Error> {
    let Lacking {
        generation,
        handovers,
        ref claims,
        demanded_by,
        ..
    } = *lacking;
    let now = engine.setup.clock.now();
    let mut history = entry.history();
    let present = entry.present().ok_or_else(superseded)?;
    if present.handovers != handovers {
        return Err(superseded());
    }
    if present.generation != generation {
        return Ok(Next::Newer);
    }
    let are_asked = history.claims.are(generation, claims);
    if let Some(why) = history.claims.in_vain().filter(|_| are_asked) {
        return Err(why.clone());
    }
    if let Some(flight) = history.join() {
        let carries = if are_asked {
            Carries::These
        } else {
            Carries::Others
        };
        return Ok(Next::Wait(flight, carries));
    }
    if let Some(why) = history.cooldowns.reason_to_wait(now) {
        return Err(why.clone());
    }
    if let Err(until) = history.limiter.permits(now.monotonic, demanded_by, false) {
        let pause = until.saturating_sub(now.monotonic);
        let why = Error::new(
            ErrorKind::Unavailable,
            "the API demands claims time and again, so they are asked for later",
        );
        return Err(why.with_retry_at(system_time(now.wall.saturating_add(pause))));
    }
    let flight = start::refresh_with(engine, entry, &mut history, claims.clone())?;
    history.limiter.begin(now.monotonic, demanded_by, false);
    history.claims.begin(generation, claims);
    Ok(Next::Wait(flight, Carries::These))
}

/// Nobody has signed out, and the claims may be had a moment later.
fn not_their_turn() -> Error {
    Error::unavailable(
        "other token requests came before the one for the claims that the API demands, or its runtime is \
         being shut down; call again",
    )
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::{Lacking, token_with};
    use crate::access_token::{AccessToken, Issued};
    use crate::cache::outcome::{NoToken, Outcome};
    use crate::engine::Engine;
    use crate::error::{Error, ErrorKind};
    use crate::flight::{self, Landing};
    use crate::grant::{GrantFn, GrantRequest};
    use crate::refresh::adopt;
    use crate::refuser::Refuser;
    use crate::source::TokenSource;
    use crate::token::TokenResponse;
    use crate::token_set::TokenSet;
    use std::future::ready;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Poll;
    use std::time::Duration;

    /// What a call meets in one round.
    #[derive(Clone, Copy, Debug)]
    enum Round {
        /// A look into the store that finds the token which is there.
        Looked,
        /// A refresh without the claims that brings that same token.
        Same,
        /// A refresh without the claims that fails.
        Failed,
        /// The runtime of a flight was shut down.
        Dropped,
    }

    impl Round {
        fn land(self, landing: Landing<Outcome>, present: &Arc<Issued>) {
            match self {
                Self::Looked | Self::Same => landing.land(Ok(AccessToken::new(present.clone()))),
                Self::Failed => landing.land(Err(NoToken::Failed(Error::unavailable("not this")))),
                Self::Dropped => drop(landing),
            }
        }
    }

    /// A source with a token that lacks claims, whose grant has others.
    fn source(grant: GrantFn) -> TokenSource {
        let source = TokenSource::builder(grant).build().unwrap();
        let engine = source.handle().engine();
        adopt(
            &engine.setup,
            &engine.entries.primary,
            &TokenSet::new("without"),
        )
        .unwrap();
        source
    }

    fn with_claims() -> GrantFn {
        GrantFn::new("claims", |_: GrantRequest| {
            ready(Ok(TokenResponse::bearer("with")))
        })
    }

    /// Puts a flight that is to bring no claims in the call's way.
    fn under_way(engine: &Engine, round: Round) -> Landing<Outcome> {
        let (landing, flight, _) = flight::begin();
        let mut history = engine.entries.primary.history();
        history.begin(flight, matches!(round, Round::Looked));
        landing
    }

    /// What a call gets whose API demands claims, and that meets these, one after the other.
    async fn outcome_after(source: &TokenSource, rounds: &[Round]) -> Result<String, Error> {
        let engine = source.handle().engine();
        let entry = &engine.entries.primary;
        let present = entry.present().unwrap();
        let lacking = Lacking {
            generation: present.generation,
            handovers: present.handovers,
            claims: r#"{"access_token":{"nbf":null}}"#.into(),
            demanded_by: &Refuser::ByHand,
            client: None,
        };
        let mut waiting = rounds.first().map(|round| under_way(engine, *round));
        let within = Duration::from_secs(30);
        let mut call = pin!(token_with(engine, entry, &lacking, within));
        for (number, round) in rounds.iter().enumerate() {
            if let Poll::Ready(outcome) = poll!(call.as_mut()) {
                return outcome.map(|token| token.text().to_owned());
            }
            let next = rounds.get(number + 1);
            let next = next.map(|round| under_way(engine, *round));
            if let Some(landing) = std::mem::replace(&mut waiting, next) {
                round.land(landing, &present);
            }
        }
        call.await.map(|token| token.text().to_owned())
    }

    #[tokio::test]
    async fn a_call_that_others_come_before_gets_its_token_or_an_error_that_ends_no_session() {
        // K28, C8
        use Round::{Dropped, Failed, Looked, Same};
        for rounds in [
            &[][..],
            &[Looked, Same],
            &[Looked, Failed, Same],
            &[Dropped, Dropped, Failed],
        ] {
            let outcome = outcome_after(&source(with_claims()), rounds).await;
            assert_eq!(outcome.unwrap(), "with", "{rounds:?}");
        }
        for round in [Looked, Same, Failed, Dropped] {
            let outcome = outcome_after(&source(with_claims()), &[round; 10]).await;
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{round:?}: {error}");
            assert!(error.is_transient());
        }
    }

    #[tokio::test]
    async fn a_flight_that_begins_after_the_claims_were_asked_for_in_vain_is_not_taken_for_their_own()
     {
        // K28: nobody has judged them, since the first request did not reach the server.
        let has_failed = AtomicBool::new(false);
        let fragile = GrantFn::new("fragile", move |_: GrantRequest| {
            ready(if has_failed.swap(true, Ordering::Relaxed) {
                Ok(TokenResponse::bearer("with"))
            } else {
                Err(Error::store("no secret to sign in with"))
            })
        });
        let source = source(fragile);
        let error = outcome_after(&source, &[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store);
        let outcome = outcome_after(&source, &[Round::Failed]).await;
        assert_eq!(outcome.unwrap(), "with");
    }
}
