//! The real time after which something that should happen counts as never happening.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;

/// Far longer than anything takes that does happen, and shorter than anybody waits for a test.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// What happens, or `None` if it does not within [`LIMIT`].
///
/// A thread counts, and not a timer of tokio: under paused time that would be over at once.
pub(crate) async fn soon<T>(happens: impl Future<Output = T>) -> Option<T> {
    let (over, is_over) = oneshot::channel();
    let (_until_dropped, dropped) = mpsc::channel::<()>();
    let counts = move || {
        if dropped.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            let _ = over.send(());
        }
    };
    // Without a thread there is no limit, and a test runner's own has to do.
    let counting = std::thread::Builder::new().spawn(counts).is_ok();
    tokio::select! {
        biased;
        happened = happens => Some(happened),
        _ = is_over, if counting => None,
    }
}
