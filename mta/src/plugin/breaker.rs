//! The circuit breaker: a plugin that keeps failing is left alone for a while. Time is a parameter.
//!
//! Closed, it counts faults within a window. Open, no call is made until the cool-down is over; then a single call may try: its end
//! closes the breaker or opens it again. It never decides what happens to the message.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::limits::BreakerSettings;

/// The breaker of one plugin.
#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Closed(VecDeque<Instant>),
    Open {
        since: Instant,
    },
    /// One call is trying since then. Should it never come back, another may try after a further cool-down.
    Trying {
        since: Instant,
    },
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: Mutex::new(State::Closed(VecDeque::new())) }
    }

    /// Whether a call may be made now. One that may must be reported to [`record`](Self::record).
    pub(super) fn admits(&self, now: Instant) -> bool {
        let mut state = self.lock();
        match *state {
            State::Closed(_) => true,
            State::Open { since } | State::Trying { since } => {
                let over = now.saturating_duration_since(since) >= self.settings.cool_down;
                if over {
                    *state = State::Trying { since: now };
                }
                over
            }
        }
    }

    /// How a call ended. `fault` means that the plugin misbehaved. Calls that began before the breaker opened do not close it.
    pub(super) fn record(&self, now: Instant, fault: bool) {
        let mut state = self.lock();
        match &mut *state {
            State::Closed(faults) => {
                if fault && self.settings.faults > 0 {
                    let window = self.settings.window;
                    faults.retain(|at| now.saturating_duration_since(*at) < window);
                    faults.push_back(now);
                    if faults.len() >= self.settings.faults {
                        *state = State::Open { since: now };
                    }
                }
            }
            State::Open { .. } => {}
            State::Trying { .. } => {
                *state = if fault { State::Open { since: now } } else { State::Closed(VecDeque::new()) };
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every state is valid, so a panic while it was held leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn breaker() -> (Breaker, impl Fn(u64) -> Instant) {
        let settings = BreakerSettings { faults: 3, window: Duration::from_secs(10), cool_down: Duration::from_secs(30) };
        let start = Instant::now();
        (Breaker::new(settings), move |seconds| start + Duration::from_secs(seconds))
    }

    #[test]
    fn it_opens_on_faults_within_the_window_only() {
        let (breaker, at) = breaker();
        for second in [0, 5, 10, 16, 21] {
            breaker.record(at(second), true);
            assert!(breaker.admits(at(second)), "no three within ten seconds by {second}");
        }
        breaker.record(at(22), true);
        assert!(!breaker.admits(at(22)));
    }

    #[test]
    fn after_the_cool_down_one_call_tries() {
        let (breaker, at) = breaker();
        (0..3).for_each(|_| breaker.record(at(0), true));
        assert!(!breaker.admits(at(29)));
        assert!(breaker.admits(at(30)));
        assert!(!breaker.admits(at(31)), "only one");
        breaker.record(at(31), true);
        assert!(!breaker.admits(at(60)));
        assert!(breaker.admits(at(61)));
        breaker.record(at(61), false);
        assert!(breaker.admits(at(61)) && breaker.admits(at(61)));
    }

    #[test]
    fn a_try_that_never_ends_does_not_keep_it_open_for_ever() {
        let (breaker, at) = breaker();
        (0..3).for_each(|_| breaker.record(at(0), true));
        assert!(breaker.admits(at(30)));
        assert!(breaker.admits(at(60)));
    }

    #[test]
    fn good_calls_that_began_earlier_do_not_close_it() {
        let (breaker, at) = breaker();
        (0..3).for_each(|_| breaker.record(at(0), true));
        breaker.record(at(1), false);
        assert!(!breaker.admits(at(2)));
    }

    #[test]
    fn zero_faults_means_never() {
        let breaker = Breaker::new(BreakerSettings { faults: 0, ..BreakerSettings::default() });
        let now = Instant::now();
        (0..1000).for_each(|_| breaker.record(now, true));
        assert!(breaker.admits(now));
    }
}
