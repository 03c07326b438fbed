//! The tenants of this process by their names: bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::named::tenants::slot::Slot;

/// All tenants of one client.
#[derive(Debug)]
pub(super) struct Directory {
    slots: Mutex<Slots>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Slots {
    by_name: HashMap<Arc<str>, Arc<Slot>>,
    /// How often a tenant has been asked for: the time by which the least recently used are told.
    uses: u64,
    /// How many have come since the last walk through all of them.
    came: usize,
    is_closed: bool,
}

impl Directory {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            slots: Mutex::default(),
            capacity,
        }
    }

    /// The place of this tenant, made if there is none; `None` after a shutdown.
    pub(super) fn slot(&self, tenant: &str) -> Option<Arc<Slot>> {
        let mut slots = self.slots();
        if slots.is_closed {
            return None;
        }
        slots.uses += 1;
        let now = slots.uses;
        let (slot, left) = match slots.by_name.get(tenant) {
            Some(known) => (known.clone(), Vec::new()),
            None => {
                let left = slots.make_room(self.capacity);
                let slot = Arc::new(Slot::default());
                slots.by_name.insert(tenant.into(), slot.clone());
                slots.came += 1;
                (slot, left)
            }
        };
        slot.touch(now);
        // The grants of those who leave are the program's, and may do anything when they are dropped.
        drop(slots);
        drop(left);
        Some(slot)
    }

    /// Takes this tenant out.
    pub(super) fn take(&self, tenant: &str) -> Option<Arc<Slot>> {
        self.slots().by_name.remove(tenant)
    }

    /// Takes all tenants out, for good.
    pub(super) fn close(&self) -> Vec<Arc<Slot>> {
        let mut slots = self.slots();
        slots.is_closed = true;
        slots.by_name.drain().map(|(_, slot)| slot).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.slots().by_name.len()
    }

    /// Held for a walk through all tenants at most, never across an await.
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    /// Drops of a full directory the least recently used, a sixteenth of the capacity at once, so that the
    /// walk through all of them is paid for by many who come. Those that are in use stay: if the program
    /// holds more than the capacity, nothing is won by asking for their settings again. Returns those who
    /// leave.
    fn make_room(&mut self, capacity: usize) -> Vec<Arc<Slot>> {
        let room = (capacity / 16).max(1);
        if self.by_name.len() < capacity || self.came < room {
            return Vec::new();
        }
        self.came = 0;
        let surplus = self.by_name.len() + room - capacity;
        let idle = self.by_name.iter().filter(|(_, slot)| {
            // The directory alone has it, or else somebody is just about to ask.
            Arc::strong_count(slot) == 1 && slot.is_idle()
        });
        let mut idle: Vec<_> = idle
            .map(|(name, slot)| (slot.worth(), name.clone()))
            .collect();
        if surplus < idle.len() {
            idle.select_nth_unstable(surplus);
        }
        let leave = idle.into_iter().take(surplus);
        leave
            .filter_map(|(_, name)| self.by_name.remove(&name))
            .collect()
    }
}
