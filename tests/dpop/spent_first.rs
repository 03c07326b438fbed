//! H6: a refresh token that the server spends before it wants a nonce is refused when it is sent again with the
//! nonce.

use std::sync::{Arc, Mutex};

use reqwest_bearer::{DpopKey, ErrorKind, Event, TokenOptions, UserSessions};
use tokio::sync::Semaphore;

use crate::server::Servers;
use crate::sessions::subject;
use crate::support::store::FragileStore;
use crate::support::{soon, until};

struct World {
    servers: Servers,
    store: FragileStore,
    users: UserSessions,
    /// The sources of the events, one for each.
    told: Arc<Mutex<Vec<String>>>,
}

impl World {
    /// With a user who has signed in.
    async fn new() -> Self {
        let servers = Servers::start().await;
        let store = FragileStore::new(&servers.clock);
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let telling = told.clone();
        let users = servers.users(store.clone()).dpop().on_event(move |event| {
            if let Event::RefreshTokenRefusedWithNonce { error, .. } = event {
                telling.lock().unwrap().push(error.to_string());
            }
        });
        let users = users.build().unwrap();
        let tokens = servers.tokens(&DpopKey::generate().unwrap()).await;
        users.sign_in(&subject("alice"), tokens).await.unwrap();
        Self {
            servers,
            store,
            users,
            told,
        }
    }

    async fn refresh(users: &UserSessions) -> Result<String, ErrorKind> {
        let anew = TokenOptions::new().force_refresh();
        let token = users.for_subject(&subject("alice")).token_with(&anew).await;
        let token = token.map_err(|error| error.kind())?;
        Ok(token.expose().to_owned())
    }

    fn spends_first(&self) {
        self.servers
            .issuer
            .demand("n-1")
            .door(|door| door.spends_first = true);
    }
}

#[tokio::test]
async fn a_refresh_token_that_is_refused_with_the_nonce_that_was_wanted_is_told_by_an_event() {
    // H6
    let world = World::new().await;
    world.spends_first();
    let refreshed = soon(World::refresh(&world.users)).await;
    assert_eq!(refreshed, Err(ErrorKind::SignInRequired));
    let told = world.told.lock().unwrap().clone();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("invalid_grant"), "{told:?}");
    // The code, and the refresh token twice.
    assert_eq!(world.servers.issuer.requests(), 3);
    let refreshed = soon(World::refresh(&world.users)).await;
    assert_eq!(refreshed, Err(ErrorKind::SignInRequired));
    assert_eq!(world.servers.issuer.requests(), 3);
}

#[tokio::test]
async fn a_refusal_of_the_first_request_is_told_as_any_other() {
    // H6
    let world = World::new().await;
    world.servers.issuer.then(
        crate::support::http_server::Reply::new(400)
            .json(&serde_json::json!({ "error": "invalid_grant" })),
    );
    let refreshed = soon(World::refresh(&world.users)).await;
    assert_eq!(refreshed, Err(ErrorKind::SignInRequired));
    assert_eq!(*world.told.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn the_session_goes_on_with_the_refresh_token_that_another_process_has_stored_meanwhile() {
    // H6, F5
    let world = World::new().await;
    let key = world.store.last_key();
    // The other process has the session in a store of its own, until it is copied back.
    let elsewhere = FragileStore::new(&world.servers.clock);
    let record = world.store.record(&key).await.unwrap();
    elsewhere.overwrite(&key, record.data().unwrap()).await;
    let other = world.servers.users(elsewhere.clone()).dpop();
    let other = other.build().unwrap();
    World::refresh(&other).await.unwrap();

    world.spends_first();
    let gate = Arc::new(Semaphore::new(1));
    let door = &world.servers.issuer;
    door.door(|door| door.gate = Some(gate.clone()));
    let before = door.requests();
    let users = world.users.clone();
    let call = tokio::spawn(async move { World::refresh(&users).await });
    // The repetition is there, and not answered.
    until(async || door.requests() == before + 2).await;
    let record = elsewhere.record(&key).await.unwrap();
    world.store.overwrite(&key, record.data().unwrap()).await;
    gate.add_permits(1_000);
    soon(call).await.unwrap().unwrap();
    let seen = world.servers.issuer.seen().split_off(before);
    let spent: Vec<_> = seen
        .iter()
        .map(|seen| seen.field("refresh_token").unwrap())
        .collect();
    assert_eq!(spent, ["refresh-1", "refresh-1", "refresh-2"]);
    assert_eq!(world.told.lock().unwrap().len(), 1);
}
