//! Any octets: parsing, classifying and reading a message never panics, and every answer stays within its bounds.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use signet::mime::{Class, MAXIMUM_READ, Message};

fuzz_target!(|content: &[u8]| {
    let message = Message::parse(Bytes::copy_from_slice(content));
    let editable = message.class() == Class::Editable;
    assert!(!editable || message.format().is_some());
    let _ = (message.kind(), message.already_signed(), message.attachments());
    assert!(message.subject().len() <= 4 * 1024);
    assert!(message.authored_text(64).chars().count() <= 64);
    for index in 0..message.part_count().min(32) {
        assert!(message.part_info(index).is_some());
        let read = message.read_part(index, 1, MAXIMUM_READ + 1);
        assert!(read.len() <= MAXIMUM_READ);
    }
    assert!(message.part_info(message.part_count()).is_none());
});
