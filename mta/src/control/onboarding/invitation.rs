//! The secret part of a link with which somebody without an account completes a connection: 256 random bits, of which only the SHA-256 is
//! kept. What is kept cannot be turned into a link.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// How long a link works: somebody has to find the administrator, who may be asleep.
pub(super) const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// What is kept of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::control) struct Kept {
    hash: String,
    /// When it ends, in milliseconds since 1970.
    pub(super) expires: u64,
}

impl Kept {
    /// A fresh token, and what is kept of it; none when the system has no randomness.
    pub(in crate::control) fn fresh(now: u64) -> Option<(String, Self)> {
        let mut octets = [0; 32];
        aws_lc_rs::rand::fill(&mut octets).ok()?;
        let token = URL_SAFE_NO_PAD.encode(octets);
        let expires = now.saturating_add(u64::try_from(LIFETIME.as_millis()).unwrap_or(u64::MAX));
        let kept = Self { hash: hash(&token), expires };
        Some((token, kept))
    }

    /// Whether it was made with that token. The time that this takes tells nothing about the token.
    pub(in crate::control) fn is_of(&self, token: &str) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.hash.as_bytes(), hash(token).as_bytes()).is_ok()
    }

    /// When it ends.
    pub(in crate::control) fn expires(&self) -> u64 {
        self.expires
    }
}

fn hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_only() {
        let (token, kept) = Kept::fresh(1000).expect("randomness");
        assert_eq!((token.len(), kept.expires()), (43, 1000 + 86_400_000));
        assert!(kept.is_of(&token) && !kept.is_of("") && !kept.is_of(&kept.hash));
        assert!(!serde_json::to_string(&kept).expect("JSON").contains(&token));
        assert_ne!(Kept::fresh(1000).expect("randomness").0, token);
    }
}
