//! The authorization servers of a configuration, as its sources find them by name.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use crate::config::nearest::nearest;
use crate::config::table::{Table, listed, or_meant};
use crate::config::tokens::Source;
use crate::endpoint::{ClientAuthentication, TokenEndpoint};
use crate::grant::ClientCredentials;

/// Those that there are; `None` where something is wrong with one, which is noted.
#[derive(Default)]
pub(super) struct Servers {
    made: BTreeMap<String, Option<TokenEndpoint>>,
    stand_in: OnceCell<Option<TokenEndpoint>>,
}

impl Servers {
    /// The server that the table names by this key.
    pub(super) fn named(&self, table: &mut Table<'_>, key: &str) -> Option<TokenEndpoint> {
        if !table.has(key) {
            table.missing(key, &format!("name one of `servers`{}", self.known()));
        }
        let name = table.text(key)?;
        match self.made.get(&name) {
            Some(Some(endpoint)) => Some(endpoint.clone()),
            Some(None) => self.stand_in(),
            None => {
                let meant = nearest(&name, self.made.keys().map(String::as_str));
                table.fault(
                    key,
                    format!("names none of `servers`{}{}", self.known(), or_meant(meant)),
                );
                self.stand_in()
            }
        }
    }

    pub(super) fn insert(&mut self, name: String, made: Option<TokenEndpoint>) {
        self.made.insert(name, made);
    }

    /// What is in the place of a source that cannot be made, so that its clients are looked at as well.
    pub(super) fn source_stand_in(&self) -> Option<Source> {
        let grant = ClientCredentials::new(self.stand_in()?);
        Some(Source::Application(grant.into()))
    }

    /// What is in the place of a server that cannot be made, so that everything upon it is looked at as well. It
    /// is never asked: with a fault nothing of the configuration is used.
    fn stand_in(&self) -> Option<TokenEndpoint> {
        let make = || {
            let client = ClientAuthentication::none("unknown");
            TokenEndpoint::new("https://localhost", client).ok()
        };
        self.stand_in.get_or_init(make).clone()
    }

    fn known(&self) -> String {
        known(self.made.keys())
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
