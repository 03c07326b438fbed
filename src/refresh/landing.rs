//! What becomes of a flight's outcome: published, and noted for the schedule.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderValue;

use crate::access_token::{AccessToken, Brought, Issued, Recheck, Standing};
use crate::cache::entry::Entry;
use crate::cache::history::History;
use crate::cache::outcome::{NoToken, Outcome};
use crate::clock::{Due, Moment};
use crate::engine::{Engine, Setup};
use crate::error::{Error, ErrorKind};
use crate::parameters::TokenParameters;
use crate::refresh::ending::{Answer, Arrival, Ending};
use crate::schedule::{Age, Plan};
use crate::scope;
use crate::session::record::RecordToken;
use crate::session::store::Found;
use crate::telemetry::RefreshReason;
use crate::token::{Lifetime, bearer_header};
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
            if let Some(ending) = in_vain {
                let _ = note_failure(setup, entry, &mut history, ending);
            }
            Ok(token)
        }
        Err(ending) => Err(note_failure(setup, entry, &mut history, ending)),
    }
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
    let now = setup.clock.now().wall;
    let brought = RecordToken::brought_along(set, TokenParameters::new(), now);
    if let Some(token) = brought {
        entry.publish(Arc::new(issue_found(setup, entry, &token)?));
    }
    Ok(())
}

/// The store's token, if it is another and a later one than the present one, and does what the
/// flight is for. The flight's first caller `began` to wait then.
pub(crate) fn newer_token(
    engine: &Engine,
    entry: &Entry,
    found: &Found,
    reason: RefreshReason,
    began: Moment,
) -> Option<RecordToken> {
    let setup = &engine.setup;
    let record = found.record.as_ref()?;
    let token = record.token(&setup.shared_parameters(&entry.key))?;
    // One that cannot be sent is no newer token (D7).
    bearer_header(&token.access_token).ok()?;
    if let Some(present) = entry.present() {
        let is_same = present.is_text(&token.access_token);
        if is_same || token.issued_at < present.plan.asked.wall {
            return None;
        }
    }
    let age = plan_of(setup, &token).age(setup.clock.now());
    let serves = match reason {
        RefreshReason::Caller => token.issued_at > began.wall && age != Age::Expired,
        RefreshReason::Soft | RefreshReason::Hard => age == Age::Fresh,
        RefreshReason::NoToken | RefreshReason::Expired | RefreshReason::Refusal => {
            age != Age::Expired
        }
    };
    serves.then_some(token)
}

/// The plan of a token that another process, or an earlier life of this one, had got.
fn plan_of(setup: &Setup, token: &RecordToken) -> Plan {
    let now = setup.clock.now();
    let age = now.wall.saturating_sub(token.issued_at);
    let lifetime = match token.expires_at {
        Some(at) => Lifetime::Stated(at.saturating_sub(token.issued_at)),
        None => Lifetime::Unstated,
    };
    let refresh_in = token
        .refresh_at
        .map(|at| at.saturating_sub(token.issued_at));
    plan(setup, lifetime, refresh_in, now.earlier(age))
}

fn plan(setup: &Setup, lifetime: Lifetime, refresh_in: Option<Duration>, asked: Moment) -> Plan {
    Plan::new(
        lifetime,
        refresh_in,
        asked,
        setup.clock.now(),
        &setup.settings.margins,
        setup.jitter.draw(),
    )
}

fn issue_found(setup: &Setup, entry: &Entry, token: &RecordToken) -> Result<Issued, Error> {
    let header = bearer_header(&token.access_token)?;
    let brought = Brought {
        scope: token.scope.clone(),
        id_token: token.id_token.clone(),
        members: token.members.clone(),
    };
    Ok(issued(setup, entry, header, plan_of(setup, token), brought))
}

fn issue(setup: &Setup, entry: &Entry, answer: Answer) -> Result<Issued, Error> {
    let Answer {
        response, asked, ..
    } = answer;
    let header = bearer_header(&response.access_token)?;
    let asked_scope = response.asked_scope.or(entry.key.parameters.scope_text());
    note_scope(setup, asked_scope.as_deref(), response.scope.as_deref());
    let plan = plan(setup, response.lifetime, response.refresh_in, asked);
    let brought = Brought {
        scope: response.scope,
        id_token: response.id_token,
        members: response.members,
    };
    Ok(issued(setup, entry, header, plan, brought))
}

/// A token that no call has seen yet.
fn issued(
    setup: &Setup,
    entry: &Entry,
    header: HeaderValue,
    plan: Plan,
    brought: Brought,
) -> Issued {
    let mut token = Issued {
        header,
        generation: next_generation(),
        handovers: entry.owner.succession.handovers(),
        fresh_until: Due::Never,
        recheck: None,
        plan,
        key: entry.key.clone(),
        brought: Arc::new(brought),
        replaces_for: None,
        standing: Arc::new(Standing::default()),
    };
    recheck_in_time(setup, &mut token);
    token
}

/// The store has been asked about the token just now, and is asked again soon enough.
fn recheck_in_time(setup: &Setup, token: &mut Issued) {
    let notice_within = notice_within(setup, token);
    let halfway = notice_within.map_or(Duration::MAX, |time| time / 2);
    recheck_after(setup, token, halfway);
}

/// Calls take the token as it is until its plan, or after `pause` the store, has to be asked.
fn recheck_after(setup: &Setup, token: &mut Issued, pause: Duration) {
    let now = setup.clock.now();
    token.recheck = notice_within(setup, token).map(|time| Recheck {
        overdue: now.later(time),
        lead: time.saturating_sub(pause),
    });
    let behind = token.recheck.map(Recheck::behind);
    let until = match (token.plan.fresh_until(), behind) {
        (Some(soft), Some(behind)) => Some(soft.earlier_of(behind)),
        (soft, behind) => soft.or(behind),
    };
    token.fresh_until = until.map_or(Due::Never, |moment| setup.clock.due(moment));
}

/// Within which time this process has to notice that another one has ended the session.
fn notice_within(setup: &Setup, token: &Issued) -> Option<Duration> {
    token.key.subject.as_ref()?;
    setup.store.as_ref()?.notice_within()
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

fn note_scope(setup: &Setup, asked: Option<&str>, granted: Option<&str>) {
    let (Some(asked), Some(granted)) = (asked, granted) else {
        return;
    };
    if !scope::missing(asked, granted).is_empty() {
        setup.telemetry.scope_narrowed(asked, granted);
    }
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

/// Counted for the whole process: a token that is refused by hand may be another source's.
fn next_generation() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn publish(entry: &Entry, token: Issued) -> AccessToken {
    let token = Arc::new(token);
    entry.publish(token.clone());
    AccessToken::new(token)
}
