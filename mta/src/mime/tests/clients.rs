//! Where the signature goes in the answers of mail clients.

use super::*;

#[test]
fn outlook_on_the_web() {
    insta::assert_snapshot!(html_reply(concat!(
        "<html><head><style>p{margin:0}</style></head><body dir=\"ltr\"><div class=\"elementToProof\">Thanks, Bob</div>\n",
        "<div id=\"appendonsend\"></div>\n<hr style=\"display:inline-block;width:98%\" tabindex=\"-1\">\n",
        "<div id=\"divRplyFwdMsg\" dir=\"ltr\"><b>From:</b> Bob<br><b>Sent:</b> Monday<br><b>To:</b> Ada<br><b>Subject:</b> Hi</div>\n",
        "<div id=\"x_divRplyFwdMsg\">older</div></body></html>\n")), @r#"
<html><head><style>p{margin:0}</style></head><body dir="ltr"><div class="elementToProof">Thanks, Bob</div>
[SIGNATURE]<div id="appendonsend"></div>
<hr style="display:inline-block;width:98%" tabindex="-1">
<div id="divRplyFwdMsg" dir="ltr"><b>From:</b> Bob<br><b>Sent:</b> Monday<br><b>To:</b> Ada<br><b>Subject:</b> Hi</div>
<div id="x_divRplyFwdMsg">older</div></body></html>
"#);
}

#[test]
fn outlook_on_the_web_without_its_first_mark() {
    insta::assert_snapshot!(html_reply("<body><div>Thanks</div><hr tabindex=-1><div id=\"divRplyFwdMsg\"><b>From:</b> Bob</div>older</body>\n"), @r#"
<body><div>Thanks</div>[SIGNATURE]<hr tabindex=-1><div id="divRplyFwdMsg"><b>From:</b> Bob</div>older</body>
"#);
}

#[test]
fn outlook_desktop() {
    insta::assert_snapshot!(html_reply(concat!(
        "<html xmlns:o=\"urn:schemas-microsoft-com:office:office\"><head><!--[if mso]><xml></body></xml><![endif]--></head>",
        "<body lang=EN-US><div class=WordSection1><p class=MsoNormal><a name=\"_MailEndCompose\">Thanks<o:p></o:p></a></p><p class=MsoNormal><o:p>&nbsp;</o:p></p>\n",
        "<div><div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm'><p class=MsoNormal><b>Von:</b> Bob<br><b>Gesendet:</b> Montag<br>",
        "<b>An:</b> Ada<br><b>Betreff:</b> Hi<o:p></o:p></p></div></div>\n<p class=MsoNormal>older</p></div></body></html>\n")), @r#"
<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><!--[if mso]><xml></body></xml><![endif]--></head><body lang=EN-US><div class=WordSection1><p class=MsoNormal><a name="_MailEndCompose">Thanks<o:p></o:p></a></p><p class=MsoNormal><o:p>&nbsp;</o:p></p>
[SIGNATURE]<div><div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm'><p class=MsoNormal><b>Von:</b> Bob<br><b>Gesendet:</b> Montag<br><b>An:</b> Ada<br><b>Betreff:</b> Hi<o:p></o:p></p></div></div>
<p class=MsoNormal>older</p></div></body></html>
"#);
}

#[test]
fn outlook_desktop_new_message() {
    let output =
        edit(&html_mail("", "<html><body lang=EN-US><div class=WordSection1><p class=MsoNormal>Hi<o:p></o:p></p></div></body></html>\n"));
    insta::assert_snapshot!(brief(output.split_once("\n\n").unwrap().1), @r#"
<html><body lang=EN-US><div class=WordSection1><p class=MsoNormal>Hi<o:p></o:p></p>[SIGNATURE]</div></body></html>
"#);
}

#[test]
fn gmail() {
    insta::assert_snapshot!(html_reply(concat!(
        "<div dir=\"ltr\">Thanks</div><br><div class=\"gmail_quote gmail_quote_container\"><div dir=\"ltr\" class=\"gmail_attr\">On Mon, Jan 1, 2024 at 10:00 AM Bob &lt;",
        "<a href=\"mailto:bob@other.example\">bob@other.example</a>&gt; wrote:<br></div><blockquote class=\"gmail_quote\" style=\"margin:0px 0px 0px 0.8ex\">older</blockquote></div>\n")), @r#"
<div dir="ltr">Thanks</div><br>[SIGNATURE]<div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">On Mon, Jan 1, 2024 at 10:00 AM Bob &lt;<a href="mailto:bob@other.example">bob@other.example</a>&gt; wrote:<br></div><blockquote class="gmail_quote" style="margin:0px 0px 0px 0.8ex">older</blockquote></div>
"#);
}

#[test]
fn gmail_forward_with_quotes_inside() {
    let message = message(&html_mail(
        "",
        concat!(
            "<div dir=\"ltr\">See below</div><div class=\"gmail_quote\"><div class=\"gmail_attr\">---------- Forwarded message ---------<br>From: Bob<br></div>",
            "one<blockquote>two</blockquote>three</div>\n"
        ),
    ));
    let edited = insert(&message, &[placed()], &marks()).unwrap();
    assert_eq!((edited.report()[0].rule, message.kind()), ("gmail", Kind::Forward));
}

#[test]
fn gmail_answers_between_the_quotes() {
    let output = html_reply(concat!(
        "<div class=\"gmail_quote\"><div class=\"gmail_attr\">On Mon, 1 Jan 2024 Bob wrote:<br></div><blockquote class=\"gmail_quote\">q1</blockquote>",
        "<div>answer</div><blockquote class=\"gmail_quote\">q2</blockquote></div>\n"
    ));
    assert!(output.ends_with("</div>\n[SIGNATURE]"), "{output}");
}

#[test]
fn apple_mail() {
    insta::assert_snapshot!(html_reply(concat!(
        "<html><head></head><body style=\"word-wrap: break-word;\">Thanks<br><div><br><blockquote type=\"cite\"><div>On 1 Jan 2024, at 10:00, Bob &lt;bob@other.example&gt; wrote:</div>",
        "<br class=\"Apple-interchange-newline\"><div>older</div></blockquote></div><br></body></html>\n")), @r#"
<html><head></head><body style="word-wrap: break-word;">Thanks<br>[SIGNATURE]<div><br><blockquote type="cite"><div>On 1 Jan 2024, at 10:00, Bob &lt;bob@other.example&gt; wrote:</div><br class="Apple-interchange-newline"><div>older</div></blockquote></div><br></body></html>
"#);
}

#[test]
fn apple_mail_on_a_phone() {
    insta::assert_snapshot!(html_reply(concat!(
        "<html><body dir=\"auto\"><div dir=\"ltr\">Thanks</div><div dir=\"ltr\"><br><blockquote type=\"cite\">On 1 Jan 2024, at 10:00, Bob wrote:<br><br></blockquote></div>",
        "<blockquote type=\"cite\"><div dir=\"ltr\">older</div></blockquote></body></html>\n")), @r#"
<html><body dir="auto"><div dir="ltr">Thanks</div>[SIGNATURE]<div dir="ltr"><br><blockquote type="cite">On 1 Jan 2024, at 10:00, Bob wrote:<br><br></blockquote></div><blockquote type="cite"><div dir="ltr">older</div></blockquote></body></html>
"#);
}

#[test]
fn apple_mail_answers_between_the_quotes() {
    let output = html_reply("<body><blockquote type=cite>q1</blockquote><div>answer</div><blockquote type=cite>q2</blockquote></body>\n");
    assert!(output.contains("</blockquote>[SIGNATURE]</body>"), "{output}");
}

#[test]
fn thunderbird_above() {
    insta::assert_snapshot!(html_reply(concat!(
        "<html><body><p>Thanks</p><div class=\"moz-cite-prefix\">On 1/1/24 10:00, Bob wrote:<br></div><blockquote type=\"cite\" cite=\"mid:1\"><p>older</p></blockquote>",
        "<div class=\"moz-signature\">-- <br>Ada</div></body></html>\n")), @r#"
<html><body><p>Thanks</p>[SIGNATURE]<div class="moz-cite-prefix">On 1/1/24 10:00, Bob wrote:<br></div><blockquote type="cite" cite="mid:1"><p>older</p></blockquote><div class="moz-signature">-- <br>Ada</div></body></html>
"#);
}

#[test]
fn thunderbird_below() {
    insta::assert_snapshot!(html_reply(concat!(
        "<html><body><div class=\"moz-cite-prefix\">On 1/1/24 10:00, Bob wrote:<br></div><blockquote type=\"cite\" cite=\"mid:1\"><p>older</p></blockquote>",
        "<p>Thanks</p></body></html>\n")), @r#"
<html><body><div class="moz-cite-prefix">On 1/1/24 10:00, Bob wrote:<br></div><blockquote type="cite" cite="mid:1"><p>older</p></blockquote><p>Thanks</p>[SIGNATURE]</body></html>
"#);
}

#[test]
fn yahoo() {
    insta::assert_snapshot!(html_reply(concat!(
        "<html><body><div class=\"ydp1yahoo-style-wrap\"><div>Thanks</div></div><div id=\"ydp2yahoo_quoted_1\" class=\"ydp2yahoo_quoted\"><div>On Monday, Bob wrote:</div>",
        "<div>older</div></div></body></html>\n")), @r#"
<html><body><div class="ydp1yahoo-style-wrap"><div>Thanks</div></div>[SIGNATURE]<div id="ydp2yahoo_quoted_1" class="ydp2yahoo_quoted"><div>On Monday, Bob wrote:</div><div>older</div></div></body></html>
"#);
}

#[test]
fn other_clients() {
    for (name, quote) in [
        ("zimbra", "<hr id=\"zwchr\" data-marker=\"__DIVIDER__\"><div>From: Bob</div>"),
        ("zoho", "<div class=\"zmail_extra\">older</div>"),
        ("proton", "<div class=\"protonmail_quote\">On Monday Bob wrote:<blockquote type=\"cite\">older</blockquote></div>"),
        ("hotmail", "<hr id=\"stopSpelling\">older"),
        ("outlook-mac", "<span id=\"OLK_SRC_BODY_SECTION\">older</span>"),
        ("outlook-new", "<div id=\"mail-editor-reference-message-container\">older</div>"),
        ("attribution", "<div>01.01.2024, 10:00, \"Bob\" &lt;bob@other.example&gt;:</div><blockquote>older</blockquote>"),
        ("block-quote", "<blockquote style=\"border-left:1px solid #0857A6; margin:10px\">older</blockquote>"),
        ("separator", "<p>-----Original Message-----<br>From: Bob<br>Sent: Monday</p>older"),
        ("header-block", "<p><b>From:</b> Bob<br><b>Date:</b> Monday<br><b>Subject:</b> x</p>older"),
        ("outlook-web", "<div id=\"x_x_appendonsend\"></div>older"),
    ] {
        let mail = html_mail(REPLY, &format!("<body><div>Thanks</div>{quote}</body>\n"));
        let message = message(&mail);
        let edited = insert(&message, &[placed()], &marks()).unwrap();
        assert_eq!(edited.report()[0].rule, name);
        assert!(brief(&edit(&mail)).contains(&format!("<div>Thanks</div>[SIGNATURE]{quote}")), "{name} {}", brief(&edit(&mail)));
    }
}

#[test]
fn forwards_without_any_header_field_are_recognised_by_the_whole_block() {
    let block = "<div><b>From: </b>Bob</div><div><b>Subject: </b>x</div><div><b>Date: </b>Monday</div>";
    for (rule, quote) in [
        ("block-quote", format!("<div><br><blockquote type=\"cite\"><div>Begin forwarded message:</div><br>{block}</blockquote></div>")),
        ("separator", "<p>-------- Пересылаемое сообщение --------<br>От кого: Bob<br>Кому: Ada<br>Тема: x</p>".to_owned()),
        ("thunderbird-forward", "<div class=\"moz-forward-container\"><br>-------- Forwarded Message --------<table><tr><th>From: </th><td>Bob</td></tr></table></div>".to_owned()),
        ("outlook-header", "<div style=\"padding-top: 5px; border-top-color: rgb(229, 229, 229); border-top-width: 1px; border-top-style: solid;\"><b>От:</b>&nbsp;Bob<br><b>Отправлено:</b>&nbsp;четверг</div>".to_owned()),
    ] {
        let message = message(&html_mail("", &format!("<body><div>See below</div>{quote}</body>\n")));
        let edited = insert(&message, &[placed()], &marks()).unwrap();
        assert_eq!(edited.report()[0].rule, rule);
        let output = brief(&String::from_utf8(output(&edited)).unwrap());
        assert!(output.contains(&format!("<div>See below</div>[SIGNATURE]{quote}")), "{output}");
        assert_ne!(message.kind(), Kind::New);
    }
}

#[test]
fn addresses_that_are_not_escaped_do_not_hide_an_attribution() {
    for quote in [
        "<div dir=\"ltr\"><br>On Sep 4, 2025, at 11:30 AM, Jane <jane@other.example> wrote:<br><br></div><blockquote type=\"cite\">older</blockquote>",
        "<br>Thu, 26 Jun 2014 14:00:51 +0400 от Bob &lt;bob@other.example&gt;:<br>\n<blockquote style=\"border-left:1px solid #0857A6;\">older</blockquote>",
        "<div><hr id=\"stopSpelling\">Date: Monday<br>Subject: x<br>From: Bob<br>older</div>",
    ] {
        let output = html_reply(&format!("<body><div>Thanks</div>{quote}</body>\n"));
        assert!(
            output.contains(&format!("<div>Thanks</div>[SIGNATURE]{quote}")) || output.contains("<div>Thanks</div><br>[SIGNATURE]Thu"),
            "{output}"
        );
    }
}

#[test]
fn what_is_no_quote_is_passed_over() {
    for html in [
        "<body><div id=\"ms-outlook-mobile-body-separator-line\"></div><div>Thanks</div></body>",
        "<body><p><a name=\"_MailEndCompose\"></a>Thanks</p></body>",
        "<body><div id=\"divTagDefaultWrapper\">Thanks</div></body>",
        "<body><p>From: here on it is easy</p></body>",
        "<body><blockquote style=\"margin:0 0 0 40px;border:none\">indented</blockquote></body>",
    ] {
        let output = html_reply(&format!("{html}\n"));
        assert!(output.contains("[SIGNATURE]</body>"), "{output}");
    }
}

#[test]
fn a_new_message_is_never_cut_at_header_like_text() {
    let text = "Hello\n\nFrom: Bob\nSent: Monday\nTo: Ada\nSubject: x\n\nplease note\n";
    let output = edit(&plain_mail("Subject: notes\n", text));
    assert!(output.ends_with("please note\n\nAda King\nACME Engines\n"), "{output}");
    let output = edit(&html_mail("", "<body><p>From: Bob</p><p>Sent: Monday</p><p>To: Ada</p><p>Subject: x</p></body>"));
    assert!(brief(&output).contains("</p>[SIGNATURE]</body>"));
}

#[test]
fn no_boundary_in_an_answer_is_low_confidence() {
    let message = message(&plain_mail(REPLY, "Thanks\n"));
    let edited = insert(&message, &[placed()], &marks()).unwrap();
    assert_eq!((edited.report()[0].rule, edited.report()[0].confidence), ("no-boundary", Confidence::Low));
}

#[test]
fn plain_text_in_many_languages() {
    for (introduction, quote) in [
        ("On Mon, 1 Jan 2024 at 10:00, Bob <bob@other.example> wrote:\n", "> older\n"),
        ("On Mon, 1 Jan 2024 at 10:00, Bob Very Long Name\n<bob@other.example>\nwrote:\n\n", "> older\n"),
        ("Am 01.01.2024 um 10:00 schrieb Bob:\n", "> older\n"),
        ("Le lun. 1 janv. 2024 à 10:00, Bob <bob@other.example> a écrit :\n\n", "> older\n"),
        ("El 1/1/24 a las 10:00, Bob escribió:\n", "> older\n"),
        ("Il 01/01/24 10:00, Bob ha scritto:\n", "> older\n"),
        ("Em 01/01/2024 10:00, Bob escreveu:\n", "> older\n"),
        ("Op 1-1-2024 om 10:00 schreef Bob:\n", "> older\n"),
        ("W dniu 1.01.2024 o 10:00, Bob pisze:\n", "> older\n"),
        ("Den 2024-01-01 kl. 10:00, skrev Bob:\n", "> older\n"),
        ("1.1.2024 klo 10.00, Bob kirjoitti:\n", "> older\n"),
        ("01.01.2024 10:00, Bob пишет:\n", "> older\n"),
        ("在 2024/1/1 10:00, Bob 写道:\n", "> older\n"),
        ("2024年1月1日(月) 10:00 Bob <bob@other.example>のメッセージ:\n", "> older\n"),
        ("2024년 1월 1일 오전 10:00, Bob <bob@other.example>님이 작성:\n", "> older\n"),
        ("-----Original Message-----\nFrom: Bob\nSent: Monday\n", "\nolder\n"),
        ("-----Ursprüngliche Nachricht-----\nVon: Bob\nGesendet: Montag\n", "\nolder\n"),
        ("-----Message d'origine-----\nDe : Bob\nEnvoyé : lundi\n", "\nolder\n"),
        ("________________________________\nFrom: Bob\nSent: Monday\nTo: Ada\nSubject: x\n", "\nolder\n"),
        ("Von: Bob\nGesendet: Montag\nAn: Ada\nBetreff: x\n", "\nolder\n"),
        ("De: Bob\nEnviado: lunes\nPara: Ada\nAsunto: x\n", "\nolder\n"),
        ("Da: Bob\nInviato: lunedì\nA: Ada\nOggetto: x\n", "\nolder\n"),
        ("Van: Bob\nVerzonden: maandag\nAan: Ada\nOnderwerp: x\n", "\nolder\n"),
        ("Od: Bob\nWysłano: poniedziałek\nDo: Ada\nTemat: x\n", "\nolder\n"),
        ("От: Bob\nОтправлено: понедельник\nКому: Ada\nТема: x\n", "\nolder\n"),
        ("差出人: Bob\n送信日時: 月曜日\n宛先: Ada\n件名: x\n", "\nolder\n"),
        ("发件人: Bob\n发送时间: 星期一\n收件人: Ada\n主题: x\n", "\nolder\n"),
        ("", "> older\n"),
    ] {
        let output = plain_reply(&format!("Thanks\n\n{introduction}{quote}"));
        assert_eq!(output, format!("Thanks\n\n[SIGNATURE]\n\n{introduction}{quote}"));
    }
}

#[test]
fn plain_answers_below_or_between_the_quotes_are_signed_at_the_end() {
    for text in [
        "On Mon, 1 Jan 2024, Bob wrote:\n> older\n\nThanks\n",
        "> one\nyes\n> two\nno\n",
        "On Mon, 1 Jan 2024, Bob wrote:\n> one\n\nOn Mon, 1 Jan 2024, Eve wrote:\n>> two\nThanks\n",
    ] {
        assert_eq!(plain_reply(text), format!("{text}\n[SIGNATURE]\n"));
    }
    // The author's own signature below the quote is no answer.
    let text = "Thanks\n\nOn Mon, 1 Jan 2024, Bob wrote:\n> older\n\n-- \nAda\n";
    assert!(plain_reply(text).starts_with("Thanks\n\n[SIGNATURE]\n\nOn Mon"));
    // Answers between quotes, above a whole earlier message.
    let text = "> one\nyes\n\n-----Original Message-----\nFrom: Bob\nSent: Monday\n\nolder\n";
    assert!(plain_reply(text).contains("yes\n\n[SIGNATURE]\n\n-----Original"));
}
