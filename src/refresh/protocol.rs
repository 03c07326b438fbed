//! What a flight does, step by step: an event in, a command out.
//!
//! No I/O and no clock: [`run`](crate::refresh::run) carries the commands out and tells what came of
//! them, and a model checker does the same with every outcome that there can be (`model.rs`).
//!
//! ```text
//! Look -> Enter -> Lease -> Mark -> Send -> Commit -> Done
//!  ^        |        |        |       |        |
//!  |        |        | taken  |       | may be | another flight was faster
//!  |        |        v        |       | sent   v
//!  |        |      Sleep      |       | again Release -> Look
//!  +--------|--------+        |       v
//!           |                 |     Sleep -> Enter -> Mark
//!           v                 v       | may not
//!       Release, Done     Release     v
//!                                   Write -> Release -> Done
//! ```
//!
//! Before the end with a dead refresh token comes, once, `Reload -> Look`, where another program may have a
//! newer one (K13).
//!
//! The place in the server's queue comes before the lease, so that of those who queue none keeps another
//! process from a refresh token, nor the store busy with renewals; and whoever has to wait for anything
//! but a store call or its own answer gives the place back (A7).

use std::time::Duration;

use crate::clock::Moment;
use crate::session::record::Origin;
use crate::session::state::{self, Circumstances, Leave, RefreshTokenState};
use crate::store::Version;

/// How often a flight begins anew because the record was changed under its hands.
const MOST_CONFLICTS: u8 = 5;
/// Looks that are further apart miss what a store that comes back shows for a moment: each look may
/// take 2 s.
const LONGEST_GAP: Duration = Duration::from_secs(3);

/// What one flight has to keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rules {
    /// The tokens are a user's: without the store nothing is sent (F4).
    pub(crate) for_user: bool,
    /// The grant can do nothing without a refresh token.
    pub(crate) needs_refresh_token: bool,
    /// An API has refused the access token: there is nothing left that a lost answer could end (E3).
    pub(crate) by_refusal: bool,
    /// How long the server takes a refresh token a second time (`reuse_grace`).
    pub(crate) grace: Option<Duration>,
    /// How long another process's lease is waited for.
    pub(crate) patience: Duration,
    /// The record is in the memory of this process: a look costs nothing, and finds what other flights
    /// have brought while this one slept.
    pub(crate) in_memory: bool,
    /// Somebody may know a newer refresh token than one that is dead (K13).
    pub(crate) reloads: bool,
    /// What tells this flight's marks from those of others.
    pub(crate) mark: Version,
}

/// What a flight sees of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    /// The session that the tokens of this process are of, if it has any.
    pub(crate) known: Option<Origin>,
    /// The session of the record; `None` if there is no record.
    pub(crate) origin: Option<Origin>,
    /// This process has signed the user in or out since the flight began.
    pub(crate) is_superseded: bool,
    /// The record has an access token that does what the flight is for.
    pub(crate) serves: bool,
    pub(crate) has_refresh_token: bool,
    pub(crate) state: RefreshTokenState,
    /// It is unclear whether the refresh token is dead, and it was tried a while ago only (F5).
    pub(crate) rests: bool,
    /// There is an access token that another use of the refresh token might end.
    pub(crate) protects: bool,
}

/// What came of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// A look was answered, or the lease taken and the record read under it.
    Seen(Seen),
    /// Another process has the lease.
    Taken,
    /// The store gave no answer, or an error.
    NotAnswered,
    /// There is a place in the server's queue.
    Entered,
    /// There is none to be had.
    Barred,
    Slept,
    /// The record, or what was unsaved, is written.
    Written,
    /// Another version of the record was there.
    Overtaken,
    /// Nothing was sent: the lease may be another process's by now, or the session is another.
    NotOurs,
    /// The server has answered with tokens.
    Answered,
    /// The attempt has failed; `repeatable` if nothing but the refresh token speaks against another
    /// one, after `pause`.
    Failed {
        fate: Fate,
        repeatable: bool,
        pause: Duration,
    },
    /// The tokens are where they are safe. `again` if they may be dead as well, since an API has refused
    /// the token before them while they were asked for (C2).
    Committed {
        again: bool,
    },
    /// The store did not take the tokens. They are served from memory, and brought to safety by others,
    /// who have the lease from now on (F2).
    Unsaved,
    Released,
    /// There is another refresh token than the one that is dead.
    Reloaded,
    NothingNewer,
}

/// What an attempt that failed means for the refresh token that it spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    /// The server did not get it, or says that it did not take it.
    NotTaken,
    /// The server got it and failed (500); what it spends, it spends at the end.
    ServerFailed,
    /// The server may have got it, and no complete answer came.
    Lost,
    /// The server took it, and nothing of its answer can be used.
    Unusable,
    /// The server refused the request, and said nothing that ends the refresh token.
    Refused,
    /// The server says that it is dead.
    Dead,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Command {
    /// Offer the store what it did not take from the flight before.
    SaveUnsaved,
    /// Read the record.
    Look,
    /// Get a place in the server's queue; at its head for a flight that `returns`.
    Enter {
        returns: bool,
    },
    /// Take the lease, and read the record under it.
    Lease,
    /// Give the place back, and wait.
    Sleep(Nap),
    /// Write into the record that the refresh token is about to be sent.
    Mark(RefreshTokenState),
    /// Send the request, if the lease is still ours.
    Send,
    /// Write what has become of the refresh token.
    Write(RefreshTokenState),
    /// Bring what the answer brought to where it is safe, and give the lease back with it.
    Commit,
    /// Give the lease back.
    Release,
    /// Ask for a newer refresh token than the one that is dead.
    Reload,
    Done(End),
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Nap {
    /// Until the next look at a record: 50 to 250 ms.
    Poll,
    /// Until the next attempt.
    For(Duration),
}

/// What a flight has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    /// The server has answered with tokens.
    Issued,
    /// The record has a token that another process got.
    FoundInStore,
    /// The last attempt has failed.
    Failed,
    /// No place in the server's queue was to be had.
    Barred,
    /// The answer to the refresh token is lost, and sending it again would be a risk (E3).
    AnswerLost,
    /// The answer was lost, and in the time until the request could be repeated its grace has passed.
    TooLate,
    /// The user has signed out or in again; `is_gone` if there is no session any more.
    SessionChanged { is_gone: bool },
    /// No session, or one without a refresh token.
    NobodySignedIn,
    /// The refresh token is dead.
    Dead,
    /// It is unclear whether it is.
    InDoubt,
    /// The store cannot be asked.
    StoreDown,
    /// The store has not taken the newest refresh token yet.
    StillUnsaved,
    /// Another process has the lease and does not come to an end.
    OtherTooSlow,
    /// The record is changed time and again.
    TooManyConflicts,
}

/// For how long a flight has been looking at a record without a gap. In a queue it sees nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Watch(Option<(Moment, Moment)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    SavingUnsaved,
    Looking,
    Entering,
    Leasing,
    Polling,
    Marking,
    Sending,
    Pausing,
    Writing(End),
    Committing,
    /// With the end that comes after it; `None` if the flight begins anew.
    Releasing(Option<End>),
    /// With the end that comes if there is no newer refresh token.
    Reloading(End),
    Done,
}

/// One flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Protocol {
    rules: Rules,
    phase: Phase,
    seen: Seen,
    watch: Watch,
    /// Whether the store is asked at all. Without it an application's token is fetched all the same, and
    /// no refresh token is spent (F4).
    is_stored: bool,
    is_leased: bool,
    has_place: bool,
    has_had_place: bool,
    /// Since when it has met another process's lease, and has not had it itself.
    taken_since: Option<Moment>,
    /// The record says that this flight sends the refresh token.
    is_marked: bool,
    /// What the refresh token was before this flight marked it.
    judged: RefreshTokenState,
    conflicts: u8,
    has_reloaded: bool,
    /// What this flight has sent of a refresh token to which no tokens have come yet.
    sent: Option<Sent>,
}

/// The sending of a refresh token, with its repetitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Sent {
    first: Moment,
    /// An answer to one of them is lost.
    is_lost: bool,
}

impl Protocol {
    /// A flight whose turn has come.
    pub(crate) fn begin(rules: Rules, has_unsaved: bool) -> (Self, Command) {
        let mut flight = Self {
            rules,
            phase: Phase::Looking,
            seen: Seen::default(),
            watch: Watch::default(),
            is_stored: true,
            is_leased: false,
            has_place: false,
            has_had_place: false,
            taken_since: None,
            is_marked: false,
            judged: RefreshTokenState::Ready,
            conflicts: 0,
            has_reloaded: false,
            sent: None,
        };
        let command = if has_unsaved {
            flight.phase = Phase::SavingUnsaved;
            Command::SaveUnsaved
        } else {
            flight.look()
        };
        (flight, command)
    }

    /// Whether the request that is about to be sent spends the refresh token.
    pub(crate) fn spends(&self) -> bool {
        self.is_stored && self.seen.has_refresh_token
    }

    /// What tells this flight's marks from those of others.
    pub(crate) fn own_mark(&self) -> Version {
        self.rules.mark
    }

    /// Whether the store was asked, and takes what comes.
    pub(crate) fn is_stored(&self) -> bool {
        self.is_stored
    }

    /// What the flight knows of the refresh token.
    pub(crate) fn state(&self) -> RefreshTokenState {
        self.seen.state
    }

    /// What is next. An event that cannot come in a phase ends the flight: nothing is sent that was not
    /// thought of.
    pub(crate) fn step(&mut self, event: Event, now: Moment) -> Command {
        match (self.phase, event) {
            (Phase::SavingUnsaved, Event::Written) => self.look(),
            (Phase::SavingUnsaved, Event::NotAnswered) if self.needs_store() => {
                self.end(End::StillUnsaved)
            }
            (Phase::SavingUnsaved, Event::NotAnswered) => self.without_store(now),
            (Phase::Looking, Event::Seen(seen)) => self.has_seen(seen, now),
            (Phase::Leasing, Event::Seen(seen)) => {
                self.is_leased = true;
                self.taken_since = None;
                self.has_seen(seen, now)
            }
            (Phase::Leasing, Event::Taken) => self.wait_for_the_other(now),
            (Phase::Looking | Phase::Leasing, Event::NotAnswered) => self.without_store(now),
            (Phase::Polling, Event::Slept) => self.look(),
            (Phase::Entering, Event::Entered) => self.has_entered(now),
            (Phase::Entering, Event::Barred) => self.conclude(End::Barred),
            (Phase::Marking, Event::Written) => {
                self.is_marked = true;
                if self.is_late(self.judged, now) {
                    self.learn(state::Event::NotTaken, now);
                    return self.conclude(End::TooLate);
                }
                self.send()
            }
            (Phase::Marking, Event::Overtaken) => self.restart(),
            (Phase::Marking, Event::NotAnswered) => self.end(End::StoreDown),
            (Phase::Sending, Event::NotOurs) => self.restart(),
            (Phase::Sending, Event::Answered) => self.has_tokens(now),
            (
                Phase::Sending,
                Event::Failed {
                    fate,
                    repeatable,
                    pause,
                },
            ) => self.has_failed(fate, repeatable, pause, now),
            (Phase::Pausing, Event::Slept) if self.rules.in_memory => self.look(),
            (Phase::Pausing, Event::Slept) => self.enter(),
            (Phase::Writing(_), Event::Overtaken) if self.seen.state == RefreshTokenState::Dead => {
                // Another flight was faster, or the user signed in again: theirs is read, and used (F5).
                self.restart()
            }
            // If it is not written, the mark stays, and others wait longer than they would have to.
            (Phase::Writing(end), Event::Written | Event::Overtaken | Event::NotAnswered) => {
                self.end(end)
            }
            (Phase::Committing, Event::Committed { again: false }) => self.end(End::Issued),
            (Phase::Committing, Event::Committed { again: true }) => self.enter(),
            // Not again, whatever the APIs have made of it: a refresh token that the store does not have
            // would be spent.
            (Phase::Committing, Event::Unsaved) => {
                self.is_leased = false;
                self.end(End::Issued)
            }
            (Phase::Committing, Event::Overtaken) => self.restart(),
            (Phase::Releasing(end), Event::Released) => {
                self.is_leased = false;
                match end {
                    Some(end) => self.end(end),
                    None => self.look(),
                }
            }
            (Phase::Reloading(_), Event::Reloaded) => {
                self.sent = None;
                self.look()
            }
            (Phase::Reloading(end), Event::NothingNewer) => self.end(end),
            (Phase::Reloading(_), Event::NotAnswered) => self.end(End::StoreDown),
            _ => self.end(End::Failed),
        }
    }

    fn look(&mut self) -> Command {
        self.phase = Phase::Looking;
        Command::Look
    }

    fn has_seen(&mut self, seen: Seen, now: Moment) -> Command {
        self.seen = seen;
        self.watch.look(now);
        if let Some(end) = self.settled() {
            return self.end(end);
        }
        if self.is_leased {
            self.judge(now)
        } else {
            self.enter()
        }
    }

    /// What the record alone decides: there is a token that no call of this process has used, the user is
    /// gone, or the refresh token is known to be dead.
    fn settled(&self) -> Option<End> {
        let seen = &self.seen;
        let is_another = seen.known.is_some() && seen.origin != seen.known;
        if self.rules.for_user && (seen.is_superseded || is_another) {
            let was_signed_in = matches!(seen.known, Some(Origin::SignIn(_)));
            let is_gone = was_signed_in && !seen.is_superseded && seen.origin.is_none();
            return Some(End::SessionChanged { is_gone });
        }
        if seen.serves {
            return Some(End::FoundInStore);
        }
        if self.rules.needs_refresh_token && !seen.has_refresh_token {
            return Some(End::NobodySignedIn);
        }
        if seen.state == RefreshTokenState::Dead {
            return Some(End::Dead);
        }
        seen.rests.then_some(End::InDoubt)
    }

    /// What may be done with the refresh token, under the lease.
    fn judge(&mut self, now: Moment) -> Command {
        if !self.spends() {
            return self.go_on(now);
        }
        match self.leave_in(self.seen.state, now) {
            Leave::Send => self.go_on(now),
            Leave::Watch => self.sleep(Phase::Polling, Nap::Poll),
            Leave::Nothing => self.end(End::Dead),
            Leave::LetBe => match self.seen.state {
                // Written down, so that no other flight has to watch the record again.
                RefreshTokenState::Sent { .. } => {
                    self.learn(state::Event::NoAnswerComes, now);
                    self.write(End::AnswerLost)
                }
                _ => self.end(End::AnswerLost),
            },
        }
    }

    fn leave_in(&self, state: RefreshTokenState, now: Moment) -> Leave {
        state.leave(&Circumstances {
            now: now.wall,
            watched: self.watch.lasted(),
            grace: self.rules.grace,
            protects: self.seen.protects && !self.rules.by_refusal,
        })
    }

    fn go_on(&mut self, now: Moment) -> Command {
        if self.has_place {
            self.mark(now)
        } else {
            self.enter()
        }
    }

    fn enter(&mut self) -> Command {
        self.phase = Phase::Entering;
        Command::Enter {
            returns: self.has_had_place,
        }
    }

    fn has_entered(&mut self, now: Moment) -> Command {
        self.has_place = true;
        self.has_had_place = true;
        if self.is_leased || !self.is_stored {
            self.mark(now)
        } else {
            self.phase = Phase::Leasing;
            Command::Lease
        }
    }

    /// For each attempt anew: in between the lease may have run out, and another process have spent the
    /// refresh token, although the store gives the lease back by now.
    fn mark(&mut self, now: Moment) -> Command {
        if !self.spends() {
            return self.send();
        }
        // The queue, or a server that was busy in between, may have taken longer than the server forgives.
        if self.is_late(self.seen.state, now) {
            return self.conclude(End::TooLate);
        }
        self.judged = self.seen.state;
        self.learn(state::Event::AboutToSend(self.rules.mark), now);
        self.sent.get_or_insert(Sent {
            first: now,
            is_lost: false,
        });
        self.phase = Phase::Marking;
        Command::Mark(self.seen.state)
    }

    /// Whether there is no leave any more for a refresh token in this state, which there was when it was
    /// judged: an earlier answer is lost, and the time in which the server forgives has passed in the queue,
    /// in a pause, or while the store was at it.
    fn is_late(&self, state: RefreshTokenState, now: Moment) -> bool {
        let is_lost = self.sent.is_some_and(|sent| sent.is_lost);
        (is_lost && !self.is_in_grace(Duration::ZERO, now))
            || self.leave_in(state, now) != Leave::Send
    }

    fn send(&mut self) -> Command {
        self.phase = Phase::Sending;
        Command::Send
    }

    fn has_tokens(&mut self, now: Moment) -> Command {
        self.learn(state::Event::Answered, now);
        self.is_marked = false;
        self.sent = None;
        self.has_place = false;
        self.phase = Phase::Committing;
        Command::Commit
    }

    fn has_failed(
        &mut self,
        fate: Fate,
        repeatable: bool,
        pause: Duration,
        now: Moment,
    ) -> Command {
        let may_repeat = repeatable && self.may_repeat(fate, pause, now);
        self.has_place = false;
        if self.spends() {
            if let Some(sent) = &mut self.sent {
                sent.is_lost |= fate.is_loss();
            }
            self.learn(fate.as_event(), now);
        }
        if may_repeat {
            return self.sleep(Phase::Pausing, Nap::For(pause));
        }
        self.conclude(End::Failed)
    }

    /// Whether an attempt that ended like this may be made again at once (E3).
    fn may_repeat(&self, fate: Fate, pause: Duration, now: Moment) -> bool {
        match fate {
            Fate::NotTaken => true,
            Fate::ServerFailed => !self.spends(),
            // The server may have rotated already; a second use of the old one would look like theft.
            Fate::Lost => !self.spends() || self.is_in_grace(pause, now),
            Fate::Unusable | Fate::Refused | Fate::Dead => false,
        }
    }

    /// Whether the refresh token that this flight has sent may be sent again after `pause`.
    fn is_in_grace(&self, pause: Duration, now: Moment) -> bool {
        let since = self.sent.map(|sent| now.since(sent.first) + pause);
        let grace = self.rules.grace;
        since.zip(grace).is_some_and(|(since, grace)| since < grace)
    }

    /// Ends, and writes what has become of the refresh token if the record says that it is being sent.
    fn conclude(&mut self, end: End) -> Command {
        if self.is_marked {
            self.write(end)
        } else {
            self.end(end)
        }
    }

    fn write(&mut self, end: End) -> Command {
        self.is_marked = false;
        self.phase = Phase::Writing(end);
        Command::Write(self.seen.state)
    }

    /// The record is not what it was: it is read again, and never overwritten.
    fn restart(&mut self) -> Command {
        self.is_marked = false;
        self.has_place = false;
        self.sent = None;
        self.conflicts += 1;
        let end = (self.conflicts > MOST_CONFLICTS).then_some(End::TooManyConflicts);
        self.phase = Phase::Releasing(end);
        Command::Release
    }

    /// Counted from when the lease was met: what the flight has spent in queues before that says nothing of
    /// the other (A5).
    fn wait_for_the_other(&mut self, now: Moment) -> Command {
        let since = *self.taken_since.get_or_insert(now);
        if now.waited_since(since) > self.rules.patience {
            return self.end(End::OtherTooSlow);
        }
        self.sleep(Phase::Polling, Nap::Poll)
    }

    fn sleep(&mut self, phase: Phase, nap: Nap) -> Command {
        self.has_place = false;
        self.phase = phase;
        Command::Sleep(nap)
    }

    /// F4: a second request for an application's own token does no harm; a refresh token that the store
    /// cannot hear of is not spent.
    fn without_store(&mut self, now: Moment) -> Command {
        if self.needs_store() {
            return self.end(End::StoreDown);
        }
        self.is_stored = false;
        self.go_on(now)
    }

    fn needs_store(&self) -> bool {
        self.rules.for_user || self.rules.needs_refresh_token
    }

    fn end(&mut self, end: End) -> Command {
        self.has_place = false;
        if self.is_leased {
            self.phase = Phase::Releasing(Some(end));
            return Command::Release;
        }
        let is_dead = self.seen.state == RefreshTokenState::Dead;
        if is_dead && self.rules.reloads && !self.has_reloaded {
            self.has_reloaded = true;
            self.phase = Phase::Reloading(end);
            return Command::Reload;
        }
        self.phase = Phase::Done;
        Command::Done(end)
    }

    fn learn(&mut self, event: state::Event, now: Moment) {
        self.seen.state = self.seen.state.next(event, now.wall);
    }
}

impl Fate {
    /// Whether what it spent may be spent without anything to show for it.
    pub(crate) fn is_loss(self) -> bool {
        matches!(self, Self::Lost | Self::Unusable)
    }

    /// What it is to the refresh token. A server that fails (500) says so: it has not taken it.
    fn as_event(self) -> state::Event {
        match self {
            Self::NotTaken | Self::ServerFailed | Self::Refused => state::Event::NotTaken,
            Self::Lost | Self::Unusable => state::Event::Lost,
            Self::Dead => state::Event::Refused,
        }
    }
}

impl Watch {
    /// The store has answered a look at the record.
    fn look(&mut self, now: Moment) {
        let since = match self.0 {
            Some((since, last)) if now.waited_since(last) < LONGEST_GAP => since,
            _ => now,
        };
        self.0 = Some((since, now));
    }

    /// How long ago the first look was, if no gap came after it.
    fn lasted(&self) -> Duration {
        self.0
            .map_or(Duration::ZERO, |(since, last)| last.waited_since(since))
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
