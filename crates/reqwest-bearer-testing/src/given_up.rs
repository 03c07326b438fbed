//! Calls that are given up at every moment that there is.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// When a call is given up.
#[derive(Clone, Copy)]
pub(crate) enum Moment {
    /// When it has had so many turns: at each place where it waits, if it waits at few.
    Turn(u64),
    Micros(u64),
}

/// The first twenty turns, for certain, and the first millisecond, for what works while it has no turn.
pub(crate) fn moments() -> impl Iterator<Item = Moment> {
    (0..20).flat_map(|n| [Moment::Turn(n), Moment::Micros(n * 50)])
}

/// Drops the call at this moment, if it has not ended by then.
pub(crate) async fn give_up<T>(moment: Moment, call: impl Future<Output = T>) {
    match moment {
        Moment::Turn(turns) => {
            let mut call = pin!(call);
            let mut left = turns;
            poll_fn(|context| match left.checked_sub(1) {
                None => Poll::Ready(()),
                Some(less) => {
                    left = less;
                    call.as_mut().poll(context).map(drop)
                }
            })
            .await;
        }
        Moment::Micros(micros) => {
            let after = Duration::from_micros(micros);
            #[expect(clippy::disallowed_methods, reason = "any moment of the call is meant")]
            let _ = tokio::time::timeout(after, call).await;
        }
    }
}
