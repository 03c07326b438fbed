//! I3: a wait that is dropped, or written and read by another process, goes on.

use std::time::Duration;

use reqwest_bearer::{DeviceAuthorizationRequest, DpopKey, PendingDeviceAuthorization};
use serde_json::{Value, json};

use crate::server::{DEVICE_CODE, Server, error, seconds};
use crate::support::http_server::Reply;
use crate::support::{soon, time_passes, until, while_time_passes};

fn written(pending: &PendingDeviceAuthorization) -> String {
    serde_json::to_string(pending).unwrap()
}

fn read(kept: &str) -> PendingDeviceAuthorization {
    serde_json::from_str(kept).unwrap()
}

/// Waits for so long and no longer.
async fn wait_for(server: &Server, pending: &mut PendingDeviceAuthorization, time: Duration) {
    let endpoint = server.endpoint();
    tokio::select! {
        ended = pending.finish(&endpoint) => panic!("{ended:?}"),
        () = time_passes(&server.clock, time) => {}
    }
}

/// Waits until the server has been asked so often, and no longer.
async fn until_polled(server: &Server, pending: &mut PendingDeviceAuthorization, polls: usize) {
    let endpoint = server.endpoint();
    let polled = until(async || server.polls() >= polls);
    tokio::select! {
        ended = while_time_passes(&server.clock, pending.finish(&endpoint)) => panic!("{ended:?}"),
        () = polled => {}
    }
}

#[tokio::test]
async fn a_dropped_wait_goes_on_where_it_was() {
    // I3
    let server = Server::start().await;
    server.agree();
    let mut pending = server.begin().await;
    let began = server.clock.system_time();
    for _ in 0..5 {
        wait_for(&server, &mut pending, seconds(1)).await;
    }
    assert_eq!(server.polls(), 0);
    server.finish(&mut pending).await.unwrap();
    let pauses = server.pauses(began);
    assert!(pauses.len() == 1 && pauses[0] >= 5.5, "{pauses:?}");
}

#[tokio::test]
async fn the_tokens_of_a_poll_that_was_out_when_the_wait_was_dropped_are_not_lost() {
    // I3
    let server = Server::start().await;
    server.agree();
    server.answered.send_replace(0);
    let mut pending = server.begin().await;
    until_polled(&server, &mut pending, 1).await;
    // The user may go on as long as the server takes; the code is spent by then.
    server.answered.send_replace(1);
    let tokens = soon(pending.finish(&server.endpoint())).await.unwrap();
    assert_eq!(tokens.refresh_token().unwrap().expose(), "refresh-1");
    assert_eq!(server.polls(), 1);
}

#[tokio::test]
async fn another_process_goes_on_at_the_pace_that_slow_down_has_left() {
    // I3
    let server = Server::start().await;
    let mut pending = server.begin().await;
    server.then_error("slow_down").then_error("slow_down");
    until_polled(&server, &mut pending, 3).await;
    // The third poll is out, and its answer goes to nobody.
    let polled = server.book().polls[2].came_at;
    let mut other = read(&written(&pending));
    drop(pending);
    server.agree();
    server.finish(&mut other).await.unwrap();
    let pause = server.book().polls[3].came_at.duration_since(polled);
    let pause = pause.unwrap();
    // 15.5 s from when it went out, and that was a moment earlier.
    assert!(pause >= Duration::from_secs(12), "{pause:?}");
}

#[tokio::test]
async fn another_process_asks_no_sooner_and_ends_with_the_code() {
    // I3
    let server = Server::start().await;
    let pending = server.begin().await;
    let began = server.clock.system_time();
    let mut other = read(&written(&pending));
    assert_eq!(other.to_string(), pending.to_string());
    assert_eq!(other.expires_at(), pending.expires_at());
    server.agree();
    server.finish(&mut other).await.unwrap();
    let pauses = server.pauses(began);
    assert!(pauses[0] >= 5.5, "{pauses:?}");
    server.clock.advance(seconds(600));
    let mut late = read(&written(&pending));
    let error = soon(late.finish(&server.endpoint())).await.unwrap_err();
    assert!(error.to_string().contains("has expired"), "{error}");
    assert_eq!(server.polls(), 1);
}

#[tokio::test]
async fn what_another_process_reads_knows_of_a_poll_whose_answer_it_does_not_hear() {
    // I3
    let server = Server::start().await;
    let mut pending = server.begin().await;
    server.answered.send_replace(0);
    until_polled(&server, &mut pending, 1).await;
    let kept = written(&pending);
    drop(pending);
    server.answered.send_replace(usize::MAX);
    let mut other = read(&kept);
    server.then(Reply::new(503)).then_error("invalid_grant");
    let error = server.finish(&mut other).await.unwrap_err();
    assert!(error.to_string().contains("was lost"), "{error}");
}

#[tokio::test]
async fn what_is_written_has_the_device_code_and_the_key_and_nothing_else_shows_them() {
    // I3, D6, H8
    let server = Server::start().await;
    let key = DpopKey::generate().unwrap();
    let request = DeviceAuthorizationRequest::new().dpop(&key);
    let mut pending = request.start(&server.endpoint()).await.unwrap();
    let kept = written(&pending);
    let members: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(members["device_code"], DEVICE_CODE);
    let pem = members["dpop_key"]["pem"].as_str().unwrap();
    server.then(error(400, "canary-device-code"));
    let error = server.finish(&mut pending).await.unwrap_err();
    let shown = format!("{pending:?} {pending:#?} {pending} {request:?} {error} {error:?}");
    assert!(!shown.contains(DEVICE_CODE), "{shown}");
    let debug = format!("{pending:?}");
    assert!(!debug.contains("WDJB-MJHT"), "{debug}");
    for line in pem.lines().filter(|line| !line.starts_with("---")) {
        assert!(!shown.contains(line), "{shown}");
    }
    for (name, value) in [("format", json!(2)), ("user_code", json!("\u{1b}[2J"))] {
        let mut bad = members.clone();
        bad[name] = value;
        let error = serde_json::from_value::<PendingDeviceAuthorization>(bad).unwrap_err();
        assert!(!error.to_string().contains(DEVICE_CODE), "{error}");
    }
}
