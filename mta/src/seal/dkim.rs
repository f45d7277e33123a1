//! DKIM-Signature fields with the tenant's keys.
//!
//! RFC 6376: relaxed/relaxed, never `l=`, `h=` in one spelling. Fields that an attacker could add are named once more often than they occur
//! (section 8.15), so that adding one breaks the DKIM signature. Trace fields and those that Microsoft 365 rewrites are never signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::SealError;
use super::canonical::{push_field, signed_fields};
use super::keys::Key;
use crate::header::encode;

pub(super) const NAME: &str = "DKIM-Signature";

/// Signed as often as they occur and once more.
const OVERSIGNED: [&str; 12] = [
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Reply-To",
    "In-Reply-To",
    "References",
];
/// Signed as often as they occur: later hosts may rightly add one.
const SIGNED: [&str; 18] = [
    "Sender",
    "Resent-From",
    "Resent-To",
    "Resent-Cc",
    "Resent-Date",
    "Resent-Message-ID",
    "Resent-Sender",
    "Content-ID",
    "Content-Description",
    "Feedback-ID",
    "List-ID",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
];
/// More instances of one field than this are not signed: `h=` would grow beyond what verifiers read.
const MAX_INSTANCES: usize = 8;
/// Base64 and `h=` are broken at about this width.
const WIDTH: usize = 70;

/// A header field's name and raw value.
pub(super) type NameValue<'a> = (&'a [u8], &'a [u8]);

/// Whether `h=` can cover every instance of what is signed, and one more that somebody could add.
pub(super) fn can_cover<'a>(names: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut counts = [0; OVERSIGNED.len() + SIGNED.len()];
    for name in names {
        let known = OVERSIGNED.iter().chain(&SIGNED).position(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        if let Some(count) = known.and_then(|index| counts.get_mut(index)) {
            *count += 1;
        }
    }
    counts.iter().all(|count| *count <= MAX_INSTANCES)
}

/// The names for `h=`, for a message with these fields.
pub(super) fn signed_names(fields: &[NameValue<'_>]) -> Vec<&'static str> {
    let count = |name: &str| fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes())).count().min(MAX_INSTANCES);
    let oversigned = OVERSIGNED.into_iter().flat_map(|name| std::iter::repeat_n(name, count(name) + 1));
    let signed = SIGNED.into_iter().flat_map(|name| std::iter::repeat_n(name, count(name)));
    oversigned.chain(signed).collect()
}

/// One DKIM-Signature field.
pub(super) fn sign(key: &Key, fields: &[NameValue<'_>], body_hash: &[u8; 32], time: u64) -> Result<Vec<u8>, SealError> {
    let names = signed_names(fields);
    let tags = format!(
        "v=1; a={}; c=relaxed/relaxed; d={}; s={}; t={time}; {}; bh={}; b=",
        key.algorithm(),
        key.domain(),
        key.selector(),
        h_tag(&names),
        STANDARD.encode(body_hash)
    );
    finish(NAME, &tags, key, signed_fields(fields, &names))
}

/// Signs `input` followed by the field `name` with `tags`, which end in `b=`, and gives back that field complete.
pub(super) fn finish(name: &str, tags: &str, key: &Key, mut input: Vec<u8>) -> Result<Vec<u8>, SealError> {
    push_field(name.as_bytes(), tags.as_bytes(), &mut input);
    let value = key.sign(&input)?;
    Ok(encode(name, &format!("{tags}{}", broken(&value)))?)
}

/// `h=` with places to fold at.
pub(super) fn h_tag(names: &[&str]) -> String {
    let mut tag = String::from("h=");
    let mut line = 0;
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            tag.push(':');
            line += 1;
        }
        if line + name.len() > WIDTH {
            tag.push(' ');
            line = 0;
        }
        tag.push_str(name);
        line += name.len();
    }
    tag
}

/// Base64 with places to fold at.
fn broken(base64: &str) -> String {
    let mut text = String::with_capacity(base64.len() + base64.len() / WIDTH + 1);
    for (index, character) in base64.chars().enumerate() {
        if index > 0 && index % WIDTH == 0 {
            text.push(' ');
        }
        text.push(character);
    }
    text
}
