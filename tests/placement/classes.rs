//! Every class of message that a signature service meets: signed, or passed unchanged and why.
//!
//! Rows are the classes that the commercial services document, and those that they leave open. What the envelope alone tells (the null
//! reverse-path) and what our own loop token tells is decided in front of this code, and tested there.

use crate::{crlf, sign};

const TEXT: &str = "Content-Type: text/plain\n\nHello\n";
const CALENDAR: &str = "Content-Type: text/calendar; charset=utf-8; method=REQUEST\n\nBEGIN:VCALENDAR\nEND:VCALENDAR\n";
const TNEF: &str = "Content-Type: application/ms-tnef; name=winmail.dat\nContent-Transfer-Encoding: base64\n\neJ8+IgE=\n";
const PATCH: &str = "---\n pump.c | 2 +-\n\ndiff --git a/pump.c b/pump.c\n--- a/pump.c\n+++ b/pump.c\n@@ -1 +1 @@\n-x\n+y\n";

fn multipart(kind: &str, parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("--b\n{part}\n")).collect();
    format!("MIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary=b\n\n{parts}--b--\n")
}

fn text(header: &str, body: &str) -> String {
    format!("{header}MIME-Version: 1.0\nContent-Type: text/plain\n\n{body}")
}

/// Class, message without its From, what becomes of it.
type Row = (&'static str, String, &'static str);

fn by_exchange() -> Vec<Row> {
    let plain = |header: &str| text(header, "Hello\n");
    let with_tnef = multipart("mixed", &[TEXT, TNEF]);
    vec![
        ("normal", plain("Subject: x\n"), "signed"),
        ("task request", plain("Subject: Task Request: pump\nContent-Class: urn:content-classes:task\n"), "signed"),
        ("task reply", plain("Subject: Task Accepted: pump\nContent-Class: urn:content-classes:task\n"), "signed"),
        ("task request in TNEF", format!("Subject: Task Request: pump\n{with_tnef}"), "tnef"),
        ("recall", text("Subject: Recall: pump\n", "Ada King would like to recall the message, \"pump\".\n"), "signed"),
        ("recall in TNEF", format!("Subject: Recall: pump\n{with_tnef}"), "tnef"),
        ("voting buttons", plain("Subject: Lunch?\nThread-Topic: Lunch?\n"), "signed"),
        ("voting buttons in TNEF", with_tnef.clone(), "tnef"),
        ("rich text in TNEF alone", format!("MIME-Version: 1.0\n{TNEF}"), "tnef"),
        ("journal report", plain("X-MS-Journal-Report:\n"), "journal"),
        ("connector validation", format!("From: O365ConnectorValidation@acme.example\n{}", plain("")), "connector-validation"),
        (
            "group post",
            plain("X-MS-Exchange-UnifiedGroup-SubmittedViaGroupAddress: /o=ExchangeLabs/ou=Exchange Administrative Group/cn=x\n"),
            "group-post",
        ),
        ("signed by another service", plain("X-ExclaimerHostedSignatures-MessageProcessed: true\n"), "signed"),
        ("signed by a third service", plain("X-CodeTwoProcessed: true\nX-ProcessedByTemplafy: true\n"), "signed"),
    ]
}

fn lists_and_patches() -> Vec<Row> {
    let plain = |header: &str| text(header, "Hello\n");
    vec![("list mail", plain("List-Id: <pumps.acme.example>\nPrecedence: list\n"), "signed")]
}

fn protected() -> Vec<Row> {
    let plain = |header: &str| text(header, "Hello\n");
    vec![
        ("S/MIME signed", multipart("signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256", &[TEXT]), "smime-signed"),
        ("S/MIME signed, opaque", "Content-Type: application/pkcs7-mime; smime-type=signed-data\n\nx\n".to_owned(), "smime-signed"),
        ("S/MIME encrypted", "Content-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nx\n".to_owned(), "smime-encrypted"),
        ("PGP/MIME signed", multipart("signed; protocol=\"application/pgp-signature\"", &[TEXT]), "pgp-signed"),
        ("PGP/MIME encrypted", multipart("encrypted; protocol=\"application/pgp-encrypted\"", &[TEXT]), "pgp-encrypted"),
        ("PGP inline signed", text("", "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nHello\n"), "pgp-signed"),
        ("PGP inline encrypted", text("", "-----BEGIN PGP MESSAGE-----\n\nx\n-----END PGP MESSAGE-----\n"), "pgp-encrypted"),
        ("PGP inline in a quote", text("In-Reply-To: <1@x>\n", "Thanks\n\n> -----BEGIN PGP MESSAGE-----\n> x\n"), "signed"),
        (
            "rights-managed",
            multipart("mixed", &[TEXT, "Content-Type: application/x-microsoft-rpmsg-message; name=message.rpmsg\n\nx\n"]),
            "rights-managed",
        ),
        ("rights-managed by its content class", plain("Content-Class: rpmsg.message\n"), "rights-managed"),
        ("sensitivity label without encryption", plain("msip_labels: MSIP_Label_1_Enabled=true;\n"), "signed"),
    ]
}

fn automatic() -> Vec<Row> {
    let plain = |header: &str| text(header, "Hello\n");
    vec![
        ("calendar request", multipart("alternative", &[TEXT, CALENDAR]), "calendar"),
        ("calendar response", format!("MIME-Version: 1.0\n{}", CALENDAR.replace("REQUEST", "REPLY")), "calendar"),
        ("calendar cancellation", multipart("alternative", &[TEXT, &CALENDAR.replace("REQUEST", "CANCEL")]), "calendar"),
        ("appointment of a series", plain("X-MS-Exchange-Calendar-Series-Instance-Id: BAAAAIIA\n"), "calendar"),
        ("calendar item by its content class", plain("Content-Class: urn:content-classes:calendarmessage\n"), "calendar"),
        (
            "calendar file attached",
            multipart("mixed", &[TEXT, "Content-Type: text/calendar; name=x.ics\nContent-Disposition: attachment\n\nBEGIN:VCALENDAR\n"]),
            "signed",
        ),
        (
            "out of office",
            plain("Subject: Automatic reply: x\nAuto-Submitted: auto-generated\nX-Auto-Response-Suppress: All\n"),
            "auto-submitted",
        ),
        ("auto-replied", plain("Auto-Submitted: auto-replied\n"), "auto-submitted"),
        ("written by a person, and said so", plain("Auto-Submitted: no\n"), "signed"),
        ("asks for no automatic answer", plain("X-Auto-Response-Suppress: OOF, AutoReply\n"), "signed"),
        ("X-Autoreply", plain("X-Autoreply: yes\n"), "auto-reply"),
        ("X-Autorespond", plain("X-Autorespond: x\n"), "auto-reply"),
        (
            "non-delivery report",
            multipart("report; report-type=delivery-status", &[TEXT, "Content-Type: message/delivery-status\n\nx: y\n"]),
            "report",
        ),
        ("read receipt", multipart("report; report-type=disposition-notification", &[TEXT]), "disposition-notification"),
        ("feedback report", multipart("report; report-type=feedback-report", &[TEXT]), "feedback-report"),
        (
            "list mail with a footer",
            multipart("mixed", &[TEXT, "Content-Type: text/plain\nContent-Disposition: inline\n\n____\nlist footer\n"]),
            "signed",
        ),
        ("patch", text("Subject: [PATCH] pump: fix\n", &format!("Fix it.\n{PATCH}")), "patch"),
        (
            "patch by somebody else",
            text("Subject: [PATCH] pump: fix\n", &format!("From: Eve <eve@other.example>\n\nFix it.\n{PATCH}")),
            "patch",
        ),
        (
            "patch with a header of its own, in a thread",
            text(
                "Subject: [PATCH v2 2/3] pump: fix\nIn-Reply-To: <1@x>\n",
                &format!("From: Eve <eve@other.example>\nDate: Mon, 23 Nov 2026 10:15:00 +0100\nSubject: pump: fix\n\nFix it.\n{PATCH}"),
            ),
            "patch",
        ),
        (
            "answer about a patch",
            text("Subject: Re: [PATCH] x\nIn-Reply-To: <1@x>\n", "Good.\n\n> diff --git a/x b/x\n> @@ -1 +1 @@\n"),
            "signed",
        ),
        (
            "patch attached",
            multipart(
                "mixed",
                &[TEXT, "Content-Type: text/x-patch; name=x.patch\nContent-Disposition: attachment\n\ndiff --git a/x b/x\n"],
            ),
            "signed",
        ),
        ("part of a divided message", "Content-Type: message/partial; id=x; number=1\n\nx\n".to_owned(), "message-partial"),
        ("nothing but a picture", "Content-Type: image/png\n\nx\n".to_owned(), "no-body"),
    ]
}

#[test]
fn every_class_of_message_is_signed_or_passed_for_its_own_reason() {
    let mut wrong = Vec::new();
    for (class, message, expected) in [by_exchange(), protected(), automatic(), lists_and_patches()].concat() {
        let from = if message.starts_with("From:") { "" } else { "From: Ada King <ada@acme.example>\n" };
        let outcome = sign(&crlf(&format!("{from}{message}"))).map_or_else(|unedited| unedited.reason, |_| "signed");
        eprintln!("{outcome:<26} {class}");
        if outcome != expected {
            wrong.push(format!("{class}: {outcome}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
