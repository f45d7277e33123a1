//! The last thing that happens to a message: our trace fields, our results, our DKIM signatures, the ARC set.
//!
//! RFC 5321 section 4.4 (Received), RFC 8601 (Authentication-Results, and section 5: removal of forged ones), RFC 6376, RFC 8617. What a
//! [`struct@Copy`] consists of is not copied: fields are put before it and left out of it, nothing else. A header section with lines that are no
//! fields gets trace fields and results, but nothing that is signed. A [`Sealed`] cannot be edited any more. All
//! of it is synchronous and costs up to three RSA operations a message: callers run it off the I/O threads. The time is a parameter, and the
//! same input gives the same octets. DKIM and ARC are written here rather than by mail-auth's signers, which take the message as one buffer,
//! hash the body once for each, spell `h=` as the message happens to, and read the system's clock; mail-auth still verifies what we
//! write, in the tests.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use thiserror::Error;

use crate::address::Domain;
use crate::authentication_results::{canonical, claims};
use crate::header::{Field, HeaderError, body_start, encode, fields, is_regular};
use crate::mime::Copy;
use crate::tenant::TenantId;
use crate::verify::{Decision, Verified};

mod arc;
mod canonical;
mod dkim;
mod keys;
mod loop_token;
mod trace;

pub use keys::{Key, KeyError, MAX_RSA_BITS, MIN_RSA_BITS};
pub use loop_token::{DEFAULT_NAME, LoopToken, MIN_KEY, Pass};
pub use trace::{Hops, MAX_OWN_PASSES, hops};

use canonical::BodyHash;

/// Why a copy cannot be sealed.
#[derive(Debug, Error)]
pub enum SealError {
    /// A field cannot be written.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A guessable token would be worth nothing.
    #[error(
        "the loop token key of tenant {tenant} has {octets} octets; it needs at least {MIN_KEY}, for example from: openssl rand -hex 32"
    )]
    LoopKey {
        /// Whose.
        tenant: TenantId,
        /// How long it is.
        octets: usize,
    },
    /// RFC 8617 section 4.1.3 knows rsa-sha256 only.
    #[error(
        "the ARC key {0} is no RSA key; ARC knows rsa-sha256 only, make one with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048"
    )]
    ArcKey(String),
    /// Most receivers would see no DKIM signature at all.
    #[error("domain {0} has only an Ed25519 key, which big receivers do not verify; add an RSA key for the same domain")]
    OnlyEd25519(Domain),
    /// ARC is wanted, and no key is there.
    #[error("ARC is switched on and there is no ARC key; name a key file or switch ARC off")]
    NoArcKey,
    /// The year has more than four digits.
    #[error("the system clock shows a time that no Date can hold")]
    Clock,
}

/// How one tenant's mail is sealed.
#[derive(Debug)]
pub struct Settings {
    /// This host's name, for Received.
    pub hostname: String,
    /// Our name in Authentication-Results.
    pub authserv_id: String,
    /// The key of ARC sets.
    pub arc: Option<Arc<Key>>,
    /// Keys for DKIM; one is used when From is in its domain or below.
    pub dkim: Vec<Arc<Key>>,
    /// Whether ARC sets are added.
    pub arc_enabled: bool,
    /// The tenant's loop token.
    pub loop_token: Option<LoopToken>,
    /// More Received fields than this are a loop.
    pub maximum_hops: usize,
    /// Fields that must not reach any recipient: `Tenant::private_fields`.
    pub private_fields: Vec<String>,
}

impl Settings {
    /// Whether these settings can seal at all; for the check of a configuration.
    pub fn check(&self) -> Result<(), SealError> {
        encode("Received", &self.hostname)?;
        encode("Authentication-Results", &self.authserv_id)?;
        match &self.arc {
            Some(key) if !key.is_rsa() => return Err(SealError::ArcKey(format!("{key:?}"))),
            None if self.arc_enabled => return Err(SealError::NoArcKey),
            _ => {}
        }
        let lonely = |key: &&Arc<Key>| !key.is_rsa() && !self.dkim.iter().any(|other| other.is_rsa() && other.domain() == key.domain());
        self.dkim.iter().find(lonely).map_or(Ok(()), |key| Err(SealError::OnlyEd25519(key.domain().clone())))
    }
}

/// How many fields of which kind were taken out of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Authentication-Results that claimed to be ours.
    pub forged_results: usize,
    /// Loop tokens and words for the mail-flow rule; ours are written anew.
    pub loop_tokens: usize,
    /// Secret header fields of the tenant.
    pub private_fields: usize,
    /// DKIM signatures of the tenant that the edit broke and ours replace.
    pub replaced_dkim: usize,
}

/// A finished copy. Made by [`seal`] only.
#[derive(Clone, Debug)]
pub struct Sealed {
    recipients: Vec<usize>,
    pieces: Vec<Bytes>,
    removed: Removed,
    seals: Vec<String>,
    legible: bool,
}

impl Sealed {
    /// Indexes into the envelope's recipients.
    pub fn recipients(&self) -> &[usize] {
        &self.recipients
    }

    /// The octets, in order.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// How many octets there are.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// Never, in practice: Received is always there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was taken out.
    pub fn removed(&self) -> Removed {
        self.removed
    }

    /// What was written: `dkim=DOMAIN/SELECTOR`, `arc=INSTANCE`.
    pub fn seals(&self) -> &[String] {
        &self.seals
    }

    /// Why nothing was signed although the settings ask for it.
    pub fn unsealed(&self) -> Option<&'static str> {
        (!self.legible).then_some("damaged-header")
    }
}

/// What a copy consists of.
struct Parts<'a> {
    recipients: &'a [usize],
    header: &'a Bytes,
    body: &'a [Bytes],
    edited: bool,
}

/// Seals one copy of a message.
pub fn seal(copy: Copy, verified: &Verified, settings: &Settings, now: SystemTime) -> Result<Sealed, SealError> {
    let parts = Parts { recipients: copy.recipients(), header: copy.header(), body: copy.body(), edited: copy.is_edited() };
    seal_parts(&parts, verified, settings, now)
}

fn seal_parts(parts: &Parts<'_>, verified: &Verified, settings: &Settings, now: SystemTime) -> Result<Sealed, SealError> {
    let header_end = body_start(parts.header);
    // DKIM and ARC sign fields; verifiers disagree on what the fields are when a line between them is none, and most give no verdict.
    let received = &verified.accepted().content;
    let legible = is_regular(&received[..body_start(received)]) && dkim::can_cover(fields(received).map(|field| field.name));
    let keys = if legible { signing_keys(parts, verified, settings) } else { Vec::new() };
    let arc = settings.arc.as_deref().filter(|_| legible && settings.arc_enabled);
    let mut removed = Removed::default();
    let mut kept = Vec::new();
    let mut cuts = Vec::new();
    for field in fields(parts.header) {
        if is_removed(&field, &keys, parts.edited, settings, &mut removed) {
            cuts.push(field.span);
        } else {
            kept.push((field.name, field.value));
        }
    }

    let mut seals = Vec::new();
    let body_hash = if !keys.is_empty() || arc.is_some() { body_hash(parts, header_end) } else { [0; 32] };
    let time = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let mut dkim_fields = Vec::new();
    for key in &keys {
        dkim_fields.push(dkim::sign(key, &kept, &body_hash, time)?);
        seals.push(format!("dkim={}/{}", key.domain(), key.selector()));
    }
    let set = match arc {
        Some(key) => arc_set(key, &dkim_fields, &kept, verified, settings, &body_hash, time)?,
        None => None,
    };
    seals.extend(set.iter().map(|set| format!("arc={}", set.instance)));

    let mut top = our_trace(parts, verified, settings, now)?;
    top.extend(set.into_iter().flat_map(|set| set.fields));
    top.extend(dkim_fields.into_iter().flatten());
    if let Some(token) = &settings.loop_token {
        top.extend(token.fields(parts.header)?);
    }
    let mut pieces = vec![Bytes::from(top)];
    pieces.extend(around(parts.header, &cuts));
    pieces.extend(parts.body.iter().cloned());
    pieces.retain(|piece| !piece.is_empty());
    Ok(Sealed { recipients: parts.recipients.to_vec(), pieces, removed, seals, legible })
}

/// Received, with Authentication-Results under it.
fn our_trace(parts: &Parts<'_>, verified: &Verified, settings: &Settings, now: SystemTime) -> Result<Vec<u8>, SealError> {
    let accepted = verified.accepted();
    let only = match parts.recipients {
        [index] => accepted.envelope.recipients().get(*index).map(|recipient| &recipient.path),
        _ => None,
    };
    let mut trace = trace::received(accepted, &settings.hostname, only, now)?;
    trace.extend(encode("Authentication-Results", &format!("{}; {}", settings.authserv_id, verified.results()))?);
    Ok(trace)
}

/// The keys that may sign this copy: never for a From that is not proven, unless the tenant wants that; and not where the author's own
/// DKIM signature still stands.
fn signing_keys<'a>(parts: &Parts<'_>, verified: &Verified, settings: &'a Settings) -> Vec<&'a Key> {
    let intact = !parts.edited && verified.dkim_aligned();
    let Some(from) = verified.from_domain() else { return Vec::new() };
    if intact || verified.decision() != Decision::Signable {
        return Vec::new();
    }
    settings.dkim.iter().map(Arc::as_ref).filter(|key| from.is_same_or_subdomain_of(key.domain())).collect()
}

fn is_removed(field: &Field<'_>, keys: &[&Key], edited: bool, settings: &Settings, removed: &mut Removed) -> bool {
    let own_dkim = |field: &Field<'_>| {
        let signer = arc::tag(field.value, "d").and_then(|domain| Domain::parse(&domain).ok());
        signer.is_some_and(|signer| keys.iter().any(|key| *key.domain() == signer))
    };
    let counter = if field.is("Authentication-Results") && claims(&field.unfolded(), &canonical(&settings.authserv_id)) {
        &mut removed.forged_results
    } else if settings.loop_token.as_ref().is_some_and(|token| token.writes(field.name)) {
        &mut removed.loop_tokens
    } else if settings.private_fields.iter().any(|name| field.is(name)) {
        &mut removed.private_fields
    } else if edited && field.is(dkim::NAME) && own_dkim(field) {
        &mut removed.replaced_dkim
    } else {
        return false;
    };
    *counter += 1;
    true
}

fn body_hash(parts: &Parts<'_>, header_end: usize) -> [u8; 32] {
    let mut hash = BodyHash::new();
    hash.update(&parts.header[header_end..]);
    for piece in parts.body {
        hash.update(piece);
    }
    hash.finish()
}

fn arc_set(
    key: &Key,
    dkim_fields: &[Vec<u8>],
    kept: &[dkim::NameValue<'_>],
    verified: &Verified,
    settings: &Settings,
    body_hash: &[u8; 32],
    time: u64,
) -> Result<Option<arc::Set>, SealError> {
    let ours = dkim_fields.iter().flat_map(|field| fields(field)).map(|field| (field.name, field.value));
    let all: Vec<_> = ours.chain(kept.iter().copied()).collect();
    let content = arc::Content {
        authserv_id: &settings.authserv_id,
        results: verified.results(),
        chain: verified.chain(),
        fields: &all,
        body_hash,
        time,
    };
    arc::seal(key, &content)
}

/// `header` without `cuts`, as slices.
fn around(header: &Bytes, cuts: &[Range<usize>]) -> Vec<Bytes> {
    let mut slices = Vec::with_capacity(cuts.len() + 1);
    let mut start = 0;
    for cut in cuts {
        slices.push(header.slice(start..cut.start));
        start = cut.end;
    }
    slices.push(header.slice(start..));
    slices
}

#[cfg(test)]
mod tests;
