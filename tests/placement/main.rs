//! Where the signature goes, measured: a generated matrix of clients and languages, what clients do to a message afterwards, fixtures that
//! nobody here wrote, and which messages are left alone.
//!
//! Everything goes through the public interface of [`signet::mime`]; nothing listens, and no clock is read.

use std::collections::BTreeMap;

use bytes::Bytes;
use signet::mime::{Edited, Marks, Message, Unedited, insert};
use signet::signature::{Fragment, Placed, Placement};

mod classes;
mod fixtures;
mod matrix;
mod rewrites;
mod view;

/// The signature that all tests insert. It holds no `div`, so that its end can be found without a parser.
const HTML: &str = "<p>Ada King, ACME Engines</p>";
const TEXT: &str = "Ada King\nACME Engines";
/// Says in a template where a person would put the signature.
const MARKER: &str = "[SIGN]";

fn placed() -> Placed {
    let fragment = Fragment { html: Some(HTML.to_owned()), text: Some(TEXT.to_owned()), images: Vec::new() };
    Placed { id: "default".to_owned(), placement: Placement::NewestReply, fragment, assets: Vec::new() }
}

/// The edited message.
fn sign(content: &str) -> Result<(String, Edited), Unedited> {
    let message = Message::parse(Bytes::copy_from_slice(content.as_bytes()));
    let edited = insert(&message, &[placed()], &Marks { seed: 7, domain: "acme.example".to_owned() })?;
    let output: Vec<u8> = edited.pieces().flat_map(|piece| piece.iter().copied()).collect();
    Ok((String::from_utf8(output).expect("the input is UTF-8"), edited))
}

/// The decoded texts of a message, in order.
fn bodies(content: &str) -> Vec<String> {
    let message = mail_parser::MessageParser::new().parse(content.as_bytes()).expect("it is a message");
    let leaves = message.parts().filter(|part| part.children().len() == 0);
    // Fixtures have other charsets too; their letters outside ASCII are the same on both sides of every comparison.
    leaves.map(|part| String::from_utf8_lossy(&part.decoded()).into_owned()).collect()
}

/// With CRLF line ends.
fn crlf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

/// How often the signature went where it belongs, by name.
#[derive(Default)]
struct Score(BTreeMap<String, (usize, usize)>);

impl Score {
    fn count(&mut self, name: &str, right: bool) {
        let (hits, all) = self.0.entry(name.to_owned()).or_default();
        *hits += usize::from(right);
        *all += 1;
    }

    fn totals(&self) -> (usize, usize) {
        self.0.values().fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1))
    }

    fn print(&self, title: &str) {
        eprintln!("-- {title}");
        for (name, (hits, all)) in &self.0 {
            eprintln!("{hits:>6} of {all:>5}  {:>6.2} %  {name}", percent(*hits, *all));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of test cases are small")]
fn percent(hits: usize, all: usize) -> f64 {
    hits as f64 * 100.0 / all as f64
}
