//! What has to hold wherever a run may lead.

use super::flight::Flight;
use super::process::Process;
use super::scenario::PATIENCE;
use super::search::{Edge, Property};
use super::server::RefreshToken;
use super::world::{Deed, World};
use crate::refresh::protocol::{Command, End, Nap};
use crate::session::state::RefreshTokenState;

type Step<'search> = Edge<'search, World, Deed>;

pub(super) const ALL: [Property<World, Deed>; 7] = [
    (
        "no refresh token is sent twice without leave",
        is_sent_with_leave,
    ),
    ("no refresh token is lost in a process that lives", is_kept),
    (
        "a session ends by a verdict or a sign-out",
        ends_by_a_verdict,
    ),
    (
        "no flight waits for ever, or keeps a lease",
        comes_to_an_end,
    ),
    ("no late writer wins", writes_in_order),
    ("no flight is of two sessions", is_of_one_session),
    ("every end has its reason", has_its_reason),
];

/// E3: a second use may look like theft, and end access tokens that are still good. Leave has who sends it
/// within the grace, counted from the first sending; who knows that it was not taken before; and who knows
/// that no answer comes any more (it was lost, or watched for in vain: F6), if no access token is at risk. One
/// of which the server has said that it is dead can do no more harm.
fn is_sent_with_leave(step: &Step<'_>) -> bool {
    step.deeds.iter().all(|deed| {
        let Deed::Sent { by, refresh_token } = *deed else {
            return true;
        };
        let world = step.before;
        let Some(spending) = world.spending(refresh_token) else {
            return true;
        };
        let Some(flight) = &world.processes[by].flight else {
            return false;
        };
        let is_forgiven = world
            .grace
            .is_some_and(|grace| world.now - spending.first < grace);
        let is_at_risk = world
            .store
            .record
            .filter(|record| record.tokens.refresh_token.session == refresh_token.session)
            .is_some_and(|record| record.is_alive(world.now));
        let is_condemned = world.condemned.contains(&refresh_token.session);
        is_forgiven || is_condemned || flight.knows_of_loss && (flight.by_refusal || !is_at_risk)
    })
}

/// F2: what the server has issued, and a process has received, is in the store or in the memory of a process
/// until its successor is. It may go on the wire, with the memory of a process that crashes, with its
/// session, and in a process that another one has taken for gone: by F6 after a watch in vain, or within the
/// grace. By assumption that one was suspended, or cut off from the store, for so long.
fn is_kept(step: &Step<'_>) -> bool {
    let newest = step.after.server.newest();
    let is_of_use =
        step.after.ended <= newest.session && !step.after.server.has_revoked(newest.session);
    let is_lost = has(step.before, newest) && !has(step.after, newest);
    let is_excused = step.deeds.iter().any(|deed| match deed {
        Deed::Lost | Deed::Crashed => true,
        Deed::Dropped => step.before.given_up.is_some_and(|given_up| {
            given_up.session == newest.session && given_up.generation + 1 == newest.generation
        }),
        _ => false,
    });
    !is_of_use || !is_lost || is_excused
}

fn has(world: &World, refresh_token: RefreshToken) -> bool {
    let stored = world.store.record.map(|record| record.tokens.refresh_token);
    let mut processes = world.processes.iter();
    stored == Some(refresh_token) || processes.any(|process| process.has(refresh_token))
}

/// F5, F10: a user has to sign in again when the server says so of the refresh token, or after a sign-out,
/// and for nothing that a store, a network or another process does.
fn ends_by_a_verdict(step: &Step<'_>) -> bool {
    let world = step.after;
    let is_condemned = |flight: &Flight| {
        let copy = flight.copy.map(|copy| copy.record.tokens.refresh_token);
        copy.is_some_and(|token| world.condemned.contains(&token.session))
    };
    let record = world.store.record;
    let is_right = record.is_none_or(|record| {
        record.state != RefreshTokenState::Dead
            || world
                .condemned
                .contains(&record.tokens.refresh_token.session)
    });
    is_right
        && step.deeds.iter().all(|deed| match deed {
            Deed::Ended { end, flight, .. } => match end {
                End::Dead => is_condemned(flight),
                // Another record is used as if nothing had happened.
                End::Failed => !flight.is_stale,
                End::NobodySignedIn => flight.copy.is_none() && world.ended > 0,
                End::SessionChanged { is_gone: true } => {
                    flight.copy.is_none()
                        && flight.session.is_some_and(|session| session < world.ended)
                }
                _ => true,
            },
            _ => true,
        })
}

/// A4, F6: a flight that looks again and again does so for another's lease no longer than its patience, and
/// under its own no longer than a watch takes; and with the flight ends its lease. The search itself sees to
/// it that no state with a flight is a dead end.
fn comes_to_an_end(step: &Step<'_>) -> bool {
    let now = step.after.now;
    let command = |process: &Process| process.flight.as_ref().map(|flight| flight.command);
    let mut pairs = step.before.processes.iter().zip(&step.after.processes);
    let is_patient = pairs.all(|(before, after)| match &after.flight {
        // Only when it begins to wait: meanwhile all may stand still.
        Some(flight) if command(before) != Some(flight.command) => match flight.command {
            Command::Sleep(Nap::Poll) if flight.has_lease() => !flight.has_watched_in_vain(),
            Command::Sleep(Nap::Poll) => {
                let taken_since = flight.taken_since;
                taken_since.is_some_and(|since| now - since <= PATIENCE)
            }
            _ => true,
        },
        _ => true,
    });
    is_patient
        && step.deeds.iter().all(|deed| match deed {
            Deed::Ended { flight, .. } => !flight.has_lease(),
            _ => true,
        })
}

/// F2, F10: a record makes way for the next one of its session only, or for a later sign-in; and after a
/// sign-out none of the session before is there again.
fn writes_in_order(step: &Step<'_>) -> bool {
    let Some(record) = step.after.store.record else {
        return true;
    };
    let now = record.tokens.refresh_token;
    let is_in_order = step.before.store.record.is_none_or(|record| {
        let before = record.tokens.refresh_token;
        (before.session, before.generation) <= (now.session, now.generation)
    });
    is_in_order && now.session >= step.after.ended
}

/// F10: the tokens that a flight brings, and the refresh token that it sends, are of the session that its
/// callers were of when it began.
fn is_of_one_session(step: &Step<'_>) -> bool {
    step.deeds.iter().all(|deed| match deed {
        Deed::Sent { by, refresh_token } => {
            let flight = step.before.processes[*by].flight.as_ref();
            flight.is_some_and(|flight| flight.session == Some(refresh_token.session))
        }
        Deed::Ended {
            brought: Some(session),
            flight,
            ..
        } => flight.is_superseded || flight.session == Some(*session),
        _ => true,
    })
}

/// A flight ends as a success with tokens only. And the protocol ends one whose phase an event does not fit,
/// and calls that a failure: none does so without a request that has failed. Another process is too slow when
/// its lease was in the way for as long as a flight's patience lasts, whatever the flight has waited for before
/// (A5).
fn has_its_reason(step: &Step<'_>) -> bool {
    let now = step.after.now;
    step.deeds.iter().all(|deed| match deed {
        Deed::Ended {
            end,
            brought,
            flight,
        } => match end {
            End::Issued | End::FoundInStore => brought.is_some(),
            End::Failed => flight.has_failed,
            End::OtherTooSlow => {
                let taken_since = flight.taken_since;
                taken_since.is_some_and(|since| now - since > PATIENCE)
            }
            _ => true,
        },
        _ => true,
    })
}
