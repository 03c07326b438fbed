//! The tokens of this process by their keys: bounded, and read without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use papaya::{HashMap, ResizeMode};

use crate::clock::Moment;
use crate::keeper::slot::Slot;
use crate::key::{TokenKey, Wanted};

/// An idle key leaves this long after its token's expiry (F9).
const IDLE: Duration = Duration::from_secs(60 * 60);
/// Fewer new ones than this are not worth a walk.
const FEW: u64 = 256;

/// The slots of one source, besides the one that most requests use.
#[derive(Debug)]
pub(crate) struct Cache {
    /// With the keys themselves: a look-up has one pointer less to follow.
    slots: HashMap<TokenKey, Arc<Slot>>,
    capacity: usize,
    /// How many slots have ever been put in: the time by which the least recently used are told.
    /// Finer than any clock while many come, and every call would have to read a clock.
    insertions: AtomicU64,
    /// The same at the last walk through all of them.
    walked: AtomicU64,
}

impl Cache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            // Bit by bit it would be resized by later insertions; until they come, every call
            // would look into two tables.
            slots: HashMap::builder().resize_mode(ResizeMode::Blocking).build(),
            capacity,
            insertions: AtomicU64::new(0),
            walked: AtomicU64::new(0),
        }
    }

    pub(crate) fn find(&self, wanted: Wanted<'_>) -> Option<Arc<Slot>> {
        let slot = self.slots.pin().get(&wanted).cloned()?;
        slot.touch(self.insertions.load(Ordering::Relaxed));
        Some(slot)
    }

    /// Puts `slot` in its place, or returns the one that is there already.
    pub(crate) fn insert(&self, slot: Arc<Slot>, now: Moment) -> Arc<Slot> {
        self.make_room(now);
        slot.touch(self.insertions.fetch_add(1, Ordering::Relaxed) + 1);
        let map = self.slots.pin();
        map.get_or_insert(slot.key.clone(), slot.clone()).clone()
    }

    pub(crate) fn remove(&self, key: &TokenKey) {
        self.slots.pin().remove(&key.as_wanted());
    }

    /// Drops what nobody will miss, and of a full cache the least recently used, a sixteenth of the
    /// capacity at once: so that the walk through all of them is paid for by many insertions. A slot
    /// with a flight under way stays, since its callers and its outcome belong to it; so does one
    /// whose tokens the store has not taken yet, since nobody else has them, and a user's primary
    /// one while there are others, since it leads to them when the user signs out.
    fn make_room(&self, now: Moment) {
        let all = self.slots.len();
        let is_full = all >= self.capacity;
        let room = (self.capacity / 16).max(1);
        // To a full cache another walk pays when as many have come as one makes room for. Sooner it
        // would be in vain: where most are in flight, as after a restart with 100,000 users (A7), a
        // walk drops hardly any, and there would be one through all of them for each who comes.
        let pays_after = if is_full {
            room as u64
        } else if all + room >= self.capacity {
            // A walk now would put the one off that the full cache needs.
            return;
        } else {
            FEW.max(all as u64 / 2)
        };
        let Some(walked) = self.begin_walk(pays_after) else {
            return;
        };
        let an_hour_ago = now.earlier(IDLE);
        let map = self.slots.pin();
        let mut by_use = Vec::with_capacity(map.len());
        for (key, slot) in &map {
            let leads = key.parameters.is_empty() && slot.account.is_narrowed();
            let is_alone = slot.account.record.unsaved().is_some();
            if leads || is_alone || slot.ledger().is_in_flight() {
                continue;
            }
            let token = slot.peek();
            let is_over = token
                .as_ref()
                .is_some_and(|token| !token.is_usable(an_hour_ago));
            if is_over && slot.last_used() < walked {
                map.remove(key);
            } else {
                // Those that were used at the same time leave by chance. Left to the order of the
                // walk, the ones at the front of the table would go again and again, until all that
                // stay are crowded at its end; and the table never finds room for a crowd that its
                // size is no reason to grow for.
                // And whoever asks for users who do not exist drives out none of those who do.
                let order = (token.is_some(), slot.last_used(), fastrand::u32(..));
                by_use.push((order, key));
            }
        }
        if !is_full {
            return;
        }
        let surplus = (map.len() + room).saturating_sub(self.capacity);
        by_use.sort_unstable_by_key(|(order, _)| *order);
        for (_, key) in by_use.iter().take(surplus) {
            map.remove(*key);
        }
    }

    /// The time of the last walk, if so many have come since: then the next one is the caller's.
    fn begin_walk(&self, pays_after: u64) -> Option<u64> {
        let insertions = self.insertions.load(Ordering::Relaxed);
        let walked = self.walked.load(Ordering::Relaxed);
        if insertions.saturating_sub(walked) < pays_after {
            return None;
        }
        let relaxed = Ordering::Relaxed;
        let begun = self
            .walked
            .compare_exchange(walked, insertions, relaxed, relaxed);
        begun.ok()
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
            self.find_scope(parameters).unwrap_or_else(|| {
                let key = TokenKey {
                    subject: None,
                    parameters: Arc::new(parameters.clone()),
                };
                let account = Account::new(Record::default());
                self.insert(Arc::new(Slot::new(key, account)), at(now))
            })
        }

        fn find_scope(&self, parameters: &TokenParameters) -> Option<Arc<Slot>> {
            let wanted = Wanted {
                subject: None,
                parameters,
            };
            self.find(wanted)
        }
    }

    #[test]
    fn the_cache_is_bounded_and_the_least_recently_used_go_first_but_none_in_flight() {
        // F9
        let cache = Cache::new(32);
        let flying = cache.slot(&scope(0), 0);
        let (_landing, flight, _waiter) = flight::begin();
        flying.ledger().flight = Some(flight);
        for number in 1..1000 {
            cache.slot(&scope(number), number);
            assert!(cache.slots.len() <= 32, "at {number}");
        }
        assert!(cache.find_scope(&scope(0)).is_some());
        assert!(cache.find_scope(&scope(1)).is_none());
        assert!(cache.find_scope(&scope(999)).is_some());
    }

    #[test]
    fn what_was_used_at_one_time_leaves_by_chance() {
        // F9: fails by never coming to an end.
        let cache = Cache::new(10_000);
        for number in 0..100_000 {
            cache.slot(&scope(number), 0).touch(0);
            assert!(cache.slots.len() <= 10_000, "at {number}");
        }
    }

    #[test]
    fn a_crowd_in_flight_is_not_walked_through_for_each_who_comes_and_leaves_when_it_has_landed() {
        // A7, F9: fails by never coming to an end.
        let cache = Cache::new(10_000);
        let mut landings = Vec::new();
        for number in 0..50_000 {
            let slot = cache.slot(&scope(number), 0);
            let (landing, flight, _) = flight::begin();
            slot.ledger().flight = Some(flight);
            landings.push(landing);
        }
        assert_eq!(cache.slots.len(), 50_000);
        drop(landings);
        for number in 50_000..50_000 + 10_000 / 16 {
            cache.slot(&scope(number), 0);
        }
        assert!(cache.slots.len() <= 10_000);
    }

    #[test]
    fn nothing_leaves_that_is_not_over_while_there_is_room() {
        // F9
        let cache = Cache::new(1_000);
        for number in 0..1_000 {
            cache.slot(&scope(number), 0);
        }
        assert_eq!(cache.slots.len(), 1_000);
    }

    #[test]
    fn a_cache_of_any_size_is_bounded() {
        // F9
        for capacity in (1..1_000).step_by(37) {
            let cache = Cache::new(capacity);
            for number in 0..3 * capacity as u64 {
                cache.slot(&scope(number), 0);
                let slots = cache.slots.len();
                assert!(slots <= capacity, "{slots} of {capacity} at {number}");
            }
        }
    }

    #[test]
    fn one_more_use_is_enough_to_stay_however_many_come_within_one_second() {
        // F9
        let cache = Cache::new(32);
        for number in 0..1000 {
            cache.slot(&scope(number), 0);
            let first = cache.find_scope(&scope(0));
            assert!(first.is_some(), "at {number}");
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
