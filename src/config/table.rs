//! One table of a configuration: what stands in it, read key by key.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::duration;
use crate::config::faults::Faults;
use crate::config::key_path::KeyPath;
use crate::config::keys::{Key, is_built_with};
use crate::config::nearest::nearest;
use crate::config::value::{Entries, Value};

/// The entries that were not read yet. Each reading takes its entry out, so that what is left in the end was
/// given for nothing: a key that is silently without effect is the worst of all faults.
pub(super) struct Table<'faults> {
    path: KeyPath,
    entries: Entries,
    known: Vec<Key>,
    pub(super) faults: &'faults Faults,
}

/// A table that has a name of the user's.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) path: KeyPath,
    pub(super) value: Value,
}

impl<'faults> Table<'faults> {
    /// The table with this key; anything else is a fault.
    pub(super) fn of(
        path: KeyPath,
        value: Value,
        known: &[&[Key]],
        faults: &'faults Faults,
    ) -> Option<Self> {
        match value {
            Value::Table(entries) => Some(Self::new(path, entries, known, faults)),
            other => {
                faults.add(&path, expected(&other, "a table"));
                None
            }
        }
    }

    pub(super) fn new(
        path: KeyPath,
        entries: Entries,
        known: &[&[Key]],
        faults: &'faults Faults,
    ) -> Self {
        Self {
            path,
            entries,
            known: known.concat(),
            faults,
        }
    }

    pub(super) fn path(&self) -> &KeyPath {
        &self.path
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The keys that are given.
    pub(super) fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    /// Notes a fault of the value of this key.
    pub(super) fn fault(&self, key: &str, message: impl Into<String>) {
        self.faults.add(&self.path.join(key), message);
    }

    /// Notes that a key is missing, and what for.
    pub(super) fn missing(&self, key: &str, what_for: &str) {
        self.fault(key, format!("is missing; {what_for}"));
    }

    fn take<T>(
        &mut self,
        key: &str,
        what: &str,
        read: impl FnOnce(Value) -> Result<T, Value>,
    ) -> Option<T> {
        let value = self.entries.remove(key)?;
        read(value)
            .map_err(|other| self.fault(key, expected(&other, what)))
            .ok()
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.take(key, "a text", |value| match value {
            Value::Text(text) => Ok(text.expose().to_owned()),
            other => Err(other),
        })
    }

    /// A text in which `${` can only be somebody else's sign for a variable: a URL, a name, a path.
    pub(super) fn settled_text(&mut self, key: &str) -> Option<String> {
        let text = self.text(key)?;
        let is_settled = self.is_settled(key, &text);
        is_settled.then_some(text)
    }

    pub(super) fn path_of_file(&mut self, key: &str) -> Option<PathBuf> {
        self.settled_text(key).map(PathBuf::from)
    }

    /// Whether nothing is to be filled into the text by somebody else.
    pub(super) fn is_settled(&self, key: &str, text: &str) -> bool {
        let is_settled = !text.contains("${");
        if !is_settled {
            self.fault(
                key,
                "has `${` in it, and nothing is filled in here; have it filled in by what reads the \
                 configuration, or give a secret by `{ env = \"NAME\" }`",
            );
        }
        is_settled
    }

    /// One of these words.
    pub(super) fn word(&mut self, key: &str, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(key)?;
        let known = words.iter().find(|word| **word == text);
        if known.is_none() {
            let meant = nearest(&text, words.iter().copied());
            self.fault(
                key,
                format!(
                    "is none of {}{}",
                    listed(words.iter().copied()),
                    or_meant(meant)
                ),
            );
        }
        known.copied()
    }

    /// A text, or several in a list.
    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let texts = self.take(key, "a text or a list of texts", |value| match value {
            Value::Text(text) => Ok(vec![Value::Text(text)]),
            Value::List(values) => Ok(values),
            other => Err(other),
        });
        let mut read = Vec::new();
        for (index, value) in texts.unwrap_or_default().into_iter().enumerate() {
            match value {
                Value::Text(text) => read.push(text.expose().to_owned()),
                other => {
                    let path = self.path.join(key).at(index);
                    self.faults.add(&path, expected(&other, "a text"));
                }
            }
        }
        read
    }

    /// Whether it is set to `true`; the environment has that as a text.
    pub(super) fn flag(&mut self, key: &str) -> bool {
        let flag = self.take(key, "`true` or `false`", |value| match &value {
            Value::Flag(flag) => Ok(*flag),
            Value::Text(text) => text.expose().parse().map_err(|_| value),
            _ => Err(value),
        });
        flag.unwrap_or(false)
    }

    /// A number of things.
    pub(super) fn count(&mut self, key: &str) -> Option<usize> {
        self.take(key, "a whole number from 0 up", |value| match &value {
            Value::Whole(number) => usize::try_from(*number).map_err(|_| value),
            Value::Text(text) => text.expose().parse().map_err(|_| value),
            _ => Err(value),
        })
    }

    /// A number with a fraction.
    pub(super) fn number(&mut self, key: &str) -> Option<f64> {
        self.take(key, "a number", |value| match &value {
            Value::Whole(number) => Ok(as_fraction(*number)),
            Value::Fraction(number) => Ok(*number),
            Value::Text(text) => text.expose().parse().map_err(|_| value),
            _ => Err(value),
        })
    }

    pub(super) fn duration(&mut self, key: &str) -> Option<Duration> {
        let what = "a duration, such as `\"30 s\"`, `\"5 min\"` or a number of seconds";
        self.take(key, what, |value| {
            let duration = match &value {
                Value::Whole(number) => duration::of_seconds(as_fraction(*number)),
                Value::Fraction(number) => duration::of_seconds(*number),
                Value::Text(text) => duration::of_text(text.expose()),
                Value::Flag(_) | Value::List(_) | Value::Table(_) => None,
            };
            duration.ok_or(value)
        })
    }

    /// The table below this one that has this key; `what` says what it has to be, with an example.
    pub(super) fn table(&mut self, key: &str, known: &[Key], what: &str) -> Option<Self> {
        let entries = self.take(key, what, |value| match value {
            Value::Table(entries) => Ok(entries),
            other => Err(other),
        })?;
        Some(Self::new(
            self.path.join(key),
            entries,
            &[known],
            self.faults,
        ))
    }

    /// The entries of a table whose keys are names that the user gives; none if it is left out.
    pub(super) fn named(&mut self, key: &str) -> Vec<Named> {
        let entries = self.take(key, "a table", |value| match value {
            Value::Table(entries) => Ok(entries),
            other => Err(other),
        });
        let path = self.path.join(key);
        let entries = entries.unwrap_or_default().into_iter();
        let of_entry = |(name, value): (String, Value)| Named {
            path: path.join(&name),
            name,
            value,
        };
        entries.map(of_entry).collect()
    }

    /// Leaves these out, because of a fault that makes it unclear what they mean.
    pub(super) fn forget(&mut self, keys: &[&str]) {
        let known = &self.known;
        let lacks_its_feature = |key: &str| {
            let known = known.iter().find(|known| known.name == key);
            let feature = known.and_then(|known| known.feature);
            feature.is_some_and(|feature| !is_built_with(feature))
        };
        // What needs a feature may be the very reason.
        self.entries
            .retain(|key, _| !keys.contains(&key.as_str()) || lacks_its_feature(key));
    }

    /// Whatever was not read is a fault: `out_of_place` says why of a key that is known.
    pub(super) fn finish(self, out_of_place: impl Fn(&str) -> String) {
        for key in self.entries.keys() {
            let known = self.known.iter().find(|known| known.name == key);
            let message = match known.map(|known| known.feature) {
                Some(Some(feature)) if !is_built_with(feature) => {
                    format!(
                        "needs the feature `{feature}` of reqwest-bearer, with which this program was not built"
                    )
                }
                Some(_) => out_of_place(key),
                None => {
                    let meant = nearest(key, self.known.iter().map(|known| known.name));
                    format!("is no key of this table{}", or_meant(meant))
                }
            };
            self.fault(key, message);
        }
    }

    /// The same for a table all of whose keys go together.
    pub(super) fn finish_all(self) {
        self.finish(|_| "has no meaning beside the others".to_owned());
    }
}

/// What is said of a value of another kind. The value itself is not shown: it may be a secret.
fn expected(value: &Value, what: &str) -> String {
    let kind = value.kind();
    match value {
        // Read as a number, it has lost its zeros already.
        Value::Whole(_) | Value::Fraction(_) | Value::Flag(_) if what.starts_with("a text") => {
            format!("is {kind}; {what} is expected: put it in quotes")
        }
        Value::Text(_) | Value::Whole(_) | Value::Fraction(_) if !what.contains("table") => {
            format!("is {kind} that cannot be read as {what}")
        }
        _ => format!("is {kind}; {what} is expected"),
    }
}

/// Words in a message, with commas between them.
pub(super) fn listed<'word>(words: impl IntoIterator<Item = &'word str>) -> String {
    let words: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

/// The end of a message, where a known word is near enough.
pub(super) fn or_meant(meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a number of seconds or a share that is so large is refused anyway"
)]
fn as_fraction(number: i128) -> f64 {
    number as f64
}
