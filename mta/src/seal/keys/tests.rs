use super::{Key, KeyError};
use crate::verify::tests::support::{TestFile, ed25519_pem, rsa_pem};

/// Far too short to sign anything; only its length is looked at.
const RSA_1024: &str = "-----BEGIN PRIVATE KEY-----\n\
MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBAOSZvzQNvsmsu9Px\n\
BEehtXphBdqENkm0FsduvYHx+M1A/1UOgmr94dSH69UHatM//nhTVzrkGkT63pIA\n\
PNned/1NEXqMFVAE4BXAqtUcKiUHfvIOv2lsaRjmwWbZ5LwZJM+kn346dtVLafSn\n\
re5Z88cDwA+byhViW3obVww138MTAgMBAAECgYEAibpr7XO+mAlfHOFgH7w496OP\n\
AEmZ36wF8WAyAyGDMj7P1zInt0iBEChYGQAgB2jN6zbjHlMh1J+FC1fjUaxsg2ey\n\
5bt0nT8UuJnz4zvyKg0Oj+iQnnDMeLEQmEZHub7f+qiMwz/2R+ogLxPAxfn89cp0\n\
JexrFe3lFtiWYdNW5rECQQDzR0rxOUQ5Rgc3hxvrFuesUsCDqge5vZ5swvTxcahs\n\
mdSGuonGvlFckstzUCcIdvtRWCOIUHNhaL57ChSGvkDLAkEA8I328zUmgLLLFXBT\n\
DwB9TsWyTeVC4ReTAAMQwquZgIJIewvTGlK7ankkjMGqLTgmbIiv7Npe2RZwaDDx\n\
eYil2QJAVvSXm+tNMG+Qas+XMgto2ZZmi2k+A6z8MIHqzVZDzjWZ2mJYlro2GLG7\n\
mMcAfK0SnXu0j6e55gprc00iExtzywJBAOjl2dEQhY2XDU5daN0ecTPB7mbCb+T0\n\
aQta7HA9qamk+b2/7gwPS4rDbSKmIjgTpAfysrlTlv8BXaVStYggR8kCQDYK6WP+\n\
ErRQ4aFKEZ6BOHHKG0FwhB7bq+/ddbQ/1B69/NlJ82CUiBfsHjeBzzpBpOt6q/95\n\
E6ywpnyydMLgAIo=\n\
-----END PRIVATE KEY-----\n\
";

fn load(content: &str, mode: u32, selector: &str) -> Result<Key, KeyError> {
    Key::load(&TestFile::new(content, mode).0, "contoso.example".parse().unwrap(), selector)
}

#[test]
fn rsa_and_ed25519_keys_are_read() {
    let key = load(rsa_pem(), 0o600, "S1").unwrap();
    assert_eq!((key.algorithm(), key.is_rsa(), key.selector()), ("rsa-sha256", true, "s1"));
    assert!(key.dns_record().unwrap().starts_with("v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"));
    let key = load(ed25519_pem(), 0o400, "s2.mail").unwrap();
    assert_eq!((key.algorithm(), key.is_rsa()), ("ed25519-sha256", false));
    assert_eq!(key.dns_record().unwrap().len(), "v=DKIM1; k=ed25519; p=".len() + 44);
}

#[test]
fn a_key_that_others_can_read_is_refused_with_the_command_that_helps() {
    for mode in [0o640, 0o604, 0o644, 0o620, 0o601, 0o777] {
        let error = load(rsa_pem(), mode, "s1").unwrap_err();
        assert!(matches!(error, KeyError::Permissions { .. }), "{error}");
        assert!(error.to_string().contains(&format!("(mode {mode:04o}); run: chmod 600 /")), "{error}");
    }
    for mode in [0o600, 0o400] {
        assert!(load(rsa_pem(), mode, "s1").is_ok(), "{mode:o}");
    }
}

#[test]
fn short_keys_and_files_without_a_key_are_refused_by_name() {
    let error = load(RSA_1024, 0o600, "s1").unwrap_err();
    assert!(matches!(error, KeyError::Bits { bits: 1024, .. }), "{error}");
    assert!(error.to_string().contains("openssl genpkey -algorithm RSA"));
    let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for content in ["", "no pem", certificate, broken] {
        assert!(matches!(load(content, 0o600, "s1"), Err(KeyError::Format { .. })), "{content:?}");
    }
    let missing = Key::load(std::path::Path::new("/nonexistent/key.pem"), "contoso.example".parse().unwrap(), "s1");
    assert!(matches!(missing, Err(KeyError::Read { .. })));
}

#[test]
fn a_selector_that_could_change_the_field_is_refused() {
    for selector in ["", "a b", "a;d=evil.example", "a..b", "a\r\nb", "-a", "ä"] {
        assert!(matches!(load(rsa_pem(), 0o600, selector), Err(KeyError::Selector(_))), "{selector:?}");
    }
}

#[test]
fn a_printed_key_shows_only_its_name() {
    let key = load(rsa_pem(), 0o600, "s1").unwrap();
    assert_eq!(format!("{key:?}"), "Key(s1._domainkey.contoso.example, rsa-sha256)");
}
