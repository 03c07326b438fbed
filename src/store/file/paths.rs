//! Which files a store consists of.

use std::path::{Path, PathBuf};

use crate::error::Error;

#[derive(Debug)]
pub(super) struct Paths {
    /// The records.
    pub(super) file: PathBuf,
    pub(super) lock: PathBuf,
    pub(super) leases: PathBuf,
}

impl Paths {
    /// Absolute, so that a program that changes its folder keeps its file.
    pub(super) fn new(path: &Path) -> Result<Self, Error> {
        let file = std::path::absolute(path).map_err(|error| {
            Error::settings("the path of a file store is empty").with_source(error)
        })?;
        if file.file_name().is_none() || file.is_dir() {
            return Err(Error::settings(format!(
                "the path of a file store is one of a file, and {} is a folder",
                file.display()
            )));
        }
        Ok(Self {
            lock: beside(&file, "lock"),
            leases: beside(&file, "leases"),
            file,
        })
    }
}

/// The file in the same folder whose name goes on with this.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}
