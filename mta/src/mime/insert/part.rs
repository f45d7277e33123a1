//! Carries an insertion into one body part: charset, content-transfer-encoding, and the multipart/related around it.

use std::borrow::Cow;
use std::ops::Range;

use super::super::analysis::{Form, Segment};
use super::super::encoding::{Charset, MAXIMUM_LINE, Text, base64, quoted_printable, wrap};
use super::super::structure::{Part, Transfer};
use super::super::{Message, Passed};
use super::compose::{self, Surroundings};
use super::fields::{Header, apply_header, header_tail, mime_version, relabel};
use super::images::Images;
use super::{Changes, Insertion, Splice};

/// Above this share of octets outside ASCII, in percent, base64 is shorter and no less readable than quoted-printable.
const BASE64_SHARE: usize = 25;

/// Content fields that describe the HTML, and so move with it when it becomes a part of the message.
const MOVED: [&str; 7] = [
    "content-type",
    "content-transfer-encoding",
    "content-id",
    "content-description",
    "content-disposition",
    "content-location",
    "content-base",
];

/// Adds the changes that put `insertions` into a body part.
pub(super) fn edit(
    message: &Message,
    form: Form,
    segment: &Segment,
    insertions: &[Insertion<'_>],
    images: &Images,
    changes: &mut Changes,
) -> Result<(), Passed> {
    let content = message.content();
    let index = segment.part;
    let part = &message.structure.parts[index];
    let texts: Vec<(usize, String)> = insertions
        .iter()
        .map(|insertion| {
            let text = match form {
                Form::Html => compose::html(&insertion.placed, images),
                Form::Plain => compose::plain(&insertion.placed, surroundings(part, segment, insertion.at)),
            };
            (insertion.at, text)
        })
        .collect();
    let mut header = Header::default();
    let own_line = !may_delimit(message, index, &texts);
    let kept = if own_line { kept(content, part, form, &segment.text, &texts) } else { None };
    let body = match kept {
        Some(body) => body,
        None => match relabelled(content, part, form, &segment.text, &texts, own_line, &mut header)? {
            Some(body) => body,
            None => vec![rewritten(content, part, &segment.text, &texts, &mut header)?],
        },
    };
    for field in part.fields_named(content, "content-md5") {
        header.supersede(content, field, "")?;
    }
    let shows_images = form == Form::Html && !images.is_empty();
    let related = message.structure.related_around(index);
    let boundary = match (shows_images, related) {
        (true, None) => Some(images.boundary(&content[part.header..part.end]).ok_or(Passed::AmbiguousBoundary)?),
        _ => None,
    };
    let mut own = Changes::default();
    match boundary {
        Some(boundary) if part.parent.is_none() => wrap_root(message, part, &header, body, &boundary, images, &mut own)?,
        Some(boundary) => wrap_part(content, part, header, body, &boundary, images, &mut own),
        None => {
            apply_header(content, part, header, &mut own);
            own.body.extend(body);
        }
    }
    let mut ends = vec![part.end];
    if let Some(related) = related.filter(|_| shows_images) {
        let related = &message.structure.parts[related];
        let last = related.children.last().map_or(part.end, |&last| message.structure.parts[last].end);
        own.body.push(Splice::insert(last, images.parts(related.parameter("boundary").unwrap_or_default())));
        ends.push(last);
        ends.dedup();
    }
    // The empty line of an empty part may be the line break of the delimiter behind it, too; now it is the empty line only.
    for end in ends.into_iter().filter(|&end| part.parent.is_some() && content[end..].starts_with(b"--")) {
        own.body.push(Splice::insert(end, "\r\n"));
    }
    // Inside a multipart, header sections are part of the message's body.
    if part.parent.is_some() {
        changes.body.append(&mut own.header);
    }
    changes.header.append(&mut own.header);
    changes.body.append(&mut own.body);
    Ok(())
}

/// Whether an inserted text could be taken for a delimiter around the part; quoted-printable hides that.
fn may_delimit(message: &Message, part: usize, texts: &[(usize, String)]) -> bool {
    let parts = &message.structure.parts;
    let mut boundaries = message.structure.path(part).filter_map(|index| parts[index].parameter("boundary"));
    boundaries.any(|boundary| texts.iter().any(|(_, text)| text.contains(&format!("--{boundary}"))))
}

fn surroundings<'a>(part: &Part, segment: &'a Segment, at: usize) -> Surroundings<'a> {
    let (before, after) = segment.text.octets.split_at(at);
    Surroundings { before, after, flowed: is_flowed(part), delimited: part.parent.is_some() }
}

/// The changes when the part's charset and content-transfer-encoding can hold the texts as they are.
fn kept(content: &[u8], part: &Part, form: Form, text: &Text, texts: &[(usize, String)]) -> Option<Vec<Splice>> {
    if text.converted {
        return None;
    }
    let raw = &content[part.body..part.end];
    let mut octets: Vec<(usize, Cow<'_, [u8]>)> = Vec::with_capacity(texts.len());
    for (at, inserted) in texts {
        let encoded = match form {
            // Written natively only where the author's text is: then label and octets are known to agree.
            Form::Html if text.charset.is_utf_8() && !text.octets.is_ascii() => Cow::Borrowed(inserted.as_bytes()),
            Form::Html => Cow::Owned(compose::references(inserted).into_bytes()),
            Form::Plain => text.charset.encode(inserted)?,
        };
        octets.push((*at, encoded));
    }
    match part.transfer {
        Transfer::QuotedPrintable => Some(between_escapes(raw, part, &octets)),
        Transfer::Base64 if let Some(splices) = between_groups(raw, part, form, &text.octets, &octets) => Some(splices),
        Transfer::Base64 => {
            let tail = base64::Tail::from(raw, octets.first()?.0);
            let new = spliced(&text.octets, tail.decoded, &octets);
            Some(vec![Splice::replace(part.body + tail.start..part.body + tail.end, tail.encode(&new))])
        }
        Transfer::Unknown => None,
        Transfer::SevenBit | Transfer::EightBit | Transfer::Binary => {
            // A message of ASCII only stays one: the sender did not ask the next hop for 8BITMIME, which may not have it.
            let widens = octets.iter().any(|(_, inserted)| !inserted.is_ascii());
            let seven = || raw.is_ascii() && (part.transfer == Transfer::SevenBit || content.is_ascii());
            if widens && seven() { None } else { as_they_are(raw, part, form, &octets) }
        }
    }
}

/// The insertions into a quoted-printable body.
fn between_escapes(raw: &[u8], part: &Part, insertions: &[(usize, impl AsRef<[u8]>)]) -> Vec<Splice> {
    let splice = |(at, inserted): &(usize, _)| {
        let place = quoted_printable::locate(raw, *at);
        Splice::insert(part.body + place, quoted_printable::encode_between(raw, place, AsRef::<[u8]>::as_ref(inserted)))
    };
    insertions.iter().map(splice).collect()
}

/// The insertions into a body that is not encoded.
fn as_they_are(raw: &[u8], part: &Part, form: Form, insertions: &[(usize, impl AsRef<[u8]>)]) -> Option<Vec<Splice>> {
    let splice = |(at, inserted): &(usize, _)| {
        identity(raw, *at, AsRef::<[u8]>::as_ref(inserted), form).map(|with| Splice::insert(part.body + at, with))
    };
    insertions.iter().map(splice).collect()
}

/// The insertions into a base64 body that leave every character of it where it is.
fn between_groups(raw: &[u8], part: &Part, form: Form, text: &[u8], insertions: &[(usize, impl AsRef<[u8]>)]) -> Option<Vec<Splice>> {
    // White space around a block of HTML means nothing, and lets the group that is torn apart agree with what comes between.
    let frames: &[(&[u8], &[u8])] = match form {
        Form::Html => &[(b"", b""), (b"\r\n", b""), (b"", b"\r\n")],
        Form::Plain => &[(b"", b"")],
    };
    if insertions.windows(2).any(|pair| pair[0].0 / base64::GROUP == pair[1].0 / base64::GROUP) {
        return None;
    }
    let between = |at: usize, inserted: &[u8], earlier: Option<&(usize, Vec<u8>)>| {
        frames.iter().find_map(|(front, back)| {
            let missing = (base64::GROUP - (front.len() + inserted.len() + back.len()) % base64::GROUP) % base64::GROUP;
            let padded = match form {
                _ if missing == 0 => inserted.to_vec(),
                Form::Html => compose::padded_html(inserted, missing)?,
                Form::Plain => compose::padded_plain(inserted, missing, is_flowed(part)),
            };
            base64::between(raw, text, at, &[front, &padded[..], back].concat(), earlier)
        })
    };
    let mut found: Vec<(usize, Vec<u8>)> = Vec::with_capacity(insertions.len());
    for (at, inserted) in insertions {
        let next = between(*at, inserted.as_ref(), found.last())?;
        found.push(next);
    }
    Some(found.into_iter().map(|(place, with)| Splice::insert(part.body + place, with)).collect())
}

/// RFC 3676.
fn is_flowed(part: &Part) -> bool {
    part.parameter("format").is_some_and(|format| format.eq_ignore_ascii_case("flowed"))
}

/// The text from `start` on with the insertions in it.
fn spliced(text: &[u8], start: usize, insertions: &[(usize, Cow<'_, [u8]>)]) -> Vec<u8> {
    let mut new = Vec::with_capacity(text.len() - start + insertions.iter().map(|(_, inserted)| inserted.len()).sum::<usize>());
    let mut from = start;
    for (at, inserted) in insertions {
        new.extend_from_slice(&text[from..*at]);
        new.extend_from_slice(inserted);
        from = *at;
    }
    new.extend_from_slice(&text[from..]);
    new
}

/// An insertion without a content-transfer-encoding, if its lines are allowed there.
fn identity(raw: &[u8], at: usize, inserted: &[u8], form: Form) -> Option<Vec<u8>> {
    match form {
        Form::Html => {
            let before = at - memchr::memrchr(b'\n', &raw[..at]).map_or(0, |newline| newline + 1);
            let after = memchr::memchr(b'\n', &raw[at..]).unwrap_or(raw.len() - at);
            let after = if raw[at..].get(after.wrapping_sub(1)) == Some(&b'\r') { after - 1 } else { after };
            wrap::html(inserted, before, after)
        }
        Form::Plain => inserted.split(|&octet| octet == b'\n').all(|line| line.len() <= MAXIMUM_LINE).then(|| inserted.to_vec()),
    }
}

/// The changes when the part's text is UTF-8 already, because it is ASCII or because nothing says what else it is: a new label lets it hold any
/// character, and no octet of the body changes. `as_it_is`: the texts may stand there without an encoding.
fn relabelled(
    content: &[u8],
    part: &Part,
    form: Form,
    text: &Text,
    texts: &[(usize, String)],
    as_it_is: bool,
    header: &mut Header,
) -> Result<Option<Vec<Splice>>, Passed> {
    let ascii = text.octets.is_ascii();
    // An escape octet may begin a character of ISO-2022, which is not UTF-8.
    let utf_8 = if ascii { !text.octets.contains(&0x1B) } else { text.charset.is_unsaid() && std::str::from_utf8(&text.octets).is_ok() };
    if text.converted || !utf_8 {
        return Ok(None);
    }
    let raw = &content[part.body..part.end];
    let octets: Vec<(usize, &[u8])> = texts.iter().map(|(at, inserted)| (*at, inserted.as_bytes())).collect();
    let (body, encoding) = match part.transfer {
        Transfer::QuotedPrintable => (Some(between_escapes(raw, part, &octets)), None),
        Transfer::Base64 => (between_groups(raw, part, form, &text.octets, &octets), None),
        Transfer::SevenBit | Transfer::EightBit | Transfer::Binary if ascii => {
            let splice = |(at, with): (usize, Vec<u8>)| Splice::insert(part.body + at, with);
            let stuffing = quoted_printable::stuffed(raw, &octets);
            (stuffing.map(|stuffing| stuffing.into_iter().map(splice).collect()), Some("quoted-printable"))
        }
        Transfer::SevenBit if as_it_is => (as_they_are(raw, part, form, &octets), Some("8bit")),
        Transfer::EightBit | Transfer::Binary if as_it_is => (as_they_are(raw, part, form, &octets), None),
        _ => (None, None),
    };
    if body.is_some() {
        relabel(content, part, encoding, header)?;
    }
    Ok(body)
}

/// The whole body written anew, in UTF-8.
fn rewritten(content: &[u8], part: &Part, text: &Text, texts: &[(usize, String)], header: &mut Header) -> Result<Splice, Passed> {
    let mut new = String::with_capacity(text.octets.len() * 2);
    let mut from = 0;
    for (at, inserted) in texts {
        new.push_str(&strictly_decoded(text, from..*at)?);
        new.push_str(inserted);
        from = *at;
    }
    new.push_str(&strictly_decoded(text, from..text.octets.len())?);
    let outside = new.bytes().filter(|octet| !octet.is_ascii()).count();
    let (body, encoding) = if outside * 100 > new.len() * BASE64_SHARE {
        (base64::encode(new.as_bytes()), "base64")
    } else {
        (quoted_printable::encode(new.as_bytes()), "quoted-printable")
    };
    relabel(content, part, Some(encoding), header)?;
    Ok(Splice::replace(part.body..part.end, body))
}

/// Text that is written anew must not lose a character.
fn strictly_decoded(text: &Text, range: Range<usize>) -> Result<Cow<'_, str>, Passed> {
    let octets = &text.octets[range];
    match text.charset {
        Charset::Known { encoding, .. } => {
            encoding.decode_without_bom_handling_and_without_replacement(octets).ok_or(Passed::DamagedCharset)
        }
        // Reading it one way or another would be a guess, and the guess would be written into the author's text.
        Charset::Unknown | Charset::Ascii => std::str::from_utf8(octets).map(Cow::Borrowed).map_err(|_| Passed::UnsupportedCharset),
    }
}

/// Puts a multipart/related around a part of a multipart: nothing of it changes place.
fn wrap_part(content: &[u8], part: &Part, header: Header, body: Vec<Splice>, boundary: &str, images: &Images, own: &mut Changes) {
    let lead = format!("Content-Type: multipart/related; boundary=\"{boundary}\";\r\n\ttype=\"text/html\"\r\n\r\n--{boundary}\r\n");
    own.header.push(Splice::insert(part.header, lead));
    apply_header(content, part, header, own);
    own.body.extend(body);
    own.body.push(Splice::insert(part.end, closed(images, boundary)));
}

/// The image parts and the close delimiter.
fn closed(images: &Images, boundary: &str) -> Vec<u8> {
    let mut tail = images.parts(boundary);
    tail.extend_from_slice(format!("\r\n--{boundary}--").as_bytes());
    tail
}

/// Makes the message's own body a part of a multipart/related, and says there what the fields say that describe it.
fn wrap_root(
    message: &Message,
    part: &Part,
    header: &Header,
    body: Vec<Splice>,
    boundary: &str,
    images: &Images,
    own: &mut Changes,
) -> Result<(), Passed> {
    let content = message.content();
    let (mut moved, mut outer) = (Vec::new(), Header::default());
    for field in &part.fields {
        let name = &content[field.name.clone()];
        if MOVED.iter().any(|wanted| name.eq_ignore_ascii_case(wanted.as_bytes())) {
            let mut from = field.span.start;
            for splice in header.inserted.iter().filter(|splice| field.span.contains(&splice.at.start)) {
                moved.extend_from_slice(&content[from..splice.at.start]);
                moved.extend_from_slice(&splice.with);
                from = splice.at.end;
            }
            moved.extend_from_slice(&content[from..field.span.end]);
            let is_type = name.eq_ignore_ascii_case(b"content-type");
            let related = format!("Content-Type: multipart/related; boundary=\"{boundary}\";\r\n\ttype=\"text/html\"\r\n");
            outer.supersede(content, field, if is_type { &related } else { "" })?;
        }
    }
    for field in part.fields_named(content, "content-md5") {
        outer.supersede(content, field, "")?;
    }
    own.header.extend(outer.inserted);
    own.header.extend(header_tail(content, part, mime_version(content, part).to_vec()));
    moved.extend_from_slice(&header.added);
    let lead = [format!("--{boundary}\r\n").as_bytes(), &moved, b"\r\n"].concat();
    own.body.push(Splice::insert(part.body, lead));
    own.body.extend(body);
    let mut tail = closed(images, boundary);
    tail.extend_from_slice(b"\r\n");
    own.body.push(Splice::insert(part.end, tail));
    Ok(())
}
