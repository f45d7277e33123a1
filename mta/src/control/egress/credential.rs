//! Credentials as the way out needs them: a token, where it may go, and who has them. It obtains none.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use memchr::memmem;

/// Shortest token that is looked for in answers; a shorter one is in many texts by accident, and no issuer gives such.
const SHORTEST: usize = 8;
/// What takes its place.
const MASK: &str = "[credential]";

/// An access token. It is never printed, and goes to one origin only.
#[derive(Clone)]
pub struct Bearer {
    token: String,
    origin: String,
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Bearer {
    /// `origin` is the service that the token was issued for, as scheme, host and port: `https://graph.microsoft.com`. A plugin must not be able
    /// to send it to another host that is on the list.
    pub fn new(token: impl Into<String>, origin: impl Into<String>) -> Self {
        Self { token: token.into(), origin: origin.into() }
    }

    /// Where it may go.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether both are the same token.
    pub fn is_same(&self, other: &Self) -> bool {
        self.token == other.token
    }

    /// The field value (RFC 6750 section 2.1).
    pub(super) fn authorization(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// Takes the token out of what a service sent, for one that repeats what it was asked.
    pub(super) fn mask(&self, octets: Vec<u8>) -> Vec<u8> {
        if self.token.len() < SHORTEST {
            return octets;
        }
        let finder = memmem::Finder::new(self.token.as_bytes());
        let mut masked = Vec::new();
        let mut from = 0;
        for at in finder.find_iter(&octets) {
            masked.extend_from_slice(&octets[from..at]);
            masked.extend_from_slice(MASK.as_bytes());
            from = at + self.token.len();
        }
        if from == 0 {
            return octets;
        }
        masked.extend_from_slice(&octets[from..]);
        masked
    }
}

/// What a source promises.
pub type Awaited<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who has credentials: the host's sign-in.
pub trait CredentialSource: Send + Sync {
    /// A valid credential of that tenant, or why there is none, in words for a person.
    fn bearer<'a>(&'a self, tenant: &'a str, handle: &'a str) -> Awaited<'a, Result<Bearer, String>>;

    /// The service has refused this one with 401: it is not to be given out again. `challenge` is the service's WWW-Authenticate field, which may name
    /// the claims that the next one must have (`claims="..."` beside `error="insufficient_claims"`); empty when there was none.
    fn rejected<'a>(&'a self, tenant: &'a str, handle: &'a str, bearer: &'a Bearer, challenge: &'a str) -> Awaited<'a, ()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_printed() {
        let bearer = Bearer::new("eyJ0eXAi.secret", "https://graph.example");
        assert_eq!(format!("{bearer:?}"), "Bearer { origin: \"https://graph.example\", .. }");
    }

    #[test]
    fn a_token_is_masked_wherever_it_is() {
        let bearer = Bearer::new("abcdefgh", "https://graph.example");
        for (given, expected) in [
            ("abcdefgh", "[credential]"),
            ("Bearer abcdefgh!", "Bearer [credential]!"),
            ("abcdefghabcdefgh", "[credential][credential]"),
            ("abcdefg", "abcdefg"),
            ("", ""),
        ] {
            assert_eq!(String::from_utf8(bearer.mask(given.as_bytes().to_vec())).expect("text"), expected);
        }
        assert_eq!(Bearer::new("a", "https://graph.example").mask(b"banana".to_vec()), b"banana");
    }
}
