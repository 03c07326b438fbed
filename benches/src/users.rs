//! Users: their sessions, the source that they are signed in at, and calls for them.

use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use http::Extensions;
use reqwest::{Client, Url};
use reqwest_bearer::{
    BearerTokenMiddleware, GrantFn, MemoryStore, Subject, TokenResponse, TokenSet, TokenStore,
    UserSessions,
};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

use crate::call::{client, grant, request};
use crate::middlewares::{Canned, DoNothing, HeadersByHand};
use crate::{ORIGIN, token_text};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// As many letters as 256 random bits have in Base64.
const REFRESH_TOKEN: &str = "a-refresh-token-of-forty-three-letters-here";

/// The session of this number; its id has as many letters as 256 random bits have in Base64.
pub fn session(number: usize) -> Subject {
    Subject::new(format!("session-{number:035}")).expect("it is no empty text")
}

/// What a sign-in brings.
pub fn token_set() -> TokenSet {
    TokenSet::new(token_text())
        .with_refresh_token(REFRESH_TOKEN)
        .with_expires_at(SystemTime::now() + DAY)
}

/// The letters of both tokens of a session.
pub fn letters_of_tokens() -> usize {
    token_text().len() + REFRESH_TOKEN.len()
}

/// Users' sessions with the default capacity.
///
/// It looks once a day, not every 30 s, whether the store still has what it has: that is work of a
/// task of its own, and would fall on some call or other.
pub fn user_sessions(store: impl TokenStore) -> UserSessions {
    let refresh = GrantFn::new("users", |_| async {
        Ok(TokenResponse::bearer(token_text()).with_expires_in(DAY))
    });
    UserSessions::with_grant(refresh)
        .store(store)
        .notice_within(DAY)
        .build()
        .expect("the settings can work")
}

/// A client with the tokens of these users, whose chain ends in the canned answer.
pub fn client_of(users: &UserSessions) -> ClientWithMiddleware {
    let bearer = BearerTokenMiddleware::for_users(ORIGIN, users).expect("it is an origin");
    chain(&client(), Some(bearer))
}

/// How a request's subject comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Handle,
    Extension,
    Ambient,
}

impl Door {
    pub const ALL: [Self; 3] = [Self::Handle, Self::Extension, Self::Ambient];

    pub fn name(self) -> &'static str {
        match self {
            Self::Handle => "handle",
            Self::Extension => "extension",
            Self::Ambient => "ambient scope",
        }
    }
}

/// Whose token the requests go out with. Whoever it is, they come through a door with a subject, so
/// that what the door itself costs falls on all alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// No token: a middleware that does nothing.
    Nobodys,
    /// That of a source for the application itself, which has one.
    TheApplications,
    /// That of a random one of so many users.
    Users(usize),
    /// The same from a map that somebody wrote by hand, which never refreshes: what so many users
    /// cost at the least. It knows no door but the extension.
    UsersByHand(usize),
}

/// A client for users who have their tokens, and what it sends for a random one of them. The subject
/// is made for each call, as it comes from a cookie, and so is the handle.
pub struct UserCall {
    door: Door,
    users: usize,
    http: Client,
    /// `None` does nothing.
    bearer: Option<BearerTokenMiddleware>,
    sessions: Option<UserSessions>,
    client: ClientWithMiddleware,
    url: Url,
    draw: Draw,
}

impl UserCall {
    pub async fn warm(door: Door, whose: Whose) -> Self {
        let users = match whose {
            Whose::Users(users) | Whose::UsersByHand(users) => users,
            Whose::Nobodys | Whose::TheApplications => 1,
        };
        let mut sessions = None;
        let bearer = match whose {
            Whose::Nobodys | Whose::UsersByHand(_) => None,
            Whose::TheApplications => Some(BearerTokenMiddleware::for_origin(ORIGIN, grant())),
            Whose::Users(_) => {
                let signed_in = user_sessions(MemoryStore::new());
                for number in 0..users {
                    let sign_in = signed_in.sign_in(&session(number), token_set()).await;
                    sign_in.expect("the memory takes it");
                }
                let bearer = BearerTokenMiddleware::for_users(ORIGIN, &signed_in);
                sessions = Some(signed_in);
                Some(bearer)
            }
        };
        let bearer = bearer.map(|bearer| bearer.expect("it is an origin"));
        let http = client();
        let call = Self {
            door,
            users,
            client: match whose {
                Whose::UsersByHand(users) => {
                    let map = HeadersByHand::of((0..users).map(session));
                    ClientBuilder::new(http.clone())
                        .with(map)
                        .with(Canned)
                        .build()
                }
                _ => chain(&http, bearer.clone()),
            },
            http,
            bearer,
            sessions,
            url: Url::parse(&format!("{ORIGIN}/v1/orders/42")).expect("it is a URL"),
            draw: Draw::new(),
        };
        // So that each token has been accepted once, and everything lazy has happened.
        for number in 0..users.max(100) {
            call.make_for(number % users).await;
        }
        call
    }

    /// A call for a random user, without a runtime.
    pub fn make_at_once(&mut self) {
        let number = self.draw.below(self.users);
        self.make_for(number)
            .now_or_never()
            .expect("a warm call waits for nothing");
    }

    async fn make_for(&self, number: usize) {
        let session = session(number);
        let mut extensions = Extensions::new();
        let request = request(&self.url);
        let response = match self.door {
            Door::Handle => {
                let of_user = self
                    .sessions
                    .as_ref()
                    .map(|users| users.for_subject(&session));
                let of_user =
                    of_user.map(|source| BearerTokenMiddleware::for_origin(ORIGIN, source));
                let of_user = of_user.map(|bearer| bearer.expect("it is an origin"));
                let client = chain(&self.http, of_user.or_else(|| self.bearer.clone()));
                client
                    .execute_with_extensions(request, &mut extensions)
                    .await
            }
            Door::Extension => {
                extensions.insert(session);
                let call = self
                    .client
                    .execute_with_extensions(request, &mut extensions);
                call.await
            }
            Door::Ambient => {
                let call = self
                    .client
                    .execute_with_extensions(request, &mut extensions);
                session.run(call).await
            }
        };
        assert_eq!(response.expect("there is an answer").status(), 200);
    }
}

/// A chain that ends in the canned answer.
fn chain(http: &Client, bearer: Option<BearerTokenMiddleware>) -> ClientWithMiddleware {
    let chain = ClientBuilder::new(http.clone());
    let chain = match bearer {
        Some(bearer) => chain.with(bearer),
        None => chain.with(DoNothing),
    };
    chain.with(Canned).build()
}

/// Numbers that nobody can foresee who does not know this file, for a few instructions each.
pub struct Draw(u64);

impl Draw {
    #[expect(
        clippy::new_without_default,
        reason = "a default says nothing about the seed"
    )]
    pub fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    /// One of `0..end`.
    pub fn below(&mut self, end: usize) -> usize {
        // Marsaglia's xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let end = end as u64;
        usize::try_from(self.0 % end).expect("it is below a usize")
    }
}
