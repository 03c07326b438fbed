//! The end of an answer that nobody will read, so that its connection can be used again (C9).

use std::time::Duration;

use reqwest::Response;

use crate::clock::Clock;

/// More than this is cheaper to cut off than to read.
const MOST_BYTES: usize = 64 * 1024;
const MOST_TIME: Duration = Duration::from_millis(250);

/// Reads the body to its end, or drops the connection if that takes too much, or longer than
/// `within`.
pub(crate) async fn drain(mut response: Response, clock: &Clock, within: Duration) {
    let read = async {
        let mut bytes = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            bytes += chunk.len();
            if bytes > MOST_BYTES {
                return;
            }
        }
    };
    tokio::select! {
        () = read => {}
        () = clock.sleep(MOST_TIME.min(within)) => {}
    }
}
