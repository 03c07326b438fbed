//! What the fake server does at a test's word, as the crate's client sees it.

#![expect(clippy::expect_used, reason = "a helper of a test may fail it")]

use std::time::Duration;

use reqwest_bearer::{
    AuthorizationRequest, ClientAuthentication, DeviceAuthorizationRequest, Error, ErrorKind,
    NamedClient, NamedUserClient, PendingAuthorization, Subject, TestClock, TokenEndpoint,
    TokenSource, UserSessions,
};
use reqwest_bearer_testing::{Answer, FakeApi, FakeAuthorizationServer, skip_pauses};

struct World {
    clock: TestClock,
    server: FakeAuthorizationServer,
    api: FakeApi,
    source: TokenSource,
    client: NamedClient,
}

fn world() -> Result<World, Box<dyn std::error::Error>> {
    let clock = TestClock::new();
    let server = FakeAuthorizationServer::start_with_clock(&clock)?;
    let api = FakeApi::start(&server)?;
    let source = TokenSource::builder(server.client_credentials()?)
        .clock(&clock)
        .build()?;
    let client = NamedClient::new("api", api.url(), &source)?;
    Ok(World {
        clock,
        server,
        api,
        source,
        client,
    })
}

type Test = Result<(), Box<dyn std::error::Error>>;

async fn error(world: &World) -> Error {
    let outcome = skip_pauses(&world.clock, world.source.token()).await;
    outcome.expect_err("the server gives no token")
}

#[tokio::test]
async fn a_server_that_is_down_refuses_connections_and_comes_back_with_all_it_knew() -> Test {
    // J2
    let world = world()?;
    let token = world.source.token().await?;
    let token = token.expose();
    for _ in 0..3 {
        world.server.go_down().await;
        world.clock.advance(world.server.token_lifetime());
        let error = error(&world).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.is_transient());
        let before = world.server.token_request_count();
        world.server.come_back()?;
        world.server.come_back()?;
        world.clock.advance(Duration::from_secs(5));
        let renewed = world.source.token().await?;
        assert!(world.server.is_valid(renewed.expose()));
        assert_eq!(world.server.token_request_count(), before + 1);
    }
    assert!(!world.server.is_valid(token));
    Ok(())
}

#[tokio::test]
async fn each_outage_is_one_and_ends_with_a_word() -> Test {
    // J2
    for (outage, kind) in [
        (Answer::new(503), ErrorKind::Unavailable),
        (Answer::new(200).body("<html>"), ErrorKind::Protocol),
        (Answer::oauth_error("invalid_client"), ErrorKind::Rejected),
        (Answer::cut(), ErrorKind::Unavailable),
        (Answer::lost(), ErrorKind::Unavailable),
    ] {
        let world = world()?;
        let case = format!("{outage:?}");
        world.server.answer_always(outage);
        let error = error(&world).await;
        assert_eq!(error.kind(), kind, "{case}: {error}");
        world.server.answer_as_usual();
        world.clock.advance(Duration::from_secs(30));
        world.source.token().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_for_the_next_request_is_for_that_one_alone() -> Test {
    // J2
    let world = world()?;
    let in_half_a_minute = Answer::new(503).retry_after(Duration::from_millis(29_001));
    world.server.answer_next(in_half_a_minute);
    let error = error(&world).await;
    let pause = error.retry_at().ok_or("no time")?;
    let pause = pause.duration_since(world.clock.system_time())?;
    assert_eq!(pause, Duration::from_secs(30));
    world.clock.advance(Duration::from_secs(30));
    world.source.token().await?;
    assert_eq!(world.server.token_request_count(), 2);
    Ok(())
}

#[tokio::test]
async fn a_server_that_never_answers_is_left_after_an_attempt_s_time() -> Test {
    // J2
    let world = world()?;
    world.server.answer_always(Answer::never());
    let source = world.source.clone();
    let call = tokio::spawn(async move { source.token().await });
    for attempt in 1..=3 {
        world.server.until_token_requests(attempt).await;
        assert!(!call.is_finished());
        world.clock.advance(Duration::from_secs(10));
        skip_pauses(&world.clock, async {
            while !call.is_finished() && world.server.token_request_count() == attempt {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    let error = call.await?.expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    Ok(())
}

#[tokio::test]
async fn a_lost_answer_has_spent_the_refresh_token_and_a_cut_one_has_not() -> Test {
    // J2
    for (answer, is_spent) in [(Answer::lost(), true), (Answer::cut(), false)] {
        let server = FakeAuthorizationServer::start()?;
        let endpoint = server.endpoint()?;
        let set = server.sign_in("alice");
        let refresh_token = set.refresh_token().ok_or("no refresh token")?;
        let grant = reqwest_bearer::RefreshTokenGrant::new(endpoint, refresh_token);
        let obtain = async || {
            let parameters = reqwest_bearer::TokenParameters::new();
            let request =
                reqwest_bearer::GrantRequest::new(parameters, Some(refresh_token.clone()));
            reqwest_bearer::Grant::obtain(&grant, request).await
        };
        server.answer_next(answer);
        obtain().await.expect_err("the connection is cut");
        let again = obtain().await;
        assert_eq!(again.is_err(), is_spent, "{again:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_gate_makes_a_server_slow_without_a_second_of_waiting() -> Test {
    // A1, J2
    let world = world()?;
    let gate = world.server.hold();
    let calls: Vec<_> = (0..50)
        .map(|_| tokio::spawn(world.client.get("x").send()))
        .collect();
    gate.until_held(1).await;
    assert_eq!((gate.held(), world.api.request_count()), (1, 0));
    gate.open();
    for call in calls {
        assert_eq!(call.await??.status(), 200);
    }
    assert_eq!(world.server.token_request_count(), 1);
    Ok(())
}

#[tokio::test]
async fn a_gate_lets_one_through_or_forgets_who_went_away() -> Test {
    // J2
    let world = world()?;
    let ask = || {
        let client = reqwest::Client::new();
        let request = client
            .post(world.server.token_url())
            .basic_auth("client", Some(FakeAuthorizationServer::CLIENT_SECRET));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        tokio::spawn(request.body("grant_type=client_credentials").send())
    };
    let gate = world.server.hold();
    let (mut one, mut other) = (ask(), ask());
    gate.until_held(2).await;
    gate.let_one_through();
    let first = tokio::select! {
        first = &mut one => { other.abort(); first }
        first = &mut other => {
            one.abort();
            first
        }
    };
    assert_eq!(first??.status(), 200);
    drop(gate);
    assert_eq!(ask().await??.status(), 200);
    Ok(())
}

#[tokio::test]
async fn an_api_judges_a_token_when_its_request_comes() -> Test {
    // J2
    let world = world()?;
    let gate = world.api.hold();
    let call = tokio::spawn(world.client.get("x").send());
    gate.until_held(1).await;
    world.server.revoke_access_tokens();
    gate.open();
    assert_eq!(call.await??.status(), 200);
    assert_eq!(world.client.get("x").send().await?.status(), 200);
    assert_eq!(world.server.token_request_count(), 2);
    assert_eq!(world.api.request_count(), 3);
    Ok(())
}

#[tokio::test]
async fn an_api_refuses_what_it_should_and_serves_the_rest() -> Test {
    // J2
    let world = world()?;
    let order = serde_json::json!({ "id": 42 });
    world.api.serve("/orders/42", Answer::new(200).json(&order));
    let answer = world.client.get("orders/42").send().await?;
    assert_eq!(answer.json::<serde_json::Value>().await?, order);
    let seen = world.api.requests();
    assert_eq!(
        (seen[0].method(), seen[0].path()),
        (&reqwest::Method::GET, "/orders/42")
    );
    let plain = reqwest::Client::new().get(world.api.url()).send().await?;
    assert_eq!(plain.status(), 401);
    assert_eq!(plain.headers()["www-authenticate"], "Bearer realm=\"fake\"");
    let wrong = reqwest::Client::new().get(world.api.url()).bearer_auth("x");
    let challenge = wrong.send().await?.headers()["www-authenticate"].clone();
    assert_eq!(challenge, "Bearer realm=\"fake\", error=\"invalid_token\"");
    world
        .api
        .answer_always(Answer::refused_token("insufficient_scope"));
    assert_eq!(world.client.get("x").send().await?.status(), 403);
    world.api.answer_as_usual();
    assert_eq!(world.client.get("x").send().await?.status(), 200);
    assert_eq!(world.server.token_request_count(), 1);
    Ok(())
}

#[tokio::test]
async fn users_sign_in_refresh_and_sign_out_at_the_fake_server() -> Test {
    // F10, J2
    let world = world()?;
    let users = UserSessions::builder(&world.server.endpoint()?)
        .clock(&world.clock)
        .build()?;
    let client = NamedUserClient::new("api", world.api.url(), &users)?;
    let session = Subject::new("session-1")?;
    users
        .sign_in(&session, world.server.sign_in("alice"))
        .await?;
    for _ in 0..3 {
        assert_eq!(
            client.for_subject(&session).get("x").send().await?.status(),
            200
        );
        world.clock.advance(world.server.token_lifetime());
    }
    let seen = world.api.requests();
    let user = world
        .server
        .user_of(seen[2].bearer_token().ok_or("no token")?);
    assert_eq!(user.as_deref(), Some("alice"));
    users.sign_out(&session).await?;
    world.server.until_revocations(1).await;
    assert_eq!(world.server.token_request_count(), 2);
    Ok(())
}

#[tokio::test]
async fn a_sign_in_goes_by_redirect_with_pkce() -> Test {
    // I4, J2
    let world = world()?;
    world.server.add_public_client("app");
    let client = ClientAuthentication::none("app");
    let endpoint = TokenEndpoint::discover(world.server.issuer(), client)?;
    let request = AuthorizationRequest::new("https://app.example.com/cb").scope("read");
    let (url, pending): (_, PendingAuthorization) = request.start(&endpoint).await?;
    let redirect = world.server.approve(url.as_str(), "alice")?;
    let tokens = pending.finish(&endpoint, &redirect).await?;
    let token = tokens.access_token().ok_or("no token")?.expose();
    assert_eq!(world.server.user_of(token).as_deref(), Some("alice"));
    assert_eq!(tokens.scope(), Some("read"));
    Ok(())
}

#[tokio::test]
async fn a_device_waits_until_its_user_has_decided() -> Test {
    // I3, J2
    let world = world()?;
    let endpoint = world.server.endpoint()?;
    let mut pending = DeviceAuthorizationRequest::new().start(&endpoint).await?;
    assert!(!world.server.approve_device("FAKE-0000", "alice"));
    let user_code = pending.user_code().to_owned();
    let asking = endpoint.clone();
    let waiting = tokio::spawn(async move { pending.finish(&asking).await });
    // The server's 5 s and the crate's margin.
    poll(&world, 1).await;
    assert!(!waiting.is_finished());
    assert!(world.server.approve_device(&user_code, "alice"));
    poll(&world, 2).await;
    assert!(waiting.await??.refresh_token().is_some());
    let mut denied = DeviceAuthorizationRequest::new().start(&endpoint).await?;
    assert!(world.server.deny_device(denied.user_code()));
    let waiting = tokio::spawn(async move { denied.finish(&endpoint).await });
    poll(&world, 3).await;
    let error = waiting.await?.expect_err("the user said no");
    assert_eq!(error.oauth_code(), Some("access_denied"));
    Ok(())
}

/// Moves the clock on to the next poll, which is token request number `count`.
async fn poll(world: &World, count: usize) {
    let mut polled = std::pin::pin!(world.server.until_token_requests(count));
    loop {
        tokio::select! {
            biased;
            () = &mut polled => return,
            () = tokio::task::yield_now() => {
                if world.server.token_request_count() < count
                    && let Some(pause) = world.clock.until_next_timer()
                    && pause < Duration::from_secs(7)
                {
                    world.clock.advance(pause);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_wait_for_what_has_come_is_over_at_once_and_counts_from_the_start() -> Test {
    // J2
    let world = world()?;
    world.server.until_token_requests(0).await;
    world.client.get("x").send().await?;
    for _ in 0..2 {
        world.server.until_token_requests(1).await;
        world.api.until_requests(1).await;
    }
    Ok(())
}
