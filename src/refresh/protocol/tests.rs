//! What the model's worlds do not tell apart: ends that another guard would reach as well, later.

use std::time::Duration;

use super::{Command, End, Event, Fate, Nap, Protocol, Rules, Seen};
use crate::clock::Moment;
use crate::session::state::RefreshTokenState;
use crate::store::Version;

fn at(seconds: u64) -> Moment {
    Moment {
        monotonic: Duration::from_secs(seconds),
        wall: Duration::from_secs(seconds),
    }
}

fn rules() -> Rules {
    Rules {
        for_user: true,
        needs_refresh_token: true,
        by_refusal: false,
        grace: Some(Duration::from_secs(10)),
        patience: Duration::from_secs(40),
        in_memory: false,
        reloads: false,
        mark: Version::of_bytes(b"mark"),
    }
}

fn seen(state: RefreshTokenState) -> Seen {
    Seen {
        has_refresh_token: true,
        state,
        protects: true,
        ..Seen::default()
    }
}

/// Those of a program that keeps its refresh token itself, and can be asked for a newer one.
fn reloading() -> Rules {
    Rules {
        for_user: false,
        in_memory: true,
        reloads: true,
        ..rules()
    }
}

/// The server says that the refresh token is dead.
fn dead() -> Event {
    Event::Failed {
        fate: Fate::Dead,
        repeatable: true,
        pause: Duration::ZERO,
    }
}

/// Takes one event after the other, and returns the command that follows the last one.
fn told(flight: &mut Protocol, events: &[Event], now: Moment) -> Option<Command> {
    let mut command = None;
    for event in events {
        command = Some(flight.step(*event, now));
    }
    command
}

/// From the look to the request.
fn until_sent() -> [Event; 4] {
    let ready = Event::Seen(seen(RefreshTokenState::Ready));
    [ready, Event::Entered, ready, Event::Written]
}

#[test]
fn a_refresh_token_that_is_known_to_be_dead_waits_in_no_queue() {
    // F5, A7
    let (mut flight, _) = Protocol::begin(rules(), false);
    let dead = Event::Seen(seen(RefreshTokenState::Dead));
    assert_eq!(flight.step(dead, at(0)), Command::Done(End::Dead));
}

#[test]
fn a_flight_asks_once_for_a_newer_refresh_token_than_a_dead_one() {
    // K13: or two programs that have only dead ones would keep a server busy.
    let (mut flight, _) = Protocol::begin(reloading(), false);
    let dead = dead();
    let refused = [dead, Event::Written];
    assert_eq!(told(&mut flight, &until_sent(), at(0)), Some(Command::Send));
    assert_eq!(told(&mut flight, &refused, at(0)), Some(Command::Release));
    assert_eq!(flight.step(Event::Released, at(0)), Command::Reload);
    assert_eq!(flight.step(Event::Reloaded, at(0)), Command::Look);
    assert_eq!(told(&mut flight, &until_sent(), at(0)), Some(Command::Send));
    let last = told(&mut flight, &[dead, Event::Written, Event::Released], at(0));
    assert_eq!(last, Some(Command::Done(End::Failed)));
}

#[test]
fn an_answer_that_was_lost_to_a_dead_refresh_token_says_nothing_of_the_newer_one() {
    // K13, E3
    let (mut flight, _) = Protocol::begin(reloading(), false);
    told(&mut flight, &until_sent(), at(0));
    let lost = Event::Failed {
        fate: Fate::Lost,
        repeatable: true,
        pause: Duration::from_secs(1),
    };
    told(&mut flight, &[lost, Event::Slept], at(1));
    let again = [
        Event::Seen(seen(flight.state())),
        Event::Entered,
        Event::Written,
    ];
    assert_eq!(told(&mut flight, &again, at(2)), Some(Command::Send));
    let refused = [dead(), Event::Written, Event::Released];
    assert_eq!(told(&mut flight, &refused, at(3)), Some(Command::Reload));
    flight.step(Event::Reloaded, at(60));
    let newer = told(&mut flight, &until_sent(), at(60));
    assert_eq!(newer, Some(Command::Send));
}

#[test]
fn another_s_lease_is_waited_for_from_when_it_is_met() {
    // A5, F3: before that the flight was in a queue, which is no fault of the other's.
    let (mut flight, _) = Protocol::begin(rules(), false);
    let ready = Event::Seen(seen(RefreshTokenState::Ready));
    let poll = Some(Command::Sleep(Nap::Poll));
    let again = [Event::Slept, ready, Event::Entered, Event::Taken];
    assert_eq!(told(&mut flight, &again[1..], at(41)), poll);
    assert_eq!(told(&mut flight, &again, at(81)), poll);
    // It is the flight's own for a moment, and the record is changed under its hands.
    let leased = [Event::Slept, ready, Event::Entered, ready];
    told(&mut flight, &leased, at(81));
    told(&mut flight, &[Event::Overtaken, Event::Released], at(81));
    assert_eq!(told(&mut flight, &again[1..], at(82)), poll);
    assert_eq!(told(&mut flight, &again, at(122)), poll);
    let too_slow = Some(Command::Done(End::OtherTooSlow));
    assert_eq!(told(&mut flight, &again, at(123)), too_slow);
}

#[test]
fn what_a_watch_in_vain_has_shown_is_written_down() {
    // F6, E3: or each flight would watch anew, and the call after the expiry would wait for that.
    let (mut flight, _) = Protocol::begin(rules(), false);
    let since = Duration::from_secs(50);
    let by_another = Event::Seen(seen(RefreshTokenState::Sent {
        since,
        by: Version::of_bytes(b"another"),
        after_loss: false,
    }));
    let leased = [by_another, Event::Entered, by_another];
    let poll = Some(Command::Sleep(Nap::Poll));
    assert_eq!(told(&mut flight, &leased, at(100)), poll);
    for second in 101..106 {
        let look = [Event::Slept, by_another];
        assert_eq!(told(&mut flight, &look, at(second)), poll);
    }
    let lost = Command::Write(RefreshTokenState::AnswerLost { since });
    let last = told(&mut flight, &[Event::Slept, by_another], at(106));
    assert_eq!(last, Some(lost));
    let end = told(&mut flight, &[Event::Written, Event::Released], at(106));
    assert_eq!(end, Some(Command::Done(End::AnswerLost)));
}

#[test]
fn a_record_that_is_changed_time_and_again_is_given_up() {
    // F2, A4
    let (mut flight, _) = Protocol::begin(rules(), false);
    let ready = Event::Seen(seen(RefreshTokenState::Ready));
    let round = [
        ready,
        Event::Entered,
        ready,
        Event::Overtaken,
        Event::Released,
    ];
    for _ in 0..5 {
        assert_eq!(told(&mut flight, &round, at(0)), Some(Command::Look));
    }
    let last = told(&mut flight, &round, at(0));
    assert_eq!(last, Some(Command::Done(End::TooManyConflicts)));
}

#[test]
fn an_answer_ends_what_was_lost_before_it() {
    // C2, E3: the request after it spends another refresh token.
    let (mut flight, _) = Protocol::begin(rules(), false);
    let sent = told(&mut flight, &until_sent(), at(0));
    assert_eq!(sent, Some(Command::Send));
    let pause = Duration::from_secs(1);
    let lost = Event::Failed {
        fate: Fate::Lost,
        repeatable: true,
        pause,
    };
    let again = [lost, Event::Slept, Event::Entered, Event::Written];
    assert_eq!(told(&mut flight, &again, at(1)), Some(Command::Send));
    // An API has refused the token before it meanwhile.
    let answered = [
        Event::Answered,
        Event::Committed { again: true },
        Event::Entered,
        Event::Written,
    ];
    assert_eq!(told(&mut flight, &answered, at(60)), Some(Command::Send));
}
