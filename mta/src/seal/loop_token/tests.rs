use super::{DEFAULT_NAME, LoopToken, Pass};
use crate::seal::SealError;
use crate::tenant::TenantId;

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const MESSAGE: &str = "From: Ann <ann@contoso.example>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@contoso.example>\r\nSubject: s\r\n\r\nbody\r\n";

fn token(tenant: &str, key: &[u8]) -> LoopToken {
    let word = Some(("X-Signet-Word".to_owned(), "correct-horse".to_owned()));
    LoopToken::new(&TenantId::new(tenant), DEFAULT_NAME.to_owned(), key, word).unwrap()
}

fn marked(message: &str) -> String {
    format!("{}{message}", String::from_utf8(token("contoso", KEY).fields(message.as_bytes()).unwrap()).unwrap())
}

#[test]
fn our_own_token_proves_the_pass_also_after_refolding() {
    let token = token("contoso", KEY);
    assert_eq!(token.check(MESSAGE.as_bytes()), Pass::Absent);
    let marked = marked(MESSAGE);
    assert!(marked.contains("\r\nX-Signet-Word: correct-horse\r\n"));
    assert_eq!(token.check(marked.as_bytes()), Pass::Proven);
    let refolded = marked.replace("; m=", ";\r\n\tm=").replace("From: Ann ", "From:  Ann\r\n ").replace("Subject: s", "Subject: changed");
    assert_eq!(token.check(refolded.as_bytes()), Pass::Proven);
    let moved = format!("Received: x\r\nX-Signet-Loop: v=1; k=00000000; m=AAAA\r\n{marked}");
    assert_eq!(token.check(moved.as_bytes()), Pass::Proven);
}

#[test]
fn a_token_of_another_message_tenant_or_key_is_a_look_alike() {
    let own = marked(MESSAGE);
    for (case, content) in [
        ("author", own.replace("ann@", "eve@")),
        ("date", own.replace("10:00:00", "10:00:01")),
        ("message id", own.replace("<1@", "<2@")),
        ("second message id", own.replace("Subject: s", "Message-ID: <2@contoso.example>")),
        ("no message id", own.replace("Message-ID: <1@contoso.example>\r\n", "")),
        ("key id", own.replacen("k=", "k=0", 1)),
        ("version", own.replace("v=1", "v=2")),
        ("more tags", own.replace("v=1; ", "v=1; x=y; ")),
        ("constant", format!("X-Signet-Loop: true\r\n{MESSAGE}")),
        ("empty", format!("X-Signet-Loop:\r\n{MESSAGE}")),
        ("empty mac", format!("X-Signet-Loop: v=1; k=0; m=\r\n{MESSAGE}")),
    ] {
        assert!(matches!(token("contoso", KEY).check(content.as_bytes()), Pass::LookAlike(spans) if spans.len() == 1), "{case}");
    }
    assert!(matches!(token("fabrikam", KEY).check(own.as_bytes()), Pass::LookAlike(_)));
    assert!(matches!(token("contoso", &[7; 32]).check(own.as_bytes()), Pass::LookAlike(_)));
}

#[test]
fn look_alikes_are_reported_where_they_stand() {
    let content = format!("A: b\r\nx-signet-loop : one\r\n{MESSAGE}");
    let Pass::LookAlike(spans) = token("contoso", KEY).check(content.as_bytes()) else { panic!("not proven") };
    assert_eq!(&content[spans[0].clone()], "x-signet-loop : one\r\n");
}

#[test]
fn values_cannot_be_shifted_between_covered_fields() {
    let one = "Message-ID: a\r\nFrom: b\r\n\r\n";
    let other = "Message-ID: a\r\nMessage-ID: b\r\n\r\n";
    let token = token("contoso", KEY);
    assert_ne!(token.fields(one.as_bytes()).unwrap(), token.fields(other.as_bytes()).unwrap());
}

#[test]
fn weak_keys_and_unwritable_fields_are_refused() {
    let tenant = TenantId::new("contoso");
    let new = |name: &str, key: &[u8], word: Option<(&str, &str)>| {
        LoopToken::new(&tenant, name.to_owned(), key, word.map(|(name, value)| (name.to_owned(), value.to_owned())))
    };
    assert!(matches!(new("X-A", b"short", None), Err(SealError::LoopKey { octets: 5, .. })));
    assert!(matches!(new("X A", KEY, None), Err(SealError::Header(_))));
    assert!(matches!(new("X-A", KEY, Some(("X-B", "a\r\nBcc: x"))), Err(SealError::Header(_))));
    assert!(!format!("{:?}", new("X-A", KEY, Some(("X-B", "secret-word"))).unwrap()).contains("secret-word"));
}
