//! Why there is no token and why a sign-in did not succeed, in a person's words: what happened, and the one next step. No secrets.

use std::time::{Duration, SystemTime};

use uuid::Uuid;

/// What the service gave with a refusal so that its operators can find it again; for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The error of RFC 6749 section 5.2 or OpenID Connect.
    pub error: String,
    /// The service's own numbers (`AADSTS…`).
    pub numbers: Vec<u32>,
    /// The service's correlation id.
    pub correlation: Option<String>,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}{}", said.as_ref().map(Said::reference).unwrap_or_default())]
pub struct CredentialError {
    /// What happened.
    pub cause: Cause,
    /// What the service said, when it did.
    pub said: Option<Said>,
    /// After how long repeating makes sense; none when it does not without somebody's doing.
    pub wait: Option<Duration>,
}

impl Said {
    fn reference(&self) -> String {
        let numbers: Vec<String> = self.numbers.iter().map(|number| format!("AADSTS{number}")).collect();
        let words =
            [self.error.clone(), numbers.join(" "), self.correlation.clone().map(|id| format!("correlation id {id}")).unwrap_or_default()];
        let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
        if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
    }
}

impl CredentialError {
    pub(super) fn new(cause: Cause) -> Self {
        Self { cause, said: None, wait: None }
    }

    /// What a person should do about it.
    pub fn next_step(&self) -> &'static str {
        self.cause.next_step()
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// No credential has that name.
    #[error("there is no credential named {0:?}; the names are directory, administrator and exchange")]
    UnknownHandle(String),
    /// Nobody has authorised, or it was forgotten.
    #[error("no administrator's sign-in is held for this tenant; it is kept for an hour at most and never over a restart")]
    NotSignedIn,
    /// The grant has not arrived everywhere.
    #[error("the tenant's consent has not taken effect yet")]
    NotYet,
    /// The application has no service principal in the tenant.
    #[error("the application is not known in this tenant")]
    NotInTenant,
    /// The application is there without what it needs.
    #[error("the tenant has not granted the application what it needs")]
    NotConsented,
    /// An administrator of the tenant has switched the application off.
    #[error("the application is disabled in this tenant")]
    Disabled,
    /// Declined in the browser.
    #[error("the request for consent was declined")]
    Declined,
    /// The user may not consent.
    #[error("the person who signed in may not give this consent")]
    MayNotConsent,
    /// The user belongs elsewhere.
    #[error("the person who signed in does not belong to this tenant")]
    OtherTenantsUser,
    /// No such tenant in this cloud.
    #[error("the service does not know this tenant")]
    TenantUnknown,
    /// The resource is not in the tenant.
    #[error("the tenant does not have the service that the token is for")]
    ResourceAbsent,
    /// The secret's time is over.
    #[error("the application's secret has expired")]
    SecretExpired,
    /// The secret is another one.
    #[error("the application's secret is not the one that the service knows")]
    SecretWrong,
    /// The certificate is not registered.
    #[error("the application's certificate is not registered with the service")]
    CertificateUnknown,
    /// The certificate's time is over.
    #[error("the application's certificate expired {} days ago", days(.0))]
    CertificateExpired(Duration),
    /// The certificate's time has not come.
    #[error("the application's certificate becomes valid only in {} minutes", .0.as_secs() / 60 + 1)]
    CertificateNotYetValid(Duration),
    /// The assertion's times do not suit the service.
    #[error("the service refused the application's proof because of its time; {}", skew(*.0))]
    ClockSkew(Option<i64>),
    /// A policy of the tenant.
    #[error("a Conditional Access policy of the tenant blocks the sign-in")]
    ConditionalAccess,
    /// Something that only a person can do in a browser.
    #[error("the service wants the administrator to sign in again, with a second factor or after a change of password")]
    InteractionRequired,
    /// The sign-in is too old.
    #[error("the administrator's sign-in is no longer valid")]
    GrantExpired,
    /// The code of the redirect was used before, or is too old.
    #[error("the sign-in's code was used before or is too old")]
    CodeUsed,
    /// The registration of the application does not fit what is asked.
    #[error("the application's registration does not allow what is asked")]
    Registration,
    /// The service wants fewer requests.
    #[error("the service asks to slow down")]
    Throttled,
    /// The service is out of order.
    #[error("the sign-in service does not work at the moment (status {0})")]
    Unavailable(u16),
    /// No connection.
    #[error("the sign-in service cannot be reached: {0}")]
    Unreachable(String),
    /// An answer that is none.
    #[error("the sign-in service answered what it must not: {0}")]
    Protocol(String),
    /// A refusal without a variant of its own.
    #[error("the sign-in service refused the request")]
    Refused,
    /// This machine cannot do what is needed.
    #[error("this machine cannot do it: {0}")]
    Local(&'static str),
}

impl Cause {
    /// What a person should do about it.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::UnknownHandle(_) => "Correct the plugin: it may use the handles that connection.credentials lists.",
            Self::NotSignedIn | Self::GrantExpired | Self::CodeUsed => "Authorize again as Global Administrator.",
            Self::NotYet => "Wait: it takes up to ten minutes after the consent, and is tried again by itself.",
            Self::NotInTenant | Self::NotConsented => "Connect again and accept the request for consent as Global Administrator.",
            Self::Disabled => {
                "In the Entra admin center, under Enterprise applications, set \"Enabled for users to sign-in\" to Yes for the application."
            }
            Self::Declined => "Start again and choose Accept.",
            Self::MayNotConsent => "Let a Global Administrator sign in.",
            Self::OtherTenantsUser => "Sign in with an account of the tenant that is being connected.",
            Self::TenantUnknown => "Check the tenant's id and that the configured cloud is the tenant's.",
            Self::ResourceAbsent => "Check that the tenant has Exchange Online and that the configured cloud is the tenant's.",
            Self::SecretExpired => "Create a new client secret for the application and put its value into the configured file.",
            Self::SecretWrong => "Put the client secret's value (not its id) into the configured file.",
            Self::CertificateUnknown => "Upload the configured certificate to the application under Certificates & secrets.",
            Self::CertificateExpired(_) => "Issue a new certificate, upload it to the application and configure it here.",
            Self::CertificateNotYetValid(_) | Self::ClockSkew(_) => "Set this machine's clock by NTP.",
            Self::ConditionalAccess => "Exclude the application from the policy, or sign in from a place and device that it allows.",
            Self::InteractionRequired => "Sign in again in the browser.",
            Self::Registration => "Compare the application's redirect URI and API permissions with the installation guide.",
            Self::Throttled | Self::Unavailable(_) => "Wait: it is tried again by itself.",
            Self::Unreachable(_) => "Check that this machine may connect to the sign-in service, and its trusted authorities.",
            Self::Protocol(_) => "Check the configured address of the sign-in service.",
            Self::Refused => "Look the correlation id up in the tenant's sign-in log.",
            Self::Local(_) => "See this machine's system log.",
        }
    }
}

/// Why a browser that came back is not signed in, or a tenant not connected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// The redirect has parameters that do not belong together.
    #[error("the sign-in service sent the browser back with parameters that do not fit together: {0}")]
    Redirect(&'static str),
    /// The state was never issued, or was used before.
    #[error("this sign-in is not known here; it was finished before, or it did not begin here")]
    UnknownState,
    /// It took too long.
    #[error("this sign-in took longer than {} minutes", super::pending::PENDING_LIFETIME.as_secs() / 60)]
    Expired,
    /// Another browser began it.
    #[error("this sign-in began in another browser")]
    OtherBrowser,
    /// Somebody of another tenant signed in, or consented for another tenant.
    #[error("the answer is for tenant {actual}, and tenant {expected} is the one that is being connected")]
    WrongTenant {
        /// The one that is being connected.
        expected: Uuid,
        /// The one that came.
        actual: Uuid,
    },
    /// The proof of identity does not hold.
    #[error("the service's proof of identity does not hold: {0}")]
    IdToken(#[from] IdTokenFault),
    /// The service refused.
    #[error(transparent)]
    Service(#[from] CredentialError),
}

impl SignInError {
    /// What a person should do about it.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Redirect(_) | Self::UnknownState | Self::Expired => "Start again.",
            Self::OtherBrowser => "Start again and finish in the same browser.",
            Self::WrongTenant { .. } => "Sign in with an account of the tenant that is being connected.",
            Self::IdToken(IdTokenFault::Expired | IdTokenFault::NotYetValid) => "Set this machine's clock by NTP.",
            Self::IdToken(_) => "Check the configured address of the sign-in service and the client id.",
            Self::Service(error) => error.next_step(),
        }
    }

    /// What the service said, for the log.
    pub fn said(&self) -> Option<&Said> {
        if let Self::Service(error) = self { error.said.as_ref() } else { None }
    }
}

/// What is wrong with an id_token (OpenID Connect Core 1.0 section 3.1.3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenFault {
    /// There is none.
    #[error("there is none")]
    Missing,
    /// It is no signed token of the agreed kind.
    #[error("it is not signed with RS256")]
    Algorithm,
    /// It is not a token.
    #[error("it cannot be read")]
    Unreadable,
    /// Its key is not among the service's.
    #[error("it is signed with a key that the service does not publish")]
    UnknownKey,
    /// The signature is wrong.
    #[error("its signature is wrong")]
    Signature,
    /// It comes from somebody else.
    #[error("it was issued by somebody else")]
    Issuer,
    /// It is for somebody else.
    #[error("it was issued for another application")]
    Audience,
    /// It answers another request.
    #[error("it answers another sign-in")]
    Nonce,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet")]
    NotYetValid,
}

fn days(duration: &Duration) -> u64 {
    duration.as_secs() / (24 * 60 * 60)
}

fn skew(seconds: Option<i64>) -> String {
    match seconds {
        Some(0) => "the two clocks agree to the second".to_owned(),
        Some(ahead @ 1..) => format!("this machine's clock is {ahead} seconds ahead of the service's"),
        Some(behind) => format!("this machine's clock is {} seconds behind the service's", behind.unsigned_abs()),
        None => "the service did not say what time it has".to_owned(),
    }
}

/// Seconds that `ours` is ahead of `theirs`.
pub(super) fn ahead(ours: SystemTime, theirs: SystemTime) -> i64 {
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    ours.duration_since(theirs).map_or_else(|behind| -seconds(behind.duration()), seconds)
}
