//! A fleet whose store is a Redis Cluster, while slots move and a replica takes its master's place.

use real_parts::RedisCluster;
use real_parts::fleet::Line;
use real_parts::shared_store::{Kind, SharedStore};

use crate::{PROCESSES, World, duration, run_for, turn};

/// How long the slots stay open, with their keys here and then there: a refresh of each user at least.
const OPEN: f64 = 3.0;

/// The slots of the users on the first node.
async fn slots_of_users(cluster: &RedisCluster) -> Vec<u16> {
    let names: Vec<String> = cluster.nodes()[0].ask(&["KEYS", "*:record"]).await;
    let mut slots = Vec::new();
    for name in names {
        slots.push(cluster.slot(&name).await);
    }
    slots.sort_unstable();
    slots.dedup();
    slots
}

#[tokio::test]
async fn slots_that_move_and_a_replica_that_takes_over_sign_nobody_out() {
    // F2, F3
    let _turn = turn().await;
    let world = World::start(Kind::Cluster).await;
    let SharedStore::Cluster(cluster) = &world.shared else {
        panic!("the store is another one");
    };
    let slots = slots_of_users(cluster).await;
    assert!(!slots.is_empty(), "some of the users are on each node");
    let mut fleet = world.fleet(PROCESSES);
    run_for(3.0).await;
    for &slot in &slots {
        cluster.begin_move(slot, 0, 1).await;
    }
    run_for(OPEN).await;
    for &slot in &slots {
        cluster.move_keys(slot, 0, 1).await;
    }
    run_for(OPEN).await;
    for &slot in &slots {
        cluster.end_move(slot, 0, 1).await;
    }
    // The third master, whom no slot has left, and its replica.
    cluster.switch(2).await;
    run_for((duration().as_secs_f64() - 9.0).max(3.0)).await;
    fleet.stop().await;

    let calls = fleet.calls();
    let failed = calls.iter().filter(|call| !call.succeeded()).count();
    let lines = fleet.lines();
    let of_store = |line: &&Line| matches!(line, Line::StoreFailed { .. });
    let of_store = lines.iter().filter(of_store).count();
    let revoked = world.issuer().revoked().await;
    println!(
        "{} calls, {failed} failed, {of_store} calls of the store failed; {} token requests, {} families revoked",
        calls.len(),
        world.issuer().rotations().await.len(),
        revoked.len(),
    );
    // A call may end with an error on a machine that is too busy for six nodes; a session may not.
    assert!(revoked.is_empty(), "{revoked:?}");
    for call in &calls {
        assert!(!call.wants_sign_in(), "{call:?}");
    }
    let well = |user: &&String| {
        let mut of_user = calls.iter().filter(|call| call.user == **user);
        of_user.any(|call| call.succeeded())
    };
    assert_eq!(world.users.iter().filter(well).count(), world.users.len());
}
