//! What the sign-in service's refusals mean: RFC 6749 section 5.2 with Microsoft's additions, in token answers and in redirects.
//!
//! The `error` word decides; the numbers only choose a better explanation, because the service may change them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::{Cause, CredentialError, Said};

/// Words and ids from the service that are kept for the log have at most this many characters.
const WORD_LIMIT: usize = 64;

/// The body of a refusal.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Refusal {
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    error_description: String,
    #[serde(default)]
    error_codes: Vec<u32>,
    #[serde(default)]
    correlation_id: Option<String>,
}

impl oauth2::ErrorResponse for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&word(&self.error))
    }
}

impl Refusal {
    /// A refusal in a redirect, which has its numbers in the text only.
    pub(super) fn redirected(error: &str, description: &str) -> Self {
        Self { error: error.to_owned(), error_description: description.to_owned(), ..Self::default() }
    }

    /// What it means; `skew` is by how many seconds our clock is ahead of the service's.
    pub(super) fn explain(&self, skew: Option<i64>) -> CredentialError {
        let numbers = if self.error_codes.is_empty() { numbers_in(&self.error_description) } else { self.error_codes.clone() };
        let cause = numbers.iter().find_map(|number| by_number(*number, skew)).unwrap_or_else(|| by_word(&self.error));
        let correlation = self.correlation_id.clone().or_else(|| correlation_in(&self.error_description));
        let said = Said { error: word(&self.error), numbers, correlation: correlation.map(|id| word(&id)).filter(|id| !id.is_empty()) };
        CredentialError { cause, said: Some(said), wait: None }
    }
}

fn by_number(number: u32, skew: Option<i64>) -> Option<Cause> {
    Some(match number {
        700_016 => Cause::NotInTenant,
        65_001 => Cause::NotConsented,
        7_000_112 => Cause::Disabled,
        65_004 => Cause::Declined,
        90_094 => Cause::MayNotConsent,
        50_020 | 16_000 | 51_004 => Cause::OtherTenantsUser,
        90_002 => Cause::TenantUnknown,
        500_011 => Cause::ResourceAbsent,
        7_000_222 => Cause::SecretExpired,
        7_000_215 => Cause::SecretWrong,
        700_027 | 50_012 | 700_030 => Cause::CertificateUnknown,
        700_024 => Cause::ClockSkew(skew),
        53_003 | 53_000 => Cause::ConditionalAccess,
        50_076 | 50_079 => Cause::InteractionRequired,
        70_008 | 700_082 => Cause::GrantExpired,
        54_005 => Cause::CodeUsed,
        50_011 | 65_005 | 650_056 | 650_057 | 70_011 => Cause::Registration,
        _ => return None,
    })
}

fn by_word(error: &str) -> Cause {
    match error {
        "access_denied" | "permission_denied" => Cause::Declined,
        "consent_required" => Cause::NotConsented,
        "unauthorized_client" => Cause::NotInTenant,
        "invalid_grant" => Cause::GrantExpired,
        "interaction_required" | "login_required" => Cause::InteractionRequired,
        "invalid_resource" => Cause::ResourceAbsent,
        "invalid_scope" => Cause::Registration,
        "temporarily_unavailable" | "server_error" => Cause::Unavailable(503),
        _ => Cause::Refused,
    }
}

/// The numbers behind `AADSTS` in a text.
fn numbers_in(text: &str) -> Vec<u32> {
    let behind = text.split("AADSTS").skip(1);
    let digits = behind.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
    digits.filter_map(|digits| digits.parse().ok()).take(4).collect()
}

/// The id behind `Correlation ID:` in a text.
fn correlation_in(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("Correlation ID: ")?;
    rest.split(|c: char| !c.is_ascii_hexdigit() && c != '-').next().map(str::to_owned)
}

/// What may go into a log of a word that came from outside.
fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')).take(WORD_LIMIT).collect()
}
