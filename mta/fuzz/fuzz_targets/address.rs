//! Addresses: whatever is accepted keeps its text, and its canonical and look-up forms are stable.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signet::address::{Domain, ForwardPath, Mailbox, ReversePath, split_path};

fuzz_target!(|text: &str| {
    if let Ok(domain) = Domain::parse(text) {
        assert_eq!(Domain::parse(domain.as_str()).as_ref(), Ok(&domain));
        assert!(domain.as_str().is_ascii());
    }
    if let Ok(mailbox) = Mailbox::parse(text) {
        assert_eq!(mailbox.as_str(), text);
        assert!(!text.contains(char::is_control));
        let path = format!("<{text}> rest");
        assert_eq!(split_path(&path), Ok((text, " rest")));
        if let Ok(again) = Mailbox::parse(&mailbox.key()) {
            assert_eq!(again.key(), mailbox.key());
        }
    }
    let _ = ReversePath::parse(text);
    let _ = ForwardPath::parse(text);
    let _ = split_path(text);
});
