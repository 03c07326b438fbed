//! The entries of this process by their token keys: bounded, and read without a lock.

use std::collections::HashMap as OwnedEntries;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use papaya::{HashMap, ResizeMode};

use crate::cache::entry::Entry;
use crate::clock::Moment;
use crate::key::{TokenKey, Wanted};
use crate::parameters::TokenParameters;
use crate::session::owner::Owner;
use crate::subject::Subject;

/// An idle key leaves this long after its token's expiry (F9).
const IDLE: Duration = Duration::from_secs(60 * 60);
/// Fewer new ones than this are not worth a walk.
const FEW: u64 = 256;

/// The entries of one source.
#[derive(Debug)]
pub(crate) struct EntryMap {
    /// The entry of the requests that ask for nothing in particular: found without a look-up.
    pub(crate) primary: Arc<Entry>,
    /// All others, with the keys themselves: a look-up has one pointer less to follow.
    entries: HashMap<TokenKey, Arc<Entry>>,
    /// Which entries for other scopes and resources an owner has. Held while an entry is made, so that
    /// no owner is made twice.
    narrowed: Mutex<OwnedEntries<Option<Subject>, Vec<Weak<Entry>>>>,
    /// Each token has an owner of its own (A5): those of an application with a store, where no sign-in's
    /// refresh token is to be protected. A refresh token that a grant of the user's own brings belongs to
    /// the token that it came with.
    shares_nothing: bool,
    capacity: usize,
    /// How many entries have ever been put in: the time by which the least recently used are told.
    /// Finer than any clock while many come, and every call would have to read a clock.
    insertions: AtomicU64,
    /// The same at the last walk through all of them.
    walked: AtomicU64,
}

impl EntryMap {
    /// A map whose own token is owned by `owner`.
    pub(crate) fn new(owner: Arc<Owner>, shares_nothing: bool, capacity: usize) -> Self {
        Self {
            primary: Entry::new(TokenKey::own(), owner),
            // Bit by bit it would be resized by later insertions; until they come, every call
            // would look into two tables.
            entries: HashMap::builder().resize_mode(ResizeMode::Blocking).build(),
            narrowed: Mutex::default(),
            shares_nothing,
            capacity,
            insertions: AtomicU64::new(0),
            walked: AtomicU64::new(0),
        }
    }

    /// The entry of the token that is wanted, if there is one.
    pub(crate) fn find(&self, wanted: Wanted<'_>) -> Option<Arc<Entry>> {
        if wanted.subject.is_none() && wanted.parameters.is_empty() {
            return Some(self.primary.clone());
        }
        let entry = self.entries.pin().get(&wanted).cloned()?;
        entry.touch(self.insertions.load(Ordering::Relaxed));
        Some(entry)
    }

    /// The entry of the token that is wanted, made if there is none.
    pub(crate) fn entry(&self, wanted: Wanted<'_>, now: Moment) -> Arc<Entry> {
        if let Some(known) = self.find(wanted) {
            return known;
        }
        self.make_room(now);
        let mut narrowed = self.narrowed();
        // Another call may have made it meanwhile.
        if let Some(known) = self.find(wanted) {
            return known;
        }
        let is_narrowed = !wanted.parameters.is_empty();
        let owner = match self.owner_of(wanted, &narrowed) {
            Some(owner) if !(is_narrowed && self.shares_nothing) => owner,
            _ => match wanted.subject_token {
                Some(token) => Owner::of_caller(token.clone()),
                None => Owner::unknown(),
            },
        };
        let parameters = if is_narrowed {
            Arc::new(wanted.parameters.clone())
        } else {
            self.primary.key.parameters.clone()
        };
        let key = TokenKey {
            subject: wanted.subject.cloned(),
            parameters,
        };
        let entry = Entry::new(key, owner);
        if is_narrowed {
            remember(narrowed.entry(wanted.subject.cloned()).or_default(), &entry);
        }
        entry.touch(self.insertions.fetch_add(1, Ordering::Relaxed) + 1);
        self.entries.pin().insert(entry.key.clone(), entry.clone());
        entry
    }

    /// The entries of all tokens of the application, or of the user, that `key` is one of.
    pub(crate) fn entries_of(&self, key: &TokenKey) -> Vec<Arc<Entry>> {
        let mut entries: Vec<_> = self.find(without_parameters(key)).into_iter().collect();
        let narrowed = self.narrowed();
        let others = narrowed.get(&key.subject).into_iter().flatten();
        entries.extend(others.filter_map(Weak::upgrade));
        entries
    }

    /// The primary entries of all users.
    pub(crate) fn users(&self) -> Vec<Arc<Entry>> {
        let entries = self.entries.pin();
        let primary = entries.iter().filter(|(key, _)| key.parameters.is_empty());
        primary.map(|(_, entry)| entry.clone()).collect()
    }

    /// The owner of the tokens of the application, or of the user, if any of its entries knows it.
    fn owner_of(
        &self,
        wanted: Wanted<'_>,
        narrowed: &OwnedEntries<Option<Subject>, Vec<Weak<Entry>>>,
    ) -> Option<Arc<Owner>> {
        let primary = Wanted {
            parameters: &TokenParameters::new(),
            ..wanted
        };
        if let Some(primary) = self.find(primary) {
            return Some(primary.owner.clone());
        }
        let others = narrowed.get(&wanted.subject.cloned())?;
        let known = others.iter().find_map(Weak::upgrade)?;
        Some(known.owner.clone())
    }

    /// Drops what nobody will miss, and of a full map the least recently used, a sixteenth of the
    /// capacity at once: so that the walk through all of them is paid for by many insertions. An entry
    /// with a flight under way stays, since its callers and its outcome belong to it; so does one
    /// whose tokens the store has not taken yet, since this process alone has them, and one whose token is
    /// kept fresh: a call would make another, and the two would refresh beside each other.
    fn make_room(&self, now: Moment) {
        let all = self.entries.len();
        let is_full = all >= self.capacity;
        let room = (self.capacity / 16).max(1);
        // To a full map another walk pays when as many have come as one makes room for. Sooner it
        // would be in vain: where most are in flight, as after a restart with 100,000 users (A7), a
        // walk drops hardly any, and there would be one through all of them for each user who comes.
        let pays_after = if is_full {
            room as u64
        } else if all + room >= self.capacity {
            // A walk now would put the one off that the full map needs.
            return;
        } else {
            FEW.max(all as u64 / 2)
        };
        let Some(walked) = self.begin_walk(pays_after) else {
            return;
        };
        let an_hour_ago = now.earlier(IDLE);
        let map = self.entries.pin();
        let mut by_use = Vec::with_capacity(map.len());
        for (key, entry) in &map {
            let is_needed = entry.owner.unsaved().is_some()
                || entry.is_kept_fresh()
                || entry.history().is_in_flight();
            if is_needed {
                continue;
            }
            let token = entry.peek();
            let is_over = token
                .as_ref()
                .is_some_and(|token| !token.is_usable(an_hour_ago));
            if is_over && entry.last_used() < walked {
                map.remove(key);
            } else {
                // Those that were used at the same time leave by chance. Left to the order of the
                // walk, the ones at the front of the table would go again and again, until all that
                // stay are crowded at its end; and the table never finds room for a crowd that its
                // size is no reason to grow for.
                // And a caller who asks for users who do not exist drives out none of those who do.
                let order = (token.is_some(), entry.last_used(), fastrand::u32(..));
                by_use.push((order, key));
            }
        }
        if is_full {
            let surplus = (map.len() + room).saturating_sub(self.capacity);
            // Sorted as far as needed: which ones leave, and not in which order.
            if surplus < by_use.len() {
                by_use.select_nth_unstable_by_key(surplus, |(order, _)| *order);
            }
            for (_, key) in by_use.iter().take(surplus) {
                map.remove(*key);
            }
        }
        drop(by_use);
        drop(map);
        self.narrowed().retain(|_, entries| {
            entries.retain(|entry| entry.strong_count() > 0);
            !entries.is_empty()
        });
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

    fn narrowed(&self) -> MutexGuard<'_, OwnedEntries<Option<Subject>, Vec<Weak<Entry>>>> {
        self.narrowed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn without_parameters(key: &TokenKey) -> Wanted<'_> {
    static NONE: TokenParameters = TokenParameters::NONE;
    Wanted {
        parameters: &NONE,
        ..key.as_wanted()
    }
}

fn remember(narrowed: &mut Vec<Weak<Entry>>, entry: &Arc<Entry>) {
    // Not each time: then every new entry would pay for a look at all the others. Where few are
    // gone there is room for as many again before the next look.
    if narrowed.len() == narrowed.capacity() {
        narrowed.retain(|entry| entry.strong_count() > 0);
        if narrowed.len() > narrowed.capacity() / 2 {
            let alive = narrowed.len();
            narrowed.reserve(alive);
        }
    }
    narrowed.push(Arc::downgrade(entry));
}

#[cfg(test)]
mod tests {
    use super::{EntryMap, remember};
    use crate::cache::entry::Entry;
    use crate::clock::Moment;
    use crate::flight;
    use crate::key::{TokenKey, Wanted};
    use crate::parameters::TokenParameters;
    use crate::session::owner::Owner;
    use crate::subject::Subject;
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

    fn map(capacity: usize) -> EntryMap {
        EntryMap::new(Owner::unknown(), false, capacity)
    }

    impl EntryMap {
        fn of_scope(&self, parameters: &TokenParameters, now: u64) -> Arc<Entry> {
            let wanted = Wanted {
                subject: None,
                parameters,
                subject_token: None,
            };
            self.entry(wanted, at(now))
        }

        fn find_scope(&self, parameters: &TokenParameters) -> Option<Arc<Entry>> {
            self.find(Wanted {
                subject: None,
                parameters,
                subject_token: None,
            })
        }
    }

    #[test]
    fn the_map_is_bounded_and_the_least_recently_used_go_first_but_none_in_flight() {
        // F9
        let map = map(32);
        let flying = map.of_scope(&scope(0), 0);
        let (_landing, flight, _waiter) = flight::begin();
        flying.history().flight = Some(flight);
        for number in 1..1000 {
            map.of_scope(&scope(number), number);
            assert!(map.entries.len() <= 32, "at {number}");
        }
        assert!(map.find_scope(&scope(0)).is_some());
        assert!(map.find_scope(&scope(1)).is_none());
        assert!(map.find_scope(&scope(999)).is_some());
    }

    #[test]
    fn what_was_used_at_one_time_leaves_by_chance() {
        // F9: fails by never coming to an end.
        let map = map(10_000);
        for number in 0..100_000 {
            map.of_scope(&scope(number), 0).touch(0);
            assert!(map.entries.len() <= 10_000, "at {number}");
        }
    }

    #[test]
    fn a_crowd_in_flight_is_not_walked_through_for_each_who_comes_and_leaves_when_it_has_landed() {
        // A7, F9: fails by never coming to an end.
        let map = map(10_000);
        let mut landings = Vec::new();
        for number in 0..50_000 {
            let entry = map.of_scope(&scope(number), 0);
            let (landing, flight, _) = flight::begin();
            entry.history().flight = Some(flight);
            landings.push(landing);
        }
        assert_eq!(map.entries.len(), 50_000);
        drop(landings);
        for number in 50_000..50_000 + 10_000 / 16 {
            map.of_scope(&scope(number), 0);
        }
        assert!(map.entries.len() <= 10_000);
    }

    #[test]
    fn nothing_leaves_that_is_not_over_while_there_is_room() {
        // F9
        let map = map(1_000);
        for number in 0..1_000 {
            map.of_scope(&scope(number), 0);
        }
        assert_eq!(map.entries.len(), 1_000);
    }

    #[test]
    fn a_map_of_any_size_is_bounded() {
        // F9
        for capacity in (1..1_000).step_by(37) {
            let map = map(capacity);
            for number in 0..3 * capacity as u64 {
                map.of_scope(&scope(number), 0);
                let entries = map.entries.len();
                assert!(entries <= capacity, "{entries} of {capacity} at {number}");
            }
        }
    }

    #[test]
    fn one_more_use_is_enough_to_stay_however_many_come_within_one_second() {
        // F9
        let map = map(32);
        for number in 0..1000 {
            map.of_scope(&scope(number), 0);
            let first = map.find_scope(&scope(0));
            assert!(first.is_some(), "at {number}");
        }
    }

    #[test]
    fn equal_parameters_have_one_entry() {
        // D8
        let map = map(32);
        let one = map.of_scope(&scope(1), 0);
        assert!(Arc::ptr_eq(&one, &map.of_scope(&scope(1), 0)));
        assert!(!Arc::ptr_eq(&one, &map.of_scope(&scope(2), 0)));
    }

    #[test]
    fn all_tokens_of_a_user_have_one_owner_in_whatever_order_they_come_and_go() {
        // A6, F10: two owners would send one refresh token twice, and a sign-out would miss the one.
        let map = map(32);
        let subject = Subject::new("s").unwrap();
        let of_user = |parameters: &TokenParameters| {
            map.entry(
                Wanted {
                    subject: Some(&subject),
                    parameters,
                    subject_token: None,
                },
                at(0),
            )
        };
        let narrowed = of_user(&scope(1));
        let primary = of_user(&TokenParameters::new());
        assert!(Arc::ptr_eq(&narrowed.owner, &primary.owner));
        map.entries.pin().remove(&primary.key);
        let again = of_user(&TokenParameters::new());
        assert!(!Arc::ptr_eq(&primary, &again));
        assert!(Arc::ptr_eq(&narrowed.owner, &again.owner));
        assert_eq!(map.entries_of(&narrowed.key).len(), 2);
        let other = map.of_scope(&scope(1), 0);
        assert!(!Arc::ptr_eq(&narrowed.owner, &other.owner));
    }

    #[test]
    fn entries_are_looked_through_when_they_have_doubled_and_not_for_each_new_one() {
        // G1, F9: or ten thousand tenants' entries would cost a hundred million looks.
        let owner = Owner::unknown();
        let mut known = Vec::new();
        let mut add = || {
            let entry = Entry::new(TokenKey::own(), owner.clone());
            remember(&mut known, &entry);
            (entry, known.len())
        };
        let mut alive: Vec<_> = (0..1000).map(|_| add().0).collect();
        alive.truncate(500);
        let (entry, length) = add();
        alive.push(entry);
        assert_eq!(length, 1001, "none was looked at");
        for _ in 0..100_000 {
            assert!(add().1 <= 2 * 1001 + 1);
        }
    }
}
