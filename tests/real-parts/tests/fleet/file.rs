//! Several command-line programs on one file, killed at any moment. (What a file store does when it
//! is killed while it writes is tested on the store alone in `tests/stores/file`.)

use std::collections::BTreeSet;

use real_parts::fleet::{Line, Orders, Place, now};
use real_parts::shared_store::Kind;
use reqwest_bearer::FileStore;

use crate::killed::{AFTERMATH, WRITES_WITHIN, kill_and_replace, pid_of, users};
use crate::{World, run_for, subject, turn};

pub(crate) const PROGRAMS: usize = 4;

#[tokio::test]
async fn a_file_that_programs_share_stays_whole_when_they_are_killed_and_they_go_on() {
    // F6, F2
    let _turn = turn().await;
    let world = World::start_with(Kind::Redis, 8).await;
    let path = world.folder.join("tokens.json");
    let store = || FileStore::new(&path).expect("the path of a file");
    let source = world.source_with(store());
    world.sign_all_in(&source).await;
    let orders = Orders {
        store: Place::File(path.clone()),
        calls_per_second: 10.0,
        ..world.orders(PROGRAMS)
    };
    let mut fleet = world.fleet_with(PROGRAMS, orders);
    let deaths = kill_and_replace(&mut fleet, 0.0).await;

    // It is read by one who has never seen it.
    let newcomer = world.source_with(store());
    for user in &world.users {
        let status = newcomer
            .status_of(&subject(user))
            .await
            .expect("the file can be read");
        assert!(
            status.is_some_and(|status| status.has_refresh_token()),
            "{user}"
        );
    }
    assert!(!path.with_extension("json.unreadable").exists());
    run_for(AFTERMATH.as_secs_f64()).await;
    let aftermath_ended = now();
    run_for(3.0).await;
    fleet.stop().await;

    let lines = fleet.lines();
    let saved: BTreeSet<_> = lines
        .iter()
        .filter_map(|line| match line {
            Line::Saved { refresh_token, .. } => Some(refresh_token),
            _ => None,
        })
        .collect();
    // A file has no log of writes as Redis has. What no process said that it had written counts as
    // lost only if its process died at once; what was written and not said signs nobody out.
    let rotations = world.issuer().rotations().await;
    let lost: BTreeSet<_> = rotations
        .iter()
        .filter(|rotation| {
            let unsaved = rotation
                .issued
                .as_ref()
                .is_some_and(|token| !saved.contains(token));
            let died = deaths.get(&pid_of(rotation));
            unsaved && died.is_some_and(|died| died - rotation.came_at < WRITES_WITHIN)
        })
        .filter_map(|rotation| rotation.account.clone())
        .collect();
    let calls = fleet.calls();
    let failed: Vec<_> = calls.iter().filter(|call| !call.succeeded()).collect();
    println!(
        "{} programs killed; {} calls, {} failed, {} token requests, {} answers may be lost, \
         {} families revoked",
        deaths.len(),
        calls.len(),
        failed.len(),
        rotations.len(),
        lost.len(),
        world.issuer().revoked().await.len(),
    );
    for call in &failed {
        assert!(call.wants_sign_in(), "{call:?}");
        assert!(
            lost.contains(&call.user),
            "nothing of theirs was lost: {call:?}"
        );
    }
    let end: Vec<_> = calls
        .iter()
        .filter(|call| call.at > aftermath_ended)
        .collect();
    assert_eq!(users(end).len(), world.users.len());
}
