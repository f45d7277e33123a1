//! Messages that pass unchanged, and why.

use super::*;

fn reason(text: &str) -> &'static str {
    match message(text).class() {
        Class::Editable => "editable",
        Class::Passed(passed) => passed.as_str(),
    }
}

fn multipart(kind: &str, parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("--b\n{part}\n")).collect();
    format!("MIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary=b\n\n{parts}--b--\n")
}

const PLAIN: &str = "Content-Type: text/plain\n\nHello";

#[test]
fn signed_encrypted_and_managed() {
    for (text, expected) in [
        (multipart("signed; protocol=\"application/pkcs7-signature\"", &[PLAIN]), "smime-signed"),
        (multipart("signed; protocol=\"application/x-pkcs7-signature\"", &[PLAIN]), "smime-signed"),
        (multipart("signed; protocol=\"application/pgp-signature\"", &[PLAIN]), "pgp-signed"),
        (multipart("signed", &[PLAIN]), "signed"),
        (
            multipart(
                "mixed",
                &["Content-Type: multipart/signed; boundary=c; protocol=\"application/pgp-signature\"\n\n--c\n\nx\n--c--", PLAIN],
            ),
            "pgp-signed",
        ),
        ("Content-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nx".to_owned(), "smime-encrypted"),
        ("Content-Type: application/x-pkcs7-mime; smime-type=signed-data\n\nx".to_owned(), "smime-signed"),
        (multipart("mixed", &["Content-Type: application/pkcs7-mime\n\nx", PLAIN]), "smime-encrypted"),
        (multipart("mixed", &[PLAIN, "Content-Type: application/pkcs7-mime\n\nx"]), "editable"),
        (
            multipart("encrypted; protocol=\"application/pgp-encrypted\"", &["Content-Type: application/pgp-encrypted\n\nVersion: 1"]),
            "pgp-encrypted",
        ),
        (multipart("mixed", &[PLAIN, "Content-Type: application/pgp-encrypted\n\nVersion: 1"]), "pgp-encrypted"),
        ("Subject: x\n\n-----BEGIN PGP MESSAGE-----\n\nx\n-----END PGP MESSAGE-----\n".to_owned(), "pgp-encrypted"),
        ("Subject: x\n\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nx\n".to_owned(), "pgp-signed"),
        ("Subject: x\n\n-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nx\n".to_owned(), "editable"),
        ("Content-Type: text/html\n\n<div>-----BEGIN PGP MESSAGE-----<br>x</div>".to_owned(), "pgp-encrypted"),
        (multipart("mixed", &[PLAIN, "Content-Type: application/x-microsoft-rpmsg-message; name=message.rpmsg\n\nx"]), "rights-managed"),
        (multipart("mixed", &[PLAIN, "Content-Type: application/octet-stream; name=\"message.rpmsg\"\n\nx"]), "rights-managed"),
    ] {
        assert_eq!(reason(&text), expected, "{text}");
    }
}

#[test]
fn reports_automatic_and_calendar() {
    for (text, expected) in [
        (multipart("report; report-type=delivery-status", &[PLAIN, "Content-Type: message/delivery-status\n\nx: y"]), "report"),
        (multipart("report; report-type=disposition-notification", &[PLAIN]), "disposition-notification"),
        (multipart("report; report-type=feedback-report", &[PLAIN]), "feedback-report"),
        ("Content-Type: message/partial; id=x; number=1\n\nx".to_owned(), "message-partial"),
        ("Content-Type: message/external-body; access-type=URL\n\nx".to_owned(), "external-body"),
        ("Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR".to_owned(), "calendar"),
        (multipart("alternative", &[PLAIN, "Content-Type: text/calendar; method=REPLY\n\nBEGIN:VCALENDAR"]), "calendar"),
        (
            multipart("mixed", &[PLAIN, "Content-Type: text/calendar; name=x.ics\nContent-Disposition: attachment\n\nBEGIN:VCALENDAR"]),
            "editable",
        ),
        ("X-MS-Exchange-Calendar-Series-Instance-Id: x\n\nHello".to_owned(), "calendar"),
        ("Content-Type: application/ms-tnef\n\nx".to_owned(), "tnef"),
        (multipart("mixed", &[PLAIN, "Content-Type: application/octet-stream; name=winmail.dat\n\nx"]), "tnef"),
        ("X-MS-Journal-Report:\nSubject: x\n\nHello".to_owned(), "journal"),
        ("Auto-Submitted: auto-replied (vacation)\n\nHello".to_owned(), "auto-submitted"),
        ("Auto-Submitted: no\n\nHello".to_owned(), "editable"),
        ("X-Auto-Response-Suppress: All\n\nHello".to_owned(), "editable"),
        ("X-Autoreply: yes\n\nHello".to_owned(), "auto-reply"),
        ("Precedence: auto_reply\n\nHello".to_owned(), "auto-reply"),
        ("Precedence: bulk\n\nHello".to_owned(), "editable"),
        ("Subject: [PATCH] x\n\nFix it\n---\n a | 2 +-\n\ndiff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n".to_owned(), "patch"),
        ("Subject: x\n\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n".to_owned(), "patch"),
        ("Subject: Re: x\n\nLooks good\n\nOn 1 Jan 2024, Bob wrote:\n> diff --git a/a b/a\n".to_owned(), "editable"),
        ("Content-Type: image/png\n\nx".to_owned(), "no-body"),
        ("Content-Type: message/rfc822\n\nSubject: x\n\nHello".to_owned(), "no-body"),
        ("Content-Type: text/plain\nContent-Disposition: attachment; filename=x\n\nHello".to_owned(), "no-body"),
        ("Content-Type: text/html\n\n<frameset><frame src=x></frameset>".to_owned(), "frames"),
    ] {
        assert_eq!(reason(&text), expected, "{text}");
    }
}

#[test]
fn damaged_structure() {
    for (text, expected) in [
        ("no header here".to_owned(), "damaged-mime"),
        (String::new(), "damaged-mime"),
        ("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n".to_owned(), "damaged-mime"),
        ("Content-Type: multipart/mixed; boundary=b\n\nnothing\n".to_owned(), "damaged-content-type"),
        ("Content-Type: multipart/mixed\n\nx\n".to_owned(), "damaged-content-type"),
        ("Content-Type: text/plain\nContent-Type: text/html\n\nx\n".to_owned(), "duplicate-header-field"),
        ("Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n\nx\n".to_owned(), "duplicate-header-field"),
        ("Content-Transfer-Encoding: x-uuencode\n\nx\n".to_owned(), "unknown-transfer-encoding"),
        ("Content-Transfer-Encoding: base64\n\nYQ==YQ==\n".to_owned(), "damaged-transfer-encoding"),
        ("Content-Type: text/plain; charset=utf-32\n\nx\n".to_owned(), "unsupported-charset"),
        ("Subject: x\nnot a field\nTo: y\n\nx\n".to_owned(), "damaged-header"),
        ("Subject: x".to_owned(), "damaged-header"),
        ("Subject: x\n \nTo: y\n\nx\n".to_owned(), "damaged-header"),
        ("Content-Type: multipart/mixed; boundary=b; boundary=c\n\n--b\n\nx\n--b--\n".to_owned(), "duplicate-parameter"),
        ("Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\nx\n--b--\n".to_owned(), "encoded-multipart"),
        ("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=b2\n\n--b2\n\nx\n--b2--\n--b--\n".to_owned(), "ambiguous-boundary"),
        ("Content-Type: multipart/mixed; boundary=b\n\n--b text\n\nx\n--b--\n".to_owned(), "damaged-mime"),
        (multipart("alternative", &["Content-Type: text/html\n\n<p>x", "Content-Type: text/html\n\n<p>y"]), "ambiguous-body"),
    ] {
        assert_eq!(reason(&text), expected, "{text}");
    }
}
