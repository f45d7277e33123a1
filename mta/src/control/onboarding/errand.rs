//! What each browser was sent to the service for: which tenant, and which plan is to be applied when it comes back. The state of its sign-in
//! (RFC 6749 section 10.12) is the key, so that nobody's return is taken for somebody else's errand. Whether a return is genuine is for
//! `credentials` to say. In memory, as the sign-ins are.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use url::Url;
use uuid::Uuid;

use crate::control::words::Goal;

/// As many as `credentials` keeps sign-ins; the oldest makes room.
const LIMIT: usize = 1024;

/// One browser that is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Errand {
    /// For this tenant.
    pub(super) tenant: Uuid,
    /// What is to be applied; none for a sign-in and for a consent.
    pub(super) goal: Option<Goal>,
}

/// All of them, oldest first.
#[derive(Default)]
pub(in crate::control) struct Errands(Mutex<VecDeque<(Vec<u8>, Errand)>>);

impl Errands {
    /// Remembers what the browser that is sent to `url` is away for.
    pub(super) fn add(&self, url: &Url, errand: Errand) {
        let Some(key) = key(url.query().unwrap_or_default()) else { return };
        let mut errands = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if errands.len() >= LIMIT {
            errands.pop_front();
        }
        errands.push_back((key, errand));
    }

    /// What the browser that came back with this query was away for. It works once, as the sign-in does.
    pub(super) fn take(&self, query: &str) -> Option<Errand> {
        let key = key(query)?;
        let mut errands = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = errands.iter().position(|(known, _)| *known == key)?;
        errands.remove(place).map(|(_, errand)| errand)
    }
}

/// The state is a secret, so its hash is kept and compared.
fn key(query: &str) -> Option<Vec<u8>> {
    let (_, state) = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state")?;
    Some(digest(&SHA256, state.as_bytes()).as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(state: usize) -> Url {
        format!("https://login.example/authorize?client_id=x&state=s{state}").parse().expect("a URL")
    }

    #[test]
    fn an_errand_belongs_to_one_state_and_is_taken_once() {
        let errands = Errands::default();
        let one = Errand { tenant: Uuid::from_u128(1), goal: Some(Goal::Connect) };
        let other = Errand { tenant: Uuid::from_u128(2), goal: None };
        errands.add(&url(1), one);
        errands.add(&url(2), other);
        assert_eq!(errands.take("code=c&state=s2"), Some(other));
        assert_eq!(errands.take("code=c&state=s2"), None);
        assert_eq!(errands.take("code=c"), None);
        assert_eq!(errands.take("error=access_denied&state=s1"), Some(one));
    }

    #[test]
    fn the_oldest_makes_room() {
        let errands = Errands::default();
        let errand = Errand { tenant: Uuid::from_u128(1), goal: None };
        for state in 0..=LIMIT {
            errands.add(&url(state), errand);
        }
        assert_eq!((errands.take("state=s0"), errands.take("state=s1")), (None, Some(errand)));
    }
}
