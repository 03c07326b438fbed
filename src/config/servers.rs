//! The authorization servers of a configuration, as its sources find them by name.

use std::collections::BTreeMap;

use crate::config::nearest::nearest;
use crate::config::table::{Table, listed, or_meant};
use crate::endpoint::{ClientAuthentication, TokenEndpoint};

/// Those that there are; `None` where something is wrong with one, which is noted.
#[derive(Default)]
pub(super) struct Servers(pub(super) BTreeMap<String, Option<TokenEndpoint>>);

impl Servers {
    /// The server that the table names by this key.
    pub(super) fn named(&self, table: &mut Table<'_>, key: &str) -> Option<TokenEndpoint> {
        if !table.has(key) {
            table.missing(key, &format!("name one of `servers`{}", self.known()));
        }
        let name = table.text(key)?;
        match self.0.get(&name) {
            Some(Some(endpoint)) => Some(endpoint.clone()),
            Some(None) => stand_in(),
            None => {
                let meant = nearest(&name, self.0.keys().map(String::as_str));
                table.fault(
                    key,
                    format!("names none of `servers`{}{}", self.known(), or_meant(meant)),
                );
                stand_in()
            }
        }
    }

    fn known(&self) -> String {
        known(self.0.keys())
    }
}

/// The end of a message that has said where a name should be.
pub(super) fn known<'name>(names: impl IntoIterator<Item = &'name String>) -> String {
    let names = listed(names.into_iter().map(String::as_str));
    if names.is_empty() {
        ", of which there are none".to_owned()
    } else {
        format!(": {names}")
    }
}

/// What is in the place of a server that cannot be made, so that everything upon it is looked at as well. It is
/// never asked: with a fault nothing of the configuration is used.
pub(super) fn stand_in() -> Option<TokenEndpoint> {
    TokenEndpoint::new("https://localhost", ClientAuthentication::none("unknown")).ok()
}
