//! Records in a file, for command-line programs.

use std::fmt;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::Mutex;

use crate::clock::Clock;
#[cfg(any(test, feature = "test-util"))]
use crate::clock::TestClock;
use crate::error::Error;
use crate::store::{Lease, StoreKey, StoredRecord, TokenStore, Version};

mod disk;
mod document;
mod leases;
mod paths;
mod records;

use paths::Paths;

/// How long a call waits for the lock. Less than the 2 seconds that the crate gives a store, so
/// that the caller gets an error that says what is in the way.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Keeps records in one file, for command-line programs: a user signs in once, and the next
/// command, or several at once, find the tokens there.
///
/// The file is JSON and holds the tokens as they are, readable for its owner alone (mode 0600; one
/// that is wider is narrowed when it is read). With an [`EncryptedStore`](crate::EncryptedStore)
/// around this one, they are encrypted. A folder that is missing is made by the first save,
/// for its owner alone (0700). Beside `tokens.json` there are:
///
/// - `tokens.json.lock`, which stays: whoever writes, locks it, so that processes take turns. The
///   file system has to have locks, and all processes have to name the file by the same path.
/// - `tokens.json.leases`, while a token is being refreshed.
/// - `tokens.json.new`, while the file is written: it is written whole, synced to the disk and
///   renamed, so that a process which is killed, or a full disk, leaves the old one as it was.
/// - `tokens.json.unreadable` (`.unreadable.2`, ...): a file that was in the place of ours and was
///   not one, or was of another version's format. All of its records are
///   [unreadable](StoredRecord::unreadable), and the first save or removal renames it to this.
///
/// A symbolic link is replaced by a file. Records whose time is up, by the wall clock, leave the
/// file with the next save. Clones share everything.
#[derive(Clone)]
pub struct FileStore(Arc<Desk>);

struct Desk {
    clock: Clock,
    paths: Paths,
    /// The calls of this process queue up here, in their order, so that only one of them at a time
    /// has to ask again and again for the lock between processes.
    turn: Arc<Mutex<()>>,
}

impl FileStore {
    /// The store in the file at this path, which need not be there yet. Nothing is read or written
    /// before the first call.
    ///
    /// # Errors
    /// If the path is one of a folder, or of nothing at all.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::with(path.as_ref(), Clock::system())
    }

    /// The same with a clock that a test sets. Waiting for another process takes real time.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    #[cfg(any(test, feature = "test-util"))]
    pub fn with_clock(path: impl AsRef<Path>, clock: &TestClock) -> Result<Self, Error> {
        Self::with(path.as_ref(), Clock::Test(clock.clone()))
    }

    fn with(path: &Path, clock: Clock) -> Result<Self, Error> {
        Ok(Self(Arc::new(Desk {
            clock,
            paths: Paths::new(path)?,
            turn: Arc::default(),
        })))
    }

    /// Does this while no other call, of whatever process, is at the files. A caller that goes away
    /// does not stop it: it is done whole or not at all.
    async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Paths, Now) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let turn = pin!(self.turn());
        // The lock is another process's matter, so the time is real.
        let patience = Clock::system();
        let end = pin!(patience.sleep(PATIENCE));
        let turn = match select(turn, end).await {
            Either::Left((turn, _)) => turn?,
            Either::Right(_) => {
                let lock = self.0.paths.lock.display();
                return Err(Error::store(format!(
                    "other calls hold the lock file {lock} for too long"
                )));
            }
        };
        let desk = self.0.clone();
        blocking(move || {
            // The time counts from now, not from before the wait.
            let done = work(&desk.paths, Now::of(&desk.clock));
            drop(turn);
            done
        })
        .await
    }

    /// Returns what ends the turn when it is dropped.
    async fn turn(&self) -> Result<impl Send + 'static, Error> {
        let in_this_process = self.0.turn.clone().lock_owned().await;
        loop {
            let desk = self.0.clone();
            let among_processes = blocking(move || disk::try_lock(&desk.paths.lock)).await?;
            if let Some(among_processes) = among_processes {
                return Ok((among_processes, in_this_process));
            }
            // By chance, so that no process is always the one that comes too late.
            let pause = Duration::from_micros(fastrand::u64(1_000..5_000));
            Clock::system().sleep(pause).await;
        }
    }
}

impl TokenStore for FileStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        let (desk, key) = (self.0.clone(), *key);
        // Without a turn: the file is only ever replaced whole.
        blocking(move || records::load(&desk.paths, Now::of(&desk.clock), &key)).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        let key = *key;
        self.alone(move |paths, now| records::save(paths, now, &key, &record, expected, keep_for))
            .await
    }

    async fn remove(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        let key = *key;
        self.alone(move |paths, now| records::remove(paths, now, &key))
            .await
    }

    async fn rename(
        &self,
        from: &StoreKey,
        expected: Version,
        to: &StoreKey,
        record: StoredRecord,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        let (from, to) = (*from, *to);
        self.alone(move |paths, now| {
            records::rename(paths, now, (&from, expected), (&to, &record), keep_for)
        })
        .await
    }

    async fn lease(&self, key: &StoreKey, lease: &Lease) -> Result<bool, Error> {
        let (key, lease) = (*key, lease.clone());
        self.alone(move |paths, now| leases::take(paths, now, &key, &lease))
            .await
    }

    async fn release(&self, key: &StoreKey, lease: &Lease) -> Result<(), Error> {
        let (key, lease) = (*key, lease.clone());
        self.alone(move |paths, now| leases::release(paths, now, &key, &lease))
            .await
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FileStore")
            .field("file", &self.0.paths.file)
            .finish_non_exhaustive()
    }
}

/// Milliseconds since 1970: the wall clock, since it is the only one that processes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Now(u64);

impl Now {
    fn of(clock: &Clock) -> Self {
        Self(milliseconds(clock.now().wall))
    }

    /// What a file says of a moment that is so much later.
    fn after(self, span: Duration) -> u64 {
        self.0.saturating_add(milliseconds(span))
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The disk may be slow, so it is not asked on a thread that others wait for.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Error::store("the runtime ended before the file store did").with_source(error)
    })?
}
