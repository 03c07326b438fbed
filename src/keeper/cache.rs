//! The tokens of this process by their keys: bounded, and read without a lock.

use std::sync::Arc;

use papaya::HashMap;

use crate::clock::Moment;
use crate::keeper::slot::Slot;
use crate::key::{TokenKey, Wanted};

/// An idle key leaves this many seconds after its token's expiry (F9).
const IDLE_SECONDS: u64 = 60 * 60;

/// The slots of one source, besides the one that most requests use.
#[derive(Debug)]
pub(crate) struct Cache {
    slots: HashMap<Arc<TokenKey>, Arc<Slot>>,
    capacity: usize,
}

impl Cache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            slots: HashMap::new(),
            capacity,
        }
    }

    pub(crate) fn find(&self, wanted: Wanted<'_>, now: Moment) -> Option<Arc<Slot>> {
        let slot = self.slots.pin().get(&wanted).cloned()?;
        slot.touch(now);
        Some(slot)
    }

    /// Puts `slot` in its place, or returns the one that is there already.
    pub(crate) fn insert(&self, slot: Arc<Slot>, now: Moment) -> Arc<Slot> {
        if self.slots.len() >= self.capacity {
            self.make_room(now);
        }
        slot.touch(now);
        let map = self.slots.pin();
        map.get_or_insert(slot.key.clone(), slot.clone()).clone()
    }

    pub(crate) fn remove(&self, key: &TokenKey) {
        self.slots.pin().remove(&key.as_wanted());
    }

    /// Drops what nobody will miss, then the least recently used, a sixteenth of the capacity at
    /// once: so that the walk through all of them is paid for by many insertions. A slot with a
    /// flight under way stays, since its callers and its outcome belong to it; so does one whose
    /// tokens the store has not taken yet, since nobody else has them, and a user's primary one
    /// while there are others, since it leads to them when the user signs out.
    fn make_room(&self, now: Moment) {
        let map = self.slots.pin();
        let mut by_use = Vec::with_capacity(map.len());
        for (key, slot) in &map {
            let leads = key.parameters.is_empty() && slot.account.is_narrowed();
            let is_alone = slot.account.record.unsaved().is_some();
            if leads || is_alone || slot.ledger().flight().is_some() {
                continue;
            }
            let idle = now.monotonic.as_secs().saturating_sub(slot.last_used());
            let expired = slot
                .peek()
                .as_ref()
                .is_none_or(|token| !token.is_usable(now));
            if expired && idle >= IDLE_SECONDS {
                map.remove(key);
            } else {
                // Those that were used in the same second leave by chance. Left to the order of the
                // walk, the ones at the front of the table would go again and again, until all that
                // stay are crowded at its end; and the table never finds room for a crowd that its
                // size is no reason to grow for.
                let order = (slot.last_used(), fastrand::u32(..));
                by_use.push((order, key.clone()));
            }
        }
        let room = (self.capacity / 16).max(1);
        let surplus = (map.len() + room).saturating_sub(self.capacity);
        by_use.sort_unstable_by_key(|(order, _)| *order);
        for (_, key) in by_use.iter().take(surplus) {
            map.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cache;
    use crate::clock::Moment;
    use crate::flight;
    use crate::keeper::account::Account;
    use crate::keeper::record::Record;
    use crate::keeper::slot::Slot;
    use crate::key::{TokenKey, Wanted};
    use crate::parameters::TokenParameters;
    use std::sync::Arc;
    use std::time::Duration;

    fn at(seconds: u64) -> Moment {
        Moment {
            monotonic: Duration::from_secs(seconds),
            wall: Duration::from_secs(seconds),
        }
    }

    fn scope(number: u64) -> TokenParameters {
        TokenParameters::new().scope(format!("s{number}"))
    }

    impl Cache {
        fn slot(&self, parameters: &TokenParameters, now: u64) -> Arc<Slot> {
            self.find_scope(parameters, now).unwrap_or_else(|| {
                let key = TokenKey {
                    subject: None,
                    parameters: Arc::new(parameters.clone()),
                };
                let account = Account::new(Record::default(), None);
                self.insert(Arc::new(Slot::new(key, account)), at(now))
            })
        }

        fn find_scope(&self, parameters: &TokenParameters, now: u64) -> Option<Arc<Slot>> {
            let wanted = Wanted {
                subject: None,
                parameters,
            };
            self.find(wanted, at(now))
        }
    }

    #[test]
    fn the_cache_is_bounded_and_the_least_recently_used_go_first_but_none_in_flight() {
        // F9
        let cache = Cache::new(32);
        let flying = cache.slot(&scope(0), 0);
        let (_landing, flight) = flight::begin();
        flying.ledger().flight = Some(flight);
        for number in 1..1000 {
            cache.slot(&scope(number), number);
            assert!(cache.slots.len() <= 32, "at {number}");
        }
        assert!(cache.find_scope(&scope(0), 1000).is_some());
        assert!(cache.find_scope(&scope(1), 1000).is_none());
        assert!(cache.find_scope(&scope(999), 1000).is_some());
    }

    #[test]
    fn any_number_of_keys_may_come_within_one_second() {
        // F9: fails by never coming to an end.
        let cache = Cache::new(10_000);
        for number in 0..100_000 {
            cache.slot(&scope(number), 0);
            assert!(cache.slots.len() <= 10_000, "at {number}");
        }
    }

    #[test]
    fn equal_parameters_have_one_slot() {
        // D8
        let cache = Cache::new(32);
        let one = cache.slot(&scope(1), 0);
        assert!(Arc::ptr_eq(&one, &cache.slot(&scope(1), 0)));
        assert!(!Arc::ptr_eq(&one, &cache.slot(&scope(2), 0)));
    }
}
