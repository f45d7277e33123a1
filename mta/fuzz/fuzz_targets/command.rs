//! Commands and replies: no line makes the parser panic, every refusal is one reply that we could read back ourselves, and a next hop's
//! reply that was read passes on as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signet::smtp::command;
use signet::smtp::reply::Parser;

fuzz_target!(|octets: &[u8]| {
    if let Err(error) = command::parse(octets) {
        let wire = error.reply().to_wire();
        assert!(matches!(Parser::new().feed(&wire), Ok((used, Some(_))) if used == wire.len()));
    }
    if let Ok((used, Some(reply))) = Parser::new().feed(octets) {
        let wire = reply.to_wire();
        let harmless = octets[..used].iter().all(|octet| (b' '..=b'~').contains(octet) || b"\t\r\n".contains(octet));
        assert!(!harmless || reply.code == 334 || wire == plain(&octets[..used]), "{reply:?}");
    }
});

/// Without the space that stands before no text on a last line without enhanced code.
fn plain(wire: &[u8]) -> Vec<u8> {
    let mut wire = wire.to_vec();
    let length = wire.len();
    if length >= 6 && wire.ends_with(b" \r\n") && (length == 6 || wire[length - 7] == b'\n') {
        wire.remove(length - 3);
    }
    wire
}
