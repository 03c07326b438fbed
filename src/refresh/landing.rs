//! What becomes of a flight's outcome: published, and noted for the schedule.

use std::sync::Arc;
use std::time::Duration;

use crate::access_token::{AccessToken, Issued};
use crate::cache::entry::Entry;
use crate::cache::history::History;
use crate::cache::outcome::{NoToken, Outcome};
use crate::clock::Moment;
use crate::dpop::DpopSetting;
use crate::engine::Setup;
use crate::error::{Error, ErrorKind, HowFar};
use crate::parameters::TokenParameters;
use crate::refresh::ending::{Arrival, Ending};
use crate::refresh::issue::{issue, issue_found, recheck_after, recheck_in_time};
use crate::schedule::Age;
use crate::session::record::RecordToken;
use crate::telemetry::RefreshReason;
use crate::token_set::TokenSet;

/// How long a store that could not be asked is not asked whether a failure still stands (B6).
const BLIND_FOR: Duration = Duration::from_secs(5);

/// What one API wants of the user is not asked again for so long, unless the user signs in (K12).
const ONE_API_RESTS: Duration = Duration::from_secs(10 * 60);

/// Publishes what arrived, or notes the failure. The flight is over when this returns. What was
/// asked for in another `epoch` belongs to no call any more.
pub(crate) fn land(
    setup: &Setup,
    entry: &Entry,
    reason: RefreshReason,
    epoch: u32,
    arrival: Result<Arrival, Ending>,
) -> Outcome {
    let mut in_vain = None;
    let token = arrival.and_then(|arrival| match arrival {
        Arrival::Issued(mut answer) => {
            in_vain = answer.in_vain.take();
            issue(setup, entry, answer).map_err(Ending::Failed)
        }
        Arrival::Found(found) => issue_found(setup, entry, &found).map_err(Ending::Failed),
    });
    let mut history = entry.history();
    if entry.owner.succession.epoch() != epoch {
        return Err(match token {
            // It found out itself that the tokens are gone which it is about.
            Err(Ending::Known(error)) => NoToken::Failed(error),
            _ => NoToken::Superseded,
        });
    }
    history.flight = None;
    match token {
        Ok(mut token) => {
            if reason == RefreshReason::Refusal {
                let known = history.refusal.as_ref();
                token.replaces_for = known.map(|known| known.refuser.clone());
            }
            let token = publish_if_better(setup, entry, &mut history, token);
            if reason == RefreshReason::Claims {
                history.claims.end_in_vain(Error::protocol(
                    "the authorization server issued the same token again, without the claims that the API \
                     demands",
                ));
            }
            if let Some(ending) = in_vain {
                let _ = note_failure(setup, entry, &mut history, ending);
            }
            Ok(token)
        }
        Err(ending) if reason == RefreshReason::Claims => {
            Err(note_claims(&mut history, setup.clock.now(), ending))
        }
        Err(ending) => Err(note_failure(setup, entry, &mut history, ending)),
    }
}

/// Claims that were asked for in vain are no failure of the key: the present token is as good as before
/// for everything else, and its next refresh asks for no claims.
fn note_claims(history: &mut History, now: Moment, ending: Ending) -> NoToken {
    let error = match ending {
        Ending::Superseded => return NoToken::Superseded,
        Ending::Failed(error) | Ending::Known(error) | Ending::Barred(error) => error,
        Ending::Abandoned => gave_up(),
    };
    if error.how_far() == HowFar::Answered {
        history.claims.end_in_vain(error.clone());
    } else if let Some(pause) = error.retry_after() {
        history.cooldowns.told.hold(now.later(pause), error.clone());
    }
    NoToken::Failed(error)
}

/// Publishes what the store says of the present token: another one, or that it is still the
/// same.
pub(crate) fn land_check(
    setup: &Setup,
    entry: &Entry,
    epoch: u32,
    newer: Result<Option<RecordToken>, Ending>,
) -> Outcome {
    let newer = newer.and_then(|newer| {
        let issued = newer.map(|found| issue_found(setup, entry, &found));
        issued.transpose().map_err(Ending::Failed)
    });
    let mut history = entry.history();
    if entry.owner.succession.epoch() != epoch {
        return Err(match newer {
            Err(Ending::Known(error)) => NoToken::Failed(error),
            _ => NoToken::Superseded,
        });
    }
    history.is_check = false;
    history.flight = None;
    let now = setup.clock.now();
    match newer {
        Err(Ending::Known(error)) => return Err(NoToken::Failed(error)),
        Err(Ending::Superseded) => return Err(NoToken::Superseded),
        Ok(Some(token)) => return Ok(publish_if_better(setup, entry, &mut history, token)),
        Err(_) => history.cooldowns.store.pause(now, BLIND_FOR),
        Ok(None) => {}
    }
    let blind_for = history.cooldowns.store.left(now);
    // A store that is down is no reason to take a good token away (F4).
    let Some(present) = entry.usable(now) else {
        let known = history.cooldowns.known_failure(now).cloned();
        return Err(known.map_or(NoToken::Superseded, NoToken::Failed));
    };
    let mut token = (*present).clone();
    match blind_for {
        Some(pause) => recheck_after(setup, &mut token, pause),
        None => recheck_in_time(setup, &mut token),
    }
    Ok(publish(entry, token))
}

/// Makes the access token of `set`, which the grant or the user brought along, the present one.
///
/// # Errors
/// If it cannot be sent.
pub(crate) fn adopt(setup: &Setup, entry: &Entry, set: &TokenSet) -> Result<(), Error> {
    set.check_key()?;
    let now = setup.clock.now().wall;
    let brought = RecordToken::brought_along(set, TokenParameters::new(), now);
    // A bearer token is no loss where bound ones are wanted: it would be the weakest of them.
    let is_required = setup.dpop.as_ref().is_some_and(|dpop| dpop.is_required);
    let brought = brought.filter(|token| token.is_bound || !is_required);
    let of_process = setup.dpop.as_ref().and_then(DpopSetting::of_process);
    if let (Some(key), Some(known)) = (set.bound_to(), of_process)
        && key != known
    {
        return Err(Error::settings(
            "the token set is bound to another DPoP key than that of the token source",
        ));
    }
    if let Some(token) = brought {
        entry.publish(Arc::new(issue_found(setup, entry, &token)?));
    }
    Ok(())
}

/// B7: what a refresh brought is kept in any case; the schedule counts it as failed if it is
/// the same token, or one that ends no later, so that it never loops.
fn publish_if_better(
    setup: &Setup,
    entry: &Entry,
    history: &mut History,
    mut token: Issued,
) -> AccessToken {
    let now = setup.clock.now();
    let Some(present) = entry.present() else {
        history.forget_failures();
        return publish(entry, token);
    };
    let outlives = token.plan.outlives(&present.plan, now);
    let is_same = token.header == present.header;
    if is_same {
        // It goes on under its old name, or a refusal would be forgotten.
        token.generation = present.generation;
        token.standing = present.standing.clone();
    }
    // One that no call could use any more is no measure for the new one.
    let is_present_good = present.is_usable(now);
    let stays = is_same && !outlives && is_present_good;
    if is_present_good && (is_same || !outlives) {
        note_in_vain(setup, history, if stays { &present } else { &token }, now);
    } else {
        history.forget_failures();
    }
    if is_same && present.standing.is_refused() {
        let again = Error::protocol("the authorization server issued the refused token again");
        history.cooldowns.urgent.fail(now, again);
    } else if !is_same {
        history.refusal = None;
    }
    if stays {
        return AccessToken::new(present);
    }
    publish(entry, token)
}

/// The schedule's side of a refresh that did not help: `token` goes on serving.
fn note_in_vain(setup: &Setup, history: &mut History, token: &Issued, now: Moment) {
    history.cooldowns.failed_ahead(
        now,
        token.plan.longest_soft_pause(),
        token.age(now) == Age::Hard,
        setup.jitter.draw(),
    );
}

fn note_failure(setup: &Setup, entry: &Entry, history: &mut History, ending: Ending) -> NoToken {
    let now = setup.clock.now();
    let present = entry.usable(now);
    if let Some(token) = &present {
        note_in_vain(setup, history, token, now);
    }
    let (error, was_tried) = match ending {
        Ending::Superseded => return NoToken::Superseded,
        // The server need not be spared that was not asked; and a user may sign in at any moment,
        // through another process. Only ahead of the expiry the pauses hold: what the store says of a
        // good token, it is asked often enough.
        Ending::Known(error) if setup.store.is_some() => return NoToken::Failed(error),
        Ending::Known(error) | Ending::Failed(error) => (error, true),
        Ending::Barred(error) => (error, false),
        Ending::Abandoned => (gave_up(), false),
    };
    // `interaction_required` and its like may be over as soon as the user has been there; what Entra
    // says of one API stands until the next sign-in.
    let stands = error.is_about_one_api() && error.oauth_code() == Some("invalid_grant");
    let error = if stands {
        error.with_retry_after(ONE_API_RESTS)
    } else {
        error
    };
    let told = error.retry_after().map(|pause| now.later(pause));
    let cooldowns = &mut history.cooldowns;
    let cooldown = match present {
        Some(_) => &mut cooldowns.urgent,
        None => &mut cooldowns.dry,
    };
    let error = if was_tried {
        cooldown.fail(now, error)
    } else {
        cooldown.stand_by(now, error)
    };
    match told {
        Some(until) => cooldowns.told.hold(until, error.clone()),
        None => cooldowns.told = Default::default(),
    }
    NoToken::Failed(error)
}

fn gave_up() -> Error {
    Error::new(ErrorKind::Timeout, "all callers have given up")
}

fn publish(entry: &Entry, token: Issued) -> AccessToken {
    let token = Arc::new(token);
    entry.publish(token.clone());
    AccessToken::new(token)
}
