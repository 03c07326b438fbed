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

#[cfg(test)]
mod tests {
    use openidconnect::{Nonce, PkceCodeVerifier};
    use reqwest_bearer::Subject;

    use super::{
        MOST_SIGN_INS, MOST_STRANGERS, PendingSignIn, SessionId, Sessions, SignedIn, User,
    };

    fn sign_in(state: &str) -> PendingSignIn {
        PendingSignIn {
            state: state.to_owned(),
            nonce: Nonce::new("n".to_owned()),
            code_verifier: PkceCodeVerifier::new("v".to_owned()),
            next: "/".to_owned(),
        }
    }

    fn signed_in() -> SignedIn {
        let session = SessionId::new().unwrap();
        SignedIn {
            tokens_of: Subject::new(session.as_str()).unwrap(),
            session,
            user: User {
                subject: "ada".to_owned(),
                name: "Ada".to_owned(),
            },
        }
    }

    #[test]
    fn a_sign_in_is_taken_once_and_only_where_it_began() {
        let sessions = Sessions::default();
        let here = sessions.begin_sign_in(None, sign_in("a")).unwrap();
        let elsewhere = sessions.begin_sign_in(None, sign_in("b")).unwrap();
        assert_ne!(here, elsewhere);
        assert!(sessions.take_sign_in(&elsewhere, "a").is_none());
        assert!(sessions.take_sign_in(&here, "c").is_none());
        assert!(sessions.take_sign_in(&here, "a").is_some());
        assert!(sessions.take_sign_in(&here, "a").is_none());
        assert!(sessions.signed_in(&here).is_none());
    }

    #[test]
    fn an_id_from_before_the_sign_in_is_worth_nothing_after_it() {
        let sessions = Sessions::default();
        let planted = SessionId("planted".to_owned());
        let before = sessions
            .begin_sign_in(Some(&planted), sign_in("a"))
            .unwrap();
        assert_ne!(
            before, planted,
            "an id that nobody was given is not taken over"
        );
        let ada = signed_in();
        sessions.sign_in(&before, ada.clone());
        assert!(sessions.signed_in(&before).is_none());
        assert!(sessions.signed_in(&ada.session).is_some());
        sessions.end(&ada.session);
        assert!(sessions.signed_in(&ada.session).is_none());
    }

    #[test]
    fn beginning_sign_ins_without_end_fills_no_memory_and_signs_nobody_out() {
        let sessions = Sessions::default();
        let ada = signed_in();
        let before = sessions.begin_sign_in(None, sign_in("a")).unwrap();
        sessions.sign_in(&before, ada.clone());
        let first = sessions.begin_sign_in(None, sign_in("0")).unwrap();
        for number in 1..=MOST_SIGN_INS {
            let state = number.to_string();
            let again = sessions.begin_sign_in(Some(&first), sign_in(&state));
            assert_eq!(again.unwrap(), first);
        }
        assert!(
            sessions.take_sign_in(&first, "0").is_none(),
            "the oldest gave way"
        );
        assert!(sessions.take_sign_in(&first, "1").is_some());
        for _ in 0..MOST_STRANGERS {
            sessions.begin_sign_in(None, sign_in("a")).unwrap();
        }
        assert!(
            sessions.take_sign_in(&first, "2").is_none(),
            "the oldest gave way"
        );
        assert_eq!(sessions.lock().len(), MOST_STRANGERS + 1);
        assert!(sessions.signed_in(&ada.session).is_some());
    }
}
