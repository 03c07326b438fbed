//! What is done to the file of records. Whoever changes it has the lock.

use std::time::Duration;

use crate::error::Error;
use crate::store::file::disk::{self, Durability};
use crate::store::file::document::{Document, Page};
use crate::store::file::{Now, Paths};
use crate::store::{StoreKey, StoredRecord, Version};

pub(super) fn load(paths: &Paths, now: Now, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
    let Some(bytes) = disk::read(&paths.file)? else {
        return Ok(None);
    };
    match Document::read(&bytes) {
        Ok(document) => {
            // Only one that is ours: the path may be a mistake.
            disk::narrow(&paths.file);
            Ok(document.record(key, now))
        }
        Err(unreadable) => Ok(Some(unreadable.record())),
    }
}

pub(super) fn save(
    paths: &Paths,
    now: Now,
    key: &StoreKey,
    record: &StoredRecord,
    expected: Option<Version>,
    keep_for: Duration,
) -> Result<bool, Error> {
    let bytes = disk::read(&paths.file)?;
    let document = bytes.as_ref().map(|bytes| Document::read(bytes));
    let found = match &document {
        None => None,
        Some(Ok(document)) => document.record(key, now),
        Some(Err(unreadable)) => Some(unreadable.record()),
    };
    if found.map(|found| found.version()) != expected {
        return Ok(false);
    }
    let page = Page::new(key, record, now, keep_for)?;
    match document {
        Some(Err(_)) => {
            let mut document = Document::empty();
            document.insert(&page);
            disk::write_and_set_aside(&paths.file, &document.to_bytes()?)?;
        }
        ours => {
            let mut document = ours.and_then(Result::ok).unwrap_or_else(Document::empty);
            document.remove(key, now);
            document.insert(&page);
            disk::write(&paths.file, &document.to_bytes()?, Durability::Synced)?;
        }
    }
    Ok(true)
}

pub(super) fn remove(
    paths: &Paths,
    now: Now,
    key: &StoreKey,
) -> Result<Option<StoredRecord>, Error> {
    let Some(bytes) = disk::read(&paths.file)? else {
        return Ok(None);
    };
    match Document::read(&bytes) {
        Ok(mut document) => {
            let found = document.record(key, now);
            if found.is_some() {
                document.remove(key, now);
                disk::write(&paths.file, &document.to_bytes()?, Durability::Synced)?;
            }
            Ok(found)
        }
        Err(unreadable) => {
            disk::set_aside(&paths.file)?;
            Ok(Some(unreadable.record()))
        }
    }
}

/// Both in one write of the file.
pub(super) fn rename(
    paths: &Paths,
    now: Now,
    (from, expected): (&StoreKey, Version),
    (to, record): (&StoreKey, &StoredRecord),
    keep_for: Duration,
) -> Result<bool, Error> {
    let Some(bytes) = disk::read(&paths.file)? else {
        return Ok(false);
    };
    let Ok(mut document) = Document::read(&bytes) else {
        return Ok(false);
    };
    let found = document.record(from, now).map(|found| found.version());
    if found != Some(expected) || document.record(to, now).is_some() {
        return Ok(false);
    }
    let page = Page::new(to, record, now, keep_for)?;
    document.remove(from, now);
    document.remove(to, now);
    document.insert(&page);
    disk::write(&paths.file, &document.to_bytes()?, Durability::Synced)?;
    Ok(true)
}
