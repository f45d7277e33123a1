//! Sessions of browsers: a secret in a cookie, of which only the hash is kept, in memory. A restart ends them all.
//!
//! RFC 6265. A session that is not used ends, and every session ends after some hours. Signing in makes a new secret, so a cookie that
//! somebody else put into the browser is worth nothing afterwards.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::{constant_time, digest, hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Octets of the secret: nobody guesses 256 bits.
const SECRET: usize = 32;
/// Its characters in the cookie.
const SECRET_TEXT: usize = 43;
/// Sessions at one time, some hundred octets each. The one that was not used for longest makes room.
const MAX_SESSIONS: usize = 1000;

/// Whose session it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// A user's, by name; what they may do is looked up each time.
    User(String),
    /// Somebody's who was invited to complete the connection of that tenant.
    Guest(String),
}

#[derive(Debug)]
struct Session {
    holder: Holder,
    begun: Instant,
    used: Instant,
}

/// All sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    idle: Duration,
    lifetime: Duration,
    kept: Mutex<HashMap<[u8; 32], Session>>,
}

impl Sessions {
    /// No session, and how long each will last without use and at most.
    pub(super) fn new(idle: Duration, lifetime: Duration) -> Self {
        Self { idle, lifetime, kept: Mutex::default() }
    }

    /// A new session for `secret`, which must be fresh.
    pub(super) fn begin(&self, secret: &str, holder: Holder, now: Instant) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, session| self.lives(session, now));
        if kept.len() >= MAX_SESSIONS
            && let Some(oldest) = kept.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| *key)
        {
            kept.remove(&oldest);
        }
        kept.insert(hash(secret), Session { holder, begun: now, used: now });
    }

    /// Whose session that is; this counts as use.
    pub(super) fn find(&self, secret: &str, now: Instant) -> Option<Holder> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let key = hash(secret);
        let session = kept.get_mut(&key)?;
        if self.lives(session, now) {
            session.used = now;
            return Some(session.holder.clone());
        }
        kept.remove(&key);
        None
    }

    /// Ends a session.
    pub(super) fn end(&self, secret: &str) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash(secret));
    }

    fn lives(&self, session: &Session, now: Instant) -> bool {
        now.duration_since(session.used) < self.idle && now.duration_since(session.begun) < self.lifetime
    }
}

fn hash(secret: &str) -> [u8; 32] {
    let mut array = [0; 32];
    array.copy_from_slice(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref());
    array
}

/// A fresh secret; none when the system gives no random octets.
pub(super) fn fresh() -> Option<String> {
    let mut octets = [0; SECRET];
    rand::fill(&mut octets).ok()?;
    Some(URL_SAFE_NO_PAD.encode(octets))
}

/// Whether it has the form of a secret of ours.
fn is_secret(text: &str) -> bool {
    text.len() == SECRET_TEXT && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
}

/// The word that each form carries: bound to the cookie, and of no use without it. Browsers that have not signed in have a cookie too, so
/// that signing in is guarded in the same way.
#[derive(Debug)]
pub(super) struct FormTokens(hmac::Key);

impl FormTokens {
    /// With a key of this process.
    pub(super) fn new() -> Option<Self> {
        let mut key = [0; 32];
        rand::fill(&mut key).ok()?;
        Some(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// The word for the forms of that browser.
    pub(super) fn token(&self, secret: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, secret.as_bytes()))
    }

    /// Whether it is the one.
    pub(super) fn matches(&self, secret: &str, token: &str) -> bool {
        constant_time::verify_slices_are_equal(self.token(secret).as_bytes(), token.as_bytes()).is_ok()
    }
}

/// The cookie by its name and attributes.
#[derive(Clone, Copy, Debug)]
pub(super) struct CookieStyle {
    /// Whether browsers reach us over TLS.
    pub(super) https: bool,
}

impl CookieStyle {
    fn name(self) -> &'static str {
        if self.https { "__Host-signet" } else { "signet" }
    }

    /// The field value that sets it. Lax, because the return from the service is a navigation from another site.
    pub(super) fn set(self, secret: &str) -> String {
        let secure = if self.https { "; Secure" } else { "" };
        format!("{}={secret}; Path=/; HttpOnly; SameSite=Lax{secure}", self.name())
    }

    /// The field value that removes it.
    pub(super) fn clear(self) -> String {
        format!("{}; Max-Age=0", self.set(""))
    }

    /// The secret in the Cookie fields of a request. Two of them would mean that somebody planted one: then none counts.
    pub(super) fn read<'a>(self, fields: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        let ours = |pair: &'a str| pair.trim().split_once('=').filter(|(name, _)| *name == self.name()).map(|(_, value)| value);
        let mut found = fields.flat_map(|field| field.split(';')).filter_map(ours);
        let first = found.next().filter(|value| is_secret(value))?;
        found.next().is_none().then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);
    const LIFETIME: Duration = Duration::from_secs(200);

    fn ada() -> Holder {
        Holder::User("ada".to_owned())
    }

    #[test]
    fn a_session_ends_when_unused_when_old_and_when_ended() {
        let sessions = Sessions::new(IDLE, LIFETIME);
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        sessions.begin("unused", ada(), begun);
        sessions.begin("old", ada(), begun);
        sessions.begin("ended", ada(), begun);
        sessions.end("ended");
        assert_eq!(sessions.find("ended", after(1)), None);
        for seconds in [50, 100, 150, 199] {
            assert_eq!(sessions.find("old", after(seconds)), Some(ada()), "after {seconds} s");
        }
        assert_eq!(sessions.find("old", after(200)), None);
        assert_eq!(sessions.find("unused", after(60)), None);
        assert_eq!(sessions.find("unused", after(1)), None, "what has ended stays ended");
    }

    #[test]
    fn the_session_that_was_not_used_for_longest_makes_room() {
        let sessions = Sessions::new(IDLE, LIFETIME);
        let begun = Instant::now();
        for number in 0..MAX_SESSIONS {
            sessions.begin(&number.to_string(), ada(), begun);
        }
        let later = begun + Duration::from_secs(1);
        for number in 1..MAX_SESSIONS {
            sessions.find(&number.to_string(), later);
        }
        sessions.begin("one more", ada(), later);
        assert_eq!(sessions.find("0", later), None);
        assert_eq!(sessions.find("1", later), Some(ada()));
        assert_eq!(sessions.find("one more", later), Some(ada()));
    }

    #[test]
    fn a_form_token_is_worth_nothing_with_another_cookie_or_process() {
        let (ours, other) = (FormTokens::new().unwrap(), FormTokens::new().unwrap());
        let token = ours.token("cookie");
        assert!(ours.matches("cookie", &token));
        assert!(!ours.matches("another", &token));
        assert!(!other.matches("cookie", &token));
        assert!(!ours.matches("cookie", ""));
    }

    #[test]
    fn a_cookie_is_read_only_when_it_is_one_of_ours_and_the_only_one() {
        let secret = fresh().unwrap();
        let style = CookieStyle { https: true };
        let ours = format!("__Host-signet={secret}");
        let (beside, twice) = (format!("a=b; {ours}; c=d"), format!("{ours}; {ours}"));
        for (field, found) in
            [(ours.as_str(), true), (&beside, true), (&twice, false), ("__Host-signet=short", false), ("signet=", false), ("", false)]
        {
            assert_eq!(style.read([field].into_iter()).is_some(), found, "{field}");
        }
        assert!(style.set(&secret).ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"));
        assert!(!CookieStyle { https: false }.set(&secret).contains("Secure"));
    }
}
