//! Every reason for which Signet itself turns a message away, and the one place where such a reason becomes an SMTP reply.
//!
//! RFC 5321 section 4.2, RFC 3463, RFC 7372 (5.7.26). The peer gets a bland text; the log gets the reason with its detail. What the next hop
//! answers is not a refusal: it is passed back as it is by `handoff`.

use thiserror::Error;

use crate::smtp::reply::Reply;

/// Why a message goes no further.
#[derive(Debug, Error)]
pub enum Refusal {
    /// No tenant, or more than one, is proven by the factors that the tenants demand.
    #[error("the message belongs to no tenant: {0}")]
    NoTenant(String),
    /// It has been through too many hosts, or through this one too often.
    #[error("the message has {0} Received fields; it goes round in a loop")]
    Loop(usize),
    /// From is not proven and the tenant's policy is to refuse.
    #[error("the From domain is not proven: {0}")]
    Unaligned(String),
    /// It would be refused, but a check could not be finished.
    #[error("the From domain cannot be checked now: {0}")]
    Unchecked(String),
    /// A plugin gave no answer and the tenant's policy is to defer.
    #[error("a plugin gave no answer: {0}")]
    Plugin(String),
    /// It cannot be signed with the tenant's keys.
    #[error("the message cannot be sealed: {0}")]
    Seal(String),
    /// Something inside Signet failed.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Refusal {
    /// What the peer is told.
    pub fn reply(&self) -> Reply {
        match self {
            Self::NoTenant(_) => Reply::not_permitted(),
            Self::Loop(_) => Reply::new(554, (5, 4, 6), "too many hops"),
            Self::Unaligned(_) => Reply::new(550, (5, 7, 26), "the sender's domain could not be authenticated"),
            Self::Unchecked(_) => Reply::new(451, (4, 7, 0), "the sender's domain cannot be checked now, try again later"),
            Self::Plugin(_) | Self::Seal(_) | Self::Internal(_) => Reply::local_error(),
        }
    }

    /// A word for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NoTenant(_) => "no-tenant",
            Self::Loop(_) => "loop",
            Self::Unaligned(_) => "unaligned",
            Self::Unchecked(_) => "unchecked",
            Self::Plugin(_) => "plugin",
            Self::Seal(_) => "seal",
            Self::Internal(_) => "internal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Refusal;

    #[test]
    fn the_peer_never_learns_the_detail() {
        let detail = "tenant 7 lacks factor secret-header";
        let text = |refusal: Refusal| String::from_utf8(refusal.reply().to_wire()).expect("replies are ASCII");
        for refusal in [
            Refusal::NoTenant(detail.into()),
            Refusal::Unaligned(detail.into()),
            Refusal::Plugin(detail.into()),
            Refusal::Internal(detail.into()),
        ] {
            assert!(!text(refusal).contains("secret"));
        }
    }

    #[test]
    fn what_may_succeed_later_is_temporary_and_what_cannot_is_permanent() {
        for (refusal, code) in [
            (Refusal::NoTenant(String::new()), 550),
            (Refusal::Loop(99), 554),
            (Refusal::Unaligned(String::new()), 550),
            (Refusal::Unchecked(String::new()), 451),
            (Refusal::Plugin(String::new()), 451),
            (Refusal::Seal(String::new()), 451),
            (Refusal::Internal(String::new()), 451),
        ] {
            assert_eq!(refusal.reply().code, code);
        }
    }
}
