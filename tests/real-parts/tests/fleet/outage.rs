//! A store that goes away, comes back, and is slow in between.

use std::collections::BTreeSet;
use std::time::Duration;

use real_parts::SlowProxy;
use real_parts::fleet::{Line, now};
use real_parts::shared_store::Kind;

use crate::{Fleet, PROCESSES, World, duration, quantile, run_for, turn};

/// Longer than a lease, and longer than an access token lives.
const LONG: f64 = 11.0;
/// A call that begins after that is not troubled by an outage any more: failed calls are paced by
/// at most 5 s (B6), and a lease that nobody gave back ends after 10 s (F3).
pub(crate) const RECOVERY: f64 = 12.0;

/// Checks what a fleet made of the outages, which ended at `healed_at`.
pub(crate) async fn check(world: &World, fleet: &mut Fleet, began_at: f64, healed_at: f64) {
    fleet.stop().await;
    let calls = fleet.calls();
    let failed: Vec<_> = calls.iter().filter(|call| !call.succeeded()).collect();
    let revoked = world.issuer().revoked().await;
    let mut times: Vec<_> = calls.iter().map(|call| call.took).collect();
    let mut kinds = std::collections::BTreeMap::new();
    for call in &failed {
        *kinds.entry(call.error.clone()).or_insert(0) += 1;
    }
    let last_failure = failed.iter().map(|call| call.at + call.took - healed_at);
    println!(
        "{} calls, {} failed {kinds:?}, the last one {:.1} s after the end of the outages; \
         {} token requests, {} families revoked; the longest call took {:.1} s",
        calls.len(),
        failed.len(),
        last_failure.fold(f64::NEG_INFINITY, f64::max) / 1000.0,
        world.issuer().rotations().await.len(),
        revoked.len(),
        quantile(&mut times, 1.0) / 1000.0,
    );
    assert!(revoked.is_empty(), "{revoked:?}");
    for call in &failed {
        assert!(call.transient, "{call:?}");
        assert!(
            call.at + call.took > began_at,
            "before any outage: {call:?}"
        );
    }
    // Per process: the token that it had used last was dead when a call ended without one (F4).
    let before_the_server = fleet.longest_token_request();
    for worker in &fleet.workers {
        let mut last = std::collections::HashMap::new();
        let lines = worker.lines();
        let mut calls: Vec<_> = lines
            .iter()
            .filter_map(|line| match line {
                Line::Call(call) => Some(call),
                _ => None,
            })
            .collect();
        calls.sort_by(|one, other| (one.at + one.took).total_cmp(&(other.at + other.took)));
        for call in calls {
            if call.succeeded() {
                last.insert(
                    call.user.as_str(),
                    call.expires_at.expect("the API says it"),
                );
            } else if let Some(expires_at) = last.get(call.user.as_str()) {
                let ended_at = call.at + call.took;
                assert!(
                    ended_at > expires_at - before_the_server,
                    "with a good token: {call:?}"
                );
            }
        }
    }
    // In the end everybody is well, and has not signed in again.
    let end: Vec<_> = calls
        .iter()
        .filter(|call| call.at > healed_at + RECOVERY * 1000.0)
        .collect();
    let well: BTreeSet<_> = end.iter().map(|call| &call.user).collect();
    assert_eq!(well.len(), world.users.len());
    for call in end {
        assert!(call.succeeded(), "{call:?}");
    }
}

async fn kill_and_start_again(kind: Kind) {
    let _turn = turn().await;
    let mut world = World::start(kind).await;
    let mut fleet = world.fleet(PROCESSES);
    run_for(7.0).await;
    let began_at = now();
    let rounds = (duration().as_secs() / 12).max(1);
    for _ in 0..rounds {
        for outage in [1.0, 3.0, LONG] {
            world.shared.stop();
            run_for(outage).await;
            world.shared.start_again().await;
            run_for(3.0).await;
        }
    }
    let healed_at = now() - 3000.0;
    run_for(RECOVERY).await;
    check(&world, &mut fleet, began_at, healed_at).await;
}

async fn slow_down_and_break(kind: Kind) {
    let _turn = turn().await;
    let mut world = World::start(kind).await;
    let proxy = SlowProxy::before(world.store).await;
    world.store = proxy.address();
    let mut fleet = world.fleet(PROCESSES);
    run_for(7.0).await;
    let began_at = now();
    let rounds = (duration().as_secs() / 12).max(1);
    for _ in 0..rounds {
        proxy.delay(Duration::from_millis(200));
        run_for(4.0).await;
        proxy.delay(Duration::from_millis(1900));
        run_for(3.0).await;
        proxy.heal();
        for _ in 0..10 {
            proxy.cut_next_answer_after(fastrand::usize(..4));
            run_for(0.2).await;
            proxy.half_close();
            run_for(0.2).await;
        }
        proxy.lose();
        run_for(2.0).await;
        proxy.mute();
        run_for(3.0).await;
        proxy.cut();
        run_for(2.0).await;
        proxy.heal();
    }
    let healed_at = now();
    run_for(RECOVERY + 2.0).await;
    check(&world, &mut fleet, began_at, healed_at).await;
}

#[tokio::test]
async fn a_redis_that_is_killed_and_comes_back_signs_nobody_out() {
    // F2, F4
    kill_and_start_again(Kind::Redis).await;
}

#[tokio::test]
async fn a_postgres_that_is_killed_and_comes_back_signs_nobody_out() {
    // F2, F4
    kill_and_start_again(Kind::Postgres).await;
}

#[tokio::test]
async fn a_slow_and_broken_way_to_redis_signs_nobody_out() {
    // F2, F4, F11
    slow_down_and_break(Kind::Redis).await;
}

#[tokio::test]
async fn a_slow_and_broken_way_to_postgres_signs_nobody_out() {
    // F2, F4, F11
    slow_down_and_break(Kind::Postgres).await;
}
