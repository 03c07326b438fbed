//! What every store is held to: the promises of `TokenStore`, each a function over a bench.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest_bearer::{StoreKey, StoredRecord, TestClock, TokenStore, Version};

use crate::contract::{BrokenPromise, Sentence, broken, fail_if_any};

mod at_once;
mod leases;
mod lifetimes;
mod records;

/// The contract of [`TokenStore`]: what the crate's own stores are held to, for a store of your own.
///
/// Keys are drawn by chance, so the store need not be empty, and several tests may use one at a time.
///
/// ```
/// use reqwest_bearer::{MemoryStore, TestClock};
/// use reqwest_bearer_testing::StoreContract;
///
/// # #[tokio::main]
/// # async fn main() {
/// let clock = TestClock::new();
/// let store = MemoryStore::with_clock(&clock);
/// StoreContract::of(store).clock(&clock).hold().await;
/// # }
/// ```
///
/// Use a runtime of several threads (`#[tokio::test(flavor = "multi_thread")]`): what only goes wrong when
/// two calls run at the very same moment cannot go wrong on one.
#[must_use = "nothing is held to it before `hold` is awaited"]
pub struct StoreContract<S>(Bench<S>);

/// A store on trial.
struct Bench<S> {
    open: Open<S>,
    time: StoreTime,
}

type Open<S> = Box<dyn Fn() -> Pin<Box<dyn Future<Output = S> + Send>> + Send + Sync>;

/// By what the store tells the time.
enum StoreTime {
    Real { span: Duration },
    Set(Box<dyn Fn(Duration) + Send + Sync>),
}

/// Real time is waited for: longer than a handful of calls takes, as short as a test may be.
const REAL_SPAN: Duration = Duration::from_millis(500);
const SET_SPAN: Duration = Duration::from_secs(3600);

impl<S: TokenStore> StoreContract<S> {
    /// For this store, of which a clone is another handle.
    pub fn of(store: S) -> Self
    where
        S: Clone,
    {
        Self::opened_by(move || std::future::ready(store.clone()))
    }

    /// For the store that `open` opens, the same one each time: as another process would open it, if
    /// processes share it, with a connection of its own.
    pub fn opened_by<F, O>(open: F) -> Self
    where
        F: Fn() -> O + Send + Sync + 'static,
        O: Future<Output = S> + Send + 'static,
    {
        Self(Bench {
            open: Box::new(move || Box::pin(open())),
            time: StoreTime::Real { span: REAL_SPAN },
        })
    }

    /// The store tells the time by this clock. Without it, it has to be by real time, and the contract
    /// takes some seconds.
    pub fn clock(self, clock: &TestClock) -> Self {
        let clock = clock.clone();
        self.when_time_passes(move |by| clock.advance(by))
    }

    /// The store tells the time by something that a test sets, which this moves on.
    pub fn when_time_passes(mut self, pass: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        self.0.time = StoreTime::Set(Box::new(pass));
        self
    }

    /// How long a lease and a record live on trial, where time is real: ten times longer than a handful of
    /// calls takes. Default: 500 ms.
    pub fn span(mut self, span: Duration) -> Self {
        if let StoreTime::Real { span: now } = &mut self.0.time {
            *now = span;
        }
        self
    }

    /// Holds the store to each promise.
    ///
    /// # Panics
    /// With the promises that it breaks, and how, if there are any.
    pub async fn hold(self) {
        fail_if_any(&self.broken_promises().await);
    }

    /// Holds the store to each promise, and says which it breaks.
    pub async fn broken_promises(self) -> Vec<BrokenPromise> {
        broken(sentences(&Arc::new(self.0))).await
    }
}

impl<S> fmt::Debug for StoreContract<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StoreContract")
            .finish_non_exhaustive()
    }
}

impl<S: TokenStore> Bench<S> {
    async fn handle(&self) -> S {
        (self.open)().await
    }

    fn span(&self) -> Duration {
        match &self.time {
            StoreTime::Real { span } => *span,
            StoreTime::Set(_) => SET_SPAN,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the store's time may be real")]
    async fn pass(&self, by: Duration) {
        match &self.time {
            StoreTime::Real { .. } => tokio::time::sleep(by).await,
            StoreTime::Set(pass) => pass(by),
        }
    }

    /// What should be so by now is not. Where a test sets the time, which has passed, it never will; a server
    /// with a clock of its own is asked again. (The limit of each check ends it all.)
    ///
    /// # Panics
    /// If the time is set.
    async fn look_again(&self, otherwise: &str) {
        assert!(matches!(self.time, StoreTime::Real { .. }), "{otherwise}");
        pause().await;
    }
}

fn sentences<S: TokenStore>(bench: &Arc<Bench<S>>) -> Vec<Sentence> {
    let bench = || bench.clone();
    vec![
        Sentence::new(
            "what was saved is loaded, and nothing else",
            records::what_was_saved_is_loaded(bench()),
        ),
        Sentence::new(
            "any bytes come back as they were",
            records::any_bytes_come_back(bench()),
        ),
        Sentence::new(
            "a save replaces what it expects and nothing else",
            records::a_save_replaces_what_it_expects(bench()),
        ),
        Sentence::new(
            "what is removed is returned and gone",
            records::what_is_removed_is_returned_and_gone(bench()),
        ),
        Sentence::new(
            "a rename moves what it expects, and takes no other record's place",
            records::a_rename_moves_what_it_expects_and_takes_no_other_record_s_place(bench()),
        ),
        Sentence::new("keys never meet", records::keys_never_meet(bench())),
        Sentence::new(
            "of concurrent saves with one expectation one succeeds",
            at_once::one_of_many_saves_succeeds(bench()),
        ),
        Sentence::new(
            "of concurrent removals one gets the record",
            at_once::one_of_many_removals_gets_the_record(bench()),
        ),
        Sentence::new("no update is lost", at_once::no_update_is_lost(bench())),
        Sentence::new(
            "of concurrent owners one gets the lease",
            at_once::one_of_many_owners_gets_the_lease(bench()),
        ),
        Sentence::new(
            "a call that is given up leaves nothing locked",
            at_once::a_call_that_is_given_up_locks_nothing(bench()),
        ),
        Sentence::new(
            "a record leaves when its time is up",
            lifetimes::a_record_leaves_when_its_time_is_up(bench()),
        ),
        Sentence::new(
            "the last save decides how long a record stays",
            lifetimes::the_last_save_decides(bench()),
        ),
        Sentence::new(
            "no lifetime is too short or too long",
            lifetimes::none_is_too_short_or_too_long(bench()),
        ),
        Sentence::new(
            "a lease has one owner",
            leases::a_lease_has_one_owner(bench()),
        ),
        Sentence::new(
            "a lease ends by itself",
            leases::a_lease_ends_by_itself(bench()),
        ),
        Sentence::new(
            "a renewed lease lasts from its renewal",
            leases::a_renewed_lease_lasts_from_its_renewal(bench()),
        ),
        Sentence::new(
            "only the owner releases a lease",
            leases::only_the_owner_releases_a_lease(bench()),
        ),
        Sentence::new(
            "two steps in one do what the two do",
            leases::two_steps_in_one_do_what_the_two_do(bench()),
        ),
        Sentence::new(
            "records and leases do not touch each other",
            leases::records_and_leases_are_apart(bench()),
        ),
    ]
}

/// A name that no other test uses.
fn key(label: &str) -> StoreKey {
    StoreKey::of([label, &Version::random().unwrap().to_string()])
}

/// A record with a version of its own.
fn record(data: impl AsRef<[u8]>) -> StoredRecord {
    StoredRecord::new(Version::random().unwrap(), data.as_ref())
}

/// Longer than any test takes, by any store's clock.
const LONG: Duration = Duration::from_secs(7 * 24 * 3600);

/// Real time since something began: on a machine that stood still for longer than a span, what
/// should have lasted a span may be over, and that is no fault of the store.
struct Began(Instant);

impl Began {
    #[expect(clippy::disallowed_methods, reason = "the real time is what is asked")]
    fn now() -> Self {
        Self(Instant::now())
    }

    #[expect(clippy::disallowed_methods, reason = "the real time is what is asked")]
    fn holds_for(&self, span: Duration, holds: bool, what: &str) {
        assert!(
            holds || self.0.elapsed() >= span,
            "{what} ended before its time"
        );
    }
}

/// A pause between two looks at something that is awaited; the limit of each check ends it all.
#[expect(clippy::disallowed_methods, reason = "the store's time may be real")]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}
