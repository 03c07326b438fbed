//! Reading, writing and locking files, all of it blocking.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::Error;
use crate::store::file::paths::beside;

/// A file that is kept for so often is no accident any more; and looking for a name has to end.
const MOST_SET_ASIDE: usize = 1000;

/// Whether what is written survives the loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    Synced,
    Unsynced,
}

/// All bytes of a file, or nothing if there is none.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let attempt = || {
        let metadata = fs::metadata(path)?;
        // Opening a pipe would wait until somebody writes into it.
        if !metadata.is_file() {
            return Err(io::Error::other("this is no file"));
        }
        // Reserved at once, so that no tokens are left in the memory that a vector grew out of.
        let length = usize::try_from(metadata.len()).unwrap_or_default();
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.saturating_add(1)));
        File::open(path)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match attempt() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault(path, "cannot be read", error)),
    }
}

/// Puts a file with these bytes in place of what is there. Only for whoever has the lock.
pub(super) fn write(path: &Path, bytes: &[u8], durability: Durability) -> Result<(), Error> {
    let new = write_beside(path, bytes, durability)?;
    put_in_place(&new, path, durability)
}

/// The same, where what is there is not ours and is kept under another name. That happens last, so
/// that a full disk does not even move it.
pub(super) fn write_and_set_aside(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let new = write_beside(path, bytes, Durability::Synced)?;
    set_aside(path)?;
    put_in_place(&new, path, Durability::Synced)
}

/// Renames a file that is not ours, to a name that is free.
pub(super) fn set_aside(path: &Path) -> Result<(), Error> {
    let first = std::iter::once("unreadable".to_owned());
    let others = (2..=MOST_SET_ASIDE).map(|n| format!("unreadable.{n}"));
    let free = first
        .chain(others)
        .map(|ending| beside(path, &ending))
        .find(|name| matches!(fs::symlink_metadata(name), Err(error) if error.kind() == ErrorKind::NotFound))
        .ok_or_else(|| {
            let path = path.display();
            Error::store(format!("{path} was set aside too often: look what writes it"))
        })?;
    fs::rename(path, free).map_err(|error| fault(path, "cannot be set aside", error))
}

/// Takes the rights of others from a file that was given them by hand. One that belongs to somebody
/// else stays as it is: it can be read all the same, and the next save replaces it.
#[cfg(unix)]
pub(super) fn narrow(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let wide = |metadata: fs::Metadata| metadata.permissions().mode() & 0o077 != 0;
    if fs::metadata(path).is_ok_and(wide) {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o600));
    }
}

#[cfg(not(unix))]
pub(super) fn narrow(_path: &Path) {}

/// The lock, until the file is dropped; `None` if another process has it. It goes with a process
/// that is killed, and the file stays: to remove it would let two processes lock two files.
pub(super) fn try_lock(path: &Path) -> Result<Option<File>, Error> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    let opened = for_the_owner_alone(&mut options).open(path);
    let file = match opened {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make_folder(path)?;
            options.open(path)
        }
        opened => opened,
    };
    let file = file.map_err(|error| fault(path, "cannot be opened", error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(fault(path, "cannot be locked", error)),
    }
}

/// Writes a file under the name of a new one. It is always the same name, since whoever writes has
/// the lock: so what a killed process has left of it is overwritten and does not pile up.
fn write_beside(path: &Path, bytes: &[u8], durability: Durability) -> Result<PathBuf, Error> {
    let new = beside(path, "new");
    let attempt = || {
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Made anew, so that it neither has anybody else's mode nor is a link to anywhere.
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let mut file = for_the_owner_alone(&mut options).open(&new)?;
        file.write_all(bytes)?;
        match durability {
            Durability::Synced => file.sync_all(),
            Durability::Unsynced => Ok(()),
        }
    };
    attempt().map_err(|error| {
        // On a full disk the half of it only takes room; the error counts, not this.
        let _ = fs::remove_file(&new);
        fault(&new, "cannot be written", error)
    })?;
    Ok(new)
}

fn put_in_place(new: &Path, path: &Path, durability: Durability) -> Result<(), Error> {
    fs::rename(new, path)
        .and_then(|()| match durability {
            Durability::Synced => sync_folder(path),
            Durability::Unsynced => Ok(()),
        })
        .map_err(|error| fault(path, "cannot be replaced", error))
}

/// Without this the renaming itself could be lost with the power.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

fn make_folder(path: &Path) -> Result<(), Error> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(|error| fault(folder, "cannot be made", error))
}

fn for_the_owner_alone(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

fn fault(path: &Path, fault: &str, error: io::Error) -> Error {
    Error::store(format!("{} {fault}", path.display())).with_source(error)
}
