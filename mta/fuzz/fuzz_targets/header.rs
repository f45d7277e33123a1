//! Any octets as a header section, and any text as a value to encode: no panic, no overlapping fields, no second field from one value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signet::{authentication_results, header};

fuzz_target!(|data: &[u8]| {
    let start = header::body_start(data);
    let mut end = 0;
    for field in header::fields(data) {
        assert!(field.span.start >= end && field.span.end <= start && !field.name.is_empty());
        end = field.span.end;
        let value = field.unfolded();
        authentication_results::claims(&value, "mx.signet.example");
        authentication_results::results(&value, 1);
    }
    drop(header::author(data));

    let text = String::from_utf8_lossy(data);
    if let Ok(field) = header::encode("X-Test", &text) {
        let mut found = header::fields(&field);
        let only = found.next().expect("a field was written");
        assert_eq!(only.span, 0..field.len());
        assert!(found.next().is_none());
        assert_eq!(String::from_utf8_lossy(&only.unfolded()).trim_matches(' '), text.trim_matches(' '));
        assert!(field.split(|octet| *octet == b'\n').all(|line| line.len() <= header::MAX_LINE + 1));
    }

    let quoted = format!("mx.signet.example; dkim=pass header.d={}", authentication_results::pvalue(&text));
    assert_eq!(authentication_results::results(quoted.as_bytes(), 1).len(), 1);
});
