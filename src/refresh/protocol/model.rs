//! Drives flights through all that may happen to them within bounds, and checks at each step what we promise.
//!
//! The functions that the crate runs are driven, not a copy of them: [`Protocol`](super::Protocol) says what
//! is to be done, and the model does it to a store, a server and a clock of its own, with each outcome that
//! there can be. What `run.rs`, `shared.rs`, `local.rs` and `owner.rs` do around the protocol, `steps.rs` and its
//! neighbours do here: a change there may need one here.
//!
//! The bounds of a search are its [`Scenario`]: a fault that takes more flights, mishaps or long pauses than it
//! has is not found. What is left out, by assumption:
//! - a process that is suspended between its last look at the lease and the arrival of its request: no
//!   client can help that, only a fence at the server;
//! - two flights of one process at one session: a flight has the turn of its session (A6);
//! - servers that do not rotate, records that leave the store by themselves or cannot be read, refusals that do
//!   not say why (F5), and clocks that differ or are set.

mod choices;
mod flight;
mod outcomes;
mod process;
mod properties;
mod scenario;
mod search;
mod sending;
mod server;
mod steps;
mod store;
mod time;
mod turns;
mod world;
mod writing;

use scenario::Scenario;
use search::{Tally, explore};

/// Within this time the server takes a refresh token again: one repetition has time, two have not.
const GRACE: Option<time::Seconds> = Some(5);

/// One process, its store, and whatever may befall it.
const ONE: Scenario = Scenario {
    is_shared: true,
    processes: 1,
    flights: 3,
    mishaps: 3,
    pauses: 1,
    handovers: 0,
    grace: None,
};

const TWO: Scenario = Scenario {
    processes: 2,
    flights: 1,
    mishaps: 1,
    ..ONE
};

/// Explores `scenario`, and counts what happened; all the situations of `wanted` did.
fn check(scenario: &Scenario, least: usize, wanted: &[&str]) {
    let Tally {
        states,
        edges,
        deeds,
    } = explore(scenario, scenario.initial(), &properties::ALL);
    println!("{states} states and {edges} steps of {scenario:?}: {deeds:?}");
    // Fewer would mean that the model has lost something, and passes for that reason.
    assert!(states >= least, "only {states} states");
    for situation in wanted {
        assert!(deeds.contains_key(*situation), "never: {situation}");
    }
}

#[test]
fn one_process_with_a_store_keeps_what_we_promise() {
    // E3, F2, F5, F6, A4, H6
    let wanted = [
        "AnswerLost",
        "Crashed",
        "FoundInStore",
        "GaveUp",
        "Issued",
        "Lifted",
        "Lost",
        "NotOurs",
        "Rescued",
        "SentAgain",
        "StillUnsaved",
        "StoreDown",
        "Taken",
        "Unsaved",
    ];
    check(&ONE, 55_000, &wanted);
    let with_grace = Scenario {
        grace: GRACE,
        ..ONE
    };
    check(&with_grace, 130_000, &["TooLate", "Dead"]);
}

#[test]
fn one_process_without_a_store_keeps_what_we_promise() {
    // E3
    let private = Scenario {
        is_shared: false,
        mishaps: 2,
        ..ONE
    };
    check(
        &private,
        6_000,
        &["AnswerLost", "Issued", "Lifted", "SentAgain"],
    );
    let with_grace = Scenario {
        grace: GRACE,
        ..private
    };
    check(&with_grace, 12_000, &["TooLate", "Issued"]);
}

#[test]
fn two_processes_keep_what_we_promise() {
    // E3, F2, F5, F6, A4
    let wanted = [
        "AnswerLost",
        "Conflict",
        "Dead",
        "Dropped",
        "FoundInStore",
        "GaveUp",
        "NotOurs",
        "OtherTooSlow",
        "Rescued",
    ];
    check(&TWO, 80_000, &wanted);
    let with_grace = Scenario {
        grace: GRACE,
        ..TWO
    };
    check(&with_grace, 100_000, &["TooLate"]);
}

#[test]
fn two_processes_with_several_flights_keep_what_we_promise() {
    // E3, F2, F5, F6
    let several = Scenario {
        flights: 2,
        pauses: 0,
        ..TWO
    };
    check(&several, 25_000, &["Lifted", "Rescued"]);
    let with_more_mishaps = Scenario {
        mishaps: 2,
        grace: GRACE,
        ..several
    };
    check(&with_more_mishaps, 250_000, &["Dropped"]);
}

#[test]
fn a_session_that_ends_under_way_is_left_alone() {
    // F10
    let wanted = [
        "Conflict",
        "Dropped",
        "NobodySignedIn",
        "NotOurs",
        "SessionChanged { is_gone: false }",
        "SessionChanged { is_gone: true }",
    ];
    let handover = Scenario {
        pauses: 0,
        handovers: 1,
        ..TWO
    };
    check(&handover, 17_000, &wanted);
    let after_a_pause = Scenario {
        flights: 2,
        mishaps: 2,
        handovers: 1,
        grace: GRACE,
        ..ONE
    };
    check(&after_a_pause, 80_000, &[]);
}

#[test]
fn three_processes_keep_what_we_promise() {
    // E3, F2, F6
    let three = Scenario {
        processes: 3,
        pauses: 0,
        ..TWO
    };
    check(
        &three,
        35_000,
        &["AnswerLost", "FoundInStore", "GaveUp", "OtherTooSlow"],
    );
}
