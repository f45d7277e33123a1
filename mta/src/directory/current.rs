//! The synchronised directory in use of each tenant. Messages take it once and keep it; a new one takes its place as a whole.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;

use super::Directory;

/// The directories of all tenants, as long as the process lives. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Directories {
    tenants: Arc<Mutex<HashMap<String, Arc<Current>>>>,
}

/// The directory in use of one tenant.
#[derive(Debug, Default)]
pub struct Current {
    in_use: ArcSwapOption<Directory>,
    parts: Mutex<Parts>,
}

/// What the directory in use is made from.
#[derive(Debug, Default)]
struct Parts {
    synchronised: Option<Arc<Directory>>,
    configured: Arc<Directory>,
}

impl Directories {
    /// That tenant's, which has no directory before one is put there.
    pub fn of(&self, tenant: &str) -> Arc<Current> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tenants.entry(tenant.to_owned()).or_default())
    }
}

impl Current {
    /// The directory in use, with the people who are only configured; none when nothing is synchronised.
    pub fn load(&self) -> Option<Arc<Directory>> {
        self.in_use.load_full()
    }

    /// Puts a synchronised directory in use, or none any more. Takes as long as a large directory takes to be copied when there are
    /// configured people.
    pub fn synchronise(&self, synchronised: Option<Arc<Directory>>) {
        self.put(|parts| parts.synchronised = synchronised);
    }

    /// The people of the configuration, for those whom the service does not know.
    pub fn configure(&self, configured: &Arc<Directory>) {
        self.put(|parts| parts.configured = Arc::clone(configured));
    }

    fn put(&self, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut parts);
        let Parts { synchronised, configured } = &*parts;
        let empty = configured.addresses.is_empty();
        let both = |known: &Arc<Directory>| if empty { Arc::clone(known) } else { Arc::new(known.with(configured)) };
        self.in_use.store(synchronised.as_ref().map(both));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Mailbox;

    #[test]
    fn a_directory_is_replaced_as_a_whole_and_who_has_it_keeps_it() {
        let mailbox = |text: &str| Mailbox::parse(text).expect("an address");
        let directory = |text: &str| Arc::new(Directory::from_csv(text.as_bytes()).0);
        let directories = Directories::default();
        let current = directories.of("north");
        current.configure(&directory("address,displayName\nrobot@example.org,Robot\n"));
        assert!(current.load().is_none(), "configured people alone are the configuration's business");
        current.synchronise(Some(directory("address,displayName\nada@example.org,Ada\n")));
        let first = directories.of("north").load().expect("it is there");
        assert!(first.contains(&mailbox("robot@example.org")) && first.contains(&mailbox("ada@example.org")));
        current.synchronise(Some(directory("address,displayName\nbo@example.org,Bo\n")));
        current.configure(&directory("address,displayName\n"));
        let second = current.load().expect("it is there");
        assert!(second.contains(&mailbox("bo@example.org")) && !second.contains(&mailbox("robot@example.org")));
        assert!(first.contains(&mailbox("ada@example.org")));
        current.synchronise(None);
        assert!(current.load().is_none() && directories.of("south").load().is_none());
    }
}
