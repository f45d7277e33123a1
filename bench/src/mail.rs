//! The messages: replies as Outlook on the web writes them, each with its own Message-ID and Microsoft's DKIM signature.
//!
//! The text is `config/demo/mail/03-reply-outlook-web.eml`; its quoted history is repeated, and a PDF attached where the size asks for it, until
//! the signed message has exactly the size that is asked for.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use signet::demo::materials::DkimKey;
use signet::demo::origin::dkim_sign;

const REPLY: &str = include_str!("../../config/demo/mail/03-reply-outlook-web.eml");
/// The Message-ID of [`REPLY`], up to what tells the messages apart.
const MESSAGE_ID: &str = "<GV1PR07MB8211A9F2C6D31E80B74035A027@";
const BOUNDARY: &str = "_000_GV1PR07MB8211A9F2C6D31E80B7403alt_";
const MIXED: &str = "_004_GV1PR07MB8211A9F2C6D31E80B7403mix_";
/// The last line of the quoted history in both forms of the body.
const SIGN_OFF: &str = "Klaus Petersen";
/// Beyond this the rest of a message is an attachment ...
const LONGEST_BODY: usize = 12 * 1024;
/// ... to a reply of this size.
const BODY_WITH_ATTACHMENT: usize = 8 * 1024;
/// Octets of a base64 line with its line end.
const LINE: usize = 78;

/// So many messages of `size` octets.
pub(crate) fn messages(size: usize, number: usize, key: &DkimKey) -> Result<Vec<Bytes>> {
    let text = REPLY.replace("\r\n", "\n").replace('\n', "\r\n");
    let overhead = signed(&text, key)?.len() - text.len();
    let room = size.checked_sub(overhead).context("the size is smaller than the header section")?;
    let text = if room > LONGEST_BODY { attach(&long(&text, BODY_WITH_ATTACHMENT)?, room)? } else { long(&text, room)? };
    let (before, after) = text.split_once(MESSAGE_ID).context("the demo's reply has another Message-ID than expected")?;
    let message = |index: usize| {
        let signed = signed(&format!("{before}<GV1PR07MB8211{index:022X}@{after}"), key)?;
        // The Base64 of the DKIM signature is folded at the same places in every message, so the overhead is always the same.
        ensure!(signed.len() == size, "a message has {} octets instead of {size}", signed.len());
        Ok(signed.into())
    };
    (0..number).map(message).collect()
}

fn signed(text: &str, key: &DkimKey) -> Result<Vec<u8>> {
    Ok(dkim_sign(text.as_bytes(), key, "northwind.example", "selector1")?)
}

/// Lengthens the quoted history of both forms until the text has `size` octets.
fn long(text: &str, size: usize) -> Result<String> {
    let (plain, html) = text.rsplit_once(&format!("--{BOUNDARY}\r\n")).context("the demo's reply is no alternative")?;
    let missing = size.checked_sub(text.len()).context("the size is smaller than the demo's reply")?;
    // HTML is about three times as long as its text.
    let in_plain = missing / 4;
    let plain = before_sign_off(plain, &filler(in_plain, "")?)?;
    let html = before_sign_off(html, &filler(missing - in_plain, "<br>")?)?;
    Ok(format!("{plain}--{BOUNDARY}\r\n{html}"))
}

fn before_sign_off(part: &str, addition: &str) -> Result<String> {
    let at = part.rfind(SIGN_OFF).context("the demo's reply has no quoted history")?;
    Ok(format!("{}{addition}{}", &part[..at], &part[at..]))
}

/// Quoted-printable lines of German correspondence, `size` octets of them.
fn filler(size: usize, line_break: &str) -> Result<String> {
    const LINES: [&str; 4] = [
        "das Ersatzteil kommt am Dienstag; der Einbau dauert laut Werft einen Tag=",
        ", gute Witterung vorausgesetzt. Bitte geben Sie mir Bescheid, ob das so =",
        "m=F6glich ist und was der Liegeplatz f=FCr die zus=E4tzlichen Tage kostet. ",
        "Bis dahin bleibt die Mannschaft an Bord und der Strom angeschlossen. ",
    ];
    let mut text = String::with_capacity(size);
    for line in LINES.iter().cycle() {
        // What does not fit becomes dashes on a line of their own.
        let rest = size.checked_sub(text.len()).context("a line was too long")?;
        if rest < 3 * LINE {
            text.push_str(&dashes(rest));
            return Ok(text);
        }
        text.push_str(line.trim_end());
        if !line.ends_with('=') {
            text.push_str(line_break);
        }
        text.push_str("\r\n");
    }
    Ok(text)
}

fn dashes(size: usize) -> String {
    let mut text = String::with_capacity(size);
    while text.len() < size {
        let rest = size - text.len();
        // No line of a single octet can be left over: it would have no room for its line end.
        let line = if rest <= LINE - 2 { rest } else { LINE - 4 };
        text.push_str(&"-".repeat(line.saturating_sub(2)));
        text.push_str("\r\n");
    }
    text.truncate(size);
    text
}

/// Makes the reply the first part of multipart/mixed, with an attachment that fills it up to `size` octets.
fn attach(reply: &str, size: usize) -> Result<String> {
    let (header, body) = reply.split_once("\r\n\r\n").context("the demo's reply has no body")?;
    let alternative = format!("Content-Type: multipart/alternative;\r\n\tboundary=\"{BOUNDARY}\"\r\n");
    ensure!(header.contains(alternative.trim_end()), "the demo's reply has another Content-Type than expected");
    let header = header.replace(alternative.trim_end(), &format!("Content-Type: multipart/mixed;\r\n\tboundary=\"{MIXED}\""));
    let start = format!(
        "{header}\r\n\r\n--{MIXED}\r\n{alternative}\r\n{body}\r\n--{MIXED}\r\nContent-Type: application/pdf; name=\"Rechnung.pdf\"\r\n\
         Content-Description: Rechnung.pdf\r\nContent-Disposition: attachment; filename=\"Rechnung.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    );
    let end = format!("\r\n--{MIXED}--\r\n");
    let room = size.checked_sub(start.len() + end.len()).context("the size is smaller than the reply")?;
    Ok(format!("{start}{}{end}", base64_lines(room)))
}

/// Base64 of nothing in particular, `size` octets with line ends.
fn base64_lines(size: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 0x9E37_79B9_u32;
    let mut octet = || {
        // A linear congruential generator (Numerical Recipes): looks like a compressed file.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(ALPHABET[(state >> 26) as usize])
    };
    let mut text = String::with_capacity(size);
    while text.len() < size {
        match text.len() % LINE {
            column if column < LINE - 2 => text.push(octet()),
            column if column == LINE - 2 => text.push('\r'),
            _ => text.push('\n'),
        }
    }
    // A cut through a line end would leave a bare CR.
    if text.ends_with('\r') {
        text.pop();
        text.push(octet());
    }
    text
}
