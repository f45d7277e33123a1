//! What the checks found, and its words: RFC 8601 section 2.7 result names, properties and reasons.
//!
//! Everything that comes from outside (addresses, domains, selectors) is quoted by `authentication_results`, and the finished value passes the
//! header encoder in `seal`.

use std::net::IpAddr;

use mail_auth::arc::ArcError;
use mail_auth::crypto::CryptoError;
use mail_auth::dkim::DkimError;
use mail_auth::{DkimOutput, DkimResult, DmarcOutput, DmarcResult, DnsError, Error, SpfOutput, SpfResult};

use super::{Alignment, Chain};
use crate::address::{Domain, Mailbox};
use crate::authentication_results::pvalue;
use crate::header::AuthorFault;
use crate::signature::Authentication;

/// DKIM result words, the best first.
const DKIM_ORDER: [&str; 6] = ["pass", "temperror", "fail", "neutral", "permerror", "none"];

/// One SPF identity.
pub(super) struct SpfEntry {
    property: &'static str,
    identity: String,
    result: SpfResult,
}

impl SpfEntry {
    pub(super) fn new(property: &'static str, identity: &str, output: &SpfOutput) -> Self {
        Self { property, identity: identity.to_owned(), result: output.result() }
    }

    fn text(&self) -> String {
        format!("spf={} {}={}", spf_word(self.result), self.property, pvalue(&self.identity))
    }
}

/// One DKIM signature.
pub(super) struct DkimEntry {
    result: &'static str,
    reason: Option<&'static str>,
    /// `d=`, `s=` and the beginning of `b=` (RFC 6008), when it could be read.
    signature: Option<(String, String, String)>,
}

impl DkimEntry {
    pub(super) fn new(output: &DkimOutput<'_>) -> Self {
        let signature = output.signature().map(|signature| {
            use base64::Engine as _;
            // Six octets are eight base64 characters, which RFC 6008 asks for.
            let start = signature.b.get(..6).unwrap_or_default();
            (signature.d.clone(), signature.s.clone(), base64::engine::general_purpose::STANDARD.encode(start))
        });
        Self { result: dkim_word(output.result()), reason: dkim_reason(output.result()), signature }
    }

    fn text(&self) -> String {
        let mut text = format!("dkim={}", self.result);
        if let Some(reason) = self.reason {
            text.push_str(&format!(" reason={}", pvalue(reason)));
        }
        if let Some((domain, selector, start)) = &self.signature {
            text.push_str(&format!(" header.d={} header.s={} header.b={}", pvalue(domain), pvalue(selector), pvalue(start)));
        }
        text
    }
}

/// The results of all checks of one message.
pub(super) struct Findings {
    pub(super) author: Result<Mailbox, AuthorFault>,
    /// The MAIL FROM identity; absent for the null reverse-path.
    pub(super) spf: Option<SpfEntry>,
    pub(super) helo: SpfEntry,
    pub(super) dkim: Vec<DkimEntry>,
    pub(super) dmarc: &'static str,
    pub(super) arc: &'static str,
    pub(super) chain: Chain,
    pub(super) alignment: Alignment,
    pub(super) sealer: Option<Domain>,
    pub(super) dkim_aligned: bool,
    /// Whether a check that could have proven From was not finished.
    pub(super) temporary: bool,
}

impl Findings {
    /// Nothing was there to be checked.
    pub(super) fn nothing() -> Self {
        Self {
            author: Err(AuthorFault::Absent),
            spf: None,
            helo: SpfEntry { property: "smtp.helo", identity: String::new(), result: SpfResult::None },
            dkim: Vec::new(),
            dmarc: "none",
            arc: "none",
            chain: Chain::None,
            alignment: Alignment::Not("nothing was checked"),
            sealer: None,
            dkim_aligned: false,
            temporary: false,
        }
    }

    /// The checks came to no end.
    pub(super) fn unknown(author: Result<Mailbox, AuthorFault>) -> Self {
        Self {
            author,
            helo: SpfEntry { property: "smtp.helo", identity: String::new(), result: SpfResult::TempError },
            dmarc: "temperror",
            arc: "temperror",
            chain: Chain::Unknown,
            alignment: Alignment::Not("a check could not be finished"),
            temporary: true,
            ..Self::nothing()
        }
    }

    /// The words for plugins and logs.
    pub(super) fn authentication(&self) -> Authentication {
        let dkim = DKIM_ORDER.into_iter().find(|word| self.dkim.iter().any(|entry| entry.result == *word));
        Authentication {
            spf: spf_word(self.spf.as_ref().unwrap_or(&self.helo).result),
            dkim: dkim.unwrap_or("none"),
            dmarc: self.dmarc,
            arc: self.arc,
            aligned: matches!(self.alignment, Alignment::By(_)),
        }
    }

    /// The `resinfo`s of Authentication-Results.
    pub(super) fn text(&self, ip: IpAddr) -> String {
        let mut entries: Vec<String> = self.spf.iter().map(SpfEntry::text).collect();
        // Without MAIL FROM the HELO identity is the SPF result; next to it, it is only worth its line when it says something.
        if self.spf.is_none() || self.helo.result != SpfResult::None {
            entries.push(self.helo.text());
        }
        entries.extend(self.dkim.iter().map(DkimEntry::text));
        if self.dkim.is_empty() {
            entries.push("dkim=none".to_owned());
        }
        let mut dmarc = format!("dmarc={}", self.dmarc);
        match (&self.alignment, &self.sealer) {
            (Alignment::Not(reason), _) => dmarc.push_str(&format!(" reason={}", pvalue(reason))),
            (_, Some(sealer)) => dmarc.push_str(&format!(" reason={}", pvalue(&format!("accepted on the word of ARC sealer {sealer}")))),
            _ => {}
        }
        if let Ok(author) = &self.author {
            dmarc.push_str(&format!(" header.from={}", pvalue(author.domain().as_str())));
        }
        entries.push(dmarc);
        entries.push(format!("arc={} smtp.remote-ip={}", self.arc, pvalue(&ip.to_string())));
        entries.join("; ")
    }
}

fn spf_word(result: SpfResult) -> &'static str {
    match result {
        SpfResult::Pass => "pass",
        SpfResult::Fail => "fail",
        SpfResult::SoftFail => "softfail",
        SpfResult::Neutral => "neutral",
        SpfResult::TempError => "temperror",
        SpfResult::PermError => "permerror",
        SpfResult::None => "none",
    }
}

fn dkim_word(result: &DkimResult) -> &'static str {
    match result {
        DkimResult::Pass => "pass",
        DkimResult::Neutral(_) => "neutral",
        DkimResult::Fail(_) => "fail",
        DkimResult::PermError(_) => "permerror",
        DkimResult::TempError(_) => "temperror",
        DkimResult::None => "none",
    }
}

pub(super) fn dmarc_word(output: &DmarcOutput) -> &'static str {
    match output.result() {
        DmarcResult::Pass => "pass",
        DmarcResult::Fail(_) => "fail",
        DmarcResult::TempError(_) => "temperror",
        DmarcResult::PermError(_) => "permerror",
        DmarcResult::None => "none",
    }
}

/// RFC 8617 section 4.4 knows none, pass and fail; a chain that DNS did not let us judge is neither.
pub(super) fn arc_word(result: &DkimResult) -> &'static str {
    match result {
        DkimResult::Pass => "pass",
        DkimResult::None => "none",
        DkimResult::TempError(_) => "temperror",
        DkimResult::Neutral(_) | DkimResult::Fail(_) | DkimResult::PermError(_) => "fail",
    }
}

fn dkim_reason(result: &DkimResult) -> Option<&'static str> {
    let error = match result {
        DkimResult::Neutral(error) | DkimResult::Fail(error) | DkimResult::PermError(error) | DkimResult::TempError(error) => error,
        DkimResult::Pass | DkimResult::None => return None,
    };
    Some(match error {
        Error::Dkim(DkimError::BodyHashMismatch) | Error::Arc(ArcError::BodyHashMismatch) => "body hash did not verify",
        Error::Dkim(DkimError::SignatureExpired) => "signature expired",
        Error::Dkim(DkimError::BodyLengthTag) => "l= does not count",
        Error::Dkim(DkimError::UnsupportedAlgorithm) => "not evaluated by policy",
        Error::Dkim(DkimError::PublicKeyRevoked) => "key revoked",
        Error::Dkim(DkimError::AuidMismatch) => "i= is not below d=",
        Error::Crypto(CryptoError::FailedVerification | CryptoError::Library(_)) => "signature did not verify",
        Error::Dns(DnsError::Resolver(_)) => "no answer from DNS",
        Error::Dns(_) => "no key in DNS",
        _ => "malformed signature or key",
    })
}
