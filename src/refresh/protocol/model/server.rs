//! An authorization server that rotates refresh tokens, and revokes a session whose spent one comes again.

use super::time::Seconds;

/// An access token lives for so long after it is issued: it outlives a lease and a watch.
pub(super) const LIFETIME: Seconds = 20;

/// A session, by the order of the sign-ins. The first is there when a run begins.
pub(super) type Session = u8;

/// A refresh token: the session, and how many the session had before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RefreshToken {
    pub(super) session: Session,
    pub(super) generation: u8,
}

/// What a sign-in or an answer brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tokens {
    pub(super) refresh_token: RefreshToken,
    /// The access token, by the order in which those of a session are issued.
    pub(super) access_token: u8,
    pub(super) ends_at: Seconds,
}

/// What is on its way back to the process that has sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reply {
    Tokens(Tokens),
    /// The refresh token is dead.
    Dead,
    /// The request did not reach the server, which the process knows, or was turned away (503).
    NotTaken,
    /// The server has failed (500). By assumption it spends a refresh token at the end, or not at all.
    Failed,
    /// The request did not reach the server, and the process does not know.
    Nothing,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Server {
    grants: Vec<Grant>,
}

/// What the server knows of a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Grant {
    generation: u8,
    access_tokens: u8,
    /// When the refresh token before the present one was spent.
    rotated_at: Option<Seconds>,
    is_revoked: bool,
}

impl Server {
    /// A user signs in.
    pub(super) fn sign_in(&mut self, ends_at: Seconds) -> Tokens {
        self.grants.push(Grant {
            generation: 0,
            access_tokens: 1,
            rotated_at: None,
            is_revoked: false,
        });
        Tokens {
            refresh_token: self.newest(),
            access_token: 1,
            ends_at,
        }
    }

    /// A request with `refresh_token` arrives. The one before the present one is taken again within the
    /// grace, and brings the present one again; any other that was spent is taken for stolen.
    pub(super) fn receive(
        &mut self,
        refresh_token: RefreshToken,
        grace: Option<Seconds>,
        now: Seconds,
    ) -> Reply {
        let RefreshToken {
            session,
            generation,
        } = refresh_token;
        let grant = &mut self.grants[usize::from(session)];
        if grant.is_revoked {
            return Reply::Dead;
        }
        let rotated_at = grant.rotated_at.zip(grace);
        let is_forgiven = generation + 1 == grant.generation
            && rotated_at.is_some_and(|(at, grace)| now - at < grace);
        if generation == grant.generation {
            grant.generation += 1;
            grant.rotated_at = Some(now);
        } else if !is_forgiven {
            grant.is_revoked = true;
            return Reply::Dead;
        }
        grant.access_tokens += 1;
        Reply::Tokens(Tokens {
            refresh_token: RefreshToken {
                session,
                generation: grant.generation,
            },
            access_token: grant.access_tokens,
            ends_at: now + LIFETIME,
        })
    }

    pub(super) fn has_revoked(&self, session: Session) -> bool {
        self.grants[usize::from(session)].is_revoked
    }

    /// The present refresh token of the session that was signed in last.
    pub(super) fn newest(&self) -> RefreshToken {
        let session = self.grants.len() - 1;
        RefreshToken {
            session: u8::try_from(session).unwrap_or(u8::MAX),
            generation: self.grants[session].generation,
        }
    }
}
