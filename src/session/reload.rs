//! The user's hook that knows of a newer refresh token than the one that is dead (K13).

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::clock::Clock;
use crate::error::Error;
use crate::secret::Secret;
use crate::session::guarded::guarded;

/// What errors call it.
const THE_HOOK: &str = "the hook that reloads the refresh token";

type Reloaded = Pin<Box<dyn Future<Output = Result<Option<Secret>, Error>> + Send>>;

/// Says which refresh token is the present one: another program that shares it may have rotated it.
#[derive(Clone)]
pub(crate) struct ReloadFn(Arc<dyn Fn() -> Reloaded + Send + Sync>);

impl ReloadFn {
    pub(crate) fn new<F, L, R, E>(hook: F) -> Self
    where
        F: Fn() -> L + Send + Sync + 'static,
        L: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Option<Secret>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        Self(Arc::new(move || {
            let loading = hook();
            Box::pin(async move {
                let loaded = loading.await;
                loaded.map(Into::into).map_err(|error| {
                    Error::store(format!("{THE_HOOK} failed")).with_boxed_source(error.into())
                })
            })
        }))
    }

    /// Another refresh token than `dead`, if the hook has one.
    pub(crate) async fn newer_than(
        &self,
        dead: Option<&Secret>,
        clock: &Clock,
    ) -> Result<Option<Secret>, Error> {
        let present = guarded(clock, THE_HOOK, async { (self.0)().await }).await?;
        Ok(present.filter(|present| !present.expose().is_empty() && Some(present) != dead))
    }
}

impl fmt::Debug for ReloadFn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ReloadFn")
    }
}
