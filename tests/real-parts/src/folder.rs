//! A folder for the files of one test.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Is gone with this, unless a test has failed: then what is in it says what went wrong.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Folder {
    /// In memory, where the system has such a place. A disk that others keep busy may stand still
    /// for longer than a call waits for a store, and whoever writes a log stands still with it.
    pub fn new() -> Self {
        let named = || tempfile::Builder::new().prefix("real-parts-").to_owned();
        let folder = named().tempdir_in("/dev/shm");
        let folder = folder.or_else(|_| named().tempdir());
        Self(folder.expect("the folder for temporary files can be written"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of a file in there.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the files of the test are in {}", self.path().display());
            self.0.disable_cleanup(true);
        }
    }
}
