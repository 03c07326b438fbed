//! F4: what came while the store was away is not lost.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest_bearer::{
    Error, Event, GrantFn, GrantRequest, TokenOptions, TokenResponse, TokenSource,
};

use crate::World;
use crate::support::store::Mode;
use crate::support::{soon, until};

/// An application's own grant whose answers have a refresh token; with the refresh tokens that it was
/// asked with.
fn grant() -> (GrantFn, Arc<Mutex<Vec<Option<String>>>>) {
    let asked: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let grant = GrantFn::new("with a refresh token", {
        let asked = asked.clone();
        move |request: GrantRequest| {
            let refresh_token = request
                .refresh_token()
                .map(|token| token.expose().to_owned());
            asked.lock().unwrap().push(refresh_token);
            let lifetime = Duration::from_secs(600);
            let answer = TokenResponse::bearer("token").expires_in(lifetime);
            async move { Ok::<_, Error>(answer.refresh_token("refresh")) }
        }
    });
    (grant, asked)
}

#[tokio::test]
async fn what_an_application_got_while_the_store_was_down_is_written_when_it_is_back() {
    // F4, F2
    let world = World::new().await;
    let saved = Arc::new(Mutex::new(0));
    let source = |grant: GrantFn| {
        let saved = saved.clone();
        TokenSource::builder(grant)
            .store(world.store.clone())
            .clock(&world.clock)
            .on_event(move |event| {
                if matches!(event, Event::RefreshTokenSaved { .. }) {
                    *saved.lock().unwrap() += 1;
                }
            })
            .build()
            .unwrap()
    };
    world.store.be(Mode::Down);
    let (grant_here, asked_here) = grant();
    let here = source(grant_here);
    assert!(soon(here.token()).await.is_ok());
    world.store.be(Mode::Well);
    until(async || {
        world.clock.advance(Duration::from_millis(100));
        *saved.lock().unwrap() == 1
    })
    .await;
    let (grant_there, asked_there) = grant();
    let there = source(grant_there);
    assert_eq!(soon(there.token()).await.unwrap().expose(), "token");
    assert!(
        asked_there.lock().unwrap().is_empty(),
        "it was in the store"
    );
    let options = TokenOptions::new().force_refresh();
    world.advance(1);
    soon(there.token_with(&options)).await.unwrap();
    assert_eq!(*asked_there.lock().unwrap(), [Some("refresh".to_owned())]);
    assert_eq!(*asked_here.lock().unwrap(), [None]);
}
