//! What the file of records says.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::store::file::Now;
use crate::store::{StoreKey, StoredRecord, Version};

const FORMAT: &str = "reqwest-bearer tokens";
/// Raised with each change that older versions of the crate would misread.
const NUMBER: u32 = 1;

/// The texts are borrowed from the bytes of the file, which are wiped when they go: so no copy of a
/// token is made that would not be.
#[derive(Serialize, Deserialize)]
pub(super) struct Document<'file> {
    #[serde(borrow)]
    format: &'file str,
    number: u32,
    #[serde(borrow)]
    records: BTreeMap<&'file str, Entry<'file>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Entry<'file> {
    version: &'file str,
    /// Milliseconds since 1970.
    until: u64,
    /// In base64.
    data: &'file str,
}

/// The beginning of a document, which is the same in all formats.
#[derive(Deserialize)]
struct Marker {
    format: String,
    number: u32,
}

/// Bytes that are no document of this format.
pub(super) struct Unreadable {
    version: Version,
    problem: String,
}

/// A record in the words of the document.
pub(super) struct Page {
    name: String,
    version: String,
    until: u64,
    data: Zeroizing<String>,
}

impl<'file> Document<'file> {
    pub(super) fn empty() -> Self {
        Self {
            format: FORMAT,
            number: NUMBER,
            records: BTreeMap::new(),
        }
    }

    pub(super) fn read(bytes: &'file [u8]) -> Result<Self, Unreadable> {
        let unreadable = |problem: String| Unreadable {
            version: Version::of_bytes(bytes),
            problem,
        };
        let foreign = |_| unreadable("the file is not one of tokens, or was cut short".to_owned());
        // What serde says of a foreign file could hold a part of it.
        let marker: Marker = serde_json::from_slice(bytes).map_err(foreign)?;
        if (marker.format.as_str(), marker.number) != (FORMAT, NUMBER) {
            return Err(unreadable(format!(
                "the file is of another format than number {NUMBER} of `{FORMAT}`"
            )));
        }
        serde_json::from_slice(bytes).map_err(foreign)
    }

    /// The record of this key, unless its time is up.
    pub(super) fn record(&self, key: &StoreKey, now: Now) -> Option<StoredRecord> {
        let entry = self.records.get(key.to_string().as_str())?;
        entry.is_alive(now).then(|| entry.record())
    }

    /// Removes the record of this key and all whose time is up.
    pub(super) fn remove(&mut self, key: &StoreKey, now: Now) {
        let name = key.to_string();
        self.records
            .retain(|other, entry| *other != name && entry.is_alive(now));
    }

    pub(super) fn insert(&mut self, page: &'file Page) {
        let entry = Entry {
            version: &page.version,
            until: page.until,
            data: &page.data,
        };
        self.records.insert(&page.name, entry);
    }

    pub(super) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        // Reserved at once, with room for names and numbers: a vector that grew would leave tokens
        // in freed memory.
        let room = |entry: &Entry<'_>| 256 + entry.data.len();
        let length = 256 + self.records.values().map(room).sum::<usize>();
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        serde_json::to_writer(&mut *bytes, self).map_err(|error| {
            Error::store("the records cannot be written as JSON").with_source(error)
        })?;
        Ok(bytes)
    }
}

impl Entry<'_> {
    fn is_alive(&self, now: Now) -> bool {
        now.0 < self.until
    }

    fn record(&self) -> StoredRecord {
        let Ok(version) = self.version.parse() else {
            // Some version it must have, or no save could replace it.
            let version = Version::of_bytes(self.data.as_bytes());
            return StoredRecord::unreadable(version, "its version is none");
        };
        match STANDARD.decode(self.data) {
            Ok(data) => StoredRecord::new(version, data),
            Err(_) => StoredRecord::unreadable(version, "its data is not in base64"),
        }
    }
}

impl Unreadable {
    /// What every key finds in such a file.
    pub(super) fn record(&self) -> StoredRecord {
        StoredRecord::unreadable(self.version, self.problem.clone())
    }
}

impl Page {
    pub(super) fn new(
        key: &StoreKey,
        record: &StoredRecord,
        now: Now,
        keep_for: Duration,
    ) -> Result<Self, Error> {
        let data = record.data().map_err(|_| {
            Error::store("an unreadable record has nothing in it that could be saved")
        })?;
        Ok(Self {
            name: key.to_string(),
            version: record.version().to_string(),
            until: now.after(keep_for),
            data: Zeroizing::new(STANDARD.encode(data)),
        })
    }
}
