//! Where a secret is found: in a variable of the environment, in a file, or by an explicit word in the
//! configuration itself.

use std::env;
use std::fs;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::config::keys;
use crate::config::table::Table;
use crate::endpoint::SecretSource;
use crate::secret::Secret;

/// What a key of a secret has to be.
pub(super) const WHERE: &str = "a table that says where the secret is found: `{ env = \"NAME\" }`, \
                                `{ file = \"/run/secrets/name\" }`, or `{ inline = \"...\" }` if it may stand in \
                                the configuration itself";

/// The secret, or the file that has it.
pub(super) enum Found {
    /// Of a variable, which does not change while the process runs, or of the configuration.
    Text(Secret),
    /// Read afresh for each attempt.
    File(PathBuf),
}

impl Found {
    /// The secret of this key, if it is given.
    pub(super) fn read(table: &mut Table<'_>, key: &str) -> Option<Self> {
        let mut place = table.table(key, keys::SECRET, WHERE)?;
        let found = Self::within(&mut place);
        place.finish_all();
        found
    }

    /// The same where the table says more than the place.
    pub(super) fn within(place: &mut Table<'_>) -> Option<Self> {
        let given: Vec<_> = ["env", "file", "inline"]
            .into_iter()
            .filter(|word| place.has(word))
            .collect();
        match given[..] {
            ["env"] => {
                let name = place.settled_text("env")?;
                match env::var(name) {
                    Ok(text) => Some(Self::Text(Secret::new(text))),
                    Err(env::VarError::NotPresent) => {
                        place.fault("env", "no variable of the environment has this name");
                        None
                    }
                    Err(env::VarError::NotUnicode(_)) => {
                        place.fault("env", "the variable has something else in it than text");
                        None
                    }
                }
            }
            ["file"] => place.path_of_file("file").map(Self::File),
            ["inline"] => {
                let text = place.text("inline").map(Secret::new)?;
                let is_settled = place.is_settled("inline", text.expose());
                is_settled.then_some(Self::Text(text))
            }
            _ => {
                // Read, so that each fault is told once.
                for word in &given {
                    let _ = place.text(word);
                }
                let message = match given[..] {
                    [] => format!("does not say where it is; {WHERE} is expected"),
                    _ => "names two places for one secret; leave one of `env`, `file` and `inline`"
                        .to_owned(),
                };
                place.faults.add(place.path(), message);
                None
            }
        }
    }

    /// As client authentication and assertions take it.
    pub(super) fn source(self) -> SecretSource {
        match self {
            Self::Text(text) => text.into(),
            Self::File(path) => SecretSource::file(path),
        }
    }

    /// What is there now, for what is read once. Noted as a fault of this key if that is nothing.
    pub(super) fn now(self, table: &Table<'_>, key: &str) -> Option<Secret> {
        let (path, text) = match self {
            Self::Text(text) => (table.path().join(key), Ok(text)),
            Self::File(file) => {
                let text = fs::read_to_string(file).map(Zeroizing::new);
                let text = text.map(|text| Secret::new(text.trim_end()));
                (table.path().join(key).join("file"), text)
            }
        };
        match text {
            Ok(text) if text.expose().is_empty() => {
                table.faults.add(&path, "there is nothing in it")
            }
            Ok(text) => return Some(text),
            Err(error) => {
                let message = format!("the file cannot be read: {error}");
                table.faults.add(&path, message);
            }
        }
        None
    }
}
