//! The file store on the bench, and what happens to its file.

use std::path::PathBuf;
use std::time::Duration;

use reqwest_bearer::{FileStore, TestClock, Version};

use crate::contract::Bench;

mod faults;
mod privacy;
mod processes;

const LONG: Duration = Duration::from_secs(7 * 24 * 3600);

pub(crate) struct InFile {
    clock: TestClock,
    path: PathBuf,
}

impl InFile {
    pub(crate) fn new() -> Self {
        Self {
            clock: TestClock::new(),
            path: folder().join("tokens.json"),
        }
    }
}

/// The contract leaves megabytes.
impl Drop for InFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.path.with_file_name(""));
    }
}

impl Bench for InFile {
    type Store = FileStore;

    async fn handle(&self) -> FileStore {
        FileStore::with_clock(&self.path, &self.clock).unwrap()
    }

    fn span(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn pass(&self, by: Duration) {
        self.clock.advance(by);
    }
}

/// A folder that is not there yet and no other test uses.
pub(crate) fn folder() -> PathBuf {
    let name = Version::random().unwrap().to_string();
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("stores")
        .join(name)
}
