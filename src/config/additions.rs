//! What only code can say, for the builders of a configuration by their names.

use std::collections::BTreeMap;

use crate::config::client;
use crate::config::tokens;
use crate::endpoint::TokenEndpointBuilder;
use crate::exchanged::ExchangedTokensBuilder;
use crate::named::{NamedClientBuilder, NamedExchangeClientBuilder, NamedUserClientBuilder};
use crate::source::TokenSourceBuilder;
use crate::users::UserSessionsBuilder;

/// The program's functions for builders of one kind, by the names that they are for.
pub(super) struct Of<B>(BTreeMap<String, Vec<Addition<B>>>);

type Addition<B> = Box<dyn FnOnce(B) -> B + Send>;

impl<B> Default for Of<B> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<B> Of<B> {
    pub(super) fn add(&mut self, name: String, addition: impl FnOnce(B) -> B + Send + 'static) {
        self.0.entry(name).or_default().push(Box::new(addition));
    }

    /// The builder of this name with all that is for it, in the order in which that was given.
    pub(super) fn apply(&mut self, name: &str, builder: B) -> B {
        let additions = self.0.remove(name).unwrap_or_default();
        additions
            .into_iter()
            .fold(builder, |builder, addition| addition(builder))
    }

    fn left(
        &self,
        table: &'static str,
        method: &'static str,
    ) -> Vec<(&'static str, &str, &'static str)> {
        let names = self.0.keys().map(String::as_str);
        names.map(|name| (table, name, method)).collect()
    }
}

#[derive(Default)]
pub(super) struct Additions {
    pub(super) servers: Of<TokenEndpointBuilder>,
    pub(super) sources: Of<TokenSourceBuilder>,
    pub(super) user_sessions: Of<UserSessionsBuilder>,
    pub(super) exchanged_tokens: Of<ExchangedTokensBuilder>,
    pub(super) clients: Of<NamedClientBuilder>,
    pub(super) user_clients: Of<NamedUserClientBuilder>,
    pub(super) exchange_clients: Of<NamedExchangeClientBuilder>,
}

impl Additions {
    pub(super) fn apply_to_source(
        &mut self,
        name: &str,
        builder: tokens::Builder,
    ) -> tokens::Builder {
        use tokens::Builder::{Application, Callers, Users};
        match builder {
            Application(builder) => Application(self.sources.apply(name, builder)),
            Users(builder) => Users(self.user_sessions.apply(name, builder)),
            Callers(builder) => Callers(self.exchanged_tokens.apply(name, builder)),
        }
    }

    pub(super) fn apply_to_client(
        &mut self,
        name: &str,
        builder: client::Builder,
    ) -> client::Builder {
        use client::Builder::{Application, Callers, Users};
        match builder {
            Application(builder) => Application(self.clients.apply(name, builder)),
            Users(builder) => Users(self.user_clients.apply(name, builder)),
            Callers(builder) => Callers(self.exchange_clients.apply(name, builder)),
        }
    }

    /// Those that nothing was there for: the table, the name, and the method that they were given by.
    pub(super) fn left(&self) -> Vec<(&'static str, &str, &'static str)> {
        [
            self.servers.left("servers", "server"),
            self.sources.left("sources", "source"),
            self.user_sessions.left("sources", "user_sessions"),
            self.exchanged_tokens.left("sources", "exchanged_tokens"),
            self.clients.left("clients", "client"),
            self.user_clients.left("clients", "user_client"),
            self.exchange_clients.left("clients", "exchange_client"),
        ]
        .concat()
    }
}
