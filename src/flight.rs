//! One piece of work under way that any number of callers wait for.
//!
//! Knows nothing of tokens. The work holds the [`Landing`], and each caller a [`Waiter`] of its own;
//! whoever lets callers join keeps the [`Flight`]. When the work is gone without having landed (its
//! runtime was shut down), the callers are told so instead of waiting for ever; when the callers are
//! gone, the work can hear of it.

use std::sync::{Arc, Weak};

use tokio::sync::watch;

/// Begins a flight, with a first caller.
pub(crate) fn begin<T>() -> (Landing<T>, Flight<T>, Waiter<T>) {
    let (landing, waiter) = watch::channel(None);
    let landing = Arc::new(landing);
    let flight = Flight(Arc::downgrade(&landing));
    (Landing(landing), flight, Waiter(waiter))
}

/// By this callers join.
#[derive(Debug)]
pub(crate) struct Flight<T>(Weak<watch::Sender<Option<T>>>);

/// The waiting side.
#[derive(Debug)]
pub(crate) struct Waiter<T>(watch::Receiver<Option<T>>);

/// The working side.
#[derive(Debug)]
pub(crate) struct Landing<T>(Arc<watch::Sender<Option<T>>>);

impl<T> Flight<T> {
    /// Joins it, if it still may land.
    pub(crate) fn join(&self) -> Option<Waiter<T>> {
        let landing = self.0.upgrade()?;
        let waiter = landing.subscribe();
        let is_under_way = waiter.borrow().is_none();
        is_under_way.then_some(Waiter(waiter))
    }

    /// Whether it still may land.
    pub(crate) fn is_under_way(&self) -> bool {
        let landing = self.0.upgrade();
        landing.is_some_and(|landing| landing.borrow().is_none())
    }
}

impl<T: Clone> Waiter<T> {
    /// What it brought; `None` if it will never land.
    pub(crate) async fn outcome(mut self) -> Option<T> {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => None,
        }
    }
}

impl<T> Landing<T> {
    /// Hands the outcome to everybody who waits.
    pub(crate) fn land(self, outcome: T) {
        self.0.send_replace(Some(outcome));
    }

    /// Returns when nobody waits. Somebody may join again until the landing is dropped.
    pub(crate) async fn abandoned(&self) {
        self.0.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    #[tokio::test]
    async fn every_waiter_gets_the_outcome_also_one_that_comes_late() {
        // A3
        let (landing, flight, first) = super::begin();
        assert!(flight.is_under_way());
        let early = tokio::spawn(first.outcome());
        let late = flight.join().unwrap();
        landing.land(7);
        assert!(!flight.is_under_way() && flight.join().is_none());
        assert_eq!(early.await.unwrap(), Some(7));
        assert_eq!(late.outcome().await, Some(7));
    }

    #[tokio::test]
    async fn a_flight_whose_work_is_gone_ends() {
        // A4
        let (landing, flight, waiter) = super::begin::<()>();
        drop(landing);
        assert!(!flight.is_under_way() && flight.join().is_none());
        assert_eq!(waiter.outcome().await, None);
    }

    #[test]
    fn the_work_hears_when_all_callers_are_gone() {
        // A7
        let (landing, flight, first) = super::begin::<()>();
        let second = flight.join().unwrap();
        drop(first);
        assert!(landing.abandoned().now_or_never().is_none());
        drop(second);
        assert!(landing.abandoned().now_or_never().is_some());
        let again = flight.join().unwrap();
        assert!(landing.abandoned().now_or_never().is_none());
        drop(again);
    }
}
