//! One token that many callers want: kept while it is good, renewed ahead of time, asked for by one caller at a time. A failure is told to everybody
//! who waited for it, and remembered just long enough that the service is not asked again at once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::error::{Cause, CredentialError};
use super::secret::{Bearer, random};

/// The first wait after a failure that may pass by itself; doubled with every further one.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// The longest wait of our own.
const LONGEST_WAIT: Duration = Duration::from_secs(2 * 60);
/// How long a failure is repeated that needs somebody's doing: its repair should show at once, and a thousand callers should not ask.
const REFUSED_WAIT: Duration = Duration::from_secs(5);
/// How long "no consent" may mean "not everywhere yet". The service speaks of minutes.
const CONSENT_PATIENCE: Duration = Duration::from_secs(10 * 60);

/// The place of one token.
#[derive(Debug, Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    flight: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    failure: Option<Failure>,
    failures: u32,
    /// Since when the consent is waited for.
    missing_since: Option<SystemTime>,
}

#[derive(Debug)]
struct Held {
    bearer: Bearer,
    renew: SystemTime,
}

#[derive(Debug)]
struct Failure {
    error: CredentialError,
    until: SystemTime,
}

/// What a caller is told without asking.
enum Known {
    Token(Bearer),
    /// Still good, and time to renew it.
    Ageing(Bearer),
    Failed(CredentialError),
    Nothing,
}

impl Slot {
    /// A slot that holds a token already.
    pub(super) fn holding(bearer: Bearer, now: SystemTime) -> Self {
        let slot = Self::default();
        slot.keep(bearer, now);
        slot
    }

    /// The token; `fetch` asks for one when it is needed.
    pub(super) async fn bearer(
        &self,
        now: SystemTime,
        fetch: impl Future<Output = Result<Bearer, CredentialError>>,
    ) -> Result<Bearer, CredentialError> {
        let _flight = match self.known(now) {
            Known::Token(bearer) => return Ok(bearer),
            Known::Failed(error) => return Err(error),
            // Somebody else renews it, and this one is still good.
            Known::Ageing(bearer) => match self.flight.try_lock() {
                Ok(flight) => flight,
                Err(_) => return Ok(bearer),
            },
            Known::Nothing => self.flight.lock().await,
        };
        // The one who had the flight before may have settled it.
        let ageing = match self.known(now) {
            Known::Token(bearer) => return Ok(bearer),
            Known::Failed(error) => return Err(error),
            Known::Ageing(bearer) => Some(bearer),
            Known::Nothing => None,
        };
        match fetch.await {
            Ok(bearer) => {
                self.keep(bearer.clone(), now);
                Ok(bearer)
            }
            Err(error) => {
                let error = self.fail(error, now);
                ageing.ok_or(error)
            }
        }
    }

    /// Forgets the token when it is that one: the resource does not take it any more.
    pub(super) fn refuse(&self, refused: &Bearer) {
        let mut state = self.lock();
        if state.held.as_ref().is_some_and(|held| held.bearer.same(refused)) {
            state.held = None;
        }
    }

    /// Something has changed: failures of the past do not count.
    pub(super) fn hope(&self) {
        let mut state = self.lock();
        (state.failure, state.failures, state.missing_since) = (None, 0, None);
    }

    /// Whether a caller may expect a token: there is one, or it was not refused just now.
    pub(super) fn is_hopeful(&self, now: SystemTime) -> bool {
        let state = self.lock();
        let held = state.held.as_ref().is_some_and(|held| held.bearer.expires() > now);
        held || state.failure.as_ref().is_none_or(|failure| failure.error.wait.is_some() || failure.until <= now)
    }

    fn known(&self, now: SystemTime) -> Known {
        let state = self.lock();
        let failure = state.failure.as_ref().filter(|failure| now < failure.until);
        match (&state.held, failure) {
            (Some(held), _) if now < held.renew => Known::Token(held.bearer.clone()),
            (Some(held), Some(_)) if now < held.bearer.expires() => Known::Token(held.bearer.clone()),
            (Some(held), None) if now < held.bearer.expires() => Known::Ageing(held.bearer.clone()),
            (_, Some(failure)) => {
                let left = failure.until.duration_since(now).unwrap_or_default();
                let wait = failure.error.wait.map(|_| left);
                Known::Failed(CredentialError { wait, ..failure.error.clone() })
            }
            _ => Known::Nothing,
        }
    }

    /// Renewed at four fifths of its life: early enough for some failures before its end.
    fn keep(&self, bearer: Bearer, now: SystemTime) {
        let life = bearer.expires().duration_since(now).unwrap_or_default();
        let mut state = self.lock();
        *state = State { held: Some(Held { bearer, renew: now + life * 4 / 5 }), ..State::default() };
    }

    fn fail(&self, mut error: CredentialError, now: SystemTime) -> CredentialError {
        let mut state = self.lock();
        if matches!(error.cause, Cause::NotInTenant | Cause::NotConsented | Cause::Disabled | Cause::NotYet) {
            let since = *state.missing_since.get_or_insert(now);
            let patient = now.duration_since(since).unwrap_or_default() < CONSENT_PATIENCE;
            error.cause = match error.cause {
                _ if patient => Cause::NotYet,
                Cause::NotYet => Cause::NotConsented,
                cause => cause,
            };
        }
        let passes = matches!(error.cause, Cause::NotYet | Cause::Throttled | Cause::Unavailable(_) | Cause::Unreachable(_));
        let pause = if passes { error.wait.unwrap_or_default().max(wait(state.failures)) } else { REFUSED_WAIT };
        error.wait = passes.then_some(pause);
        state.failures = state.failures.saturating_add(1);
        state.failure = Some(Failure { error: error.clone(), until: now + pause });
        error
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The wait after so many failures: doubled each time, with up to half of it taken away at random, so that many of us do not come back together.
fn wait(failures: u32) -> Duration {
    let full = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(LONGEST_WAIT);
    let chance = random::<1>().map_or(0, |octet| u32::from(octet[0]));
    full - full / 2 * chance / 256
}
