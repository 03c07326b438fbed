//! Makes the named clients of a configuration, with what only code can say.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use reqwest::ClientBuilder;

#[cfg(any(test, feature = "test-util"))]
use crate::clock::TestClock;
use crate::config::NamedClientsConfig;
use crate::config::additions::Additions;
use crate::config::client::{self, Client, HttpFn};
use crate::config::faults::Faults;
use crate::config::key_path::KeyPath;
use crate::config::keys;
use crate::config::nearest::nearest;
use crate::config::parameters;
use crate::config::server;
use crate::config::servers::{Servers, known};
use crate::config::source;
use crate::config::table::{Named, Table, or_meant};
use crate::config::tokens::{self, Source};
use crate::endpoint::{TokenEndpoint, TokenEndpointBuilder};
use crate::error::Error;
use crate::exchanged::ExchangedTokensBuilder;
use crate::named::{
    NamedClientBuilder, NamedClients, NamedExchangeClientBuilder, NamedUserClientBuilder,
};
use crate::parameters::TokenParameters;
use crate::source::TokenSourceBuilder;
use crate::telemetry::Event;
use crate::users::UserSessionsBuilder;

type EventFn = Arc<dyn Fn(&Event) + Send + Sync>;

/// Makes [`NamedClients`] of a [`NamedClientsConfig`], after the program has added what only code can say: hooks,
/// a store, a clock, an HTTP client, other middleware.
///
/// A function for a builder by its name is called once, with all that the configuration says in it already, and
/// what it sets comes after that. One for a name that the configuration does not have is an error.
///
/// ```
/// # fn apis(config: reqwest_bearer::NamedClientsConfig) -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::{MemoryStore, reqwest};
///
/// let apis = config
///     .builder()
///     .on_event(|event| eprintln!("{event:?}"))
///     .http(|| reqwest::Client::builder().user_agent("worker/1.0"))
///     .source("app", |source| source.store(MemoryStore::new()))
///     .client("orders", |client| client.origin("https://files.example.com"))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder makes nothing until `build` is called"]
pub struct NamedClientsBuilder {
    config: NamedClientsConfig,
    additions: Additions,
    on_event: Option<EventFn>,
    http: Option<HttpFn>,
    #[cfg(any(test, feature = "test-util"))]
    clock: Option<TestClock>,
    /// Those that the program wanted ahead; `None` where the faults say why there is none.
    made_ahead: BTreeMap<String, Option<TokenEndpoint>>,
    faults: Faults,
}

impl NamedClientsBuilder {
    pub(super) fn new(config: NamedClientsConfig) -> Self {
        Self {
            config,
            additions: Additions::default(),
            on_event: None,
            http: None,
            #[cfg(any(test, feature = "test-util"))]
            clock: None,
            made_ahead: BTreeMap::new(),
            faults: Faults::default(),
        }
    }

    /// Called with each [`Event`] of every source, in the midst of things: it must be quick. The event says which
    /// source it is about, by the name in `sources`, or the client's where that has a source of its own.
    /// Default: none.
    pub fn on_event(mut self, hook: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Arc::new(hook));
        self
    }

    /// What the HTTP client of each API is made of: proxy, TLS, user agent. The `timeout` and `connect_timeout`
    /// of the configuration are set upon it, and the redirect policy is as with
    /// [`NamedClientBuilder::http`].
    /// Default: `reqwest::Client::builder()`.
    pub fn http(mut self, builder: impl Fn() -> ClientBuilder + Send + Sync + 'static) -> Self {
        self.http = Some(Arc::new(builder));
        self
    }

    /// Takes time and timers of all servers and sources from a clock that a test sets.
    /// Default: the machine's.
    #[cfg(any(test, feature = "test-util"))]
    pub fn clock(mut self, clock: &TestClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Adds to the server of this name in `servers`: an HTTP client, hooks for requests and answers.
    /// Default: what the configuration says.
    pub fn server(
        mut self,
        name: impl Into<String>,
        add: impl FnOnce(TokenEndpointBuilder) -> TokenEndpointBuilder + Send + 'static,
    ) -> Self {
        self.additions.servers.add(name.into(), add);
        self
    }

    /// Adds to the source of this name in `sources`, or to that of the client of this name, if its tokens are the
    /// application's: hooks, a store.
    /// Default: what the configuration says.
    pub fn source(
        mut self,
        name: impl Into<String>,
        add: impl FnOnce(TokenSourceBuilder) -> TokenSourceBuilder + Send + 'static,
    ) -> Self {
        self.additions.sources.add(name.into(), add);
        self
    }

    /// The same for a source whose `grant` is `user_sessions`: a store that outlives the process.
    /// Default: what the configuration says, in the memory of this process.
    pub fn user_sessions(
        mut self,
        name: impl Into<String>,
        add: impl FnOnce(UserSessionsBuilder) -> UserSessionsBuilder + Send + 'static,
    ) -> Self {
        self.additions.user_sessions.add(name.into(), add);
        self
    }

    /// The same for a source that exchanges the tokens of callers.
    /// Default: what the configuration says.
    pub fn exchanged_tokens(
        mut self,
        name: impl Into<String>,
        add: impl FnOnce(ExchangedTokensBuilder) -> ExchangedTokensBuilder + Send + 'static,
    ) -> Self {
        self.additions.exchanged_tokens.add(name.into(), add);
        self
    }

    /// Adds to the client of this name in `clients`, if its tokens are the application's: other middleware, an
    /// HTTP client of its own, which takes the place of [`http`](Self::http) with its timeouts.
    /// Default: what the configuration says.
    pub fn client(
        mut self,
        name: impl Into<String>,
        add: impl FnOnce(NamedClientBuilder) -> NamedClientBuilder + Send + 'static,
    ) -> Self {
        self.additions.clients.add(name.into(), add);
        self
    }

    /// The same for a client whose source has the tokens of users.
    /// Default: what the configuration says.
    pub fn user_client(
        mut self,
        name: impl Into<String>,
        add: impl FnOnce(NamedUserClientBuilder) -> NamedUserClientBuilder + Send + 'static,
    ) -> Self {
        self.additions.user_clients.add(name.into(), add);
        self
    }

    /// The same for a client whose source exchanges the tokens of callers.
    /// Default: what the configuration says.
    pub fn exchange_client(
        mut self,
        name: impl Into<String>,
        add: impl FnOnce(NamedExchangeClientBuilder) -> NamedExchangeClientBuilder + Send + 'static,
    ) -> Self {
        self.additions.exchange_clients.add(name.into(), add);
        self
    }

    /// The server of this name in `servers`, which the clients share: for a sign-in, and for whatever else talks
    /// to it. It is made now, so [`server`](Self::server) comes before.
    ///
    /// # Errors
    /// If there is no such server, or something is wrong with what is said of it.
    pub fn token_endpoint(&mut self, name: &str) -> Result<TokenEndpoint, Error> {
        if let Some(Some(made)) = self.made_ahead.get(name) {
            return Ok(made.clone());
        }
        let faults = Faults::default();
        let mut root = self.root(&faults);
        let servers = root.named("servers");
        let names: Vec<_> = servers.iter().map(|server| server.name.clone()).collect();
        let Some(server) = servers.into_iter().find(|server| server.name == name) else {
            let meant = nearest(name, names.iter().map(String::as_str));
            let message = format!(
                "the program asks for a server that is none of `servers`{}{}",
                known(&names),
                or_meant(meant)
            );
            root.fault("servers", message);
            return faults.none_or(None);
        };
        let made = self.make_server(server, &faults);
        let outcome = faults.none_or(made.clone());
        self.made_ahead.insert(name.to_owned(), made);
        self.faults.absorb(faults);
        outcome
    }

    /// Makes the clients. Asks no server; variables of the environment are read now, and of files only that of a
    /// refresh token.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings): all that is wrong, each with the key that it is
    /// about and how to mend it. Of the settings that belong to one table and are wrong together, the first.
    pub fn build(mut self) -> Result<NamedClients, Error> {
        let faults = std::mem::take(&mut self.faults);
        let mut root = self.root(&faults);
        let servers = self.servers(&mut root, &faults);
        let sources = self.sources(&mut root, &servers, &faults);
        let clients = self.clients(&mut root, &servers, &sources, &faults);
        let (path, lacks_clients) = (root.path().clone(), clients.is_empty());
        root.finish_all();
        if lacks_clients && faults.is_empty() {
            let message = "there are none; was the configuration found, and is this table at its place in it?";
            faults.add(&path.join("clients"), message);
        }
        self.note_additions_left(&path, &faults);
        let registry = registry(clients).map_err(|error| faults.of_builder(&path, &error));
        faults.none_or(registry.ok())
    }

    fn root<'faults>(&self, faults: &'faults Faults) -> Table<'faults> {
        let path = KeyPath::root(&self.config.prefix);
        Table::new(path, self.config.entries.clone(), &[keys::ROOT], faults)
    }

    fn servers(&mut self, root: &mut Table<'_>, faults: &Faults) -> Servers {
        let mut servers = Servers::default();
        for server in root.named("servers") {
            let name = server.name.clone();
            let made = match self.made_ahead.remove(&name) {
                Some(made) => made,
                None => self.make_server(server, faults),
            };
            servers.insert(name, made);
        }
        servers
    }

    fn make_server(&mut self, server: Named, faults: &Faults) -> Option<TokenEndpoint> {
        let Named { name, path, value } = server;
        let table = Table::of(path.clone(), value, &[keys::SERVER], faults)?;
        let builder = server::read(table);
        #[cfg(any(test, feature = "test-util"))]
        let builder = match &self.clock {
            Some(clock) => builder.clock(clock),
            None => builder,
        };
        let builder = self.additions.servers.apply(&name, builder);
        let made = builder.build();
        made.map_err(|error| faults.of_builder(&path, &error)).ok()
    }

    fn sources(
        &mut self,
        root: &mut Table<'_>,
        servers: &Servers,
        faults: &Faults,
    ) -> BTreeMap<String, Option<Source>> {
        let mut sources = BTreeMap::new();
        for Named { name, path, value } in root.named("sources") {
            let source = Table::of(path, value, &[keys::SOURCE], faults).and_then(|mut table| {
                let source = self.make_source(&mut table, &name, servers);
                table.finish(source::out_of_place);
                source
            });
            sources.insert(name, source);
        }
        sources
    }

    /// The source that the table describes, if nothing is wrong with it.
    fn make_source(
        &mut self,
        table: &mut Table<'_>,
        name: &str,
        servers: &Servers,
    ) -> Option<Source> {
        let builder = source::read(table, name, servers)?;
        let builder = self.with_event_hook(builder);
        #[cfg(any(test, feature = "test-util"))]
        let builder = self.with_clock(builder);
        let builder = self.additions.apply_to_source(name, builder);
        let source = builder.build();
        source
            .map_err(|error| table.faults.of_builder(table.path(), &error))
            .ok()
    }

    fn with_event_hook(&self, builder: tokens::Builder) -> tokens::Builder {
        use tokens::Builder::{Application, Callers, Users};
        match (builder, self.on_event.clone()) {
            (builder, None) => builder,
            (Application(builder), Some(hook)) => {
                Application(builder.on_event(move |event| hook(event)))
            }
            (Users(builder), Some(hook)) => Users(builder.on_event(move |event| hook(event))),
            (Callers(builder), Some(hook)) => Callers(builder.on_event(move |event| hook(event))),
        }
    }

    #[cfg(any(test, feature = "test-util"))]
    fn with_clock(&self, builder: tokens::Builder) -> tokens::Builder {
        use tokens::Builder::{Application, Callers, Users};
        match (builder, &self.clock) {
            (builder, None) => builder,
            (Application(builder), Some(clock)) => Application(builder.clock(clock)),
            (Users(builder), Some(clock)) => Users(builder.clock(clock)),
            (Callers(builder), Some(clock)) => Callers(builder.clock(clock)),
        }
    }

    fn clients(
        &mut self,
        root: &mut Table<'_>,
        servers: &Servers,
        sources: &BTreeMap<String, Option<Source>>,
        faults: &Faults,
    ) -> Vec<Client> {
        let mut clients = Vec::new();
        for Named { name, path, value } in root.named("clients") {
            let known = [keys::CLIENT, keys::SOURCE];
            let Some(mut table) = Table::of(path.clone(), value, &known, faults) else {
                continue;
            };
            let settings = client::Settings::read(&mut table);
            let (source, narrowed) = if table.has("source") {
                let source = shared(&mut table, sources);
                let narrowed = parameters::read(&mut table);
                table.finish(|key| {
                    format!("is for a source, and this client shares one; give `{key}` in the table of that source")
                });
                (source, narrowed)
            } else {
                let source = self.own_source(&mut table, &name, servers, sources);
                table.finish(source::out_of_place);
                (source, TokenParameters::new())
            };
            let source = source.or_else(|| servers.source_stand_in());
            let (Some(settings), Some(source)) = (settings, source) else {
                continue;
            };
            let builder = settings.builder(&name, &source, narrowed, self.http.as_ref());
            match self.additions.apply_to_client(&name, builder).build() {
                Ok(client) => clients.push(client),
                Err(error) => faults.of_builder(&path, &error),
            }
        }
        clients
    }

    /// The source of a client that shares none.
    fn own_source(
        &mut self,
        table: &mut Table<'_>,
        name: &str,
        servers: &Servers,
        sources: &BTreeMap<String, Option<Source>>,
    ) -> Option<Source> {
        if sources.contains_key(name) {
            let message = format!(
                "the client has a source of its own, and `sources` has another one of its name; take that by \
                 `source = \"{name}\"`, or call it otherwise"
            );
            table.faults.add(table.path(), message);
        }
        if !table.has("server") && !table.has("grant") {
            let message = format!(
                "name one of `sources`{}, or give a `server` for a source of its own",
                known(sources.keys())
            );
            table.missing("source", &message);
            table.forget(&keys::SOURCE.iter().map(|key| key.name).collect::<Vec<_>>());
            return None;
        }
        self.make_source(table, name, servers)
    }

    /// Notes what the program adds to something that is not there, unless it is missing because of another fault.
    fn note_additions_left(&self, root: &KeyPath, faults: &Faults) {
        if !faults.is_empty() {
            return;
        }
        for (table, name, method) in self.additions.left() {
            let message = format!(
                "the program adds something by `{method}(..)`, and no {} of this name is left that it could be for",
                match method {
                    "server" => "server",
                    "source" => "source with the application's own tokens",
                    "user_sessions" => "source with `user_sessions`",
                    "exchanged_tokens" => "source that exchanges the tokens of callers",
                    "client" => "client with the application's own tokens",
                    "user_client" => "client with the tokens of users",
                    _ => "client with the tokens of callers",
                }
            );
            faults.add(&root.join(table).join(name), message);
        }
    }
}

/// The source that the table of a client names.
fn shared(table: &mut Table<'_>, sources: &BTreeMap<String, Option<Source>>) -> Option<Source> {
    let name = table.text("source")?;
    if let Some(source) = sources.get(&name) {
        return source.clone();
    }
    let meant = nearest(&name, sources.keys().map(String::as_str));
    let message = format!(
        "names none of `sources`{}{}",
        known(sources.keys()),
        or_meant(meant)
    );
    table.fault("source", message);
    None
}

fn registry(clients: Vec<Client>) -> Result<NamedClients, Error> {
    let (mut own, mut of_users, mut of_callers) = (Vec::new(), Vec::new(), Vec::new());
    for client in clients {
        match client {
            Client::Application(client) => own.push(client),
            Client::Users(client) => of_users.push(client),
            Client::Callers(client) => of_callers.push(client),
        }
    }
    NamedClients::new(own)?
        .with_user_clients(of_users)?
        .with_exchange_clients(of_callers)
}

impl fmt::Debug for NamedClientsBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NamedClientsBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
