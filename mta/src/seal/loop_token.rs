//! "We have already done this one", in a form that only we can write.
//!
//! A field whose value is an HMAC-SHA-256 (RFC 2104) over the tenant and the message's Message-ID, From and Date. A constant mark could be
//! written by anybody who wants mail to leave without its signature, and travels with every forwarded message. Counting Received fields, the
//! other loop guard, is in `trace`.

use std::fmt;
use std::ops::Range;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::SealError;
use crate::header::{check_name, encode, fields, relaxed};
use crate::tenant::TenantId;

/// The name where the configuration gives none.
pub const DEFAULT_NAME: &str = "X-Signet-Loop";
/// Half of what HMAC-SHA-256 puts out: shorter keys are weaker than the MAC.
pub const MIN_KEY: usize = 16;
/// Fields that survive the way through Microsoft 365 and differ from message to message.
const COVERED: [&str; 3] = ["Message-ID", "From", "Date"];
/// Octets of the key's own MAC that name it.
const KEY_ID_OCTETS: usize = 4;

/// What the loop fields of a message are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pass {
    /// None there.
    Absent,
    /// We have processed this message for this tenant.
    Proven,
    /// Somebody else wrote them; where they are.
    LookAlike(Vec<Range<usize>>),
}

/// Writes and recognises one tenant's loop token.
pub struct LoopToken {
    tenant: TenantId,
    name: String,
    key: hmac::Key,
    key_id: String,
    word: Option<(String, String)>,
}

impl fmt::Debug for LoopToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopToken")
            .field("tenant", &self.tenant)
            .field("name", &self.name)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

impl LoopToken {
    /// A token in the field `name`. `word` is a second field, name and value, for the tenant's mail-flow rule, which can compare but not
    /// compute.
    pub fn new(tenant: &TenantId, name: String, key: &[u8], word: Option<(String, String)>) -> Result<Self, SealError> {
        check_name(&name)?;
        if key.len() < MIN_KEY {
            return Err(SealError::LoopKey { tenant: tenant.clone(), octets: key.len() });
        }
        if let Some((name, value)) = &word {
            encode(name, value)?;
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let key_id =
            hmac::sign(&key, b"signet loop token key id").as_ref()[..KEY_ID_OCTETS].iter().map(|octet| format!("{octet:02x}")).collect();
        Ok(Self { tenant: tenant.clone(), name, key, key_id, word })
    }

    /// Looks at the loop fields of a message. One proven field is proof, whatever stands beside it.
    pub fn check(&self, content: &[u8]) -> Pass {
        let found: Vec<_> = fields(content).filter(|field| field.is(&self.name)).collect();
        if found.is_empty() {
            return Pass::Absent;
        }
        let covered = self.covered(content);
        let proven = |value: String| self.mac_in(&value).is_some_and(|mac| hmac::verify(&self.key, &covered, &mac).is_ok());
        if found.iter().any(|field| proven(field.text())) {
            return Pass::Proven;
        }
        Pass::LookAlike(found.into_iter().map(|field| field.span).collect())
    }

    /// Whether a field of this name is ours to write: the token, or the word for the mail-flow rule.
    pub(super) fn writes(&self, name: &[u8]) -> bool {
        let own = |ours: &str| name.eq_ignore_ascii_case(ours.as_bytes());
        own(&self.name) || self.word.as_ref().is_some_and(|(word, _)| own(word))
    }

    /// The token, and the word where there is one, for a message.
    pub(super) fn fields(&self, content: &[u8]) -> Result<Vec<u8>, SealError> {
        let mac = URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, &self.covered(content)));
        let mut fields = encode(&self.name, &format!("v=1; k={}; m={mac}", self.key_id))?;
        if let Some((name, value)) = &self.word {
            fields.extend(encode(name, value)?);
        }
        Ok(fields)
    }

    /// The tenant and every instance of the covered fields, each with its length, so that no two messages give the same octets.
    fn covered(&self, content: &[u8]) -> Vec<u8> {
        let mut octets = Vec::with_capacity(256);
        push(&mut octets, self.tenant.as_str().as_bytes());
        for name in COVERED {
            let mut value = Vec::new();
            for field in fields(content).filter(|field| field.is(name)) {
                value.clear();
                relaxed(field.value, &mut value);
                push(&mut octets, &value);
            }
            push(&mut octets, name.as_bytes());
        }
        octets
    }

    fn mac_in(&self, value: &str) -> Option<Vec<u8>> {
        let mut tags = value.split(';').map(|tag| tag.trim().split_once('=').unwrap_or_default());
        let exact = [tags.next()?, tags.next()?];
        let (m, mac) = tags.next()?;
        if exact != [("v", "1"), ("k", self.key_id.as_str())] || m != "m" || tags.next().is_some() {
            return None;
        }
        URL_SAFE_NO_PAD.decode(mac).ok()
    }
}

fn push(octets: &mut Vec<u8>, value: &[u8]) {
    octets.extend_from_slice(&(value.len() as u64).to_be_bytes());
    octets.extend_from_slice(value);
}

#[cfg(test)]
mod tests;
