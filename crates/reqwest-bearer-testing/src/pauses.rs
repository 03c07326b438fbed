//! Calls that pause by a clock which a test sets.

use std::time::Duration;

use reqwest_bearer::TestClock;

use crate::limit::{LIMIT, soon};

/// No pause between two attempts is longer, and no limit of an attempt is as short.
const LONGEST: Duration = Duration::from_secs(1);

/// How often the clock is looked at, in real time: soon enough, and not all the time.
const LOOK: Duration = Duration::from_millis(1);

/// Awaits a call that pauses by the clock which the test sets, and moves the clock over each pause: those of
/// a refresh between its attempts at a server that is down, which would never end while the clock stands
/// still.
///
/// The clock moves to the next moment that something waits for, if that is within a second, and by nothing
/// else. So the time-out of an attempt (10 s by default) does not run out while a socket is at work, however
/// busy the machine is; a longer pause, such as that of B5, is the test's to move over by
/// [`TestClock::advance`].
///
/// ```
/// # use std::time::Duration;
/// # use reqwest_bearer::{TestClock, TokenSource};
/// # use reqwest_bearer_testing::{FakeAuthorizationServer, skip_pauses};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = TestClock::new();
/// let server = FakeAuthorizationServer::start_with_clock(&clock)?;
/// let source = TokenSource::builder(server.client_credentials()?).clock(&clock).build()?;
///
/// server.go_down().await;
/// assert!(skip_pauses(&clock, source.token()).await.is_err());
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If the call does not end within 30 s of real time.
pub async fn skip_pauses<T>(clock: &TestClock, call: impl Future<Output = T>) -> T {
    let ended = soon(async {
        let mut call = std::pin::pin!(call);
        loop {
            tokio::select! {
                biased;
                ended = &mut call => return ended,
                () = look() => skip(clock),
            }
        }
    });
    let ended = ended.await;
    #[expect(clippy::panic, reason = "a call that hangs fails the test")]
    ended.unwrap_or_else(|| {
        panic!("the call did not end within {LIMIT:?}, with the clock moved over its pauses")
    })
}

fn skip(clock: &TestClock) {
    if let Some(pause) = clock.until_next_timer().filter(|pause| *pause <= LONGEST) {
        clock.advance(pause);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "real time, in which sockets work"
)]
async fn look() {
    tokio::time::sleep(LOOK).await;
}
