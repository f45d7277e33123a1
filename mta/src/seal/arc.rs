//! The ARC set: what we found, and that the message left us like this.
//!
//! RFC 8617 sections 4.1 (the three fields), 5.1 (sealing), 5.1.2 (after a failed chain only the own set is sealed). No set is added after
//! `cv=fail`, beyond instance 50, or when DNS did not let us judge the chain: `cv` has no word for that, and `fail` would be for ever. The
//! chain itself is validated in `verify`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::SealError;
use super::canonical::{push_field, signed_fields};
use super::dkim::{self, NameValue};
use super::keys::Key;
use crate::header::encode;
use crate::verify::Chain;

const RESULTS: &str = "ARC-Authentication-Results";
const SIGNATURE: &str = "ARC-Message-Signature";
const SEAL: &str = "ARC-Seal";
/// RFC 8617 section 4.2.1.
const MAX_SETS: u32 = 50;

/// A new set.
pub(super) struct Set {
    /// Its instance number.
    pub(super) instance: u32,
    /// Its three fields, in the order in which they are written.
    pub(super) fields: Vec<u8>,
}

/// What goes into a set.
pub(super) struct Content<'a> {
    pub(super) authserv_id: &'a str,
    pub(super) results: &'a str,
    pub(super) chain: Chain,
    /// All fields of the outgoing message but ours above the DKIM signatures, from the top.
    pub(super) fields: &'a [NameValue<'a>],
    pub(super) body_hash: &'a [u8; 32],
    pub(super) time: u64,
}

/// The next set, where one may be added.
pub(super) fn seal(key: &Key, content: &Content<'_>) -> Result<Option<Set>, SealError> {
    let Some((instance, validation, earlier)) = next(content) else { return Ok(None) };
    let results = encode(RESULTS, &format!("i={instance}; {}; {}", content.authserv_id, content.results))?;

    let mut names = dkim::signed_names(content.fields);
    let own = content.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(dkim::NAME.as_bytes())).count();
    names.extend(std::iter::repeat_n(dkim::NAME, own.min(MAX_DKIM_FIELDS)));
    let tags = format!(
        "i={instance}; a={}; c=relaxed/relaxed; d={}; s={}; t={}; {}; bh={}; b=",
        key.algorithm(),
        key.domain(),
        key.selector(),
        content.time,
        dkim::h_tag(&names),
        STANDARD.encode(content.body_hash)
    );
    let signature = dkim::finish(SIGNATURE, &tags, key, signed_fields(content.fields, &names))?;

    let mut input = Vec::with_capacity(4096);
    for (name, value) in earlier {
        push_line(name, value, &mut input);
    }
    push_line(RESULTS.as_bytes(), value_of(&results), &mut input);
    push_line(SIGNATURE.as_bytes(), value_of(&signature), &mut input);
    let tags =
        format!("i={instance}; a={}; t={}; cv={validation}; d={}; s={}; b=", key.algorithm(), content.time, key.domain(), key.selector());
    let mut fields = dkim::finish(SEAL, &tags, key, input)?;
    fields.extend(signature);
    fields.extend(results);
    Ok(Some(Set { instance, fields }))
}

/// As many DKIM signatures as `verify` looks at.
const MAX_DKIM_FIELDS: usize = 10;

type Next<'a> = (u32, &'static str, Vec<NameValue<'a>>);

/// The instance, `cv=` and the earlier sets that the new seal covers.
fn next<'a>(content: &Content<'a>) -> Option<Next<'a>> {
    let named = |field: &NameValue<'a>, name: &str| field.0.eq_ignore_ascii_case(name.as_bytes());
    let arc: Vec<(u32, NameValue<'a>)> = content
        .fields
        .iter()
        .filter(|field| [RESULTS, SIGNATURE, SEAL].iter().any(|name| named(field, name)))
        .map(|field| (instance_of(field.1).unwrap_or(0), *field))
        .collect();
    let newest = arc.iter().map(|(instance, _)| *instance).max().unwrap_or(0);
    let ended = arc.iter().any(|(_, field)| named(field, SEAL) && tag(field.1, "cv").is_some_and(|cv| cv.eq_ignore_ascii_case("fail")));
    match content.chain {
        Chain::Unknown => None,
        // Fields of a chain that is none: what they are is for the next verifier to say.
        Chain::None => arc.is_empty().then(|| (1, "none", Vec::new())),
        Chain::Fail => (newest > 0 && newest < MAX_SETS && !ended).then(|| (newest + 1, "fail", Vec::new())),
        Chain::Pass => {
            let mut covered = Vec::with_capacity(arc.len());
            for instance in 1..=newest {
                for name in [RESULTS, SIGNATURE, SEAL] {
                    covered.push(arc.iter().find(|(of, field)| *of == instance && named(field, name))?.1);
                }
            }
            (newest < MAX_SETS && covered.len() == arc.len()).then_some((newest + 1, "pass", covered))
        }
    }
}

fn instance_of(value: &[u8]) -> Option<u32> {
    tag(value, "i")?.parse().ok().filter(|instance| (1..=MAX_SETS).contains(instance))
}

/// The value of a tag in a tag-list (RFC 6376 section 3.2).
pub(super) fn tag(value: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    let tag = text.split(';').filter_map(|tag| tag.split_once('=')).find(|(key, _)| key.trim() == name)?;
    Some(tag.1.chars().filter(|character| !character.is_whitespace()).collect())
}

/// What stands after the colon of a field that we wrote.
fn value_of(field: &[u8]) -> &[u8] {
    let colon = field.iter().position(|octet| *octet == b':').map_or(0, |colon| colon + 1);
    &field[colon..]
}

fn push_line(name: &[u8], value: &[u8], into: &mut Vec<u8>) {
    push_field(name, value, into);
    into.extend_from_slice(b"\r\n");
}
