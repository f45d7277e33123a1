//! How many connections there are: in all, and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The count that all listeners share.
#[derive(Debug)]
pub struct Connections {
    all: Arc<Semaphore>,
    limit: usize,
    per_address: usize,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Connections {
    /// At most `limit` connections, at most `per_address` of them from one address.
    pub fn new(limit: usize, per_address: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(limit)), limit, per_address, addresses: Arc::default() }
    }

    /// Connections that are open or being accepted.
    pub fn open(&self) -> usize {
        self.limit.saturating_sub(self.all.available_permits())
    }

    /// Waits until no connection is open and none is being accepted.
    pub(crate) async fn all_closed(&self) {
        let all = u32::try_from(self.limit).unwrap_or(u32::MAX);
        // The semaphore is never closed; an error would mean that there is nothing to wait for either.
        self.all.acquire_many(all).await.ok();
    }

    /// Waits until there may be one more. Taken before accept, so that the rest wait in the kernel's queue.
    pub(super) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// Counts a connection from `address` until the place is dropped; nothing when that address has too many.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Place> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let count = addresses.entry(address).or_default();
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(Place { addresses: Arc::clone(&self.addresses), address })
    }
}

/// One counted connection.
pub(super) struct Place {
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::Connections;

    #[test]
    fn an_address_gets_no_more_than_its_share_and_gets_it_back() {
        let connections = Connections::new(10, 1);
        let (one, other): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let place = connections.admit(one);
        assert!(place.is_some());
        assert!(connections.admit(one).is_none());
        assert!(connections.admit(other).is_some());
        drop(place);
        assert!(connections.admit(one).is_some());
    }
}
