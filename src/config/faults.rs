//! Everything that is wrong with a configuration, so that it can be mended in one go.

use std::cell::RefCell;
use std::fmt::Write;

use crate::config::key_path::KeyPath;
use crate::error::Error;

/// The faults that were found so far, each with its key. No value of the configuration is in any of them, since it
/// may be a secret; URLs are named by their origins at most.
#[derive(Default)]
pub(super) struct Faults(RefCell<Vec<(String, String)>>);

impl Faults {
    /// Notes what is wrong with the value of this key.
    pub(super) fn add(&self, key: &KeyPath, message: impl Into<String>) {
        self.0.borrow_mut().push((key.to_string(), message.into()));
    }

    /// Notes what a builder says of the settings in this table, at the key of the setting that it names.
    pub(super) fn of_builder(&self, table: &KeyPath, error: &Error) {
        let Some(setter) = error.setting() else {
            self.add(table, error.message());
            return;
        };
        let message = error.message();
        let message = message
            .strip_prefix(setter)
            .and_then(|rest| rest.strip_prefix(": "))
            .unwrap_or(message);
        self.add(&table.join_all(setter), message);
    }

    /// Takes over what was found elsewhere.
    pub(super) fn absorb(&self, others: Self) {
        self.0.borrow_mut().extend(others.0.into_inner());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// What was made where there is no fault.
    pub(super) fn none_or<T>(&self, made: Option<T>) -> Result<T, Error> {
        match (self.0.borrow().as_slice(), made) {
            ([], Some(made)) => Ok(made),
            // Whatever is not made is so for a fault that was noted.
            ([], None) => Err(Error::settings("the configuration cannot be used")),
            ([(key, message)], _) => Err(Error::settings(format!("{key}: {message}"))),
            (faults, _) => {
                let mut text = format!("{} settings are wrong:", faults.len());
                for (key, message) in faults {
                    // Writing to a text never fails.
                    let _ = write!(text, "\n  {key}: {message}");
                }
                Err(Error::settings(text))
            }
        }
    }
}
