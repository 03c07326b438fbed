//! One piece of work under way that any number of callers wait for.
//!
//! Knows nothing of tokens. The work holds the [`Landing`], the callers hold clones of the
//! [`Flight`]; when the work is gone without having landed (its runtime was shut down), the
//! callers are told so instead of waiting for ever.

use tokio::sync::watch;

/// Begins a flight.
pub(crate) fn begin<T>() -> (Landing<T>, Flight<T>) {
    let (landing, flight) = watch::channel(None);
    (Landing(landing), Flight(flight))
}

/// The waiting side.
#[derive(Debug)]
pub(crate) struct Flight<T>(watch::Receiver<Option<T>>);

/// The working side.
#[derive(Debug)]
pub(crate) struct Landing<T>(watch::Sender<Option<T>>);

impl<T: Clone> Flight<T> {
    /// What it brought; `None` if it will never land.
    pub(crate) async fn outcome(mut self) -> Option<T> {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => None,
        }
    }

    /// Whether it still may land.
    pub(crate) fn is_under_way(&self) -> bool {
        self.0.has_changed().is_ok() && self.0.borrow().is_none()
    }
}

impl<T> Clone for Flight<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Landing<T> {
    /// Hands the outcome to everybody who waits.
    pub(crate) fn land(self, outcome: T) {
        self.0.send_replace(Some(outcome));
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn every_waiter_gets_the_outcome_also_one_that_comes_late() {
        // A3
        let (landing, flight) = super::begin();
        assert!(flight.is_under_way());
        let early = tokio::spawn(flight.clone().outcome());
        landing.land(7);
        assert!(!flight.is_under_way());
        assert_eq!(early.await.unwrap(), Some(7));
        assert_eq!(flight.outcome().await, Some(7));
    }

    #[tokio::test]
    async fn a_flight_whose_work_is_gone_ends() {
        // A4
        let (landing, flight) = super::begin::<()>();
        drop(landing);
        assert!(!flight.is_under_way());
        assert_eq!(flight.outcome().await, None);
    }
}
