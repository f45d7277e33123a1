use proptest::prelude::*;

use super::*;

fn header(version_and_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&PREFIX[..], &[version_and_command, family], &length, rest].concat()
}

const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 7, 0x1f, 0x90, 0, 25];

#[test]
fn addresses_are_read() {
    assert_eq!(
        parse(&header(0x21, 0x11, &V4)),
        Ok(Progress::Header { source: "192.0.2.1:8080".parse().unwrap(), destination: "198.51.100.7:25".parse().unwrap(), length: 28 })
    );
    let mut v6 = [0; 36];
    v6[..2].copy_from_slice(&[0x20, 0x01]);
    v6[15] = 1;
    v6[31] = 2;
    v6[33] = 9;
    v6[35] = 25;
    assert_eq!(
        parse(&header(0x21, 0x21, &v6)),
        Ok(Progress::Header { source: "[2001::1]:9".parse().unwrap(), destination: "[::2]:25".parse().unwrap(), length: 52 })
    );
}

#[test]
fn additional_fields_are_skipped_and_what_follows_is_left() {
    let octets = [header(0x21, 0x11, &[&V4[..], &[0x03, 0, 4, 1, 2, 3, 4]].concat()), b"EHLO".to_vec()].concat();
    assert!(matches!(parse(&octets), Ok(Progress::Header { length: 35, .. })));
}

#[test]
fn local_and_unspecified_connections_keep_their_addresses() {
    assert_eq!(parse(&header(0x20, 0x00, &[])), Ok(Progress::Local { length: 16 }));
    assert_eq!(parse(&header(0x20, 0x11, &V4)), Ok(Progress::Local { length: 28 }));
    assert_eq!(parse(&header(0x21, 0x00, &[1, 2, 3])), Ok(Progress::Local { length: 19 }));
}

#[test]
fn every_beginning_needs_more() {
    let octets = header(0x21, 0x11, &V4);
    for length in 0..octets.len() {
        let Ok(Progress::NeedMore(more)) = parse(&octets[..length]) else { panic!("{length}") };
        assert!(more >= 1 && length + more <= octets.len(), "{length}");
    }
}

#[test]
fn other_headers_are_refused() {
    for (octets, error) in [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n".to_vec(), ProxyError::VersionOne),
        (b"EHLO example.com\r\n".to_vec(), ProxyError::NoHeader),
        (b"\r\n\r\nx".to_vec(), ProxyError::NoHeader),
        (header(0x11, 0x11, &V4), ProxyError::Version(1)),
        (header(0x22, 0x11, &V4), ProxyError::Command(2)),
        (header(0x21, 0x12, &V4), ProxyError::Family(0x12)),
        (header(0x21, 0x31, &[0; 216]), ProxyError::Family(0x31)),
        (header(0x21, 0x11, &V4[..11]), ProxyError::Short(11)),
        (header(0x21, 0x21, &V4), ProxyError::Short(12)),
        (header(0x21, 0x11, &[0; MAX_REST + 1]), ProxyError::Long(MAX_REST + 1)),
    ] {
        assert_eq!(parse(&octets), Err(error));
    }
}

proptest! {
    #[test]
    fn no_octets_make_the_parser_panic(kind in any::<u8>(), family in any::<u8>(), rest in prop::collection::vec(any::<u8>(), 0..80), cut in 0usize..100) {
        let octets = header(kind, family, &rest);
        let _result = parse(&octets[..cut.min(octets.len())]);
        let _result = parse(&rest);
    }
}
