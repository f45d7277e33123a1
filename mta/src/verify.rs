//! Who wrote this: SPF, DKIM, DMARC and ARC, and whether the From domain is proven.
//!
//! RFC 7208 (HELO and MAIL FROM), RFC 6376 with RFC 8301 (no rsa-sha1) and RFC 8463, RFC 9989, RFC 8617. The protocols are mail-auth's; here
//! are the limits (time, number of DKIM signatures, of signed fields), the alignment verdict and the words for Authentication-Results. A check
//! that cannot be finished is `temperror`, never a hang and never a verdict. DKIM signatures with `l=` do not count, whatever they cover:
//! content can be appended to what they sign. mail-auth compares `t=` and `x=` with the system's clock. Nothing is written into the message
//! here; that is `seal`'s job.

use std::time::Duration;

use mail_auth::arc::ArcError;
use mail_auth::crypto::Algorithm;
use mail_auth::dkim::{DkimError, Signature};
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{
    ArcOutput, AuthenticatedMessage, DkimOutput, DkimResult, DmarcOutput, DmarcResult, DnsError, Error, Parameters, SpfOutput, SpfResult,
};
use tokio::time::timeout_at;

use crate::address::{Domain, Mailbox, ReversePath};
use crate::header::{self, AuthorFault};
use crate::message::Accepted;
use crate::signature::Authentication;

mod dns;
mod results;
mod trust;

pub use dns::{DnsSettings, Resolver};

use dns::Context;
use results::{DkimEntry, Findings, SpfEntry};

/// Each costs a DNS lookup and a public key operation; honest mail has one to four.
const MAX_DKIM_SIGNATURES: usize = 10;
/// Fields named in one `h=`: each is searched for in the whole header section.
const MAX_SIGNED_FIELDS: usize = 256;
/// With more fields than this the search above would cost more than the rest of the work on a message.
const MAX_FIELDS: usize = 2000;
/// Hashing a body of this size takes about as long as handing it to another thread.
const INLINE_OCTETS: usize = 256 * 1024;
/// What DMARC may take after the other checks have used up their time.
const DMARC_GRACE: Duration = Duration::from_secs(5);

/// Why no resolver can be made.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// No servers are configured and the system names none.
    #[error("the system's DNS servers cannot be read: {0}; name them in the configuration, for example servers = [\"192.0.2.53:53\"]")]
    SystemDns(String),
    /// The settings are not usable.
    #[error("the DNS resolver cannot be started: {0}; check the configured servers")]
    Dns(String),
}

/// What a tenant wants for messages whose From domain is not proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unaligned {
    /// Refuse them.
    Reject,
    /// Relay them without a signature.
    #[default]
    RelayUnsigned,
    /// Treat them like all others.
    Sign,
}

/// How one tenant's mail is judged.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Our name in Authentication-Results.
    pub authserv_id: String,
    /// This host's name: the `r` macro of SPF.
    pub hostname: String,
    /// What happens when From is not proven.
    pub unaligned: Unaligned,
    /// Whose word in an ARC chain counts; subdomains included.
    pub trusted_sealers: Vec<Domain>,
}

/// What policy and alignment lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may get a signature, and our DKIM signature.
    Signable,
    /// It is relayed as it is, for this reason.
    RelayUnsigned(&'static str),
    /// It is refused, for this reason.
    Reject(&'static str),
    /// It would be refused, but a check could not be finished: the sender tries again.
    Defer(&'static str),
}

/// Whether the From domain is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alignment {
    /// By the named check: `spf`, `dkim` or `arc`.
    By(&'static str),
    /// Not, for this reason.
    Not(&'static str),
}

/// State of the ARC chain as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// No chain.
    None,
    /// It validates.
    Pass,
    /// It does not.
    Fail,
    /// DNS gave no answer.
    Unknown,
}

/// An accepted message together with what the checks found. Made by [`verify`] only.
#[derive(Clone, Debug)]
pub struct Verified {
    accepted: Accepted,
    author: Result<Mailbox, AuthorFault>,
    authentication: Authentication,
    alignment: Alignment,
    dkim_aligned: bool,
    temporary: bool,
    unaligned: Unaligned,
    chain: Chain,
    results: String,
}

impl Verified {
    /// The message.
    pub fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// Result words for plugins and logs.
    pub fn authentication(&self) -> Authentication {
        self.authentication.clone()
    }

    /// Whether the From domain is proven.
    pub fn aligned(&self) -> bool {
        self.authentication.aligned
    }

    /// By what it is proven, or why it is not.
    pub fn alignment(&self) -> &Alignment {
        &self.alignment
    }

    /// The one address in From; [`None`] when From names none or several.
    pub fn author(&self) -> Option<&Mailbox> {
        self.author.as_ref().ok()
    }

    /// The domain of [`Verified::author`].
    pub fn from_domain(&self) -> Option<&Domain> {
        self.author().map(Mailbox::domain)
    }

    /// What the tenant's policy makes of it.
    pub fn decision(&self) -> Decision {
        match (&self.alignment, self.unaligned) {
            (Alignment::By(_), _) | (_, Unaligned::Sign) => Decision::Signable,
            (Alignment::Not(reason), Unaligned::RelayUnsigned) => Decision::RelayUnsigned(reason),
            (Alignment::Not(reason), Unaligned::Reject) if self.temporary => Decision::Defer(reason),
            (Alignment::Not(reason), Unaligned::Reject) => Decision::Reject(reason),
        }
    }

    /// RFC 8601 `resinfo`s, separated by `; `: what follows the authserv-id in Authentication-Results and ARC-Authentication-Results.
    pub fn results(&self) -> &str {
        &self.results
    }

    /// The ARC chain as received.
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// Whether the message arrived with a DKIM signature that proves the From domain.
    pub fn dkim_aligned(&self) -> bool {
        self.dkim_aligned
    }
}

/// Runs all checks. Never fails: what cannot be found out is `temperror`.
pub async fn verify(accepted: Accepted, resolver: &Resolver, policy: &Policy) -> Verified {
    let findings = if accepted.content.len() <= INLINE_OCTETS {
        check(&accepted, resolver, policy).await
    } else {
        // The body hash would hold up the other connections of this thread.
        let (accepted, resolver, policy) = (accepted.clone(), resolver.clone(), policy.clone());
        let runtime = tokio::runtime::Handle::current();
        let content = accepted.content.clone();
        let job = move || runtime.block_on(check(&accepted, &resolver, &policy));
        tokio::task::spawn_blocking(job).await.unwrap_or_else(|_| Findings::unknown(header::author(&content)))
    };
    Verified {
        authentication: findings.authentication(),
        results: findings.text(accepted.peer.address.ip().to_canonical()),
        author: findings.author,
        alignment: findings.alignment,
        dkim_aligned: findings.dkim_aligned,
        temporary: findings.temporary,
        unaligned: policy.unaligned,
        chain: findings.chain,
        accepted,
    }
}

async fn check(accepted: &Accepted, resolver: &Resolver, policy: &Policy) -> Findings {
    let author = header::author(&accepted.content);
    let Some(mut message) = AuthenticatedMessage::parse(&accepted.content) else {
        return Findings { author, alignment: Alignment::Not(AuthorFault::Absent.as_str()), ..Findings::nothing() };
    };
    let author = author.and_then(|mailbox| confirmed(mailbox, &message));
    limit_signatures(&mut message, author.as_ref().ok().map(Mailbox::domain));

    let context = Context::new(resolver);
    let sender = sender(accepted.envelope.reverse_path());
    let (helo, mail_from, dkim, arc) = tokio::join!(
        spf_helo(accepted, policy, &context),
        spf_mail_from(accepted, &sender, policy, &context),
        dkim(&message, &context),
        arc(&message, &context)
    );
    let spf = mail_from.as_ref().unwrap_or(&helo);
    let dmarc = dmarc(&message, &dkim, spf, &context).await;

    let mut findings = Findings {
        spf: mail_from.as_ref().map(|output| SpfEntry::new("smtp.mailfrom", &sender, output)),
        helo: SpfEntry::new("smtp.helo", &accepted.peer.helo, &helo),
        dkim: dkim.iter().take(MAX_DKIM_SIGNATURES).map(DkimEntry::new).collect(),
        dmarc: dmarc.as_ref().map_or("temperror", results::dmarc_word),
        arc: results::arc_word(arc.result()),
        chain: trust::chain(arc.result()),
        ..Findings::nothing()
    };
    match &author {
        Ok(mailbox) => {
            align(&mut findings, mailbox.domain(), &Outputs { message: &message, dkim: &dkim, spf, dmarc: dmarc.as_ref() });
            if matches!(findings.alignment, Alignment::Not(_)) {
                findings.sealer = trust::accepted(&arc, &policy.trusted_sealers, mailbox.domain());
            }
            if findings.sealer.is_some() {
                findings.alignment = Alignment::By("arc");
            }
        }
        Err(fault) => findings.alignment = Alignment::Not(fault.as_str()),
    }
    findings.author = author;
    findings
}

/// Both readers of From must agree before its domain is used for anything.
fn confirmed(mailbox: Mailbox, message: &AuthenticatedMessage<'_>) -> Result<Mailbox, AuthorFault> {
    match message.from_addresses() {
        [only] if *only == mailbox.as_str().to_lowercase() => Ok(mailbox),
        [] | [_] => Err(AuthorFault::Malformed),
        _ => Err(AuthorFault::SeveralAddresses),
    }
}

/// Drops what is too much or too weak to verify; signatures of the author's own domain are kept first.
fn limit_signatures(message: &mut AuthenticatedMessage<'_>, author: Option<&Domain>) {
    let own = |signature: &Signature| {
        let related = |signer: Domain, author: &Domain| author.is_same_or_subdomain_of(&signer) || signer.is_same_or_subdomain_of(author);
        author.is_some_and(|author| Domain::parse(&signature.d).is_ok_and(|signer| related(signer, author)))
    };
    let searchable = message.headers().len() <= MAX_FIELDS;
    let own_count = message.dkim_signatures().iter().filter(|header| own(&header.header)).count();
    let mut own_left = MAX_DKIM_SIGNATURES;
    let mut others_left = MAX_DKIM_SIGNATURES.saturating_sub(own_count);
    message.retain_dkim_signatures(|signature| {
        // RFC 8301 section 3.1: rsa-sha1 must not be verified.
        if !searchable || signature.a == Algorithm::RsaSha1 || signature.h.len() > MAX_SIGNED_FIELDS {
            return Err(DkimError::UnsupportedAlgorithm);
        }
        let left = if own(signature) { &mut own_left } else { &mut others_left };
        *left = left.checked_sub(1).ok_or(DkimError::UnsupportedAlgorithm)?;
        Ok(())
    });
}

/// `local@domain` with A-labels; empty for the null reverse-path.
fn sender(reverse_path: &ReversePath) -> String {
    reverse_path.mailbox().map_or_else(String::new, |mailbox| format!("{}@{}", mailbox.local(), mailbox.domain()))
}

async fn spf_helo(accepted: &Accepted, policy: &Policy, context: &Context<'_>) -> SpfOutput {
    let helo = &accepted.peer.helo;
    let Some(domain) = Domain::parse(helo).ok().filter(|domain| !domain.is_literal()) else { return SpfOutput::new(helo.clone()) };
    let ip = accepted.peer.address.ip().to_canonical();
    run_spf(SpfParameters::helo(ip, domain.as_str(), &policy.hostname), domain.as_str(), context).await
}

/// The MAIL FROM identity; [`None`] for the null reverse-path, whose identity is HELO (RFC 7208 section 2.4).
async fn spf_mail_from(accepted: &Accepted, sender: &str, policy: &Policy, context: &Context<'_>) -> Option<SpfOutput> {
    let (_, domain) = sender.rsplit_once('@')?;
    if domain.ends_with(']') {
        return Some(SpfOutput::new(domain.to_owned()));
    }
    let peer = &accepted.peer;
    let parameters = SpfParameters::mail_from(peer.address.ip().to_canonical(), &peer.helo, &policy.hostname, sender);
    Some(run_spf(parameters, domain, context).await)
}

async fn run_spf(parameters: SpfParameters<'_>, domain: &str, context: &Context<'_>) -> SpfOutput {
    let check = context.authenticator.check_host(Parameters::new(parameters).with_cache(&context.spf));
    timeout_at(context.deadline, check).await.unwrap_or_else(|_| SpfOutput::new(domain.to_owned()).with_result(SpfResult::TempError))
}

async fn dkim<'x>(message: &'x AuthenticatedMessage<'x>, context: &'x Context<'x>) -> Vec<DkimOutput<'x>> {
    let check = context.authenticator.verify_dkim(Parameters::new(message).with_cache(&context.keys));
    timeout_at(context.deadline, check).await.unwrap_or_else(|_| {
        let unknown = || DkimOutput::from(DkimResult::TempError(too_late()));
        message.dkim_signatures().iter().map(|header| unknown().with_signature(&header.header)).collect()
    })
}

async fn arc<'x>(message: &'x AuthenticatedMessage<'x>, context: &'x Context<'x>) -> ArcOutput<'x> {
    let newest_is_searchable = message.arc_message_signatures().iter().all(|header| header.header.h.len() <= MAX_SIGNED_FIELDS);
    if !newest_is_searchable || message.headers().len() > MAX_FIELDS {
        return DkimResult::Fail(Error::Arc(ArcError::BrokenChain)).into();
    }
    let check = context.authenticator.verify_arc(Parameters::new(message).with_cache(&context.keys));
    timeout_at(context.deadline, check).await.unwrap_or_else(|_| DkimResult::TempError(too_late()).into())
}

/// The DMARC output; [`None`] when DNS gave no answer in time.
async fn dmarc(message: &AuthenticatedMessage<'_>, dkim: &[DkimOutput<'_>], spf: &SpfOutput, context: &Context<'_>) -> Option<DmarcOutput> {
    let parameters = DmarcParameters::new(message, dkim, spf.domain(), spf);
    let check = context.authenticator.verify_dmarc(Parameters::new(parameters).with_cache(&context.dmarc));
    timeout_at(context.deadline + DMARC_GRACE, check).await.ok()
}

fn too_late() -> Error {
    Error::Dns(DnsError::Resolver("no answer in time".to_owned()))
}

/// What mail-auth found out.
struct Outputs<'a> {
    message: &'a AuthenticatedMessage<'a>,
    dkim: &'a [DkimOutput<'a>],
    spf: &'a SpfOutput,
    dmarc: Option<&'a DmarcOutput>,
}

/// Alignment as DMARC defines it. Where no DMARC record is published there is no organizational domain either (RFC 9989 section 4.10.2):
/// then only the very same domain is aligned.
fn align(findings: &mut Findings, from: &Domain, outputs: &Outputs<'_>) {
    let exact = outputs.dmarc.is_some_and(|dmarc| dmarc.record().is_none() && dmarc.result() == DmarcResult::None);
    let is_from = |domain: &str| Domain::parse(domain).is_ok_and(|domain| domain == *from);
    let dkim_exact =
        || outputs.dkim.iter().any(|output| *output.result() == DkimResult::Pass && output.signature().is_some_and(|s| is_from(&s.d)));
    let spf_exact = || outputs.spf.result() == SpfResult::Pass && is_from(outputs.spf.domain());
    findings.dkim_aligned = outputs.dmarc.is_some_and(|dmarc| *dmarc.dkim_result() == DmarcResult::Pass) || exact && dkim_exact();
    let spf_aligned = outputs.dmarc.is_some_and(|dmarc| *dmarc.spf_result() == DmarcResult::Pass) || exact && spf_exact();
    findings.temporary = findings.dmarc == "temperror"
        || outputs.spf.result() == SpfResult::TempError
        || outputs.dkim.iter().any(|output| matches!(output.result(), DkimResult::TempError(_)));
    let partial = |header: &mail_auth::headers::Header<'_, Error>| header.header == Error::Dkim(DkimError::BodyLengthTag);
    findings.alignment = if findings.dkim_aligned {
        Alignment::By("dkim")
    } else if spf_aligned {
        Alignment::By("spf")
    } else if findings.temporary {
        Alignment::Not("a check could not be finished")
    } else if outputs.message.errors().iter().any(partial) {
        Alignment::Not("a DKIM signature with l= does not count")
    } else {
        Alignment::Not("no aligned SPF or DKIM pass")
    };
}

#[cfg(test)]
pub(crate) mod tests;
