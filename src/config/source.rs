//! Whose tokens, and when they are refreshed: one table of `sources`, or a client with a source of its own.

use std::time::Duration;

use crate::config::grant::{self, GRANTS};
use crate::config::keys;
use crate::config::servers::Servers;
use crate::config::table::Table;
use crate::config::tokens::Builder;
use crate::expiry_margin::ExpiryMargin;
use crate::timeouts::Timeouts;
use crate::users::UserSessionsBuilder;

/// The same settings for all three kinds, whose setters have the same names.
macro_rules! with_common_settings {
    ($builder:expr, $settings:expr, $name:expr) => {{
        let (mut builder, settings) = ($builder.name($name), $settings);
        if let Some(margin) = settings.refresh_before_expiry {
            builder = builder.refresh_before_expiry(margin);
        }
        if let Some(margin) = settings.wait_before_expiry {
            builder = builder.wait_before_expiry(margin);
        }
        if let Some(timeouts) = settings.timeouts {
            builder = builder.timeouts(timeouts);
        }
        if settings.ask_for_demanded_claims {
            builder = builder.ask_for_demanded_claims();
        }
        if let Some(tokens) = settings.cache_capacity {
            builder = builder.cache_capacity(tokens);
        }
        builder
    }};
}

/// And those that are for refresh tokens and for tokens of the application.
macro_rules! with_lifetimes {
    ($builder:expr, $table:expr) => {{
        let (mut builder, table) = ($builder, $table);
        if let Some(lifetime) = table.duration("default_lifetime") {
            builder = builder.default_lifetime(lifetime);
        }
        if let Some(grace) = table.duration("reuse_grace") {
            builder = builder.reuse_grace(grace);
        }
        builder
    }};
}

/// The source that the table describes, to be built under this name; `None` if it is not clear what it would be.
/// Whatever is wrong is noted. What is left in the table is not for it, and `finish` says why.
pub(super) fn read(table: &mut Table<'_>, name: &str, servers: &Servers) -> Option<Builder> {
    let grant = match table.has("grant") {
        true => table.word("grant", &GRANTS),
        false => Some("client_credentials"),
    };
    let Some(grant) = grant else {
        table.forget(&keys::SOURCE.iter().map(|key| key.name).collect::<Vec<_>>());
        return None;
    };
    let Some(builder) = grant::read(table, grant, servers) else {
        table.forget(&keys::SOURCE.iter().map(|key| key.name).collect::<Vec<_>>());
        return None;
    };
    let common = Common::read(table);
    Some(match builder {
        Builder::Application(builder) => {
            let builder = with_common_settings!(builder, common, name);
            Builder::Application(with_lifetimes!(builder, table))
        }
        Builder::Users(builder) => {
            let builder = with_common_settings!(builder, common, name);
            Builder::Users(of_users(with_lifetimes!(builder, &mut *table), table))
        }
        Builder::Callers(builder) => Builder::Callers(with_common_settings!(builder, common, name)),
    })
}

/// Why a key that a source may have is out of place in this one.
pub(super) fn out_of_place(key: &str) -> String {
    let what_for = match key {
        "server" => "; what is `constant` or in a `token_file` needs none",
        "refresh_token" => "; it is for `refresh_token`",
        "assertion" | "signed_assertion" => "; it is for `jwt_bearer`",
        "token" => "; it is for `constant`",
        "token_file" | "reload_interval" => "; it is for `token_file`",
        "session_timeout" | "notice_within" | "index_sessions" => "; it is for `user_sessions`",
        "subject_token_type" => "; it goes with a `subject_token`",
        "actor_token_type" => "; it goes with an `actor_token`",
        "subject_token"
        | "actor_token"
        | "requested_token_type"
        | "on_behalf_of"
        | "without_issued_token_type"
        | "then_jwt_bearer" => "; it is for `token_exchange`",
        _ => "",
    };
    format!("has no meaning with this `grant`{what_for}")
}

struct Common {
    refresh_before_expiry: Option<ExpiryMargin>,
    wait_before_expiry: Option<ExpiryMargin>,
    timeouts: Option<Timeouts>,
    ask_for_demanded_claims: bool,
    cache_capacity: Option<usize>,
}

impl Common {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            refresh_before_expiry: margin(table, "refresh_before_expiry"),
            wait_before_expiry: margin(table, "wait_before_expiry"),
            timeouts: timeouts(table),
            ask_for_demanded_claims: table.flag("ask_for_demanded_claims"),
            cache_capacity: table.count("cache_capacity"),
        }
    }
}

fn of_users(mut builder: UserSessionsBuilder, table: &mut Table<'_>) -> UserSessionsBuilder {
    if let Some(timeout) = table.duration("session_timeout") {
        builder = builder.session_timeout(timeout);
    }
    if let Some(time) = table.duration("notice_within") {
        builder = builder.notice_within(time);
    }
    if table.flag("index_sessions") {
        builder = builder.index_sessions();
    }
    builder
}

fn margin(table: &mut Table<'_>, key: &str) -> Option<ExpiryMargin> {
    let what = "a table such as `{ of_lifetime = 0.2, at_most = \"5 min\" }`";
    let mut margin = table.table(key, keys::MARGIN, what)?;
    if !margin.has("of_lifetime") {
        margin.missing(
            "of_lifetime",
            "give the share of a token's lifetime, such as `0.2`",
        );
    }
    let (share, longest) = (margin.number("of_lifetime"), margin.duration("at_most"));
    margin.finish_all();
    let of_lifetime = ExpiryMargin::of_lifetime(share?);
    Some(of_lifetime.at_most(longest.unwrap_or(Duration::MAX)))
}

fn timeouts(table: &mut Table<'_>) -> Option<Timeouts> {
    let what = "a table such as `{ attempt = \"10 s\", refresh = \"30 s\", wait = \"30 s\" }`";
    let mut given = table.table("timeouts", keys::TIMEOUTS, what)?;
    let mut timeouts = Timeouts::new();
    if let Some(timeout) = given.duration("attempt") {
        timeouts = timeouts.attempt(timeout);
    }
    if let Some(timeout) = given.duration("refresh") {
        timeouts = timeouts.refresh(timeout);
    }
    if let Some(timeout) = given.duration("wait") {
        timeouts = timeouts.wait(timeout);
    }
    given.finish_all();
    Some(timeouts)
}
