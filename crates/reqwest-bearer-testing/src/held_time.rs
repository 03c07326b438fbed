//! tokio's paused time, kept from running ahead of sockets.

use std::sync::mpsc;

/// Keeps tokio's paused time where it is until this is dropped: it moves by `tokio::time::advance` alone.
///
/// Paused time (`#[tokio::test(start_paused = true)]`) runs on to the next timer whenever the runtime has
/// nothing else to do, and waiting for a socket is nothing to do: the time-out of a token request is over
/// before a server has answered. With the time held, sockets and paused time go together.
#[derive(Debug)]
#[must_use = "the time is held until this is dropped"]
pub struct HeldTime {
    _until_dropped: mpsc::Sender<()>,
}

/// Holds tokio's paused time.
///
/// ```
/// # use std::time::Duration;
/// use reqwest_bearer::TokenSource;
/// use reqwest_bearer_testing::{FakeAuthorizationServer, hold_time};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
/// # runtime.block_on(async {
/// // In a test: #[tokio::test(start_paused = true)]
/// let _held = hold_time();
/// let server = FakeAuthorizationServer::start()?;
/// let source = TokenSource::builder(server.client_credentials()?).build()?;
///
/// source.token().await?;
/// tokio::time::advance(server.token_lifetime()).await;
/// source.token().await?;
/// assert_eq!(server.token_request_count(), 2);
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Panics
/// Outside of a tokio runtime.
pub fn hold_time() -> HeldTime {
    let (until_dropped, dropped) = mpsc::channel::<()>();
    // tokio lets no paused time run on while a blocking task is at work.
    tokio::task::spawn_blocking(move || dropped.recv());
    HeldTime {
        _until_dropped: until_dropped,
    }
}
