//! An access token as this process keeps it: its header, its plan, and how it stands.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use serde_json::{Map, Value};

use crate::clock::{Due, Moment, system_time};
use crate::dpop::Binding;
use crate::error::Error;
use crate::key::TokenKey;
use crate::refuser::Refuser;
use crate::schedule::{Age, Plan};
use crate::secret::Secret;
use crate::subject_token::SubjectToken;
use crate::token::TokenType;

#[cfg(feature = "dpop")]
mod proven;

/// A usable access token, by hand: for a WebSocket, a gRPC call, a client that is not reqwest.
///
/// Cheap to clone. `Debug` does not show the token.
#[derive(Clone)]
pub struct AccessToken(Arc<Issued>);

impl AccessToken {
    /// The token itself, without the scheme.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.text()
    }

    /// The value of an `Authorization` header, marked as sensitive: `Bearer` and the token, or `DPoP` and a
    /// token that is bound to a key (RFC 9449), which no request may carry without a proof.
    #[must_use]
    pub fn authorization(&self) -> &HeaderValue {
        &self.0.header
    }

    /// When the token ends, by the wall clock; `None` if the server did not say and the source has
    /// no default lifetime.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.0.plan.expires_at().map(system_time)
    }

    /// The scopes that the server granted, separated by spaces, if it named them.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.0.brought.scope.as_deref()
    }

    /// The id token that came along, unchecked (OpenID Connect Core 3.1.3.3).
    #[must_use]
    pub fn id_token(&self) -> Option<&Secret> {
        self.0.brought.id_token.as_ref()
    }

    /// A member of the token answer that no RFC names, such as `instance_url`.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.0.brought.members.get(name)
    }

    pub(crate) fn new(issued: Arc<Issued>) -> Self {
        Self(issued)
    }

    pub(crate) fn issued(&self) -> &Arc<Issued> {
        &self.0
    }
}

impl SubjectToken {
    /// An access token of this program as what is to be exchanged, with its end: that of a user's session,
    /// for a call of another API ([`TokenSource::token`](crate::TokenSource::token)). When the session's
    /// token is renewed, the next one is exchanged anew.
    ///
    /// ```
    /// # async fn call(users: reqwest_bearer::UserSessions, orders: reqwest_bearer::NamedExchangeClient,
    /// #     session: reqwest_bearer::Subject) -> Result<(), Box<dyn std::error::Error>> {
    /// use reqwest_bearer::SubjectToken;
    ///
    /// let token = users.for_subject(&session).token().await?;
    /// let caller = SubjectToken::from_access_token(&token)?;
    /// let answer = orders.for_subject_token(&caller).get("orders/42").send().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSubjectToken`](crate::ErrorKind::InvalidSubjectToken) if it is longer than 65,536
    /// bytes.
    pub fn from_access_token(token: &AccessToken) -> Result<Self, Error> {
        let subject_token = Self::new(token.expose())?;
        Ok(match token.expires_at() {
            Some(end) => subject_token.expires_at(end),
            None => subject_token,
        })
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Members and scopes are the server's body (D6); some servers put secrets there.
        formatter
            .debug_struct("AccessToken")
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}

/// What one answer brought, ready for use. In this order: what every call reads lies together, as in
/// an [`Entry`](crate::cache::entry::Entry).
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Issued {
    pub(crate) header: HeaderValue,
    /// Names this token among all of this process: requests remember it, not the text.
    pub(crate) generation: u64,
    /// How often its subject had passed to somebody else when it was issued.
    pub(crate) handovers: u32,
    /// Until when every call takes it as it is, ready for the question that every call asks.
    pub(crate) fresh_until: Due,
    /// What it is bound to, if it is: then no sending goes out without a proof.
    pub(crate) binding: Option<Binding>,
    /// Shared with the object that takes this one's place when the same token gets a later expiry.
    pub(crate) standing: Arc<Standing>,
    /// Whose refusal of the token before was the reason to ask for this one.
    pub(crate) replaces_for: Option<Refuser>,
    pub(crate) plan: Plan,
    /// When the store is asked whether another process has changed or ended the session.
    pub(crate) recheck: Option<Recheck>,
    /// Finds its place in the cache again.
    pub(crate) key: TokenKey,
    pub(crate) brought: Arc<Brought>,
}

/// What came with the token.
#[derive(Debug, Default)]
pub(crate) struct Brought {
    pub(crate) scope: Option<String>,
    pub(crate) id_token: Option<Secret>,
    pub(crate) members: Map<String, Value>,
}

/// When the store is asked one question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recheck {
    /// From here on the calls wait for the answer: nobody has asked for so long ...
    pub(crate) overdue: Moment,
    /// ... and this much earlier it is asked behind them.
    pub(crate) lead: Duration,
}

impl Recheck {
    /// From when on it is asked behind the calls.
    pub(crate) fn behind(self) -> Moment {
        self.overdue.earlier(self.lead)
    }

    pub(crate) fn is_due(self, now: Moment) -> bool {
        self.behind().has_come(now)
    }

    pub(crate) fn is_overdue(self, now: Moment) -> bool {
        self.overdue.has_come(now)
    }
}

impl Issued {
    /// The token itself.
    pub(crate) fn text(&self) -> &str {
        let header = self.header.to_str().unwrap_or_default();
        header.get(self.beginning()..).unwrap_or_default()
    }

    /// Where in the header it begins: after the scheme and a blank.
    fn beginning(&self) -> usize {
        TokenType::of(self.binding.as_ref()).scheme().len() + 1
    }

    /// Whether its text is this one.
    pub(crate) fn is_text(&self, access_token: &Secret) -> bool {
        let text = self.header.as_bytes().get(self.beginning()..);
        text == Some(access_token.expose().as_bytes())
    }

    /// Whether the store is to be asked about it.
    pub(crate) fn is_to_be_checked(&self, now: Moment) -> bool {
        self.recheck.is_some_and(|recheck| recheck.is_due(now))
    }

    /// How long until a call would find it otherwise: of another age, or to be checked.
    pub(crate) fn until_next_look(&self, now: Moment) -> Option<Duration> {
        let looks = self.recheck.into_iter();
        let looks = looks.flat_map(|recheck| [recheck.behind(), recheck.overdue]);
        let ahead = looks.filter(|look| !look.has_come(now));
        let by_age = self.plan.until_next_age(now);
        ahead
            .map(|look| look.soonest_after(now))
            .chain(by_age)
            .min()
    }

    pub(crate) fn age(&self, now: Moment) -> Age {
        self.plan.age(now)
    }

    /// Whether one more success would say nothing new about it.
    pub(crate) fn is_known_good(&self) -> bool {
        let by_refuser = match &self.replaces_for {
            Some(Refuser::Api(_)) => self.standing.is_proven(),
            Some(Refuser::ByHand) | None => true,
        };
        by_refuser && self.standing.was_accepted()
    }

    pub(crate) fn is_usable(&self, now: Moment) -> bool {
        self.age(now) != Age::Expired
    }
}

/// What APIs have made of a token so far.
#[derive(Debug)]
pub(crate) struct Standing {
    accepted: AtomicBool,
    /// Accepted by the very API whose refusal was the reason to ask for it.
    proven: AtomicBool,
    /// When it was refused, in nanoseconds of the monotonic clock; `NEVER` if it is not.
    refused_at: AtomicU64,
    refused_before: AtomicBool,
    /// Taken away by a sign-out or another sign-in: no longer anybody's second best.
    withdrawn: AtomicBool,
    /// The smallest remaining lifetime, in nanoseconds, that the server could not meet (B9).
    unmet: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl Default for Standing {
    fn default() -> Self {
        Self {
            accepted: AtomicBool::new(false),
            proven: AtomicBool::new(false),
            refused_at: AtomicU64::new(NEVER),
            refused_before: AtomicBool::new(false),
            withdrawn: AtomicBool::new(false),
            unmet: AtomicU64::new(u64::MAX),
        }
    }
}

impl Standing {
    pub(crate) fn is_refused(&self) -> bool {
        self.refused_at.load(Ordering::Acquire) != NEVER
    }

    /// Whether it was refused later than at `moment`.
    pub(crate) fn is_refused_since(&self, moment: Moment) -> bool {
        let refused_at = self.refused_at.load(Ordering::Acquire);
        refused_at != NEVER && refused_at > nanos(moment.monotonic)
    }

    /// Refuses it, once: of any number of concurrent refusals one is told that it was the first.
    pub(crate) fn refuse(&self, now: Moment) -> Refusal {
        let first = self.refused_at.compare_exchange(
            NEVER,
            nanos(now.monotonic),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        match first {
            Ok(_) if self.refused_before.swap(true, Ordering::AcqRel) => Refusal::Again,
            Ok(_) => Refusal::First,
            Err(_) => Refusal::Known,
        }
    }

    /// An API took it: a success lifts a refusal that is older than the sending.
    pub(crate) fn accept(&self, sent: Moment, success: bool) {
        // Read before written: a store by every call would bounce the cache line.
        if !self.accepted.load(Ordering::Relaxed) {
            self.accepted.store(true, Ordering::Relaxed);
        }
        let refused_at = self.refused_at.load(Ordering::Acquire);
        if success && refused_at != NEVER && refused_at < nanos(sent.monotonic) {
            // Compare-and-set, since another refusal may have come meanwhile.
            let _ = self.refused_at.compare_exchange(
                refused_at,
                NEVER,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
        }
    }

    pub(crate) fn was_accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }

    pub(crate) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    pub(crate) fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Release);
    }

    pub(crate) fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Ordering::Acquire)
    }

    /// Notes that the server does not issue tokens that live for `minimum`.
    pub(crate) fn cannot_last(&self, minimum: Duration) {
        self.unmet.fetch_min(nanos(minimum), Ordering::Relaxed);
    }

    pub(crate) fn can_last(&self, minimum: Duration) -> bool {
        nanos(minimum) < self.unmet.load(Ordering::Relaxed)
    }
}

/// What a refusal found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A token that nobody had refused.
    First,
    /// A token that was refused before, and accepted since.
    Again,
    /// A token that is refused already.
    Known,
}

fn nanos(duration: Duration) -> u64 {
    // 584 years; one less than `NEVER`.
    u64::try_from(duration.as_nanos()).map_or(NEVER - 1, |nanos| nanos.min(NEVER - 1))
}

#[cfg(test)]
mod tests {
    use super::{Refusal, Standing};
    use crate::clock::Moment;
    use std::time::Duration;

    fn at(seconds: u64) -> Moment {
        Moment {
            monotonic: Duration::from_secs(seconds),
            wall: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn of_many_refusals_one_is_the_first_until_a_later_success_lifts_it() {
        // C1, C2
        let standing = Standing::default();
        assert!(!standing.is_refused());
        assert_eq!(standing.refuse(at(5)), Refusal::First);
        assert_eq!(standing.refuse(at(6)), Refusal::Known);
        assert!(standing.is_refused_since(at(4)));
        assert!(!standing.is_refused_since(at(5)));
        standing.accept(at(5), true);
        assert!(standing.is_refused(), "sent no later than the refusal");
        standing.accept(at(6), false);
        assert!(standing.is_refused(), "an answer that is no success");
        standing.accept(at(6), true);
        assert!(!standing.is_refused());
        assert_eq!(standing.refuse(at(7)), Refusal::Again);
    }

    #[test]
    fn a_minimum_that_could_not_be_met_is_remembered() {
        // B9
        let standing = Standing::default();
        let minute = Duration::from_secs(60);
        assert!(standing.can_last(minute));
        standing.cannot_last(minute);
        assert!(!standing.can_last(minute));
        assert!(!standing.can_last(minute * 2));
        assert!(standing.can_last(minute / 2));
    }
}
