//! Whether the process lives and whether it is ready for mail, component by component with the reason.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the components say about themselves; shared by everyone who has a clone.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Why the process should be started again, if it should.
    broken: Option<String>,
    /// By component: nothing when it is ready, or why it is not.
    components: BTreeMap<String, Option<String>>,
}

/// One look at the health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Whether every component is ready; false when there is none yet.
    pub ready: bool,
    /// By component: `ready`, or why it is not.
    pub components: BTreeMap<String, String>,
}

impl Health {
    /// Nothing is known yet, so it is not ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// A component is ready.
    pub fn set_ready(&self, component: &str) {
        self.lock().components.insert(component.to_owned(), None);
    }

    /// A component is not ready, for this reason.
    pub fn set_waiting(&self, component: &str, reason: &str) {
        self.lock().components.insert(component.to_owned(), Some(reason.to_owned()));
    }

    /// A component is no longer part of the configuration.
    pub fn remove(&self, component: &str) {
        self.lock().components.remove(component);
    }

    /// The process cannot recover by itself, for this reason.
    pub fn set_broken(&self, reason: &str) {
        self.lock().broken = Some(reason.to_owned());
    }

    /// Why the process should be started again, if it should.
    pub fn broken(&self) -> Option<String> {
        self.lock().broken.clone()
    }

    /// Whether mail is welcome.
    pub fn is_ready(&self) -> bool {
        let state = self.lock();
        state.broken.is_none() && !state.components.is_empty() && state.components.values().all(Option::is_none)
    }

    /// Every component with its state.
    pub fn readiness(&self) -> Readiness {
        let ready = self.is_ready();
        let state = self.lock();
        let shown = |reason: &Option<String>| reason.clone().unwrap_or_else(|| "ready".to_owned());
        let components = state.components.iter().map(|(component, reason)| (component.clone(), shown(reason)));
        Readiness { ready, components: components.collect() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
