//! Processes that are killed at any moment: who has to sign in again, and who must not.
//!
//! A refresh token is *provably lost* if the server issued it and it was never in the store. The
//! test knows both for sure and from nobody under test: oidc-provider's own list has every refresh
//! token that was issued, to which process and when; Redis' log of writes, or a trigger of Postgres',
//! has everything that was ever stored. A killed process (SIGKILL) cannot lie about it, and it does not matter whether it
//! had read the answer: what it has not written nobody else can know. For each lost one the test
//! also demands that the process which had asked for it died before it could write it, so that no
//! loss is excused that a living process made.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use real_parts::fleet::{Call, Line, Tokens, now};
use real_parts::shared_store::Kind;
use real_parts::{Rotation, Worker};

use crate::{Fleet, PROCESSES, World, quantile, turn};

/// What a process leaves behind ends by itself within this time: a lease of 10 s, then one refresh.
pub(crate) const AFTERMATH: Duration = Duration::from_secs(12);
/// A process that lives writes within this time; the crate gives a store 2 s.
pub(crate) const WRITES_WITHIN: f64 = 2000.0;

/// When each process that did not end in order died, by its process id.
pub(crate) type Deaths = HashMap<u32, f64>;

/// Kills one process each second, and replaces it and those that have aborted.
pub(crate) async fn kill_and_replace(fleet: &mut Fleet, abort_before_save: f64) -> Deaths {
    let mut deaths = Deaths::new();
    let mut running: Vec<usize> = (0..fleet.workers.len()).collect();
    // Nobody aborts from then on, so each of them is found here.
    while now() < fleet.orders.abort_until + 500.0 {
        // Somewhere in each second, not at its beginning.
        tokio::time::sleep(Duration::from_secs_f64(0.5 + fastrand::f64())).await;
        let chosen = fastrand::usize(..running.len());
        for (place, number) in running.iter_mut().enumerate() {
            let worker = &mut fleet.workers[*number];
            let died = match worker.ended() {
                None if place == chosen => worker.kill().await,
                None => continue,
                Some(status) => aborted_at(worker)
                    .unwrap_or_else(|| panic!("a process ended without a word: {status}")),
            };
            deaths.insert(worker.pid(), died);
            *number = fleet.add(abort_before_save);
        }
    }
    deaths
}

fn aborted_at(worker: &Worker) -> Option<f64> {
    worker.lines().into_iter().find_map(|line| match line {
        Line::Aborts { at, .. } => Some(at),
        _ => None,
    })
}

/// The refresh tokens that were issued and never stored, by their user.
async fn lost(world: &World) -> BTreeMap<String, Rotation> {
    let written = String::from_utf8_lossy(&world.shared.everything_written().await).into_owned();
    let rotations = world.issuer().rotations().await.into_iter();
    let lost = rotations.filter_map(|rotation| {
        let issued = rotation.issued.as_ref()?;
        (!written.contains(issued)).then(|| {
            let user = rotation
                .account
                .clone()
                .expect("the server knows whose it is");
            (user, rotation)
        })
    });
    lost.collect()
}

/// From the server's answer to the end of the store's write, and from the request's arrival, in
/// milliseconds.
async fn gaps(world: &World, fleet: &Fleet) -> (Vec<f64>, Vec<f64>) {
    let lines = fleet.lines().into_iter();
    let saved: HashMap<String, f64> = lines
        .filter_map(|line| match line {
            Line::Saved { at, refresh_token } => Some((refresh_token, at)),
            _ => None,
        })
        .collect();
    let rotations = world.issuer().rotations().await;
    let of = |rotation: &Rotation| {
        let saved = saved.get(rotation.issued.as_ref()?)?;
        Some((saved - rotation.answered_at, saved - rotation.came_at))
    };
    rotations.iter().filter_map(of).unzip()
}

/// Which process sent it.
pub(crate) fn pid_of(rotation: &Rotation) -> u32 {
    let pid = rotation.user_agent.rsplit('/').next();
    let pid = pid.and_then(|pid| pid.parse().ok());
    pid.expect("each process of a fleet names itself")
}

pub(crate) fn users<'calls>(calls: impl IntoIterator<Item = &'calls Call>) -> BTreeSet<String> {
    calls.into_iter().map(|call| call.user.clone()).collect()
}

/// What a fleet left behind whose processes were killed.
pub(crate) struct Killed {
    pub(crate) world: World,
    pub(crate) fleet: Fleet,
    /// The refresh tokens that were lost, by their user.
    pub(crate) lost: BTreeMap<String, Rotation>,
}

pub(crate) async fn run(
    kind: Kind,
    tokens: Tokens,
    abort_before_save: f64,
    one_certain_abort: bool,
) -> Killed {
    let world = World::start_as(kind, tokens).await;
    let mut fleet = world.fleet_with(0, world.orders(PROCESSES));
    if one_certain_abort {
        // Alone, so that nobody else refreshes first, and before anybody is killed.
        let doomed = fleet.add(1.0);
        fleet.workers[doomed].until_aborted().await;
    }
    while fleet.workers.len() < PROCESSES {
        fleet.add(0.0);
    }
    let deaths = kill_and_replace(&mut fleet, abort_before_save).await;
    tokio::time::sleep(AFTERMATH).await;
    let aftermath_ended = now();
    tokio::time::sleep(Duration::from_secs(2)).await;
    fleet.stop().await;

    let lost = lost(&world).await;
    let (calls, left_out) = world.judged(&fleet);
    let failed: Vec<_> = calls.iter().filter(|call| !call.succeeded()).collect();
    let signed_out = users(calls.iter().filter(|call| call.wants_sign_in()));
    let revoked = world.issuer().revoked().await;
    let aborted = fleet
        .lines()
        .iter()
        .filter(|line| matches!(line, Line::Aborts { .. }))
        .count();
    let (mut gap, mut whole) = gaps(&world, &fleet).await;
    let mut times: Vec<_> = calls.iter().map(|call| call.took).collect();
    println!(
        "{} processes killed and {aborted} aborted; {} calls, {} failed, {left_out} outlasted a nonce, the \
         longest took {:.1} s; {} refresh tokens lost; {} users have to sign in again, {} families revoked; \
         answer to write: {:.2} ms (median), {:.2} ms (p99), {:.2} ms (longest of {}); \
         arrival to write: {:.2} ms (median), {:.2} ms (p99)",
        deaths.len() - aborted,
        calls.len(),
        failed.len(),
        quantile(&mut times, 1.0) / 1000.0,
        lost.len(),
        signed_out.len(),
        revoked.len(),
        quantile(&mut gap, 0.5),
        quantile(&mut gap, 0.99),
        quantile(&mut gap, 1.0),
        gap.len(),
        quantile(&mut whole, 0.5),
        quantile(&mut whole, 0.99),
    );

    // Never another's token, and whoever has to sign in again is told so by the typed error.
    for call in &calls {
        assert!(
            call.owner.as_ref().is_none_or(|owner| *owner == call.user),
            "{call:?}"
        );
    }
    for call in &failed {
        assert!(call.wants_sign_in(), "{call:?}");
        assert!(
            lost.contains_key(&call.user),
            "nothing of theirs was lost: {call:?}"
        );
    }
    for user in &revoked {
        let user = user.as_ref().expect("the server knows whose it is");
        assert!(lost.contains_key(user), "nothing of {user} was lost");
    }
    // What was lost was lost by a process that died in the gap.
    for rotation in lost.values() {
        let died = deaths.get(&pid_of(rotation));
        let died = died.unwrap_or_else(|| panic!("its process lived on: {rotation:?}"));
        assert!(died - rotation.came_at < WRITES_WITHIN, "{rotation:?}");
    }
    assert!(lost.len() >= usize::from(one_certain_abort), "{aborted}");
    // In the end each user is either well or knows what to do.
    let end: Vec<_> = calls
        .iter()
        .filter(|call| call.at > aftermath_ended)
        .collect();
    assert_eq!(users(end.iter().copied()).len(), world.users.len());
    for call in end {
        assert_eq!(call.succeeded(), !lost.contains_key(&call.user), "{call:?}");
    }
    Killed { world, fleet, lost }
}

#[tokio::test]
async fn whoever_is_killed_takes_at_most_the_answer_along_that_it_had_not_written() {
    // F6, F2
    let _turn = turn().await;
    run(Kind::Redis, Tokens::Bearer, 0.0, false).await;
}

#[tokio::test]
async fn an_answer_that_was_never_written_costs_its_user_a_sign_in_and_nobody_else_anything() {
    // F6, F5
    let _turn = turn().await;
    run(Kind::Redis, Tokens::Bearer, 0.02, true).await;
}

#[tokio::test]
async fn whoever_is_killed_takes_no_more_along_where_the_store_is_postgres() {
    // F6, F5, F2
    let _turn = turn().await;
    run(Kind::Postgres, Tokens::Bearer, 0.02, true).await;
}
