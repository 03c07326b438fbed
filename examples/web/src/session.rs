//! The sessions of the browsers: what this application knows behind a cookie.

pub(crate) mod cookie;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use openidconnect::{Nonce, PkceCodeVerifier};
use reqwest_bearer::Subject;

use crate::random::unguessable;

/// How long a sign-in may take.
const SIGN_IN_TIME: Duration = Duration::from_secs(10 * 60);
/// How long a signed-in browser may be silent.
const IDLE_TIME: Duration = Duration::from_secs(12 * 60 * 60);
/// Tabs of one browser that are signing in at the same time; the oldest one gives way.
const MOST_SIGN_INS: usize = 5;
/// Browsers that began a sign-in. Beginning costs a stranger nothing, so the room is limited.
const MOST_STRANGERS: usize = 10_000;

/// What the cookie holds: 256 random bits, which say nothing.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(String);

/// Who signed in, as the id token says.
#[derive(Clone)]
pub(crate) struct User {
    /// `sub`: unique at the provider.
    pub(crate) subject: String,
    /// For people to read.
    pub(crate) name: String,
}

/// A browser whose user is signed in. Handlers take it as an argument.
#[derive(Clone)]
pub(crate) struct SignedIn {
    pub(crate) session: SessionId,
    pub(crate) user: User,
    /// Whose tokens the calls go out with: the session's, so that a user who is signed in on two
    /// machines can sign out of one of them.
    pub(crate) tokens_of: Subject,
}

/// A sign-in that the provider has yet to answer.
pub(crate) struct PendingSignIn {
    pub(crate) state: String,
    pub(crate) nonce: Nonce,
    pub(crate) code_verifier: PkceCodeVerifier,
    /// The path to go to afterwards.
    pub(crate) next: String,
}

enum Session {
    /// Somebody who may be signing in.
    Stranger(Vec<PendingSignIn>),
    SignedIn(Box<SignedIn>),
}

struct Entry {
    session: Session,
    last_seen: Instant,
}

/// All sessions, in memory: a restart of this example signs everybody out.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<SessionId, Entry>>);

impl Sessions {
    /// Whose session this is, if somebody is signed in. Being asked keeps a session alive.
    pub(crate) fn signed_in(&self, id: &SessionId) -> Option<SignedIn> {
        let mut entries = self.lock();
        let entry = entries.get_mut(id).filter(|entry| !entry.is_over())?;
        match &entry.session {
            Session::Stranger(_) => None,
            Session::SignedIn(signed_in) => {
                entry.last_seen = Instant::now();
                Some(SignedIn::clone(signed_in))
            }
        }
    }

    /// Remembers a sign-in that begins in this session, or in a new one if there is none. Returns
    /// the session's id.
    pub(crate) fn begin_sign_in(
        &self,
        session: Option<&SessionId>,
        sign_in: PendingSignIn,
    ) -> Result<SessionId, getrandom::Error> {
        let mut entries = self.lock();
        if let Some(id) = session
            && let Some(entry) = entries.get_mut(id)
            && let Session::Stranger(sign_ins) = &mut entry.session
        {
            if sign_ins.len() >= MOST_SIGN_INS {
                sign_ins.remove(0);
            }
            sign_ins.push(sign_in);
            entry.last_seen = Instant::now();
            return Ok(id.clone());
        }
        make_room_for_a_stranger(&mut entries);
        let id = SessionId::new()?;
        entries.insert(id.clone(), Entry::new(Session::Stranger(vec![sign_in])));
        Ok(id)
    }

    /// The sign-in that began in this session with this `state`. It is taken out, since its code
    /// works once.
    pub(crate) fn take_sign_in(&self, session: &SessionId, state: &str) -> Option<PendingSignIn> {
        let mut entries = self.lock();
        let entry = entries.get_mut(session).filter(|entry| !entry.is_over())?;
        let Session::Stranger(sign_ins) = &mut entry.session else {
            return None;
        };
        let place = sign_ins.iter().position(|known| known.state == state)?;
        Some(sign_ins.remove(place))
    }

    /// Puts a signed-in session in place of the stranger's one, whose id is worth nothing any more:
    /// somebody else may have planted it (session fixation).
    pub(crate) fn sign_in(&self, before: &SessionId, signed_in: SignedIn) {
        let mut entries = self.lock();
        entries.remove(before);
        let id = signed_in.session.clone();
        entries.insert(id, Entry::new(Session::SignedIn(Box::new(signed_in))));
    }

    /// Ends a session.
    pub(crate) fn end(&self, id: &SessionId) {
        self.lock().remove(id);
    }

    /// Takes out the sessions whose time is over, and returns those who were signed in.
    pub(crate) fn take_those_over(&self) -> Vec<SignedIn> {
        let over = self
            .lock()
            .extract_if(|_, entry| entry.is_over())
            .collect::<Vec<_>>();
        let signed_in = over
            .into_iter()
            .filter_map(|(_, entry)| match entry.session {
                Session::Stranger(_) => None,
                Session::SignedIn(signed_in) => Some(*signed_in),
            });
        signed_in.collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionId {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        unguessable().map(Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Entry {
    fn new(session: Session) -> Self {
        Self {
            session,
            last_seen: Instant::now(),
        }
    }

    fn is_over(&self) -> bool {
        let time = match self.session {
            Session::Stranger(_) => SIGN_IN_TIME,
            Session::SignedIn(_) => IDLE_TIME,
        };
        self.last_seen.elapsed() >= time
    }
}

fn make_room_for_a_stranger(entries: &mut HashMap<SessionId, Entry>) {
    let strangers = entries
        .iter()
        .filter(|(_, entry)| matches!(entry.session, Session::Stranger(_)));
    if strangers.clone().count() < MOST_STRANGERS {
        return;
    }
    let oldest = strangers.min_by_key(|(_, entry)| entry.last_seen);
    if let Some(id) = oldest.map(|(id, _)| id.clone()) {
        entries.remove(&id);
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[session id]")
    }
}
