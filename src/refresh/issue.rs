//! How what came from the server, or was found in the store, becomes a token that calls can use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::access_token::{Brought, Issued, Recheck, Standing};
use crate::cache::entry::Entry;
use crate::clock::{Due, Moment};
use crate::dpop::{Binding, DpopSetting};
use crate::engine::{Engine, Setup};
use crate::error::Error;
use crate::refresh::ending::Answer;
use crate::schedule::{Age, Plan};
use crate::scope;
use crate::secret::Secret;
use crate::session::record::RecordToken;
use crate::session::store::Found;
use crate::telemetry::RefreshReason;
use crate::token::{Lifetime, TokenType, authorization, bearer_header};

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
    let is_wanted = match &setup.dpop {
        Some(dpop) => token.is_bound || !dpop.is_required,
        None => !token.is_bound,
    };
    if !is_wanted {
        return None;
    }
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
        RefreshReason::NoToken
        | RefreshReason::Expired
        | RefreshReason::Refusal
        | RefreshReason::Claims => age != Age::Expired,
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

pub(crate) fn issue_found(
    setup: &Setup,
    entry: &Entry,
    token: &RecordToken,
) -> Result<Issued, Error> {
    let binding = binding_of(setup, entry, token)?;
    let brought = Brought {
        scope: token.scope.clone(),
        id_token: token.id_token.clone(),
        members: token.members.clone(),
    };
    let plan = plan_of(setup, token);
    issued(setup, entry, &token.access_token, binding, plan, brought)
}

pub(crate) fn issue(setup: &Setup, entry: &Entry, answer: Answer) -> Result<Issued, Error> {
    let Answer {
        response, asked, ..
    } = answer;
    let asked_scope = response.asked_scope.or(entry.key.parameters.scope_text());
    note_scope(setup, asked_scope.as_deref(), response.scope.as_deref());
    let plan = plan(setup, response.lifetime, response.refresh_in, asked);
    let plan = if response.ends_for_good {
        plan.without_windows()
    } else {
        plan
    };
    let brought = Brought {
        scope: response.scope,
        id_token: response.id_token,
        members: response.members,
    };
    let (access_token, binding) = (&response.access_token, response.binding);
    issued(setup, entry, access_token, binding, plan, brought)
}

/// What a token of a record is bound to, if it is.
///
/// # Errors
/// If this process has no key for it: it could not be sent, and as a bearer token it is worth nothing.
fn binding_of(setup: &Setup, entry: &Entry, token: &RecordToken) -> Result<Option<Binding>, Error> {
    if !token.is_bound {
        return Ok(None);
    }
    let of_process = setup.dpop.as_ref().and_then(DpopSetting::of_process);
    let Some(key) = of_process.or(token.dpop_key.as_ref()) else {
        return Err(Error::settings(
            "the token is bound to a DPoP key, and the token source has none; say `dpop` when building it",
        ));
    };
    let endpoint = entry.owner.endpoint();
    let clock = setup.clock.clone();
    let seen = endpoint.map_or_else(|| setup.seen.clone(), |endpoint| endpoint.seen());
    Ok(Some(Binding::new(
        key.clone(),
        &token.access_token,
        seen,
        clock,
    )))
}

/// A token that no call has seen yet.
///
/// # Errors
/// If no header can carry it (D7).
fn issued(
    setup: &Setup,
    entry: &Entry,
    access_token: &Secret,
    binding: Option<Binding>,
    plan: Plan,
    brought: Brought,
) -> Result<Issued, Error> {
    let token_type = TokenType::of(binding.as_ref());
    let mut token = Issued {
        header: authorization(access_token, token_type)?,
        generation: next_generation(),
        handovers: entry.owner.succession.handovers(),
        fresh_until: Due::Never,
        binding,
        recheck: None,
        plan,
        key: entry.key.clone(),
        brought: Arc::new(brought),
        replaces_for: None,
        standing: Arc::new(Standing::default()),
    };
    recheck_in_time(setup, &mut token);
    Ok(token)
}

/// The store has been asked about the token just now, and is asked again soon enough.
pub(crate) fn recheck_in_time(setup: &Setup, token: &mut Issued) {
    let halfway = look_within(setup, token).map_or(Duration::MAX, |time| time / 2);
    recheck_after(setup, token, halfway);
}

/// Calls take the token as it is until its plan, or after `pause` the store, has to be asked.
pub(crate) fn recheck_after(setup: &Setup, token: &mut Issued, pause: Duration) {
    let now = setup.clock.now();
    token.recheck = look_within(setup, token).map(|time| Recheck {
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

/// Within which time this process has to look at the record of the session.
fn look_within(setup: &Setup, token: &Issued) -> Option<Duration> {
    token.key.subject.as_ref()?;
    Some(setup.store.as_ref()?.look_within())
}

fn note_scope(setup: &Setup, asked: Option<&str>, granted: Option<&str>) {
    let (Some(asked), Some(granted)) = (asked, granted) else {
        return;
    };
    if !scope::missing(asked, granted).is_empty() {
        setup.telemetry.scope_narrowed(asked, granted);
    }
}

/// Counted for the whole process: a token that is refused by hand may be another source's.
fn next_generation() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
