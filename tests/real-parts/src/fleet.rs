//! What a test and the processes of its fleet (`src/bin/fleet_worker`) tell each other.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use reqwest_bearer::{ClientAuthentication, UserSessionsBuilder};
use serde::{Deserialize, Serialize};

use crate::{BASIC, Credentials, PUBLIC};

/// Milliseconds since 1970, with fractions: the clock that all processes of a machine share.
pub fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is later than 1970").as_secs_f64() * 1000.0
}

/// What one process is to do. It gets them as its only argument, in JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// The issuer, which is discovered.
    pub issuer: String,
    /// The base URL of the API.
    pub api: String,
    /// Where the tokens are.
    pub store: Place,
    /// For whom to call; nobody means for the application itself.
    pub users: Vec<String>,
    /// What tokens the users' sessions have.
    pub tokens: Tokens,
    /// Calls per second, all users together.
    pub calls_per_second: f64,
    /// The first user is called for from this time on ...
    pub first_user_at: f64,
    /// ... and each further one so many milliseconds later.
    pub next_user_after: f64,
    /// How likely it is that the process aborts before a new refresh token is written.
    pub abort_before_save: f64,
    /// From this time on it does not abort any more.
    pub abort_until: f64,
    /// How long a token request may take, in seconds.
    pub token_request_timeout: f64,
    /// The file that the lines are appended to.
    pub log: PathBuf,
}

/// What the tokens of a session are worth to a thief.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tokens {
    /// As much as to its user.
    Bearer,
    /// Nothing without the key of the session, which is in its record (DPoP, RFC 9449).
    Bound,
}

impl Tokens {
    /// The client that gets them. Of a client with a secret the server would bind the access tokens alone
    /// (RFC 9449 section 5).
    pub fn client(self) -> Credentials {
        match self {
            Self::Bearer => BASIC,
            Self::Bound => PUBLIC,
        }
    }

    /// How that client says who it is.
    pub fn authentication(self) -> ClientAuthentication {
        let Credentials { id, secret } = self.client();
        match self {
            Self::Bearer => ClientAuthentication::client_secret_basic(id, secret),
            Self::Bound => ClientAuthentication::none(id),
        }
    }

    /// Sessions with these tokens.
    pub fn of(self, users: UserSessionsBuilder) -> UserSessionsBuilder {
        match self {
            Self::Bearer => users,
            Self::Bound => users.dpop(),
        }
    }
}

/// A store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Place {
    /// Redis at this URL, in plain text, so that the test can read it.
    Redis(String),
    /// A Redis Cluster with nodes at these URLs, in plain text as well.
    Cluster(Vec<String>),
    /// Postgres at this URL, in plain text as well.
    Postgres(String),
    /// A file, in plain text as well.
    File(PathBuf),
}

/// What a process has to tell, one JSON text per line. Each is in the file when the next thing
/// happens, so that whoever kills the process loses nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Line {
    /// A call has ended.
    Call(Call),
    /// The token source made a token request, with this error if it failed.
    TokenRequest {
        /// When its outcome was known.
        at: f64,
        /// Milliseconds from its sending until then.
        took: f64,
        /// Why it was made.
        reason: String,
        /// The kind of the error.
        error: Option<String>,
    },
    /// The store failed.
    StoreFailed {
        /// When.
        at: f64,
    },
    /// A new refresh token is in the store.
    Saved {
        /// When that was known.
        at: f64,
        /// Which one.
        refresh_token: String,
    },
    /// The process aborts itself now, and with it goes a refresh token that nobody has written.
    Aborts {
        /// When.
        at: f64,
        /// Which one.
        refresh_token: String,
    },
    /// The process was told to end, and has ended in order.
    Ended {
        /// When.
        at: f64,
        /// Calls that had no outcome half a minute after their beginning.
        unanswered: usize,
        /// The kind of the error of the token source's shutdown.
        error: Option<String>,
    },
}

/// How a call ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    /// When it began.
    pub at: f64,
    /// Milliseconds from its beginning to its end.
    pub took: f64,
    /// For whom it was made.
    pub user: String,
    /// The API's answer, if there was one.
    pub status: Option<u16>,
    /// Whose token the API said that it was.
    pub owner: Option<String>,
    /// When that token ends, as the API said: milliseconds since 1970.
    pub expires_at: Option<f64>,
    /// The kind of our error: in place of an answer, or along with it.
    pub error: Option<String>,
    /// Whether that error says that waiting helps.
    pub transient: bool,
    /// The message of the error, whatever kind it is.
    pub message: Option<String>,
}

impl Call {
    /// Whether the API answered it, with the right token.
    pub fn succeeded(&self) -> bool {
        self.status == Some(200) && self.owner.as_deref() == Some(&self.user)
    }

    /// Whether it ended with the error that sends a user to the sign-in.
    pub fn wants_sign_in(&self) -> bool {
        self.error.as_deref() == Some("SignInRequired")
    }
}
