//! SASL logins: PLAIN and SCRAM-SHA-256, server side.
//!
//! RFC 4422 (SASL), RFC 4616 (PLAIN), RFC 5802 and RFC 7677 (SCRAM-SHA-256). The mechanisms are those of the crate `rsasl`; here are the store of
//! keys, the steps of an exchange and the guard in front of the mechanism. No password is stored: a login is checked against the keys
//! that SCRAM derives from it, in the text form that PostgreSQL uses. That the connection is encrypted is the session's business;
//! channel binding (the `-PLUS` mechanisms) is not offered.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsasl::callback::{Context, Request, SessionCallback, SessionData};
use rsasl::mechanisms::plain::PLAIN;
use rsasl::mechanisms::scram::SCRAM_SHA256;
use rsasl::mechanisms::scram::properties::ScramStoredPassword;
use rsasl::mechname::Mechname;
use rsasl::prelude::{MessageSent, Registry, SASLConfig, SASLServer, SessionError, State, Validation};
use rsasl::property::{AuthId, AuthzId, Password};
use rsasl::validate::{Validate, ValidationError};

/// Iterations for new logins: about 5 ms of one core at each PLAIN login. RFC 7677 section 4 demands at least 4096.
pub const DEFAULT_ITERATIONS: u32 = 16_384;
/// RFC 7677 section 4.
const MIN_ITERATIONS: u32 = 4_096;
/// About a third of a second of one core at each PLAIN login, known or not.
const MAX_ITERATIONS: u32 = 1_000_000;
/// Octets of salt in a stored login: fewer repeat between logins.
const MIN_SALT: usize = 8;
/// A block of SHA-256; more adds nothing.
const MAX_SALT: usize = 64;
/// Octets of a SHA-256 key.
const KEY: usize = 32;
/// Octets of a login name, so that both mechanisms can carry it in one line.
const MAX_NAME: usize = 255;

/// Why a login cannot be stored or an exchange cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Not the stored form.
    #[error("stored login key is not \"SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>\"; make one with \"signet login NAME\"")]
    Stored,
    /// Too few for RFC 7677 or too many for us.
    #[error("iteration count {0} is not between {MIN_ITERATIONS} and {MAX_ITERATIONS}")]
    Iterations(u32),
    /// Too short or too long.
    #[error("salt of {0} octets is not between {MIN_SALT} and {MAX_SALT} octets")]
    Salt(usize),
    /// A name that needs escaping in SCRAM or preparation in PLAIN.
    #[error("login name {0:?} is not 1 to {MAX_NAME} printable US-ASCII characters without space, \",\" and \"=\"")]
    Name(String),
    /// A password that needs SASLprep.
    #[error("password is empty or has characters outside printable US-ASCII")]
    Password,
    /// A response that is no Base64.
    #[error("response is not Base64")]
    Base64,
    /// No salt without them.
    #[error("the system gives no random octets")]
    Random,
}

/// What is stored of one password.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredKeys {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    stored_key: [u8; KEY],
    server_key: [u8; KEY],
}

impl StoredKeys {
    /// Derives the keys from a password (RFC 5802 section 3). The salt shall be random.
    pub fn derive(password: &str, salt: &[u8], iterations: u32) -> Result<Self, AuthError> {
        // Printable US-ASCII is what SASLprep (RFC 4013) leaves unchanged, so every client derives the same keys.
        if password.is_empty() || !password.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
            return Err(AuthError::Password);
        }
        let iterations = checked_iterations(iterations)?;
        checked_salt(salt)?;
        let (stored_key, server_key) = derive_keys(password.as_bytes(), salt, iterations);
        Ok(Self { iterations, salt: salt.to_vec(), stored_key, server_key })
    }

    /// Whether `password` is the one that the keys were derived from; takes the same time for every answer.
    fn matches(&self, password: &[u8]) -> bool {
        let (stored_key, _) = derive_keys(password, &self.salt, self.iterations);
        constant_time::verify_slices_are_equal(&stored_key, &self.stored_key).is_ok()
    }
}

fn checked_iterations(iterations: u32) -> Result<NonZeroU32, AuthError> {
    let valid = (MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations);
    NonZeroU32::new(iterations).filter(|_| valid).ok_or(AuthError::Iterations(iterations))
}

fn checked_salt(salt: &[u8]) -> Result<(), AuthError> {
    if (MIN_SALT..=MAX_SALT).contains(&salt.len()) { Ok(()) } else { Err(AuthError::Salt(salt.len())) }
}

/// StoredKey and ServerKey of RFC 5802 section 3.
fn derive_keys(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> ([u8; KEY], [u8; KEY]) {
    let mut salted = [0; KEY];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password, &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client_key = hmac::sign(&key, b"Client Key");
    (fixed(digest::digest(&digest::SHA256, client_key.as_ref()).as_ref()), fixed(hmac::sign(&key, b"Server Key").as_ref()))
}

/// A SHA-256 output as an array.
fn fixed(octets: &[u8]) -> [u8; KEY] {
    let mut array = [0; KEY];
    array.copy_from_slice(octets);
    array
}

impl fmt::Debug for StoredKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredKeys").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl fmt::Display for StoredKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored, server] = [&self.salt[..], &self.stored_key, &self.server_key].map(|octets| STANDARD.encode(octets));
        write!(f, "SCRAM-SHA-256${}:{salt}${stored}:{server}", self.iterations)
    }
}

impl FromStr for StoredKeys {
    type Err = AuthError;

    fn from_str(text: &str) -> Result<Self, AuthError> {
        let parts = || {
            let (parameters, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
            let (iterations, salt) = parameters.split_once(':')?;
            let (stored, server) = keys.split_once(':')?;
            let key = |part: &str| STANDARD.decode(part).ok().and_then(|octets| <[u8; KEY]>::try_from(octets).ok());
            Some((iterations.parse::<u32>().ok()?, STANDARD.decode(salt).ok()?, key(stored)?, key(server)?))
        };
        let (iterations, salt, stored_key, server_key) = parts().ok_or(AuthError::Stored)?;
        let iterations = checked_iterations(iterations)?;
        checked_salt(&salt)?;
        Ok(Self { iterations, salt, stored_key, server_key })
    }
}

/// All logins of the process.
pub struct Logins {
    logins: HashMap<Arc<str>, StoredKeys>,
    decoy: hmac::Key,
}

impl Logins {
    /// Logins by name. `decoy` shall be random and stay the same while the process runs: unknown names get salts made from it, so that
    /// nobody can ask which names exist.
    pub fn new(logins: impl IntoIterator<Item = (String, StoredKeys)>, decoy: &[u8; KEY]) -> Result<Self, AuthError> {
        let named = |(name, keys): (String, StoredKeys)| {
            let printable = name.bytes().all(|octet| matches!(octet, b'!'..=b'~') && !matches!(octet, b',' | b'='));
            if printable && (1..=MAX_NAME).contains(&name.len()) { Ok((name.into(), keys)) } else { Err(AuthError::Name(name)) }
        };
        let logins = logins.into_iter().map(named).collect::<Result<_, _>>()?;
        Ok(Self { logins, decoy: hmac::Key::new(hmac::HMAC_SHA256, decoy) })
    }

    /// Whether there are none, so that AUTH need not be offered.
    pub fn is_empty(&self) -> bool {
        self.logins.is_empty()
    }

    fn known(&self, name: &str) -> Option<Arc<str>> {
        self.logins.get_key_value(name).map(|(name, _)| Arc::clone(name))
    }

    /// The keys of a login, or for an unknown name keys that no password has and that are the same every time.
    fn keys(&self, name: &str) -> StoredKeys {
        let decoy = |purpose: &[u8]| {
            let mut context = hmac::Context::with_key(&self.decoy);
            context.update(purpose);
            context.update(name.as_bytes());
            fixed(context.sign().as_ref())
        };
        self.logins.get(name).cloned().unwrap_or_else(|| StoredKeys {
            iterations: self.usual_iterations(),
            salt: decoy(b"salt ")[..self.usual_salt()].to_vec(),
            stored_key: decoy(b"stored "),
            server_key: decoy(b"server "),
        })
    }

    /// What most logins have is what an unknown one seems to have.
    fn usual_iterations(&self) -> NonZeroU32 {
        self.logins.values().map(|keys| keys.iterations).max().unwrap_or(NonZeroU32::MIN)
    }

    fn usual_salt(&self) -> usize {
        self.logins.values().map(|keys| keys.salt.len()).max().unwrap_or(KEY).min(KEY)
    }

    fn check(&self, name: &str, password: &[u8]) -> Option<Arc<str>> {
        let matches = self.keys(name).matches(password);
        self.known(name).filter(|_| matches)
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins").field("count", &self.logins.len()).finish_non_exhaustive()
    }
}

/// The mechanisms that are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 7677
    ScramSha256,
    /// RFC 4616
    Plain,
}

impl Mechanism {
    /// For the answer to EHLO.
    pub const NAMES: &'static str = "PLAIN SCRAM-SHA-256";

    /// By its registered name.
    pub fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "PLAIN" => Some(Self::Plain),
            "SCRAM-SHA-256" => Some(Self::ScramSha256),
            _ => None,
        }
    }
}

/// What the mechanism found out: the login, if it was proven.
struct Proven;

impl Validation for Proven {
    type Value = Option<Arc<str>>;
}

/// One login attempt between two responses of the client.
pub struct Exchange(Stage);

enum Stage {
    /// Before the client's first response.
    Start(Mechanism),
    /// Before its second.
    Running(rsasl::prelude::Session<Proven>),
    /// Proven; the client acknowledges our proof with an empty response (RFC 4954 section 4).
    Proven(Arc<str>),
}

impl Exchange {
    /// Both mechanisms let the client speak first.
    pub fn new(mechanism: Mechanism) -> Self {
        Self(Stage::Start(mechanism))
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Stage::Start(_) => "Exchange(start)",
            Stage::Running(_) => "Exchange(running)",
            Stage::Proven(_) => "Exchange(proven)",
        })
    }
}

/// What becomes of an attempt.
#[derive(Debug)]
pub enum Outcome {
    /// Send these octets and wait for a response.
    Continue(Exchange, Vec<u8>),
    /// The login is proven.
    Success(Arc<str>),
    /// It is not.
    Failure,
}

/// An exchange with the response that moves it on.
pub struct Attempt {
    exchange: Exchange,
    response: Vec<u8>,
}

impl Attempt {
    /// Decodes a response line.
    pub fn new(exchange: Exchange, line: &[u8]) -> Result<Self, AuthError> {
        let response = STANDARD.decode(line).map_err(|_| AuthError::Base64)?;
        Ok(Self { exchange, response })
    }

    /// Moves the exchange on. PLAIN computes for milliseconds here.
    pub fn run(self, logins: &Arc<Logins>) -> Outcome {
        let Self { exchange, response } = self;
        match exchange.0 {
            Stage::Start(mechanism) => {
                if mechanism == Mechanism::ScramSha256 && !is_client_first(&response) {
                    return Outcome::Failure;
                }
                start(mechanism, logins).map_or(Outcome::Failure, |session| step(session, &response))
            }
            Stage::Running(session) if is_client_final(&response) => step(session, &response),
            Stage::Proven(login) if response.is_empty() => Outcome::Success(login),
            Stage::Running(_) | Stage::Proven(_) => Outcome::Failure,
        }
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Attempt").field(&self.exchange).finish()
    }
}

fn start(mechanism: Mechanism, logins: &Arc<Logins>) -> Option<rsasl::prelude::Session<Proven>> {
    static OFFERED: [rsasl::prelude::Mechanism; 2] = [SCRAM_SHA256, PLAIN];
    let name = match mechanism {
        Mechanism::Plain => PLAIN.mechanism,
        Mechanism::ScramSha256 => SCRAM_SHA256.mechanism,
    };
    let callback = Callback { logins: Arc::clone(logins) };
    let config = SASLConfig::builder().with_registry(Registry::with_mechanisms(&OFFERED)).with_callback(callback).ok()?;
    SASLServer::<Proven>::new(config).start_suggested(Mechname::parse(name.as_bytes()).ok()?).ok()
}

fn step(mut session: rsasl::prelude::Session<Proven>, response: &[u8]) -> Outcome {
    let mut challenge = Vec::new();
    match session.step(Some(response), &mut challenge) {
        Ok(State::Running) => Outcome::Continue(Exchange(Stage::Running(session)), challenge),
        Ok(State::Finished(sent)) => match (session.validation().flatten(), sent) {
            (Some(login), MessageSent::No) => Outcome::Success(login),
            (Some(login), MessageSent::Yes) => Outcome::Continue(Exchange(Stage::Proven(login)), challenge),
            (None, _) => Outcome::Failure,
        },
        Err(_) => Outcome::Failure,
    }
}

/// Whether the response has the form of `client-first-message` (RFC 5802 section 7): only such octets reach the mechanism.
fn is_client_first(response: &[u8]) -> bool {
    let mut parts = response.splitn(3, |octet| *octet == b',');
    let (Some(flag), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let authzid_fits = authzid.is_empty() || authzid.starts_with(b"a=") && authzid.len() > 2;
    matches!(flag, b"n" | b"y") && authzid_fits && bare.starts_with(b"n=") && attributes(bare) >= 2
}

/// Whether the response has the form of `client-final-message`.
fn is_client_final(response: &[u8]) -> bool {
    response.starts_with(b"c=") && attributes(response) >= 3
}

/// How many attributes `a=value` there are; 0 when there is anything else.
fn attributes(octets: &[u8]) -> usize {
    let mut count = 0;
    for attribute in octets.split(|octet| *octet == b',') {
        match attribute {
            [name, b'=', _, ..] if name.is_ascii_alphabetic() => count += 1,
            _ => return 0,
        }
    }
    count
}

/// Answers the mechanisms' questions from the store.
struct Callback {
    logins: Arc<Logins>,
}

impl SessionCallback for Callback {
    fn callback(&self, _: &SessionData, context: &Context<'_>, request: &mut Request<'_>) -> Result<(), SessionError> {
        if let Some(name) = context.get_ref::<AuthId>() {
            let keys = self.logins.keys(name);
            request.satisfy::<ScramStoredPassword<'static>>(&ScramStoredPassword::new(
                keys.iterations.get(),
                &keys.salt,
                &keys.stored_key,
                &keys.server_key,
            ))?;
        }
        Ok(())
    }

    fn validate(&self, _: &SessionData, context: &Context<'_>, validate: &mut Validate<'_>) -> Result<(), ValidationError> {
        validate.with::<Proven, _>(|| {
            let name = context.get_ref::<AuthId>().ok_or(ValidationError::MissingRequiredProperty)?;
            // Nobody acts for somebody else.
            let own = context.get_ref::<AuthzId>().is_none_or(|authzid| authzid.is_empty() || authzid == name);
            // SCRAM has checked its proof before it asks; only PLAIN comes with a password.
            let login = match context.get_ref::<Password>() {
                Some(password) => self.logins.check(name, password),
                None => self.logins.known(name),
            };
            Ok(login.filter(|_| own))
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
