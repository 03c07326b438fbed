//! K13: a refresh token that other programs use as well, and rotate.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

mod support;

use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest_bearer::{
    Error, ErrorKind, Secret, TestClock, TokenOptions, TokenSource, TokenSourceBuilder,
};
use serde_json::json;
use support::authorization_server::{Answer, AuthorizationServer};
use support::http_server::Reply;
use support::{landed, soon, time_passes, under_way, while_time_passes};
use tokio::sync::mpsc::unbounded_channel;

/// Where the programs keep their refresh token.
#[derive(Clone)]
struct Shelf(Arc<Mutex<Kept>>);

struct Kept {
    refresh_token: String,
    loads: usize,
}

impl Shelf {
    fn with(refresh_token: &str) -> Self {
        Self(Arc::new(Mutex::new(Kept {
            refresh_token: refresh_token.to_owned(),
            loads: 0,
        })))
    }

    fn put(&self, refresh_token: &str) {
        self.0.lock().unwrap().refresh_token = refresh_token.to_owned();
    }

    fn load(&self) -> Secret {
        let mut kept = self.0.lock().unwrap();
        kept.loads += 1;
        Secret::new(kept.refresh_token.clone())
    }

    fn kept(&self) -> String {
        self.0.lock().unwrap().refresh_token.clone()
    }

    fn loads(&self) -> usize {
        self.0.lock().unwrap().loads
    }
}

struct World {
    server: AuthorizationServer,
    clock: TestClock,
    shelf: Shelf,
}

impl World {
    async fn new() -> Self {
        let server = AuthorizationServer::start().await;
        server.rotate(true);
        Self {
            server,
            clock: TestClock::new(),
            shelf: Shelf::with("refresh-0"),
        }
    }

    /// A program that starts with the first refresh token, and keeps new ones on the shelf.
    fn program(&self) -> TokenSource {
        let (saved, loaded) = (self.shelf.clone(), self.shelf.clone());
        self.builder()
            .on_new_refresh_token(move |refresh_token| {
                saved.put(refresh_token.expose());
                ready(Ok::<_, Error>(()))
            })
            .reload_refresh_token(move || ready(Ok::<_, Error>(loaded.load())))
            .build()
            .unwrap()
    }

    fn builder(&self) -> TokenSourceBuilder {
        TokenSource::builder(self.server.refresh_token_grant())
            .clock(&self.clock)
            .jitter(0.5)
    }

    /// The access tokens are over, and so is every pause after a failure.
    fn expire(&self) {
        self.clock.advance(Duration::from_secs(601));
    }
}

/// What a server says of a dead refresh token.
fn dead() -> Answer {
    Answer::Reply(Reply::new(400).json(&json!({ "error": "invalid_grant" })))
}

#[tokio::test]
async fn programs_that_share_a_refresh_token_refresh_in_turn() {
    // K13
    let world = World::new().await;
    let programs = [world.program(), world.program()];
    for _ in 0..3 {
        for program in &programs {
            program.token().await.unwrap();
        }
        world.expire();
    }
    // Each but the very first one finds its own dead, and what the other has left.
    assert_eq!(world.shelf.loads(), 5);
    assert_eq!(world.server.reuses(), 5);
    assert_eq!(world.server.token_requests(), 6 + 5);
}

#[tokio::test]
async fn nothing_newer_ends_the_session_after_one_question() {
    // K13
    for kept in ["refresh-0", ""] {
        let world = World::new().await;
        let program = world.program();
        world.shelf.put(kept);
        world.server.always(dead());
        let error = program.token().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SignInRequired, "{kept:?}");
        assert_eq!(error.oauth_code(), Some("invalid_grant"));
        assert_eq!(world.shelf.loads(), 1);
        assert_eq!(world.server.token_requests(), 1);
        // It is known now: calls that come at once ask nobody.
        program.token().await.unwrap_err();
        assert_eq!(world.shelf.loads(), 1);
    }
}

#[tokio::test]
async fn a_newer_one_that_is_dead_as_well_ends_the_session() {
    // K13
    let world = World::new().await;
    let program = world.program();
    world.shelf.put("refresh-x");
    world.server.always(dead());
    let error = program.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    assert_eq!(world.shelf.loads(), 1);
    assert_eq!(world.server.token_requests(), 2);
}

#[tokio::test]
async fn a_sign_in_by_another_program_is_found_by_later_calls() {
    // K13: a daemon beside a command-line program.
    let world = World::new().await;
    let daemon = world.program();
    world.server.then(dead());
    let error = daemon.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    let program = world.builder().build().unwrap();
    program.token().await.unwrap();
    world.shelf.put("refresh-1");
    world.expire();
    daemon.token().await.unwrap();
    assert_eq!(world.shelf.kept(), "refresh-2");
    assert_eq!(world.server.reuses(), 0, "the dead one is not sent again");
}

#[tokio::test]
async fn a_refresh_ahead_of_the_expiry_finds_the_newer_one_as_well() {
    // K13, B3
    let world = World::new().await;
    let (one, other) = (world.program(), world.program());
    let first = one.token().await.unwrap();
    other.token().await.unwrap();
    world.clock.advance(Duration::from_secs(500));
    let forced = TokenOptions::new().force_refresh();
    other.token_with(&forced).await.unwrap();
    let during = one.token().await.unwrap();
    assert_eq!(during.expose(), first.expose(), "nobody waits");
    landed(&one).await;
    assert_eq!(one.token().await.unwrap().expose(), "access-4");
}

#[tokio::test]
async fn a_dead_refresh_token_that_could_not_be_saved_never_takes_the_place_of_a_newer_one() {
    // K13, F2
    for is_signed_in_before in [true, false] {
        let world = World::new().await;
        let is_full = Arc::new(Mutex::new(true));
        let (full, saved, loaded) = (is_full.clone(), world.shelf.clone(), world.shelf.clone());
        let daemon = world
            .builder()
            .on_new_refresh_token(move |refresh_token| {
                let full = *full.lock().unwrap();
                if !full {
                    saved.put(refresh_token.expose());
                }
                ready(if full { Err("no room") } else { Ok(()) })
            })
            .reload_refresh_token(move || ready(Ok::<_, Error>(loaded.load())))
            .build()
            .unwrap();
        soon(daemon.token()).await.unwrap();
        world.expire();
        // The user signs in with another program, whose refresh token does not rotate.
        let token = json!({ "access_token": "other", "token_type": "Bearer", "expires_in": 600 });
        let rotates_nothing = Answer::Reply(Reply::new(200).json(&token));
        world.server.then(dead());
        if is_signed_in_before {
            world.shelf.put("refresh-x");
        } else {
            world.shelf.put("");
            soon(daemon.token()).await.unwrap_err();
            world.shelf.put("refresh-x");
            *is_full.lock().unwrap() = false;
            time_passes(&world.clock, Duration::from_secs(120)).await;
        }
        world.server.then(rotates_nothing);
        assert_eq!(soon(daemon.token()).await.unwrap().expose(), "other");
        *is_full.lock().unwrap() = false;
        time_passes(&world.clock, Duration::from_secs(120)).await;
        assert_eq!(world.shelf.kept(), "refresh-x", "{is_signed_in_before}");
        // Nor is anything left that a shutdown would wait for.
        soon(daemon.shutdown()).await.unwrap();
        assert_eq!(world.shelf.kept(), "refresh-x", "{is_signed_in_before}");
    }
}

#[tokio::test]
async fn a_hook_that_fails_ends_no_session() {
    // K13, D6
    type Load = fn() -> Pin<Box<dyn Future<Output = Result<Option<Secret>, String>> + Send>>;
    let hooks: [(Load, ErrorKind, &str); 3] = [
        (
            || Box::pin(async { Err("canary: no such row".to_owned()) }),
            ErrorKind::Store,
            "the hook that reloads the refresh token failed",
        ),
        (
            || Box::pin(std::future::pending()),
            ErrorKind::Store,
            "the hook that reloads the refresh token did not answer within 10 s",
        ),
        (
            || Box::pin(async { panic!("on purpose") }),
            ErrorKind::Panicked,
            "the hook that reloads the refresh token panicked",
        ),
    ];
    for (load, kind, text) in hooks {
        let world = World::new().await;
        let is_broken = Arc::new(Mutex::new(true));
        let broken = is_broken.clone();
        let (asked, mut questions) = unbounded_channel();
        let program = world
            .builder()
            .reload_refresh_token(move || {
                let broken = *broken.lock().unwrap();
                asked.send(()).unwrap();
                async move { if broken { load().await } else { Ok(None) } }
            })
            .build()
            .unwrap();
        world.server.then(dead());
        let call = under_way({
            let program = program.clone();
            async move { program.token().await }
        })
        .await;
        soon(questions.recv()).await.unwrap();
        let error = while_time_passes(&world.clock, call).await.unwrap();
        let error = error.unwrap_err();
        assert_eq!(error.kind(), kind);
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(text), "{shown}");
        assert!(!error.to_string().contains("canary"), "{error}");
        // It answers again, and has none: only now the session is over.
        *is_broken.lock().unwrap() = false;
        world.expire();
        let error = program.token().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SignInRequired);
        assert_eq!(world.server.token_requests(), 1);
    }
}
