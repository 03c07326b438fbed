//! Where a user's session is, in the store and in this process.

use std::sync::Arc;

use crate::cache::entry::Entry;
use crate::endpoint::TokenEndpoint;
use crate::engine::{Engine, Serves, Task, runtime};
use crate::error::{Error, ErrorKind};
use crate::key::{TokenKey, Wanted};
use crate::parameters::TokenParameters;
use crate::secret::Secret;
use crate::session::store::RecordStore;
use crate::sign_in::index::{Claim, claims_of};
use crate::store::StoreKey;
use crate::subject::Subject;

/// The place of one user's record.
pub(crate) struct Place<'engine> {
    engine: &'engine Engine,
    pub(crate) store: &'engine Arc<RecordStore>,
    pub(crate) key: StoreKey,
    /// Where the user's tokens come from.
    pub(crate) endpoint: Option<TokenEndpoint>,
    /// The server and the client.
    identity: String,
}

impl<'engine> Place<'engine> {
    /// # Errors
    /// If the source has no users, or its grant cannot say where their tokens come from.
    pub(crate) async fn of(engine: &'engine Engine, subject: &Subject) -> Result<Self, Error> {
        let setup = &engine.setup;
        let store = store_of(engine)?;
        let key = TokenKey {
            subject: Some(subject.clone()),
            parameters: engine.entries.primary.key.parameters.clone(),
        };
        let endpoint = setup.endpoint_of(&key.owner()).await?;
        Ok(Self {
            engine,
            store,
            key: setup.store_key(endpoint.as_ref(), &key),
            identity: endpoint
                .as_ref()
                .map(TokenEndpoint::identity)
                .unwrap_or_default(),
            endpoint,
        })
    }

    /// Where the session is indexed, if such indexes are kept, by the claims of its id token.
    pub(crate) fn index_keys(&self, id_token: Option<&Secret>) -> Vec<StoreKey> {
        if !self.engine.setup.keeps_index {
            return Vec::new();
        }
        let Some(claims) = claims_of(id_token) else {
            return Vec::new();
        };
        let of_session = [Some(Claim::Sub(claims.sub)), claims.sid.map(Claim::Sid)];
        let name = self.engine.setup.grant.name();
        let keys = of_session.into_iter().flatten();
        keys.map(|claim| claim.key(&self.identity, name)).collect()
    }
}

/// The store of users' sessions.
///
/// # Errors
/// If the source has none.
pub(crate) fn store_of(engine: &Engine) -> Result<&Arc<RecordStore>, Error> {
    match &engine.setup.store {
        Some(store) if engine.setup.serves == Serves::Users => Ok(store),
        _ => Err(Error::settings(
            "this token source is for the application itself; users sign in at `UserSessions`",
        )),
    }
}

/// The entry of the token that requests without options get, for this user.
pub(crate) fn primary(engine: &Engine, subject: &Subject) -> Arc<Entry> {
    let wanted = Wanted {
        subject: Some(subject),
        parameters: &TokenParameters::NONE,
        subject_token: None,
    };
    engine.entry(wanted)
}

/// Does `work` in a task of its own, whatever becomes of the caller: what it has begun in the
/// store is ended here. A shutdown waits for it.
pub(crate) async fn see_through<T: Send + 'static>(
    engine: &Arc<Engine>,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let task = Task::begin(engine);
    let task = runtime()?.spawn(async move {
        let outcome = work.await;
        drop(task);
        outcome
    });
    task.await.unwrap_or_else(|ended| {
        Err(if ended.is_panic() {
            Error::new(ErrorKind::Panicked, "a hook or a grant panicked")
        } else {
            Error::new(
                ErrorKind::Unavailable,
                "the runtime of this call is being shut down",
            )
        })
    })
}
