//! What one grant key owns in this process: its refresh token, and the places of its access tokens.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::access_token::Issued;
use crate::clock::Moment;
use crate::keeper::Keeper;
use crate::keeper::record::Record;
use crate::keeper::slot::Slot;
use crate::key::{TokenKey, Wanted};
use crate::parameters::TokenParameters;

/// One grant key: the application's own, or a user's.
pub(crate) struct Account {
    pub(crate) record: Record,
    /// Counts how often its tokens have been taken away: by a sign-out, or by another sign-in.
    epoch: AtomicU32,
    /// Counts how often the subject may have passed to another user: a request that went out with
    /// the tokens of the one must not be sent again with those of the next, be it the same subject.
    handovers: AtomicU32,
    /// Counts the looks into the store, and what this process itself does to the session: in this
    /// order calls, looks and passings are compared, since no clock is fine enough.
    looks: AtomicU32,
    /// One more than the number of the last look that found the session which this process knows.
    confirmed: AtomicU32,
    /// Calls that began before this look are of a user from whom the subject has passed since.
    boundary: AtomicU32,
    /// The places of its owner's tokens for other scopes and resources, those with accounts of their
    /// own too; the cache may have dropped some.
    narrowed: Mutex<Vec<Weak<Slot>>>,
}

impl Account {
    pub(crate) fn new(record: Record) -> Arc<Self> {
        Arc::new(Self {
            record,
            epoch: AtomicU32::new(0),
            handovers: AtomicU32::new(0),
            looks: AtomicU32::new(0),
            confirmed: AtomicU32::new(0),
            boundary: AtomicU32::new(0),
            narrowed: Mutex::default(),
        })
    }

    /// A flight that began in another epoch brings what nobody may have any more.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Acquire)
    }

    /// To be compared with what it is later.
    pub(crate) fn handovers(&self) -> u32 {
        self.handovers.load(Ordering::Acquire)
    }

    /// The number of the next look, for a call or a flight to remember when it begins.
    pub(crate) fn looks(&self) -> u32 {
        self.looks.load(Ordering::Acquire)
    }

    /// The number of a look that is taken now.
    pub(crate) fn look(&self) -> u32 {
        self.looks.fetch_add(1, Ordering::AcqRel)
    }

    /// This look has found the session that this process knows.
    pub(crate) fn confirm(&self, look: u32) {
        self.confirmed.fetch_max(look + 1, Ordering::AcqRel);
    }

    /// This process signs a user in or out: the subject may be another user's from now on.
    pub(crate) fn hand_over(&self) {
        let now = self.look() + 1;
        self.pass(now);
    }

    /// This look of a flight has found another session, or none: another process has signed a user
    /// in or out. If the session was still there after the flight began, that happened meanwhile,
    /// and whoever waits for the flight may have called before. Otherwise it may be long ago, and
    /// only the calls that began before the session was last seen are known to be of the user before.
    pub(crate) fn has_been_handed_over(&self, flight_began: u32, look: u32) {
        let confirmed = self.confirmed.load(Ordering::Acquire);
        let meanwhile = confirmed > flight_began;
        self.pass(if meanwhile { look + 1 } else { confirmed });
    }

    /// Whether the subject may have passed to another user while a call waited that began at this
    /// look.
    pub(crate) fn has_passed_since(&self, began: u32) -> bool {
        began < self.boundary.load(Ordering::Acquire)
    }

    fn pass(&self, boundary: u32) {
        self.boundary.fetch_max(boundary, Ordering::AcqRel);
        self.handovers.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether a place other than the primary one is alive.
    pub(crate) fn is_narrowed(&self) -> bool {
        self.narrowed().iter().any(|slot| slot.strong_count() > 0)
    }

    /// The places of all its tokens that this process knows; `primary` is the one that it cannot
    /// know by itself.
    pub(crate) fn slots(&self, primary: Arc<Slot>) -> Vec<Arc<Slot>> {
        let narrowed = self.narrowed();
        let others = narrowed.iter().filter_map(Weak::upgrade);
        [primary].into_iter().chain(others).collect()
    }

    /// Whether one of its tokens is good: neither expired nor refused. `primary` as above.
    pub(crate) fn has_good_token(&self, primary: Arc<Slot>, now: Moment) -> bool {
        self.slots(primary).iter().any(|slot| {
            let present = slot.peek();
            let good = |token: &Arc<Issued>| token.is_usable(now) && !token.standing.is_refused();
            present.as_ref().is_some_and(good)
        })
    }

    /// What is under way from now on belongs to another epoch.
    pub(crate) fn begin_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// The same, if `epoch` still is the present one; says whether it was.
    pub(crate) fn end_epoch(&self, epoch: u32) -> bool {
        let next = epoch.wrapping_add(1);
        let ended = self
            .epoch
            .compare_exchange(epoch, next, Ordering::AcqRel, Ordering::Acquire);
        ended.is_ok()
    }

    fn remember(&self, slot: &Arc<Slot>) {
        let mut narrowed = self.narrowed();
        // Not each time: then every new place would pay for a look at all the others. Where few are
        // gone there is room for as many again before the next look.
        if narrowed.len() == narrowed.capacity() {
            narrowed.retain(|slot| slot.strong_count() > 0);
            if narrowed.len() > narrowed.capacity() / 2 {
                let alive = narrowed.len();
                narrowed.reserve(alive);
            }
        }
        narrowed.push(Arc::downgrade(slot));
    }

    fn narrowed(&self) -> MutexGuard<'_, Vec<Weak<Slot>>> {
        let narrowed = self.narrowed.lock();
        narrowed.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the places, which show their account in turn.
        formatter
            .debug_struct("Account")
            .field("record", &self.record)
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}

impl Keeper {
    /// The place of the token that is wanted, made if there is none.
    pub(crate) fn slot(&self, wanted: Wanted<'_>) -> Arc<Slot> {
        if let Some(known) = self.known_slot(wanted) {
            return known;
        }
        if wanted.parameters.is_empty() {
            return self
                .cache
                .insert(self.new_primary(wanted), self.clock.now());
        }
        let stands_alone = self.shares_nothing_between_tokens();
        loop {
            let primary = self.primary_of(wanted);
            let key = TokenKey {
                subject: wanted.subject.cloned(),
                parameters: Arc::new(wanted.parameters.clone()),
            };
            let account = if stands_alone {
                Account::new(Record::default())
            } else {
                primary.account.clone()
            };
            let slot = Arc::new(Slot::new(key, account));
            primary.account.remember(&slot);
            let slot = self.cache.insert(slot, self.clock.now());
            // The cache never drops the primary place of an account with others; but it may have
            // done so a moment ago, when it had none.
            if stands_alone || Arc::ptr_eq(&self.primary_of(wanted).account, &slot.account) {
                return slot;
            }
            self.cache.remove(&slot.key);
        }
    }

    /// The place of the token that is wanted, if there is one.
    pub(crate) fn known_slot(&self, wanted: Wanted<'_>) -> Option<Arc<Slot>> {
        if wanted.subject.is_none() && wanted.parameters.is_empty() {
            return Some(self.primary.clone());
        }
        self.cache.find(wanted)
    }

    /// The place of the token that requests without options get, for the same subject.
    pub(crate) fn primary_of(&self, wanted: Wanted<'_>) -> Arc<Slot> {
        self.slot(Wanted {
            parameters: &TokenParameters::new(),
            ..wanted
        })
    }

    /// Whether each token has a record, a turn and a lease of its own (A5): those of an application
    /// with a store, where no sign-in's refresh token is to be protected. A refresh token that a grant
    /// of the user's own brings belongs to the token that it came with.
    pub(crate) fn shares_nothing_between_tokens(&self) -> bool {
        self.vault.is_some() && !self.for_users
    }

    fn new_primary(&self, wanted: Wanted<'_>) -> Arc<Slot> {
        let key = TokenKey {
            subject: wanted.subject.cloned(),
            parameters: self.primary.key.parameters.clone(),
        };
        Arc::new(Slot::new(key, Account::new(Record::default())))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Account;
    use crate::keeper::record::Record;
    use crate::keeper::slot::Slot;
    use crate::key::TokenKey;

    fn place(account: &Arc<Account>) -> Arc<Slot> {
        let slot = Arc::new(Slot::new(TokenKey::own(), account.clone()));
        account.remember(&slot);
        slot
    }

    #[test]
    fn places_are_looked_through_when_they_have_doubled_and_not_for_each_new_one() {
        // G1, F9: or ten thousand tenants' places would cost a hundred million looks.
        let account = Account::new(Record::default());
        let mut alive: Vec<_> = (0..1000).map(|_| place(&account)).collect();
        alive.truncate(500);
        alive.push(place(&account));
        assert_eq!(account.narrowed().len(), 1001, "none was looked at");
        for _ in 0..100_000 {
            place(&account);
            assert!(account.narrowed().len() <= 2 * 1001 + 1);
        }
        let known = account.slots(Arc::new(Slot::new(TokenKey::own(), account.clone())));
        assert_eq!(known.len(), 1 + alive.len());
    }
}
