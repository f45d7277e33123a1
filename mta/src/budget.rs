//! The global memory budget: how many octets of messages may be in the process at once.
//!
//! A message is admitted only while there is room for it; over the budget the answer is 452 4.3.1, so that the sender keeps the message,
//! instead of the kernel ending the process. Slices and additions share the received octets, so a message costs about its own size.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The budget that all connections share.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    /// A budget of `limit` octets.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit })
    }

    /// Octets in use.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether `octets` could be taken now; takes nothing.
    pub fn has_room(&self, octets: usize) -> bool {
        self.used().checked_add(octets).is_some_and(|sum| sum <= self.limit)
    }

    /// Takes `octets` from the budget, or nothing when there is not enough left.
    pub fn reserve(self: &Arc<Self>, octets: usize) -> Option<Reservation> {
        let mut reservation = Reservation { budget: Arc::clone(self), octets: 0 };
        reservation.grow_to(octets).then_some(reservation)
    }

    fn take(&self, octets: usize) -> bool {
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |used| used.checked_add(octets).filter(|sum| *sum <= self.limit))
            .is_ok()
    }
}

/// A part of the budget; it is given back when this value is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<Budget>,
    octets: usize,
}

impl Reservation {
    /// Makes the reservation at least `octets` large; false when the budget does not allow it.
    pub fn grow_to(&mut self, octets: usize) -> bool {
        let missing = octets.saturating_sub(self.octets);
        let granted = missing == 0 || self.budget.take(missing);
        if granted {
            self.octets = self.octets.max(octets);
        }
        granted
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.octets, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn a_reservation_over_the_budget_is_refused_and_leaves_it_unchanged() {
        let budget = Budget::new(100);
        let first = budget.reserve(60).expect("there is room");
        assert!(budget.reserve(41).is_none() && !budget.has_room(41) && !budget.has_room(usize::MAX));
        assert!(budget.has_room(40));
        assert_eq!(budget.used(), 60);
        drop(first);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_reservation_grows_only_within_the_budget() {
        let budget = Budget::new(100);
        let mut reservation = budget.reserve(10).expect("there is room");
        assert!(reservation.grow_to(100));
        assert!(!reservation.grow_to(101));
        assert!(reservation.grow_to(50), "shrinking is not growing");
        assert_eq!(budget.used(), 100);
    }
}
