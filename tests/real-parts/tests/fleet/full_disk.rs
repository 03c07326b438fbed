//! Several command-line programs on one file, and the disk is full.
//!
//! For the programs of the second generation no file gets longer than a part of the file of tokens,
//! so they can read it and never replace it. A lease, which is in a file of its own, they still get;
//! so nothing but the mark before sending keeps them from spending a refresh token whose successor
//! they could not write.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::time::Duration;

use real_parts::fleet::{Call, Line, Orders, Place, now};
use real_parts::{Rotation, Worker};
use reqwest_bearer::{FileStore, StoreKey, StoredRecord, TokenStore as _, Version};

use crate::file::PROGRAMS;
use crate::killed::{pid_of, users};
use crate::{Fleet, LIFETIME, World, duration, run_for, subject, turn};

/// What no program of the second generation can write more of. Its log, which is a file as well,
/// stays far below.
const ROOM: usize = 128 * 1024;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// We count a token's life from before the request was sent (B8), the server from when it came.
const BEFORE_SENDING: f64 = 100.0;

/// Makes the file longer than the room that there will be.
async fn fill(store: &FileStore) {
    let data = vec![b'x'; 2 * ROOM];
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

fn beside(path: &Path, ending: &str) -> bool {
    path.with_extension(ending).exists()
}

#[tokio::test]
async fn programs_for_which_the_disk_is_full_spend_no_refresh_token_and_sign_nobody_out() {
    // F2, F4, F6
    let _turn = turn().await;
    let world = World::start_with(8).await;
    let path = world.folder.join("tokens.json");
    let store = FileStore::new(&path).expect("the path of a file");
    fill(&store).await;
    world.sign_all_in(&world.source_with(store)).await;
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
            call.at + call.took > expires_at[&call.user] - BEFORE_SENDING,
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
