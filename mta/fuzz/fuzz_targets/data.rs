//! Message data: the end of data is where RFC 5321 says, and nothing depends on how the octets are divided.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use signet::smtp::data::{Chunks, Decoder, Limits, Violation};

const LIMITS: Limits = Limits { size: 4096, line: 1000 };

fuzz_target!(|input: (&[u8], u8)| {
    let (octets, cut) = input;
    let cut = usize::from(cut).max(1);
    let whole = decode(octets.chunks(octets.len().max(1)));
    assert_eq!(whole, decode(octets.chunks(cut)));
    assert_eq!(whole.as_ref().map(|(used, _)| *used), end_of_data(octets));
    if let Some((_, Ok(message))) = whole {
        strict(&message);
    }
    let whole = chunks(octets.chunks(octets.len().max(1)));
    assert_eq!(whole, chunks(octets.chunks(cut)));
    if let Ok(message) = whole {
        strict(&message);
    }
});

fn decode<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Option<(usize, Result<Bytes, Violation>)> {
    let mut decoder = Decoder::new(LIMITS, 0);
    let mut total = 0;
    for part in parts {
        let (used, ended) = decoder.feed(part);
        total += used;
        if ended {
            return Some((total, decoder.finish()));
        }
    }
    None
}

fn chunks<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Result<Bytes, Violation> {
    let mut chunks = Chunks::new(LIMITS, 0);
    parts.for_each(|part| chunks.feed(part));
    chunks.finish()
}

/// Behind the first CRLF `.` CRLF; the CRLF of the DATA command counts.
fn end_of_data(octets: &[u8]) -> Option<usize> {
    if octets.starts_with(b".\r\n") {
        return Some(3);
    }
    octets.windows(5).position(|window| window == b"\r\n.\r\n").map(|start| start + 5)
}

/// What a message may be made of.
fn strict(message: &[u8]) {
    assert!(message.is_empty() || message.ends_with(b"\r\n"));
    for (index, octet) in message.iter().enumerate() {
        match octet {
            0 => panic!("NUL"),
            b'\r' => assert_eq!(message.get(index + 1), Some(&b'\n')),
            b'\n' => assert_eq!(message[index - 1], b'\r'),
            _ => {}
        }
    }
}
