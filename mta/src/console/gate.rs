//! Who may come in: names, passwords and roles, and a limit for guessing.
//!
//! A password is checked as SASL PLAIN (RFC 4616) against the stored keys, so that unknown names take as long as known ones. Checks run one
//! after the other: a limit that is counted before each cannot be outrun.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Mutex;

use crate::config::{Role, User};
use crate::smtp::auth::{Attempt, AuthError, Exchange, Logins, Mechanism, Outcome};

/// How long failures are remembered.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Failures for one name from one address: a person with a new keyboard.
const FAILURES_OF_BOTH: u32 = 5;
/// Failures from one address: some people behind it.
const FAILURES_OF_ADDRESS: u32 = 30;
/// Failures for one name from everywhere; higher, so that a stranger does not lock somebody out at once.
const FAILURES_OF_NAME: u32 = 50;
/// What is counted at one time, 100 octets each. The oldest makes room: whoever floods us must not keep everybody out.
const MAX_COUNTED: usize = 20_000;
/// Octets of a name and of a password that are looked at.
const MAX_WORD: usize = 255;

/// What came of a name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They belong together.
    Known,
    /// They do not, or there is no such name.
    Wrong,
    /// Too many were wrong; nothing was checked.
    TooMany,
}

/// Users, and failures so far.
pub(super) struct Gate {
    users: ArcSwap<Users>,
    decoy: [u8; 32],
    failures: Mutex<Failures>,
}

struct Users {
    roles: HashMap<String, Role>,
    logins: Arc<Logins>,
}

impl Users {
    fn new(users: &[User], decoy: &[u8; 32]) -> Result<Self, AuthError> {
        let logins = users.iter().map(|user| (user.name.clone(), user.keys.clone()));
        let roles = users.iter().map(|user| (user.name.clone(), user.role)).collect();
        Ok(Self { roles, logins: Arc::new(Logins::new(logins, decoy)?) })
    }
}

impl Gate {
    /// With these users.
    pub(super) fn new(users: &[User]) -> Result<Self, AuthError> {
        let mut decoy = [0; 32];
        aws_lc_rs::rand::fill(&mut decoy).map_err(|_| AuthError::Random)?;
        let users = ArcSwap::from_pointee(Users::new(users, &decoy)?);
        Ok(Self { users, decoy, failures: Mutex::default() })
    }

    /// Others from now on: sessions of those who are gone are worth nothing.
    pub(super) fn replace(&self, users: &[User]) -> Result<(), AuthError> {
        self.users.store(Arc::new(Users::new(users, &self.decoy)?));
        Ok(())
    }

    /// What somebody may do; none when there is no such user any more.
    pub(super) fn role(&self, name: &str) -> Option<Role> {
        self.users.load().roles.get(name).copied()
    }

    /// Whether the password is that of the name.
    pub(super) async fn check(&self, name: &str, password: &str, peer: IpAddr, now: Instant) -> Verdict {
        let mut failures = self.failures.lock().await;
        let tried = Tried::new(name, peer);
        if !failures.admits(&tried, now) {
            return Verdict::TooMany;
        }
        let sound = |word: &str| (1..=MAX_WORD).contains(&word.len()) && !word.contains('\0');
        if sound(name) && sound(password) {
            let logins = Arc::clone(&self.users.load().logins);
            let message = STANDARD.encode(format!("\0{name}\0{password}"));
            let job = move || Attempt::new(Exchange::new(Mechanism::Plain), message.as_bytes()).map(|attempt| attempt.run(&logins));
            if let Ok(Ok(Outcome::Success(_))) = tokio::task::spawn_blocking(job).await {
                return Verdict::Known;
            }
        }
        failures.add(&tried, now);
        Verdict::Wrong
    }

    /// Counts a guess at something else than a password from that address; whether there may be one.
    pub(super) async fn guess(&self, peer: IpAddr, now: Instant) -> bool {
        self.failures.lock().await.admits(&Tried::new("", peer), now)
    }

    /// It was wrong.
    pub(super) async fn guessed_wrong(&self, peer: IpAddr, now: Instant) {
        self.failures.lock().await.add(&Tried::new("", peer), now);
    }
}

/// What an attempt is counted under.
struct Tried([(Counted, u32); 3]);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Counted {
    Both(String, IpAddr),
    Address(IpAddr),
    Name(String),
}

impl Tried {
    fn new(name: &str, peer: IpAddr) -> Self {
        let peer = network(peer);
        let name: String = name.chars().take(MAX_WORD).collect();
        Self([
            (Counted::Both(name.clone(), peer), FAILURES_OF_BOTH),
            (Counted::Address(peer), FAILURES_OF_ADDRESS),
            (Counted::Name(name), FAILURES_OF_NAME),
        ])
    }
}

/// The address, or the /64 that one site has of IPv6.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address => address,
    }
}

#[derive(Debug, Default)]
struct Failures(HashMap<Counted, Failure>);

#[derive(Debug)]
struct Failure {
    first: Instant,
    count: u32,
}

impl Failures {
    fn admits(&self, tried: &Tried, now: Instant) -> bool {
        let below = |(counted, limit): &(Counted, u32)| {
            self.0.get(counted).is_none_or(|failure| failure.count < *limit || now.duration_since(failure.first) >= WINDOW)
        };
        tried.0.iter().all(below)
    }

    fn add(&mut self, tried: &Tried, now: Instant) {
        if self.0.len() + tried.0.len() > MAX_COUNTED {
            self.make_room(tried.0.len(), now);
        }
        for (counted, _) in &tried.0 {
            let failure = self.0.entry(counted.clone()).or_insert(Failure { first: now, count: 0 });
            if now.duration_since(failure.first) >= WINDOW {
                *failure = Failure { first: now, count: 0 };
            }
            failure.count += 1;
        }
    }

    fn make_room(&mut self, places: usize, now: Instant) {
        self.0.retain(|_, failure| now.duration_since(failure.first) < WINDOW);
        while self.0.len() + places > MAX_COUNTED {
            let oldest = self.0.iter().min_by_key(|(_, failure)| failure.first).map(|(counted, _)| counted.clone());
            let Some(oldest) = oldest else { return };
            self.0.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn guessing_is_limited_by_name_and_address_and_forgotten_after_a_while() {
        let now = Instant::now();
        let mut failures = Failures::default();
        for _ in 0..FAILURES_OF_BOTH {
            assert!(failures.admits(&Tried::new("ada", address(1)), now));
            failures.add(&Tried::new("ada", address(1)), now);
        }
        assert!(!failures.admits(&Tried::new("ada", address(1)), now));
        assert!(failures.admits(&Tried::new("ada", address(2)), now), "from elsewhere ada may still come in");
        assert!(failures.admits(&Tried::new("bob", address(1)), now));
        assert!(failures.admits(&Tried::new("ada", address(1)), now + WINDOW));
        for number in 0..FAILURES_OF_ADDRESS {
            failures.add(&Tried::new(&number.to_string(), address(3)), now);
        }
        assert!(!failures.admits(&Tried::new("carol", address(3)), now));
        for number in 0..FAILURES_OF_NAME {
            failures.add(&Tried::new("dave", IpAddr::from([198, 51, 100, number as u8])), now);
        }
        assert!(!failures.admits(&Tried::new("dave", address(4)), now));
    }

    #[test]
    fn a_flood_of_failures_is_forgotten_from_its_beginning_and_keeps_nobody_out() {
        let begun = Instant::now();
        let mut failures = Failures::default();
        for number in 0..7_000_u16 {
            let [high, low] = number.to_be_bytes();
            let tried = Tried::new(&number.to_string(), IpAddr::from([198, 18, high, low]));
            failures.add(&tried, begun + Duration::from_millis(number.into()));
        }
        assert!(failures.0.len() <= MAX_COUNTED);
        assert!(!failures.0.contains_key(&Counted::Name("0".to_owned())));
        assert!(failures.0.contains_key(&Counted::Name("6999".to_owned())));
        assert!(failures.admits(&Tried::new("ada", address(1)), begun));
    }

    #[test]
    fn one_site_of_ipv6_counts_as_one_address() {
        let (one, other) = ("2001:db8::1".parse().unwrap(), "2001:db8::ffff:1".parse().unwrap());
        assert_eq!(network(one), network(other));
        assert_ne!(network(one), network("2001:db8:0:1::1".parse().unwrap()));
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), address(1));
    }

    #[tokio::test]
    async fn only_the_right_password_opens_and_wrong_ones_are_counted() {
        let keys = crate::smtp::auth::StoredKeys::derive("secret", b"0123456789", 4096).unwrap();
        let gate = Gate::new(&[User { name: "ada".to_owned(), keys, role: Role::Owner }]).unwrap();
        let now = Instant::now();
        for (name, password, verdict) in [
            ("ada", "secret", Verdict::Known),
            ("ada", "Secret", Verdict::Wrong),
            ("ada", "", Verdict::Wrong),
            ("", "secret", Verdict::Wrong),
            ("bob", "secret", Verdict::Wrong),
            ("ada\0ada", "secret", Verdict::Wrong),
            ("ada", "x\0secret", Verdict::Wrong),
            ("ada", "secret", Verdict::Known),
        ] {
            assert_eq!(gate.check(name, password, address(1), now).await, verdict, "{name:?} {password:?}");
        }
        for _ in 0..FAILURES_OF_BOTH {
            gate.check("ada", "wrong", address(1), now).await;
        }
        assert_eq!(gate.check("ada", "secret", address(1), now).await, Verdict::TooMany);
    }
}
