//! Which sessions a user has, by what the id tokens say: kept in the store beside the sessions, where so
//! set, so that all of them can be ended at once (OpenID Connect Back-Channel Logout 1.0).

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::id_token::Claims;
use crate::secret::Secret;
use crate::session::store::RecordStore;
use crate::store::StoreKey;

/// How often an index is written anew because another process was just writing.
const MOST_CONFLICTS: u32 = 10;
/// So many sessions of one user are known; the oldest are forgotten first.
const MOST_SESSIONS: usize = 256;
const FORMAT: u32 = 1;

/// What tells the sessions that are meant.
#[derive(Clone, Debug)]
pub(crate) enum Claim {
    /// The user (`sub`).
    Sub(String),
    /// One sign-in at the authorization server (`sid`), which may be several sessions here.
    Sid(String),
}

/// The keys of sessions, the oldest first: digests, so that no session id is in there.
#[derive(Default, Serialize, Deserialize)]
struct Index {
    format: u32,
    sessions: Vec<String>,
}

impl Claim {
    /// Where the index of this claim is, for the sessions at this server and client.
    pub(crate) fn key(&self, identity: &str, grant: &str) -> StoreKey {
        let (name, value) = match self {
            Self::Sub(value) => ("sub", value),
            Self::Sid(value) => ("sid", value),
        };
        StoreKey::of(["index", identity, grant, name, value])
    }
}

/// The claims of an id token by which its session can be ended.
pub(crate) fn claims_of(id_token: Option<&Secret>) -> Option<Claims> {
    Claims::of(id_token?)
}

/// Remembers `session` under each claim of its id token.
///
/// # Errors
/// If the store cannot be told.
pub(crate) async fn add(
    store: &RecordStore,
    keys: &[StoreKey],
    session: &StoreKey,
) -> Result<(), Error> {
    for key in keys {
        change(store, key, |sessions| {
            sessions.retain(|known| *known != session.to_string());
            sessions.push(session.to_string());
            let surplus = sessions.len().saturating_sub(MOST_SESSIONS);
            sessions.drain(..surplus);
        })
        .await?;
    }
    Ok(())
}

/// Forgets `session`. An index that cannot be told knows one session too many, which is no harm.
pub(crate) async fn remove(store: &RecordStore, keys: &[StoreKey], session: &StoreKey) {
    for key in keys {
        let forget = |sessions: &mut Vec<String>| {
            sessions.retain(|known| *known != session.to_string());
        };
        let _ = change(store, key, forget).await;
    }
}

/// The sessions of this claim.
///
/// # Errors
/// If the store cannot be asked.
pub(crate) async fn sessions(store: &RecordStore, key: &StoreKey) -> Result<Vec<StoreKey>, Error> {
    let found = store.load_bytes(key).await?;
    let index = found.map(|(_, bytes)| read(&bytes)).unwrap_or_default();
    let keys = index
        .sessions
        .iter()
        .filter_map(|digits| StoreKey::from_digits(digits));
    Ok(keys.collect())
}

async fn change(
    store: &RecordStore,
    key: &StoreKey,
    change: impl Fn(&mut Vec<String>),
) -> Result<(), Error> {
    for _ in 0..MOST_CONFLICTS {
        let found = store.load_bytes(key).await?;
        let expected = found.as_ref().map(|(version, _)| *version);
        let mut index = found.map(|(_, bytes)| read(&bytes)).unwrap_or_default();
        index.format = FORMAT;
        change(&mut index.sessions);
        let bytes = serde_json::to_vec(&index).map_err(|error| {
            Error::store("an index of sessions cannot be written").with_source(error)
        })?;
        if store.save_bytes(key, bytes, expected).await? {
            return Ok(());
        }
    }
    Err(Error::store(
        "other processes keep changing the index of this user's sessions",
    ))
}

/// One that cannot be read counts as empty.
fn read(bytes: &[u8]) -> Index {
    let index: Index = serde_json::from_slice(bytes).unwrap_or_default();
    if index.format == FORMAT {
        index
    } else {
        Index::default()
    }
}
