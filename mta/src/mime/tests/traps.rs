//! Marks that mislead, one test a trap: what looks like quoted mail and is not, and the other way round.

use super::*;

/// Rule and confidence of each placement.
fn report(text: &str) -> Vec<(&'static str, Confidence)> {
    let edited = insert(&message(text), &[placed()], &marks()).expect("it is signed");
    edited.report().iter().map(|placement| (placement.rule, placement.confidence)).collect()
}

fn alternative(header: &str, plain: &str, html: &str) -> String {
    format!(
        "From: a@acme.example\n{header}MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\
         Content-Type: text/plain\n\n{plain}\n--b\nContent-Type: text/html\n\n{html}\n--b--\n"
    )
}

const HEADERS: &str = "<b>From:</b> Bob<br><b>Sent:</b> Monday<br><b>To:</b> Ada<br><b>Subject:</b> x";

#[test]
fn mail_end_compose_wraps_the_first_words_and_ends_nothing() {
    let html = "<body><p><a name=\"_MailEndCompose\">Hi</a></p><p>Thanks</p></body>\n";
    assert!(html_reply(html).contains("<p>Thanks</p>[SIGNATURE]</body>"));
}

#[test]
fn outlook_mobile_answers_typed_into_its_signature_are_the_authors() {
    let html = "<body><div id=\"ms-outlook-mobile-body-separator-line\"></div><div id=\"ms-outlook-mobile-signature\">Thanks</div>\
                <div id=\"appendonsend\"></div>older<div id=\"x_ms-outlook-mobile-signature\">older</div></body>\n";
    assert!(html_reply(html).contains("Thanks</div>[SIGNATURE]<div id=\"appendonsend\">"));
}

#[test]
fn a_prefixed_mark_in_front_of_an_unprefixed_one_is_the_boundary() {
    let html = "<body><div>Thanks</div><div id=\"x_x_divRplyFwdMsg\">older</div><div id=\"divRplyFwdMsg\">oldest</div></body>\n";
    assert!(html_reply(html).contains("[SIGNATURE]<div id=\"x_x_divRplyFwdMsg\">"));
}

#[test]
fn a_divider_counts_in_any_colour_and_unit_but_only_above_a_header_block() {
    for style in
        ["border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in", "border-top: 2px solid green", "border-top:solid windowtext 1.0pt"]
    {
        let output = html_reply(&format!("<body><p>Thanks</p><div><div style=\"{style}\"><p>{HEADERS}</p></div></div>older</body>\n"));
        assert!(output.contains("<p>Thanks</p>[SIGNATURE]<div><div style="), "{output}");
        let output = html_reply(&format!("<body><p>Thanks</p><div style=\"{style}\"><p>Total: 5</p></div></body>\n"));
        assert!(output.contains("</div>[SIGNATURE]</body>"), "{output}");
    }
}

#[test]
fn the_wrapper_of_outlook_com_is_the_text_itself() {
    assert!(html_reply("<body><div id=\"divTagDefaultWrapper\">Thanks</div></body>\n").contains("[SIGNATURE]</body>"));
}

#[test]
fn the_authors_own_client_signature_is_no_quote_and_no_answer() {
    let html = "<div dir=ltr>Thanks<br>-- <br><div class=\"gmail_signature\">Ada</div></div>[QUOTE]";
    let quote = "<div class=\"gmail_quote\"><div class=\"gmail_attr\">On Mon, 1 Jan 2024 Bob wrote:<br></div><blockquote class=\"gmail_quote\">older</blockquote></div>";
    assert!(html_reply(&html.replace("[QUOTE]", quote)).contains(&format!("[SIGNATURE]{quote}")));
    // Below the quote, with its delimiter outside of the marked element.
    let below = format!("<div>Thanks</div>{quote}<div>-- </div><div class=\"gmail_signature\">Ada</div>\n");
    assert!(html_reply(&below).contains(&format!("[SIGNATURE]{quote}")));
}

#[test]
fn a_header_block_may_begin_with_any_label_and_stand_behind_quote_signs() {
    let html = "Hello<br><br><div>&gt; Subject: Test<br>&gt; From: bob@other.example<br>&gt; To: a@acme.example<br>&gt; older</div>";
    assert!(html_reply(html).starts_with("Hello<br><br>[SIGNATURE]<div>&gt; Subject"));
    let text = "Hello\n\nSubject: Test\nFrom: bob@other.example\nTo: a@acme.example\n\nolder\n";
    assert!(plain_reply(text).starts_with("Hello\n\n[SIGNATURE]\n\nSubject: Test"));
}

#[test]
fn an_attribution_without_any_quote_mark_is_believed_in_an_answer_only() {
    let html = "<body><div>Thanks</div><div>On 1 Jan 2024, at 10:00, Bob &lt;bob@other.example&gt; wrote:</div><div>older</div></body>";
    assert!(html_reply(html).contains("<div>Thanks</div>[SIGNATURE]<div>On 1 Jan"));
    assert!(brief(&edit(&html_mail("", html))).contains("<div>older</div>[SIGNATURE]</body>"));
}

#[test]
fn a_bare_block_quote_at_the_end_of_an_answer_is_taken_for_a_quote_with_low_confidence() {
    let html = "<body><div>Thanks</div><blockquote>older</blockquote></body>";
    assert_eq!(report(&html_mail(REPLY, html)), [("bare-block-quote", Confidence::Low)]);
    assert!(html_reply(html).contains("<div>Thanks</div>[SIGNATURE]<blockquote>"));
    let followed = "<body><div>He says:</div><blockquote>Go on</blockquote><div>and I agree</div></body>";
    assert!(html_reply(followed).contains("agree</div>[SIGNATURE]</body>"));
}

#[test]
fn an_attribution_that_shares_its_line_with_the_answer_is_parted_from_it() {
    let output = plain_reply("reply On Wed, 4 Apr 2012 at 3:59, bob@other.example wrote:\n> Hi\n");
    assert!(output.starts_with("reply\n\n[SIGNATURE]\n") && output.contains("\n On Wed, 4 Apr"), "{output}");
}

#[test]
fn forms_of_the_body_that_disagree_make_a_reply_uncertain() {
    let (quoted_text, quoted_html) =
        ("Thanks\n\nOn Mon, 1 Jan 2024, Bob wrote:\n> older\n", "<p>Thanks</p><div id=appendonsend></div>older");
    for (header, plain, html, certain) in [
        (REPLY, quoted_text, quoted_html, true),
        (REPLY, "Thanks\n", quoted_html, false),
        (REPLY, quoted_text, "<p>Thanks</p>", false),
        ("", "Thanks\n", quoted_html, true),
    ] {
        let report = report(&alternative(header, plain, html));
        assert_eq!(report.len(), 2);
        assert_eq!(report.iter().all(|(_, confidence)| *confidence > Confidence::Low), certain, "{report:?}");
    }
    // The rule that found a place stays in the report.
    assert_eq!(report(&alternative(REPLY, "Thanks\n", quoted_html)), [("no-boundary", Confidence::Low), ("outlook-web", Confidence::Low)]);
}

#[test]
fn without_a_boundary_an_answer_is_signed_at_its_end_and_never_inside_a_table_or_list() {
    for html in ["<body><table><tr><td>Thanks</td></tr></table></body>", "<body><ul><li>Thanks</li></ul></body>"] {
        assert!(html_reply(html).contains("[SIGNATURE]</body>"), "{html}");
        assert_eq!(report(&html_mail(REPLY, html))[0], ("no-boundary", Confidence::Low));
    }
}

#[test]
fn a_body_line_from_in_a_new_message_is_the_authors() {
    let output = edit(&plain_mail("Subject: pump: fix\n", "From: Eve <eve@other.example>\n\nFix the pump.\n"));
    assert!(output.ends_with("Fix the pump.\n\nAda King\nACME Engines\n"), "{output}");
}

#[test]
fn a_patch_is_never_edited_whatever_header_lines_it_begins_with() {
    let diff = "Fix.\n---\n a | 2 +-\n\ndiff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n";
    let own = "From: Eve <eve@other.example>\nDate: Mon, 23 Nov 2026 10:15:00 +0100\nSubject: pump: fix\n\n";
    for header in ["Subject: [PATCH] x\n", "Subject: [PATCH v2 1/2] x\nIn-Reply-To: <1@other.example>\n", "Subject: Re: [PATCH] x\n"] {
        for start in ["", "From: Eve <eve@other.example>\n\n", own] {
            let message = message(&plain_mail(header, &format!("{start}{diff}")));
            assert_eq!(insert(&message, &[placed()], &marks()).map(|_| ()).unwrap_err().reason, "patch", "{header}{start}");
        }
    }
    // Quoted below an answer it is somebody else's.
    let text = format!("Applied.\n\nFrom: Eve <eve@other.example>\nSent: Monday\nTo: Ada\nSubject: [PATCH] x\n\n{diff}");
    assert!(plain_reply(&text).starts_with("Applied.\n\n[SIGNATURE]\n\nFrom: Eve"));
}
