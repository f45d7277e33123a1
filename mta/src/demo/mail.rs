//! The demo's mail: what is sent, from whom to whom, and how each message must end.
//!
//! The messages are files in `config/demo/mail/`, as the clients write them, with LF line ends so that any editor can open them. This
//! module turns them into what goes over the wire. It does not send or judge anything.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// One message of the demo.
#[derive(Debug)]
pub struct Mail {
    /// What it shows.
    pub title: &'static str,
    /// One sentence for people.
    pub about: &'static str,
    /// The file's name.
    pub file: &'static str,
    text: &'static str,
    /// The reverse-path.
    pub sender: &'static str,
    /// The forward-paths.
    pub recipients: &'static [&'static str],
    /// Whether the stand-in for Exchange Online signs it (RFC 6376).
    pub dkim: bool,
    /// How it must end.
    pub expected: Expected,
}

/// How a message must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Every copy to a recipient outside carries a signature, above this text of an earlier message if there is one.
    Signed {
        /// How many copies arrive.
        copies: usize,
        /// The author's last words, in every form of the body: the signature is below them.
        below: &'static str,
        /// The first words of what is quoted: the signature is above them.
        above: Option<&'static str>,
    },
    /// It arrives with its octets unchanged below our trace fields.
    Unchanged {
        /// Part of the reason, as the event record gives it.
        reason: &'static str,
    },
    /// The reply begins with this.
    Refused {
        /// Code and enhanced code.
        reply: &'static str,
    },
}

macro_rules! mail {
    ($file:literal, $($field:ident: $value:expr),+ $(,)?) => {
        Mail { file: $file, text: include_str!(concat!("../../../config/demo/mail/", $file)), $($field: $value),+ }
    };
}

const fn signed(below: &'static str, above: &'static str) -> Expected {
    Expected::Signed { copies: 1, below, above: Some(above) }
}

/// In the order in which they are sent.
pub const MAIL: [Mail; 12] = [
    mail!("01-new-message.eml",
        title: "A new message",
        about: "Written in Outlook on the web. The signature goes below the text, in both forms of the body.",
        sender: "hanna.lindqvist@northwind.example",
        recipients: &["lucia.ferreira@contoso.example"],
        dkim: true,
        expected: Expected::Signed { copies: 1, below: "Kind regards", above: None },
    ),
    mail!("02-reply-outlook-desktop.eml",
        title: "A reply from Outlook for Windows",
        about: "Word's HTML. The signature goes between what the author wrote and the line that begins the quoted message.",
        sender: "marek.dvorak@northwind.example",
        recipients: &["j.whitfield@fabrikam.example"],
        dkim: true,
        expected: signed("Best regards", "the offer looks right"),
    ),
    mail!("03-reply-outlook-web.eml",
        title: "A reply in German from Outlook on the web",
        about: "ISO 8859-1 and German quotation labels. The part keeps its character set and its encoding.",
        sender: "sofia.brandt@northwind.example",
        recipients: &["petersen@elbwerft.example"],
        dkim: true,
        expected: signed("Mit freundlichen Gr", "Guten Tag Frau Brandt"),
    ),
    mail!("04-reply-gmail.eml",
        title: "A reply from the Gmail app",
        about: "The whole body on one line of HTML, the quoted message in a gmail_quote block.",
        sender: "marek.dvorak@northwind.example",
        recipients: &["aiko.tanaka@contoso.example"],
        dkim: true,
        expected: signed("just send me the order", "do you still have the D-section"),
    ),
    mail!("05-reply-apple-mail.eml",
        title: "A reply from Apple Mail",
        about: "The quotation is nested inside the author's own block.",
        sender: "hanna.lindqvist@northwind.example",
        recipients: &["lucia.ferreira@contoso.example"],
        dkim: true,
        expected: signed("He asks for the ladder", "the master would like to know"),
    ),
    mail!("06-reply-plain-text.eml",
        title: "A reply in plain text",
        about: "Plain text stays plain text: the signature's text form, in a format=flowed body.",
        sender: "tom.okafor@northwind.example",
        recipients: &["j.whitfield@fabrikam.example"],
        dkim: true,
        expected: signed("Sorry for the trouble", "invoice 88213 has the demurrage"),
    ),
    mail!("07-internal-and-external.eml",
        title: "One message to colleagues and a customer",
        about: "Recipients with different signatures get different copies of the same message.",
        sender: "hanna.lindqvist@northwind.example",
        recipients: &["lucia.ferreira@contoso.example", "marek.dvorak@northwind.example", "sofia.brandt@northwind.example"],
        dkim: true,
        expected: Expected::Signed { copies: 2, below: "If the wind is above", above: None },
    ),
    mail!("08-smime-signed.eml",
        title: "An S/MIME signed message",
        about: "Any change would break the author's own signature, so the message passes as it is.",
        sender: "tom.okafor@northwind.example",
        recipients: &["j.whitfield@fabrikam.example"],
        dkim: true,
        expected: Expected::Unchanged { reason: "smime-signed" },
    ),
    mail!("09-meeting-request.eml",
        title: "A meeting request",
        about: "Calendars match requests by their content, so the message passes as it is.",
        sender: "sofia.brandt@northwind.example",
        recipients: &["lucia.ferreira@contoso.example"],
        dkim: true,
        expected: Expected::Unchanged { reason: "calendar" },
    ),
    mail!("10-large-attachment.eml",
        title: "A message with a 10 MB attachment",
        about: "The body is edited; the attachment's octets are passed on as they came, never copied or encoded again.",
        sender: "marek.dvorak@northwind.example",
        recipients: &["j.whitfield@fabrikam.example"],
        dkim: true,
        expected: Expected::Signed { copies: 1, below: "The summary is on the first two pages", above: None },
    ),
    mail!("11-forged-tenant.eml",
        title: "A forged tenant header",
        about: "Two tenant ids in one message: nobody's mail. It is refused, and nothing reaches the return host.",
        sender: "hanna.lindqvist@northwind.example",
        recipients: &["lucia.ferreira@contoso.example"],
        dkim: true,
        expected: Expected::Refused { reply: "550 5.7.1" },
    ),
    mail!("12-failed-alignment.eml",
        title: "An author whom nothing proves",
        about: "SPF fails and there is no DKIM signature, so the company's signature is not given to it.",
        sender: "news@campaigns.northwind.example",
        recipients: &["lucia.ferreira@contoso.example"],
        dkim: false,
        expected: Expected::Unchanged { reason: "unaligned" },
    ),
];

/// Stands alone on the line where the large attachment goes.
const ATTACHMENT_MARK: &str = "@ten-megabytes@";
/// What the large attachment holds, before it is encoded.
const ATTACHMENT: usize = 10 * 1024 * 1024;
/// Octets of one base64 line of 76 characters (RFC 2045 section 6.8).
const LINE: usize = 57;

impl Mail {
    /// What follows each `RCPT TO:`. The notification parameter has to reach the return host (RFC 3461).
    pub fn forward_paths(&self) -> Vec<String> {
        self.recipients.iter().map(|recipient| format!("<{recipient}> NOTIFY=FAILURE,DELAY")).collect()
    }

    /// The message as it goes over the wire: lines end in CRLF, and the large attachment is in its place.
    pub fn content(&self) -> Vec<u8> {
        let mut text = String::with_capacity(self.text.len() * 2);
        for line in self.text.lines() {
            if line == ATTACHMENT_MARK {
                attach(&mut text);
            } else {
                text.push_str(line);
                text.push_str("\r\n");
            }
        }
        text.into_bytes()
    }
}

/// Octets that no compression shortens, the same in every run.
fn attach(text: &mut String) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut octets = Vec::with_capacity(ATTACHMENT + 8);
    while octets.len() < ATTACHMENT {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        octets.extend_from_slice(&state.to_le_bytes());
    }
    octets.truncate(ATTACHMENT);
    text.reserve(ATTACHMENT / LINE * 78 + 78);
    for line in octets.chunks(LINE) {
        let _infallible = write!(text, "{}\r\n", STANDARD.encode(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_parses_without_damage_and_comes_from_its_sender() {
        for mail in &MAIL {
            let content = mail.content();
            let message = mail_parser::MessageParser::default().parse(&content).unwrap();
            let from = message.from().unwrap().first().unwrap();
            assert_eq!(from.address(), Some(mail.sender), "{}", mail.file);
            assert!(!message.parts().any(|part| part.has_problems()), "{}", mail.file);
            let bare = content.windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r');
            assert!(!bare && content.ends_with(b"\r\n"), "{}", mail.file);
        }
    }

    #[test]
    fn the_attachment_is_ten_megabytes() {
        let large = MAIL.iter().find(|mail| mail.file.starts_with("10-")).unwrap().content();
        let message = mail_parser::MessageParser::default().parse(&large).unwrap();
        assert_eq!(message.attachments().next().unwrap().decoded().len(), ATTACHMENT);
    }
}
