//! A call of a hook of the user's that keeps refresh tokens: bounded, and survived if it panics.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind};

/// A hook that does not answer within this time has failed.
const HOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// What the hook called `name` says, or that it says nothing.
pub(crate) async fn guarded<T>(
    clock: &Clock,
    name: &str,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        said = AssertUnwindSafe(call).catch_unwind() => said.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Panicked, format!("{name} panicked")))
        }),
        () = clock.sleep(HOOK_TIMEOUT) => {
            Err(Error::store(format!("{name} did not answer within 10 s")))
        }
    }
}
