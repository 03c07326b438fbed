//! A fleet whose store is a Redis Cluster, while slots move and a replica takes its master's place.

use real_parts::shared_store::{Kind, SharedStore};
use real_parts::{RedisCluster, fleet::Line};

use crate::load::run_while;
use crate::{PROCESSES, World, run_for, turn};

/// How long the slots stay open, with some of their keys here and some there: several refreshes of each user.
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
async fn slots_that_move_and_a_replica_that_takes_over_are_not_noticed_by_the_callers_of_a_fleet() {
    // F2, F3, F11
    let _turn = turn().await;
    let world = World::start(Kind::Cluster).await;
    let run = run_while(world, PROCESSES, async |world| {
        let SharedStore::Cluster(cluster) = &world.shared else {
            panic!("the store is another one");
        };
        let slots = slots_of_users(cluster).await;
        assert!(!slots.is_empty(), "some of the users are on each node");
        run_for(2.0).await;
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
    })
    .await;
    let failed = |line: &Line| matches!(line, Line::StoreFailed { .. });
    let failed = run.fleet.lines().iter().filter(|line| failed(line)).count();
    println!("{failed} calls of the store failed");
}
