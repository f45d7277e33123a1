//! When the word of an earlier hop counts: RFC 8617 chains that end in sealers the operator trusts.
//!
//! The newest set must be a trusted sealer's: whoever seals last can change everything before it and vouch for it again. Going back from
//! there, as long as the sealers are trusted, the first that recorded the From domain as proven decides. SHA-1 does not count, and every set
//! that is relied on must have signed From.

use mail_auth::arc::ChainLink;
use mail_auth::crypto::Algorithm;
use mail_auth::{ArcOutput, DkimResult};

use super::Chain;
use crate::address::{Domain, Mailbox};
use crate::authentication_results::{MethodResult, results};

/// What the chain is to the next sealer.
pub(super) fn chain(result: &DkimResult) -> Chain {
    match result {
        DkimResult::None => Chain::None,
        DkimResult::Pass => Chain::Pass,
        DkimResult::TempError(_) => Chain::Unknown,
        DkimResult::Neutral(_) | DkimResult::Fail(_) | DkimResult::PermError(_) => Chain::Fail,
    }
}

/// The trusted sealer that recorded `from` as proven.
pub(super) fn accepted(arc: &ArcOutput<'_>, trusted: &[Domain], from: &Domain) -> Option<Domain> {
    if *arc.result() != DkimResult::Pass {
        return None;
    }
    for link in arc.chain().iter().rev() {
        let sealer = trusted_sealer(link, trusted)?;
        if results(link.results.value, RESULTS_START).iter().any(|result| proves(result, from)) {
            return Some(sealer);
        }
    }
    None
}

/// `i=1; authserv-id;` come first in ARC-Authentication-Results.
const RESULTS_START: usize = 2;

fn trusted_sealer(link: &ChainLink<'_>, trusted: &[Domain]) -> Option<Domain> {
    let (seal, signature) = (link.seal.header, link.signature.header);
    let sealer = Domain::parse(&seal.d).ok()?;
    let same = Domain::parse(&signature.d).is_ok_and(|signer| signer == sealer);
    let strong = seal.a != Algorithm::RsaSha1 && signature.a != Algorithm::RsaSha1;
    let signs_from = signature.h.iter().any(|name| name.eq_ignore_ascii_case("from"));
    let known = trusted.iter().any(|domain| sealer.is_same_or_subdomain_of(domain));
    (same && strong && signs_from && known).then_some(sealer)
}

/// Whether a recorded result proves exactly this domain.
fn proves(result: &MethodResult, from: &Domain) -> bool {
    let property = match result.method.as_str() {
        "dmarc" => "header.from",
        "dkim" => "header.d",
        "spf" => "smtp.mailfrom",
        _ => return false,
    };
    result.result == "pass" && result.property(property).and_then(domain_of).is_some_and(|domain| domain == *from)
}

/// A property names a domain or an address.
fn domain_of(value: &str) -> Option<Domain> {
    Mailbox::parse(value).map(|mailbox| mailbox.domain().clone()).or_else(|_| Domain::parse(value.trim_start_matches('@'))).ok()
}
