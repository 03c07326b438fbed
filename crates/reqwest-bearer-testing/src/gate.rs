//! A gate before a fake server's answers, in place of a server that is slow by so many seconds.

use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, watch};

use crate::http_server::lock;
use crate::limit::{LIMIT, soon};

/// Holds the answers of a fake server back, until it is opened or dropped.
///
/// A test that wants a slow server closes a gate, waits until the requests are there, does what is to
/// happen meanwhile, and opens it: no second is waited for, and on a busy machine it is the same test.
#[derive(Debug)]
#[must_use = "a gate that is dropped is open"]
pub struct Gate {
    doors: Arc<Doors>,
    place: Arc<Place>,
}

/// The gate that a server has at the moment, if it has one.
pub(crate) type Place = Mutex<Option<Arc<Doors>>>;

#[derive(Debug)]
pub(crate) struct Doors {
    /// A permit lets one request through; closed, it lets all through.
    permits: Semaphore,
    held: watch::Sender<usize>,
}

impl Gate {
    pub(crate) fn close(place: &Arc<Place>) -> Self {
        let doors = Arc::new(Doors {
            permits: Semaphore::new(0),
            held: watch::Sender::new(0),
        });
        *lock(place) = Some(doors.clone());
        Self {
            doors,
            place: place.clone(),
        }
    }

    /// How many requests are held at the moment.
    #[must_use]
    pub fn held(&self) -> usize {
        *self.doors.held.borrow()
    }

    /// Returns as soon as so many requests are held.
    ///
    /// # Panics
    /// If they do not come within 30 s of real time.
    pub async fn until_held(&self, count: usize) {
        let mut held = self.doors.held.subscribe();
        let come = soon(held.wait_for(|now| *now >= count)).await.is_some();
        let now = self.held();
        assert!(
            come,
            "{count} requests did not come to the gate within {LIMIT:?}: it holds {now}"
        );
    }

    /// Lets one request through: the one that has been held for longest, or else the next one.
    pub fn let_one_through(&self) {
        self.doors.permits.add_permits(1);
    }

    /// Lets all requests through, and those that come from now on. So does dropping the gate.
    pub fn open(self) {}
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.doors.permits.close();
        let mut place = lock(&self.place);
        // Another gate may have been closed meanwhile.
        if place
            .as_ref()
            .is_some_and(|now| Arc::ptr_eq(now, &self.doors))
        {
            *place = None;
        }
    }
}

impl Doors {
    pub(crate) async fn pass(&self) {
        self.held.send_modify(|held| *held += 1);
        // A client that goes away is held no longer.
        let _held = Held(self);
        if let Ok(permit) = self.permits.acquire().await {
            permit.forget();
        }
    }
}

struct Held<'doors>(&'doors Doors);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.held.send_modify(|held| *held -= 1);
    }
}
