//! Tables of whole messages: which part is edited, where, and that nothing else changes.

use std::sync::Arc;

use super::*;
use crate::signature::{Asset, Placed, Placement};

mod clients;
mod fragments;
mod invariants;
mod passed;
mod structures;
mod traps;

const HTML: &str = "<p>Ada King, ACME Engines</p>";
const TEXT: &str = "Ada King\nACME Engines";

fn marks() -> Marks {
    Marks { seed: 7, domain: "acme.example".to_owned() }
}

fn fragment() -> Fragment {
    Fragment { html: Some(HTML.to_owned()), text: Some(TEXT.to_owned()), images: Vec::new() }
}

fn placed() -> Placed {
    Placed { id: "default".to_owned(), placement: Placement::NewestReply, fragment: fragment(), assets: Vec::new() }
}

fn at_end() -> Placed {
    Placed { placement: Placement::End, ..placed() }
}

fn with_text(html: &str, text: &str) -> Placed {
    Placed { fragment: Fragment { html: Some(html.to_owned()), text: Some(text.to_owned()), images: Vec::new() }, ..placed() }
}

fn with_image() -> Placed {
    let asset =
        Asset { name: "logo.png".to_owned(), media_type: "image/png".to_owned(), content: Bytes::from_static(b"not really a picture") };
    let html = "<p>Ada King, ACME Engines</p><img src=\"cid:logo.png\" alt=\"\">".to_owned();
    Placed {
        fragment: Fragment { html: Some(html), text: Some(TEXT.to_owned()), images: vec!["logo.png".to_owned()] },
        assets: vec![Arc::new(asset)],
        ..placed()
    }
}

/// The message with CRLF line ends.
fn message(text: &str) -> Message {
    Message::parse(Bytes::from(text.replace("\r\n", "\n").replace('\n', "\r\n")))
}

fn output(edited: &Edited) -> Vec<u8> {
    edited.pieces().flat_map(|piece| piece.iter().copied()).collect()
}

/// Takes the additions out of the output again, with nothing but the list of changes.
fn without_additions(edited: &Edited, content: &[u8]) -> Vec<u8> {
    let output = output(edited);
    let (mut input, mut out_at, mut in_at) = (Vec::new(), 0, 0);
    for splice in edited.splices() {
        let kept = splice.at.start - in_at;
        assert_eq!(output[out_at..out_at + kept], content[in_at..splice.at.start]);
        input.extend_from_slice(&output[out_at..out_at + kept]);
        out_at += kept;
        assert_eq!(output[out_at..out_at + splice.with.len()], splice.with[..]);
        out_at += splice.with.len();
        input.extend_from_slice(&content[splice.at.clone()]);
        in_at = splice.at.end;
    }
    input.extend_from_slice(&output[out_at..]);
    input
}

/// Edits, checks what every edit must keep, and shows the output with LF line ends.
fn edit_with(text: &str, placed: &[Placed]) -> String {
    let message = message(text);
    let edited = insert(&message, placed, &marks()).unwrap_or_else(|unedited| panic!("{} {:?}", unedited.reason, message.class()));
    assert_eq!(without_additions(&edited, message.content()), message.content()[..]);
    let output = output(&edited);
    let again = Message::parse(Bytes::from(output.clone()));
    assert_eq!(
        insert(&again, placed, &marks()).map(|edited| String::from_utf8_lossy(&self::output(&edited)).into_owned()).unwrap_err().reason,
        "already-signed"
    );
    String::from_utf8_lossy(&output).replace("\r\n", "\n")
}

fn edit(text: &str) -> String {
    edit_with(text, &[placed()])
}

/// The output with our HTML block shown as `[SIGNATURE]`.
fn brief(output: &str) -> String {
    let mut out = String::new();
    let mut rest = output;
    while let Some(start) = rest.find("<div class=\"signet-signature-1\"") {
        out.push_str(&rest[..start]);
        out.push_str("[SIGNATURE]");
        let end = rest[start..].find("</div>").map_or(rest.len(), |end| start + end + 6);
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

fn html_mail(header: &str, html: &str) -> String {
    format!("From: a@acme.example\n{header}MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n\n{html}")
}

fn plain_mail(header: &str, text: &str) -> String {
    format!(
        "From: a@acme.example\n{header}MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{text}"
    )
}

const REPLY: &str = "In-Reply-To: <1@other.example>\n";

/// The edited body of an HTML reply, brief.
fn html_reply(html: &str) -> String {
    let output = edit(&html_mail(REPLY, html));
    brief(output.split_once("\n\n").expect("a body").1)
}

/// The edited body of a plain text reply, with our text shown as `[SIGNATURE]`.
fn plain_reply(text: &str) -> String {
    let output = edit(&plain_mail(REPLY, text));
    output.split_once("\n\n").expect("a body").1.replace(TEXT, "[SIGNATURE]")
}
