//! Errors in a person's words: what kind, what happened, one next step. What was changed so far is added by those who know.

use uuid::Uuid;

use super::keep::KeepError;
use crate::control::credentials::{Cause, CredentialError, IdTokenFault, SignInError};
use crate::control::report::Trouble;
use crate::control::session::CallError;
use crate::control::words::{self, Administrator};
use crate::plugin::Failed;
use crate::store::StoreError;

/// What cannot be done now.
pub(in crate::control) fn stage(detail: impl Into<String>, next_step: impl Into<String>, at: u64) -> Trouble {
    Trouble::new("stage", detail, next_step, at)
}

/// A call without an answer.
pub(in crate::control) fn of_call(error: &CallError, at: u64) -> Trouble {
    match error {
        CallError::Failed(Failed::Problem(problem)) => Trouble::of(problem, at),
        CallError::Failed(Failed::Fault(fault)) => {
            Trouble::new("fault", format!("The control plugin failed: {fault}."), "See the log of the service; then try again.", at)
        }
        CallError::Store(error) => of_store(error, at),
    }
}

/// State that cannot be read or kept.
pub(super) fn of_store(error: &StoreError, at: u64) -> Trouble {
    Trouble::new("store", format!("It could not be kept: {error}."), "Look after the state file and its disk; then try again.", at)
}

/// A record that was not kept; then nothing has changed.
pub(super) fn of_keep(error: &KeepError, at: u64) -> Trouble {
    Trouble::new("store", format!("It could not be kept: {error}."), "Look after the state file and its disk; then try again.", at)
}

/// Seconds after which repeating makes sense; none when it does not.
pub(super) fn wait(error: &CallError) -> Option<u32> {
    match error {
        CallError::Failed(Failed::Problem(problem)) => problem.wait,
        _ => None,
    }
}

/// Whether a call failed for want of something that a fresh consent brings in a while.
pub(super) fn may_be_early(error: &CallError) -> bool {
    matches!(error, CallError::Failed(Failed::Problem(problem)) if matches!(problem.cause, words::Cause::Permission | words::Cause::Credential))
}

/// Whether a call failed because of a credential.
pub(super) fn is_credential(error: &CallError) -> bool {
    matches!(error, CallError::Failed(Failed::Problem(problem)) if problem.cause == words::Cause::Credential)
}

/// No token.
pub(in crate::control) fn of_credential(error: &CredentialError, at: u64) -> Trouble {
    let kind = match &error.cause {
        Cause::Declined => "declined",
        Cause::CodeUsed => "state",
        Cause::MayNotConsent => "role",
        Cause::OtherTenantsUser => "wrong-tenant",
        Cause::TenantUnknown => "missing",
        Cause::NotYet | Cause::NotInTenant | Cause::NotConsented | Cause::Disabled => "permission",
        Cause::ResourceAbsent => "unfit",
        Cause::ConditionalAccess | Cause::Refused => "denied",
        Cause::Throttled | Cause::Unavailable(_) | Cause::Unreachable(_) => "unavailable",
        Cause::Protocol(_) => "protocol",
        Cause::UnknownHandle(_) | Cause::Registration | Cause::Local(_) => "fault",
        Cause::NotSignedIn
        | Cause::InteractionRequired
        | Cause::GrantExpired
        | Cause::SecretExpired
        | Cause::SecretWrong
        | Cause::CertificateUnknown
        | Cause::CertificateExpired(_)
        | Cause::CertificateNotYetValid(_)
        | Cause::ClockSkew(_) => "credential",
    };
    let next_step = match &error.cause {
        Cause::NotSignedIn | Cause::GrantExpired | Cause::InteractionRequired => SIGN_IN_AGAIN,
        cause => cause.next_step(),
    };
    Trouble::new(kind, sentence(&error.to_string()), next_step, at)
}

/// The next step of a plan whose administrator's tokens have ended.
pub(super) const SIGN_IN_AGAIN: &str = "Sign in again to go on.";

/// A plan cannot be read before somebody authorised: `trouble` says that, with the next step of a plan that was begun.
pub(in crate::control) fn before_authorisation(trouble: Trouble) -> Trouble {
    if trouble.next_step != SIGN_IN_AGAIN {
        return trouble;
    }
    Trouble { next_step: "Authorise first; or read the script, which says the same.".to_owned(), ..trouble }
}

/// What a plan that was given up has changed.
pub(super) fn half_made(changed: Vec<String>, connected: bool, at: u64) -> Trouble {
    let next_step = if connected {
        "Authorise again, so that what is connected is set up as it says; or disconnect."
    } else {
        "Connect again to go on, or disconnect to take it away again."
    };
    let detail = "A change was given up half-way, and what it had changed until then is in force.";
    Trouble { changed, ..Trouble::new("half-made", detail, next_step, at) }
}

/// A browser that came back without success. `name` knows the names of tenants.
pub(super) fn of_sign_in(error: &SignInError, name: impl Fn(Uuid) -> Option<String>, at: u64) -> Trouble {
    let kind = match error {
        SignInError::Redirect(_) | SignInError::UnknownState | SignInError::Expired | SignInError::OtherBrowser => "state",
        SignInError::WrongTenant { expected, actual } => return wrong_tenant(*expected, *actual, name, at),
        SignInError::IdToken(IdTokenFault::Expired | IdTokenFault::NotYetValid) => "credential",
        SignInError::IdToken(_) => "protocol",
        SignInError::Service(error) => {
            let mut trouble = of_credential(error, at);
            trouble.detail.push_str(NOTHING);
            return trouble;
        }
    };
    Trouble::new(kind, sentence(&error.to_string()) + NOTHING, error.next_step(), at)
}

/// Added to what fails before anything is done.
const NOTHING: &str = " Nothing was changed.";

/// Somebody of another organisation.
pub(super) fn wrong_tenant(expected: Uuid, actual: Uuid, name: impl Fn(Uuid) -> Option<String>, at: u64) -> Trouble {
    let called = |id: Uuid| name(id).map_or_else(|| format!("the organisation {id}"), |name| format!("{name} ({id})"));
    let detail = format!("The answer is for {}, and {} is being connected.{NOTHING}", called(actual), called(expected));
    Trouble::new("wrong-tenant", detail, "Sign in with an account of the tenant that is being connected.", at)
}

/// A role that is not enough.
pub(super) fn of_role(administrator: &Administrator, at: u64) -> Trouble {
    let detail = format!("{}{NOTHING}", administrator.explanation);
    let mut trouble = Trouble::new("role", detail, "Authorize again with an account that holds the role directly.", at);
    trouble.steps.clone_from(&administrator.steps);
    trouble
}

/// An error's text as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    first + letters.as_str().trim_end_matches('.') + "."
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn service(cause: Cause) -> SignInError {
        SignInError::Service(CredentialError { cause, said: None, wait: None })
    }

    #[test]
    fn every_sign_in_that_fails_has_its_kind_and_one_next_step() {
        let (expected, actual) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let days = Duration::from_secs(3 * 86_400);
        for (error, kind, detail, next) in [
            (SignInError::UnknownState, "state", "not known here", "Start again"),
            (SignInError::Expired, "state", "longer than 10 minutes", "Start again"),
            (SignInError::OtherBrowser, "state", "another browser", "same browser"),
            (SignInError::WrongTenant { expected, actual }, "wrong-tenant", "Contrafforte", "account of the tenant"),
            (SignInError::IdToken(IdTokenFault::NotYetValid), "credential", "not valid yet", "clock"),
            (SignInError::IdToken(IdTokenFault::Signature), "protocol", "signature", "address"),
            (service(Cause::Declined), "declined", "declined", "Accept"),
            (service(Cause::MayNotConsent), "role", "may not give", "Global Administrator"),
            (service(Cause::CodeUsed), "state", "used before", "Authorize again"),
            (service(Cause::ClockSkew(Some(400))), "credential", "400 seconds ahead", "NTP"),
            (service(Cause::CertificateExpired(days)), "credential", "expired 3 days ago", "new certificate"),
            (service(Cause::GrantExpired), "credential", "no longer valid", "Sign in again"),
            (service(Cause::Unavailable(503)), "unavailable", "503", "tried again"),
        ] {
            let name = |id: Uuid| (id == actual).then(|| "Contrafforte Shipping".to_owned());
            let trouble = of_sign_in(&error, name, 7);
            assert_eq!((trouble.kind.as_str(), trouble.at), (kind, 7), "{error}");
            assert!(trouble.detail.contains(detail) && trouble.detail.ends_with("Nothing was changed."), "{}", trouble.detail);
            assert!(trouble.next_step.contains(next) && trouble.changed.is_empty(), "{}", trouble.next_step);
            assert!(trouble.detail.starts_with(char::is_uppercase), "{}", trouble.detail);
        }
    }
}
