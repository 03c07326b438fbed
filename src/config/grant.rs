//! How the tokens of a source are got: what its table says of the grant.

use crate::config::parameters;
use crate::config::secret::{Found, WHERE};
use crate::config::servers::Servers;
#[cfg(feature = "signing")]
use crate::config::signed_assertion;
use crate::config::table::Table;
use crate::config::tokens::Builder;
use crate::endpoint::SecretSource;
use crate::exchanged::ExchangedTokens;
use crate::grant::{
    ClientCredentials, ConstantToken, JwtBearer, RefreshTokenGrant, TokenExchange, TokenFile,
};
use crate::source::{TokenSource, TokenSourceBuilder};
use crate::users::UserSessions;

/// As the grants are called in events, but for the last: whoever signs in brings a refresh token.
pub(super) const GRANTS: [&str; 7] = [
    "client_credentials",
    "token_exchange",
    "jwt_bearer",
    "refresh_token",
    "constant",
    "token_file",
    "user_sessions",
];

/// The builder of whatever gives tokens by this grant; `None` if something is wrong, which is noted.
pub(super) fn read(table: &mut Table<'_>, grant: &str, servers: &Servers) -> Option<Builder> {
    match grant {
        "constant" => constant(table),
        "token_file" => token_file(table),
        "client_credentials" => {
            let endpoint = servers.named(table, "server")?;
            let grant = ClientCredentials::new(endpoint).parameters(parameters::read(table));
            Some(Builder::Application(TokenSource::builder(grant)))
        }
        "user_sessions" => {
            let endpoint = servers.named(table, "server")?;
            let users = UserSessions::builder(&endpoint).parameters(parameters::read(table));
            Some(Builder::Users(users))
        }
        "refresh_token" => refresh_token(table, servers),
        "token_exchange" => token_exchange(table, servers),
        _ => jwt_bearer(table, servers),
    }
}

fn refresh_token(table: &mut Table<'_>, servers: &Servers) -> Option<Builder> {
    let endpoint = servers.named(table, "server");
    let parameters = parameters::read(table);
    let found = required(table, "refresh_token", "refresh_token")?;
    let again = match &found {
        Found::File(path) => Some(SecretSource::file(path)),
        Found::Text(_) => None,
    };
    let refresh_token = found.now(table, "refresh_token")?;
    let grant = RefreshTokenGrant::new(endpoint?, refresh_token).parameters(parameters);
    let builder = TokenSource::builder(grant);
    Some(Builder::Application(match again {
        Some(file) => with_reload(builder, file),
        None => builder,
    }))
}

/// Another program may have put a newer refresh token into the file since this one was started.
fn with_reload(builder: TokenSourceBuilder, file: SecretSource) -> TokenSourceBuilder {
    builder.reload_refresh_token(move || {
        let file = file.clone();
        async move { file.read().await }
    })
}

fn token_exchange(table: &mut Table<'_>, servers: &Servers) -> Option<Builder> {
    let endpoint = servers.named(table, "server");
    let next = table
        .has("then_jwt_bearer")
        .then(|| servers.named(table, "then_jwt_bearer"));
    let mut exchange = TokenExchange::new(endpoint?).parameters(parameters::read(table));
    if let Some(kind) = table.settled_text("requested_token_type") {
        exchange = exchange.requested_token_type(kind);
    }
    if table.flag("on_behalf_of") {
        exchange = exchange.on_behalf_of();
    }
    if table.flag("without_issued_token_type") {
        exchange = exchange.without_issued_token_type();
    }
    if let Some(next) = next {
        exchange = exchange.then_jwt_bearer(next?);
    }
    // With a token of its own it serves the program, without one its callers.
    let is_own = table.has("subject_token");
    if is_own {
        let subject = Found::read(table, "subject_token")?;
        exchange = exchange.subject_token(subject.source());
        if let Some(kind) = table.settled_text("subject_token_type") {
            exchange = exchange.subject_token_type(kind);
        }
    }
    if table.has("actor_token") {
        let actor = Found::read(table, "actor_token")?;
        exchange = exchange.actor_token(actor.source());
        if let Some(kind) = table.settled_text("actor_token_type") {
            exchange = exchange.actor_token_type(kind);
        }
    }
    Some(if is_own {
        Builder::Application(TokenSource::builder(exchange))
    } else {
        Builder::Callers(ExchangedTokens::builder(exchange))
    })
}

fn jwt_bearer(table: &mut Table<'_>, servers: &Servers) -> Option<Builder> {
    let endpoint = servers.named(table, "server");
    let parameters = parameters::read(table);
    #[cfg(feature = "signing")]
    if table.has("signed_assertion") {
        let assertion = signed_assertion::read(table)?;
        let grant = JwtBearer::signed(endpoint?, assertion).parameters(parameters);
        return Some(Builder::Application(TokenSource::builder(grant)));
    }
    let assertion = required(table, "assertion", "jwt_bearer")?;
    let grant = JwtBearer::new(endpoint?, assertion.source()).parameters(parameters);
    Some(Builder::Application(TokenSource::builder(grant)))
}

fn constant(table: &mut Table<'_>) -> Option<Builder> {
    let token = match required(table, "token", "constant")? {
        Found::Text(token) => token,
        Found::File(_) => {
            let path = table.path().join("token").join("file");
            let message = "a token in a file may be replaced; write `grant = \"token_file\"` and `token_file`";
            table.faults.add(&path, message);
            return None;
        }
    };
    match ConstantToken::new(token) {
        Ok(grant) => Some(Builder::Application(TokenSource::builder(grant))),
        Err(error) => {
            table.fault("token", error.message());
            None
        }
    }
}

fn token_file(table: &mut Table<'_>) -> Option<Builder> {
    if !table.has("token_file") {
        table.missing("token_file", "`token_file` needs the path of the file");
    }
    let path = table.path_of_file("token_file");
    let interval = table.duration("reload_interval");
    let grant = TokenFile::new(path?);
    let grant = match interval {
        Some(interval) => grant.reload_interval(interval),
        None => grant,
    };
    Some(Builder::Application(TokenSource::builder(grant)))
}

/// The secret that this grant needs.
fn required(table: &mut Table<'_>, key: &str, grant: &str) -> Option<Found> {
    if !table.has(key) {
        table.missing(key, &format!("`{grant}` needs it, as {WHERE}"));
    }
    Found::read(table, key)
}
