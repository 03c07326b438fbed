//! Several command-line programs on one file, and the disk is full.
//!
//! A program for which it is full writes no file that is longer than a part of the file of tokens,
//! so it can read that and never replace it. A lease, which is in a file of its own, it still gets;
//! so nothing but the mark before sending keeps it from spending a refresh token whose successor it
//! could not write.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use real_parts::fleet::{Call, Line, Orders, Place, now};
use real_parts::shared_store::Kind;
use real_parts::{Rotation, Worker};
use reqwest_bearer::{FileStore, StoreKey, StoredRecord, TokenStore as _, Version};

use crate::file::PROGRAMS;
use crate::killed::{pid_of, users};
use crate::outage::{RECOVERY, check};
use crate::{Fleet, LIFETIME, World, duration, quantile, run_for, subject, turn};

/// On a full disk. The log of a program, which is a file as well, stays below.
const ROOM: usize = 128 * 1024;
/// As good as no limit.
const MUCH_ROOM: usize = 2048 * ROOM;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Makes the file longer than what can be written of it on a full disk: four thirds of this, in the
/// letters of Base64. Not much longer, since each save writes all of it, and while it does the other
/// programs wait.
async fn fill(store: &FileStore) {
    let data = vec![b'x'; ROOM];
    let record = StoredRecord::new(Version::of_bytes(&data), data);
    let key = StoreKey::of(["somebody else's"]);
    let saved = store.save(&key, record, None, DAY).await;
    assert!(saved.expect("there still is room"));
}

/// Starts the programs of a generation; the answer is the first one's number.
fn start_generation(fleet: &mut Fleet, longest_file: Option<usize>) -> usize {
    fleet.longest_file = longest_file;
    let first = fleet.workers.len();
    for _ in 0..PROGRAMS {
        fleet.add(0.0);
    }
    first
}

/// The calls of the generation whose first program this is.
fn calls_of_generation(fleet: &Fleet, first: usize) -> Vec<Call> {
    let lines = fleet.workers[first..first + PROGRAMS].iter();
    let calls = lines
        .flat_map(|worker| worker.lines())
        .filter_map(|line| match line {
            Line::Call(call) => Some(call),
            _ => None,
        });
    calls.collect()
}

/// So many users who have signed in, and the file of their tokens, which is too long for a full disk.
async fn start_with(users: usize) -> (World, PathBuf) {
    let world = World::start_with(Kind::Redis, users).await;
    let path = world.folder.join("tokens.json");
    let store = FileStore::new(&path).expect("the path of a file");
    fill(&store).await;
    world.sign_all_in(&world.source_with(store)).await;
    (world, path)
}

fn beside(path: &Path, ending: &str) -> bool {
    path.with_extension(ending).exists()
}

#[tokio::test]
async fn programs_for_which_the_disk_is_full_spend_no_refresh_token_and_sign_nobody_out() {
    // F2, F4, F6
    let _turn = turn().await;
    // A few, since all are refreshed in the first second with room, and a call waits 1.5 s for the
    // lock.
    let (world, path) = start_with(6).await;
    let orders = Orders {
        store: Place::File(path.clone()),
        calls_per_second: 10.0,
        first_user_at: now(),
        next_user_after: 100.0,
        ..world.orders(PROGRAMS)
    };

    let mut fleet = world.fleet_with(0, orders);
    let first = start_generation(&mut fleet, None);
    run_for(5.0).await;
    fleet.stop().await;

    // Long enough that each access token expires, and that there is some load after that.
    let before = fs::read(&path).expect("the file of tokens");
    let second = start_generation(&mut fleet, Some(ROOM));
    let second_ends_at = now() + (f64::from(LIFETIME) + duration().as_secs_f64() / 6.0) * 1000.0;
    while now() < second_ends_at {
        let present = fs::read(&path).expect("the file can be read at any time");
        assert!(present == before, "the file was changed");
        run_for(0.05).await;
    }
    fleet.stop().await;
    assert!(
        fs::read(&path).is_ok_and(|after| after == before),
        "the file was changed"
    );
    for ending in ["json.new", "json.unreadable"] {
        assert!(!beside(&path, ending), "{ending} was left");
    }

    let third = start_generation(&mut fleet, None);
    run_for(5.0).await;
    fleet.stop().await;

    let healthy = calls_of_generation(&fleet, first);
    let without_room = calls_of_generation(&fleet, second);
    let with_room_again = calls_of_generation(&fleet, third);
    let rotations = world.issuer().rotations().await;
    let sent_by_generation = |first: usize| {
        let pids = fleet.workers[first..first + PROGRAMS].iter();
        let pids: BTreeSet<_> = pids.map(Worker::pid).collect();
        let of = |rotation: &&Rotation| pids.contains(&pid_of(rotation));
        rotations.iter().filter(of).collect::<Vec<_>>()
    };
    let sent_without_room = sent_by_generation(second);
    let revoked = world.issuer().revoked().await;
    let failed: Vec<_> = without_room
        .iter()
        .filter(|call| !call.succeeded())
        .collect();
    let mut kinds = BTreeMap::new();
    for call in &failed {
        *kinds.entry(call.error.clone()).or_insert(0) += 1;
    }
    println!(
        "{} calls before; {} without room, {} of them failed {kinds:?}; {} after; {} token requests, \
         {} of them without room; {} families revoked",
        healthy.len(),
        without_room.len(),
        failed.len(),
        with_room_again.len(),
        rotations.len(),
        sent_without_room.len(),
        revoked.len(),
    );

    assert!(sent_without_room.is_empty(), "{sent_without_room:?}");
    assert!(revoked.is_empty(), "{revoked:?}");
    for call in healthy.iter().chain(&with_room_again) {
        assert!(call.succeeded(), "{call:?}");
    }
    // While there was no room, a user's calls failed after the last token had expired, not before;
    // the disk was full for everybody for so long; and nobody was told to sign in.
    let before_the_server = fleet.longest_token_request();
    let mut expires_at = HashMap::new();
    for rotation in sent_by_generation(first) {
        let user = rotation
            .account
            .clone()
            .expect("the server knows whose it is");
        expires_at.insert(user, rotation.came_at + f64::from(LIFETIME) * 1000.0);
    }
    for call in &failed {
        assert_eq!(call.error.as_deref(), Some("Store"), "{call:?}");
        assert!(call.transient, "{call:?}");
        assert!(
            call.at + call.took > expires_at[&call.user] - before_the_server,
            "with a good token: {call:?}"
        );
    }
    let everybody: BTreeSet<_> = world.users.iter().cloned().collect();
    assert_eq!(users(failed), everybody);
    // Nobody has signed in again, and all are well.
    assert_eq!(users(&with_room_again), everybody);
    let newcomer = world.source_with(FileStore::new(&path).expect("the path of a file"));
    for user in &world.users {
        let status = newcomer.status_of(&subject(user)).await;
        let status = status.expect("the file can be read");
        assert!(
            status.is_some_and(|status| status.has_refresh_token()),
            "{user}"
        );
    }
}

#[tokio::test]
async fn a_disk_that_is_full_and_has_room_again_at_any_moment_signs_nobody_out() {
    // F2, F4
    let _turn = turn().await;
    // No more, so that the lock is free for most of the time: a call waits 1.5 s for it.
    let (world, path) = start_with(12).await;
    let orders = Orders {
        store: Place::File(path.clone()),
        // Each program calls for everybody every two seconds.
        calls_per_second: 6.0,
        first_user_at: now(),
        next_user_after: 100.0,
        ..world.orders(PROGRAMS)
    };
    let mut fleet = world.fleet_with(0, orders);
    start_generation(&mut fleet, Some(MUCH_ROOM));
    run_for(2.0).await;
    let began_at = now();
    let limit = |fleet: &Fleet, bytes| {
        for worker in &fleet.workers {
            worker.set_longest_file(bytes);
        }
    };
    // Short, so that it often is full just when an answer has come, and there is something to save.
    while now() < began_at + duration().as_secs_f64() * 400.0 {
        limit(&fleet, ROOM);
        run_for(0.05 + 0.4 * fastrand::f64()).await;
        limit(&fleet, MUCH_ROOM);
        run_for(0.05 + 0.4 * fastrand::f64()).await;
    }
    let healed_at = now();
    run_for(RECOVERY + 2.5).await;
    check(&world, &mut fleet, began_at, healed_at).await;

    let lines = fleet.lines();
    let refused = lines
        .iter()
        .filter(|line| matches!(line, Line::StoreFailed { .. }))
        .count();
    // Each new refresh token is in the file in the end, however late.
    let saved_at: HashMap<_, _> = lines
        .iter()
        .filter_map(|line| match line {
            Line::Saved { at, refresh_token } => Some((refresh_token, at)),
            _ => None,
        })
        .collect();
    let rotations = world.issuer().rotations().await;
    let mut waited: Vec<_> = rotations
        .iter()
        .filter_map(|rotation| Some((rotation.issued.as_ref()?, rotation.answered_at)))
        .map(|(issued, answered_at)| match saved_at.get(issued) {
            Some(at) => *at - answered_at,
            None => panic!("was never written"),
        })
        .collect();
    let late = waited.iter().filter(|time| **time > 1000.0).count();
    println!(
        "{refused} times a store call failed; {late} new refresh tokens waited for room, the longest \
         {:.1} s",
        quantile(&mut waited, 1.0) / 1000.0
    );
    assert!(refused > 0, "the disk was never full");
    assert!(!beside(&path, "json.unreadable"));
}
