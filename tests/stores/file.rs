//! What happens to the file of a file store.

use std::path::PathBuf;
use std::time::Duration;

use reqwest_bearer::Version;

mod faults;
mod privacy;
mod processes;

const LONG: Duration = Duration::from_secs(7 * 24 * 3600);

/// A path that no other test uses, with a folder that goes with this: the contract leaves megabytes.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        Self(folder())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.join("tokens.json")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A folder that is not there yet and no other test uses.
pub(crate) fn folder() -> PathBuf {
    let name = Version::random().unwrap().to_string();
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("stores")
        .join(name)
}
