//! Any octets: the output without our additions is the input, and a replay gives the same octets.
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use signet::mime::{Copy, Edited, Marks, Message, insert};
use signet::signature::{Asset, Fragment, Placed, Placement};

fn placed() -> Vec<Placed> {
    let asset = Asset { name: "logo.png".to_owned(), media_type: "image/png".to_owned(), content: Bytes::from_static(b"picture") };
    let signature = Fragment {
        html: Some("<p>Zoë King, ACME Engines</p><img src=\"cid:logo.png\" alt=\"\">".to_owned()),
        text: Some("Zoë King\nACME Engines".to_owned()),
        images: vec!["logo.png".to_owned()],
    };
    let notice =
        Fragment { html: Some("<p>Legal notice text</p>".to_owned()), text: Some("Legal notice text".to_owned()), images: Vec::new() };
    vec![
        Placed { id: "signature".to_owned(), placement: Placement::NewestReply, fragment: signature, assets: vec![Arc::new(asset)] },
        Placed { id: "notice".to_owned(), placement: Placement::End, fragment: notice, assets: Vec::new() },
    ]
}

fn octets<'a>(pieces: impl Iterator<Item = &'a Bytes>) -> Vec<u8> {
    pieces.flat_map(|piece| piece.iter().copied()).collect()
}

fn without_additions(edited: &Edited, content: &[u8]) -> Vec<u8> {
    let output = octets(edited.pieces());
    let (mut input, mut read, mut at) = (Vec::new(), 0, 0);
    for splice in edited.splices() {
        let kept = splice.at.start - at;
        input.extend_from_slice(&output[read..read + kept]);
        read += kept;
        assert_eq!(output[read..read + splice.with.len()], splice.with[..]);
        read += splice.with.len();
        input.extend_from_slice(&content[splice.at.clone()]);
        at = splice.at.end;
    }
    input.extend_from_slice(&output[read..]);
    input
}

fuzz_target!(|content: &[u8]| {
    let message = Message::parse(Bytes::copy_from_slice(content));
    let marks = Marks { seed: 7, domain: "acme.example".to_owned() };
    let placed = placed();
    match insert(&message, &placed, &marks) {
        Ok(edited) => {
            assert_eq!(without_additions(&edited, content), content);
            assert!(!edited.report().is_empty());
            let replay = insert(&message, &placed, &marks).expect("what was edited once is edited again");
            assert_eq!(octets(edited.pieces()), octets(replay.pieces()));
            assert_eq!(octets(Copy::edited(vec![0], replay).pieces()), octets(edited.pieces()));
        }
        Err(unedited) => assert_eq!(octets(Copy::unedited(vec![0], &message, unedited.reason).pieces()), content),
    }
});
