//! What every store is held to: the promises of `TokenStore`, each a function over a bench.
//!
//! Stores that need a server include this file by its path, from where the server is. Nothing here
//! depends on how a store tells the time: a bench sets its clock, or lets real time pass.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest_bearer::{StoreKey, StoredRecord, TokenStore, Version};

// By path, because the names of modules in a file that is itself included by its path would be
// looked up elsewhere.
#[path = "contract/at_once.rs"]
mod at_once;
#[path = "contract/leases.rs"]
mod leases;
#[path = "contract/lifetimes.rs"]
mod lifetimes;
#[path = "contract/records.rs"]
mod records;

/// A store on trial. Keys are drawn by chance, so that it need not be empty.
pub(crate) trait Bench: Send + Sync + 'static {
    type Store: TokenStore;

    /// A handle to the store, the same one each time; as another process would open it, if the
    /// store is one that processes share.
    fn handle(&self) -> impl Future<Output = Self::Store> + Send;

    /// Ten times longer than a handful of calls takes. Where time is real, every test waits for it
    /// once or twice.
    fn span(&self) -> Duration;

    /// Returns when so much time has passed for the store.
    fn pass(&self, by: Duration) -> impl Future<Output = ()> + Send;
}

type Check = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Holds the store to each promise, and fails with the names of all that are broken. The panic that
/// says how is printed as it happens.
pub(crate) async fn hold<B: Bench>(bench: B) {
    let bench = Arc::new(bench);
    let mut broken = Vec::new();
    for (promise, check) in promises(&bench) {
        let check = tokio::spawn(limited(check));
        if check.await.is_err() {
            broken.push(promise);
        }
    }
    assert!(broken.is_empty(), "broken promises: {broken:#?}");
}

fn promises<B: Bench>(bench: &Arc<B>) -> Vec<(&'static str, Check)> {
    let bench = || bench.clone();
    vec![
        (
            "what was saved is loaded, and nothing else",
            Box::pin(records::what_was_saved_is_loaded(bench())),
        ),
        (
            "any bytes come back as they were",
            Box::pin(records::any_bytes_come_back(bench())),
        ),
        (
            "a save replaces what it expects and nothing else",
            Box::pin(records::a_save_replaces_what_it_expects(bench())),
        ),
        (
            "what is removed is returned and gone",
            Box::pin(records::what_is_removed_is_returned_and_gone(bench())),
        ),
        (
            "a rename moves what it expects, and takes no other record's place",
            Box::pin(
                records::a_rename_moves_what_it_expects_and_takes_no_other_record_s_place(bench()),
            ),
        ),
        (
            "keys never meet",
            Box::pin(records::keys_never_meet(bench())),
        ),
        (
            "of concurrent saves with one expectation one succeeds",
            Box::pin(at_once::one_of_many_saves_succeeds(bench())),
        ),
        (
            "of concurrent removals one gets the record",
            Box::pin(at_once::one_of_many_removals_gets_the_record(bench())),
        ),
        (
            "no update is lost",
            Box::pin(at_once::no_update_is_lost(bench())),
        ),
        (
            "of concurrent owners one gets the lease",
            Box::pin(at_once::one_of_many_owners_gets_the_lease(bench())),
        ),
        (
            "a call that is given up leaves nothing locked",
            Box::pin(at_once::a_call_that_is_given_up_locks_nothing(bench())),
        ),
        (
            "a record leaves when its time is up",
            Box::pin(lifetimes::a_record_leaves_when_its_time_is_up(bench())),
        ),
        (
            "the last save decides how long a record stays",
            Box::pin(lifetimes::the_last_save_decides(bench())),
        ),
        (
            "no lifetime is too short or too long",
            Box::pin(lifetimes::none_is_too_short_or_too_long(bench())),
        ),
        (
            "a lease has one owner",
            Box::pin(leases::a_lease_has_one_owner(bench())),
        ),
        (
            "a lease ends by itself",
            Box::pin(leases::a_lease_ends_by_itself(bench())),
        ),
        (
            "a renewed lease lasts from its renewal",
            Box::pin(leases::a_renewed_lease_lasts_from_its_renewal(bench())),
        ),
        (
            "only the owner releases a lease",
            Box::pin(leases::only_the_owner_releases_a_lease(bench())),
        ),
        (
            "two steps in one do what the two do",
            Box::pin(leases::two_steps_in_one_do_what_the_two_do(bench())),
        ),
        (
            "records and leases do not touch each other",
            Box::pin(leases::records_and_leases_are_apart(bench())),
        ),
    ]
}

/// A name that no other test uses.
pub(crate) fn key(label: &str) -> StoreKey {
    StoreKey::of([label, &Version::random().unwrap().to_string()])
}

/// A record with a version of its own.
pub(crate) fn record(data: impl AsRef<[u8]>) -> StoredRecord {
    StoredRecord::new(Version::random().unwrap(), data.as_ref())
}

/// Longer than any test takes, by the clock of any bench.
const LONG: Duration = Duration::from_secs(7 * 24 * 3600);

/// A store that hangs has broken its promise.
async fn limited(check: Check) {
    #[expect(clippy::disallowed_methods, reason = "real time bounds what hangs")]
    let done = tokio::time::timeout(Duration::from_secs(30), check).await;
    done.unwrap();
}

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

/// A pause between two looks at something that is awaited; `limited` ends it all.
#[expect(clippy::disallowed_methods, reason = "the store's time may be real")]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}
