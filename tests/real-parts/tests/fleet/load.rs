//! A fleet under load, and nothing goes wrong.

use real_parts::fleet::{Line, Tokens};
use real_parts::shared_store::Kind;
use real_parts::{Pooler, Rotation};

use crate::{FIRST_USER_AFTER, Fleet, PROCESSES, World, duration, quantile, run_for, turn};

/// What a fleet of so many processes made of the load.
pub(crate) struct Run {
    pub(crate) world: World,
    pub(crate) fleet: Fleet,
    calls: usize,
    token_requests: usize,
}

pub(crate) async fn run(kind: Kind, tokens: Tokens, processes: usize) -> Run {
    run_in(World::start_as(kind, tokens).await, processes).await
}

async fn run_in(world: World, processes: usize) -> Run {
    let mut fleet = world.fleet(processes);
    run_for(duration().as_secs_f64()).await;
    fleet.stop().await;

    // Of each fleet the same span of time counts: the more processes there are, the longer it takes
    // to start and to stop them.
    let ends_at = fleet.orders.first_user_at - FIRST_USER_AFTER + duration().as_secs_f64() * 1000.0;
    let (calls, left_out) = world.judged(&fleet);
    let failed: Vec<_> = calls.iter().filter(|call| !call.succeeded()).collect();
    let rotations = world.issuer().rotations().await;
    let revoked = world.issuer().revoked().await;
    let mut times: Vec<_> = calls.iter().map(|call| call.took).collect();
    let mut reasons = std::collections::BTreeMap::new();
    for line in fleet.lines() {
        if let Line::TokenRequest { reason, .. } = line {
            *reasons.entry(reason).or_insert(0) += 1;
        }
    }
    println!(
        "{processes} processes: {} calls, {} failed, {left_out} outlasted a nonce, {} token requests {reasons:?}, {} families revoked; \
         a call took {:.1} ms (median), {:.0} ms (p99), {:.0} ms (longest)",
        calls.len(),
        failed.len(),
        rotations.len(),
        revoked.len(),
        quantile(&mut times, 0.5),
        quantile(&mut times, 0.99),
        quantile(&mut times, 1.0),
    );
    assert!(failed.is_empty(), "{:#?}", &failed[..failed.len().min(5)]);
    assert!(revoked.is_empty(), "{revoked:?}");
    // The load was what it should be.
    let calls = calls.iter().filter(|call| call.at < ends_at).count();
    let expected = world.calls_per_second() * duration().as_secs_f64();
    assert!(calls as f64 > 0.5 * expected, "{calls}");
    let in_time = |rotation: &&Rotation| rotation.came_at < ends_at;
    Run {
        world,
        fleet,
        calls,
        token_requests: rotations.iter().filter(in_time).count(),
    }
}

async fn compare(kind: Kind) {
    let _turn = turn().await;
    let alone = run(kind, Tokens::Bearer, 1).await;
    let fleet = run(kind, Tokens::Bearer, PROCESSES).await;
    let ratio = fleet.token_requests as f64 / alone.token_requests as f64;
    let difference = fleet.calls as f64 / alone.calls as f64;
    println!("{ratio:.3} times the token requests, {difference:.3} times the calls of one process");
    assert!((0.95..1.05).contains(&difference), "not the same load");
    assert!(ratio <= 1.05, "{ratio}");
}

#[tokio::test]
async fn eight_processes_make_no_more_token_requests_than_one_and_nothing_fails() {
    // F2, F3
    compare(Kind::Redis).await;
}

#[tokio::test]
async fn eight_processes_do_no_worse_where_the_store_is_postgres() {
    // F2, F3
    compare(Kind::Postgres).await;
}

#[tokio::test]
async fn eight_processes_behind_a_pooler_do_not_get_into_each_other_s_way() {
    // F2, F3
    let _turn = turn().await;
    let mut world = World::start(Kind::Postgres).await;
    // Fewer sessions than processes: each statement may be followed by another process's.
    let pooler = Pooler::before(world.store, 3).await;
    world.store = pooler.address();
    run_in(world, PROCESSES).await;
}
