//! Sign-ins that are under way in a browser. A state (RFC 6749 section 10.12) is 256 random bits, works once, for some minutes, and only in
//! the browser session that it was made for. Kept in memory: a restart ends them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::error::SignInError;
use super::secret::{Secret, random};

/// How long a person may take; the service's own pages give up after about as long.
pub(super) const PENDING_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// Sign-ins under way in all browsers together; 300 octets each. The oldest makes room.
const PENDING_LIMIT: usize = 1024;
/// Sign-ins under way in one browser: some tabs. The oldest makes room, so that one browser cannot push the others out.
const PENDING_PER_BROWSER: usize = 8;

/// A browser session, as far as this module needs to know it: by the hash of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrowserBinding([u8; 32]);

impl BrowserBinding {
    /// The session with that id, which is the secret in the browser's cookie.
    pub fn of(session_id: &[u8]) -> Self {
        Self(sha256(session_id))
    }
}

/// What a browser was sent away for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    SignIn,
    Authorize,
    Consent,
}

/// One browser that is away.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) errand: Errand,
    pub(super) tenant: Option<Uuid>,
    pub(super) nonce: Secret,
    pub(super) verifier: Secret,
    state: [u8; 32],
    browser: BrowserBinding,
    begun: SystemTime,
}

/// All of them, oldest first.
#[derive(Debug, Default)]
pub(super) struct PendingStates(Mutex<VecDeque<Pending>>);

impl PendingStates {
    /// Remembers a browser; `state` is for the redirect only and kept as its hash.
    pub(super) fn add(&self, start: Start, errand: Errand, tenant: Option<Uuid>, browser: BrowserBinding, now: SystemTime) {
        let Start { state, nonce, verifier } = start;
        let state = sha256(state.expose().as_bytes());
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.retain(|one| !one.is_over(now));
        while pending.iter().filter(|one| one.browser == browser).count() >= PENDING_PER_BROWSER {
            let oldest = pending.iter().position(|one| one.browser == browser).unwrap_or_default();
            pending.remove(oldest);
        }
        while pending.len() >= PENDING_LIMIT {
            pending.pop_front();
        }
        pending.push_back(Pending { errand, tenant, nonce, verifier, state, browser, begun: now });
    }

    /// Takes the sign-in that `state` belongs to. Whatever comes of it, the state does not work again.
    pub(super) fn take(&self, state: &str, browser: BrowserBinding, now: SystemTime) -> Result<Pending, SignInError> {
        let state = sha256(state.as_bytes());
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = pending.iter().position(|one| same(&one.state, &state)).ok_or(SignInError::UnknownState)?;
        let found = pending.remove(place).ok_or(SignInError::UnknownState)?;
        drop(pending);
        match () {
            () if !same(&found.browser.0, &browser.0) => Err(SignInError::OtherBrowser),
            () if found.is_over(now) => Err(SignInError::Expired),
            () => Ok(found),
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Pending {
    /// A clock that was set back by more than the lifetime ends it too: its age is not known any more.
    fn is_over(&self, now: SystemTime) -> bool {
        now.duration_since(self.begun).unwrap_or_else(|back| back.duration()) > PENDING_LIFETIME
    }
}

/// The random values of one sign-in.
pub(super) struct Start {
    pub(super) state: Secret,
    pub(super) nonce: Secret,
    pub(super) verifier: Secret,
}

impl Start {
    /// Fresh ones, 256 bits each; 43 characters, which is what RFC 7636 section 4.1 asks of a verifier. None when the system has no randomness.
    pub(super) fn fresh() -> Option<Self> {
        let word = || random::<32>().map(|octets| Secret::new(URL_SAFE_NO_PAD.encode(*octets)));
        Some(Self { state: word()?, nonce: word()?, verifier: word()? })
    }
}

fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, octets).as_ref());
    hash
}

fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one, other).is_ok()
}
