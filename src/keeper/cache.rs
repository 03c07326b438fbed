//! The tokens of this process by what narrows them: bounded, and read without a lock.

use std::sync::Arc;

use papaya::HashMap;

use crate::clock::Moment;
use crate::keeper::slot::Slot;
use crate::parameters::TokenParameters;

/// An idle key leaves this many seconds after its token's expiry (F9).
const IDLE_SECONDS: u64 = 60 * 60;

/// The slots of one source, besides the one that most requests use.
#[derive(Debug)]
pub(crate) struct Cache {
    slots: HashMap<Arc<TokenParameters>, Arc<Slot>>,
    capacity: usize,
}

impl Cache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            slots: HashMap::new(),
            capacity,
        }
    }

    pub(crate) fn find(&self, parameters: &TokenParameters, now: Moment) -> Option<Arc<Slot>> {
        let slot = self.slots.pin().get(parameters).cloned()?;
        slot.touch(now);
        Some(slot)
    }

    pub(crate) fn find_or_insert(&self, parameters: &TokenParameters, now: Moment) -> Arc<Slot> {
        if let Some(slot) = self.find(parameters, now) {
            return slot;
        }
        if self.slots.len() >= self.capacity {
            self.make_room(now);
        }
        let slot = Arc::new(Slot::new(parameters.clone()));
        slot.touch(now);
        let map = self.slots.pin();
        map.get_or_insert(slot.parameters.clone(), slot.clone())
            .clone()
    }

    /// Drops what nobody will miss, then the least recently used, a sixteenth of the capacity at
    /// once: so that the walk through all of them is paid for by many insertions. A slot with a
    /// flight under way stays, since its callers and its outcome belong to it.
    fn make_room(&self, now: Moment) {
        let map = self.slots.pin();
        let mut by_use = Vec::with_capacity(map.len());
        for (parameters, slot) in &map {
            if slot.ledger().flight().is_some() {
                continue;
            }
            let idle = now.monotonic.as_secs().saturating_sub(slot.last_used());
            let expired = slot
                .peek()
                .as_ref()
                .is_none_or(|token| !token.is_usable(now));
            if expired && idle >= IDLE_SECONDS {
                map.remove(parameters);
            } else {
                by_use.push((slot.last_used(), parameters.clone()));
            }
        }
        let room = (self.capacity / 16).max(1);
        let surplus = (map.len() + room).saturating_sub(self.capacity);
        by_use.sort_unstable_by_key(|(last_used, _)| *last_used);
        for (_, parameters) in by_use.iter().take(surplus) {
            map.remove(parameters);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cache;
    use crate::clock::Moment;
    use crate::flight;
    use crate::parameters::TokenParameters;
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

    #[test]
    fn the_cache_is_bounded_and_the_least_recently_used_go_first_but_none_in_flight() {
        // F9
        let cache = Cache::new(32);
        let flying = cache.find_or_insert(&scope(0), at(0));
        let (_landing, flight) = flight::begin();
        flying.ledger().flight = Some(flight);
        for number in 1..1000 {
            cache.find_or_insert(&scope(number), at(number));
            assert!(cache.slots.len() <= 32, "at {number}");
        }
        assert!(cache.find(&scope(0), at(1000)).is_some());
        assert!(cache.find(&scope(1), at(1000)).is_none());
        assert!(cache.find(&scope(999), at(1000)).is_some());
    }

    #[test]
    fn equal_parameters_have_one_slot() {
        // D8
        let cache = Cache::new(32);
        let one = cache.find_or_insert(&scope(1), at(0));
        assert!(std::sync::Arc::ptr_eq(
            &one,
            &cache.find_or_insert(&scope(1), at(0))
        ));
        assert!(!std::sync::Arc::ptr_eq(
            &one,
            &cache.find_or_insert(&scope(2), at(0))
        ));
    }
}
