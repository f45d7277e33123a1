//! One message, made up or read from a file: who sends what to whom, when; and what becomes of it.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use mail_parser::MessageParser;

use super::{Workbench, WorkbenchError};
use crate::address::Mailbox;
use crate::header;
use crate::locale;
use crate::mime::{Class, Copy, Marks, Message, insert};
use crate::pipeline::view;
use crate::signature::{Authentication, CopyPlan, Decision, Explanation, Facts, Format, Kind, Outcome, Person, Placed, Recipient};

/// What is asked about. Where a message is given, it says what is not said here.
#[derive(Clone, Debug)]
pub struct Question {
    /// The author.
    pub from: Option<Mailbox>,
    /// Who sends on the author's behalf.
    pub delegate: Option<Mailbox>,
    /// The recipients; those of a message file are the ones in To and Cc.
    pub to: Vec<Mailbox>,
    /// The subject of a made-up message.
    pub subject: String,
    /// What the author of a made-up message writes.
    pub text: String,
    /// Whether a made-up message starts a conversation, answers or forwards.
    pub kind: Kind,
    /// Further fields of a made-up message.
    pub headers: Vec<(String, String)>,
    /// Whether the author is proven by SPF, DKIM and DMARC.
    pub authenticated: bool,
    /// A message file; line ends may be LF.
    pub message: Option<Vec<u8>>,
    /// When.
    pub at: SystemTime,
}

impl Question {
    /// A new message at this time, about which nothing else is known.
    pub fn at(at: SystemTime) -> Self {
        Self {
            from: None,
            delegate: None,
            to: Vec::new(),
            subject: String::new(),
            text: "Hello,\n\nthis is what the author writes.\n".to_owned(),
            kind: Kind::New,
            headers: Vec::new(),
            authenticated: true,
            message: None,
            at,
        }
    }
}

/// What becomes of one message.
#[derive(Debug)]
pub struct Answered {
    /// What the selector was told.
    pub facts: Facts,
    /// What is decided for whom.
    pub copies: Vec<Answer>,
    /// What the selector wants to be taken out of the subject.
    pub remove_from_subject: Vec<String>,
}

/// What becomes of it for some of the recipients.
#[derive(Debug)]
pub struct Answer {
    /// What the selector decided, or why it was not asked.
    pub plan: CopyPlan,
    /// The signatures as rendered.
    pub placed: Vec<Placed>,
    /// The outgoing form, before it is sealed.
    pub copy: Copy,
    /// Whether the subject changed.
    pub subject_changed: bool,
}

impl Workbench {
    /// Asks the plugins, and puts the signatures into the message.
    pub fn answer(&self, question: &Question) -> Result<Answered, WorkbenchError> {
        let content = content(question)?;
        let message = Arc::new(Message::parse(Bytes::from(content)));
        let facts = self.facts(question, &message)?;
        let decision = match message.class() {
            Class::Passed(passed) => passed_unchanged(facts.recipients.len(), passed.as_str()),
            Class::Editable => self.selector.select(&facts, view(&message))?,
        };
        let mut copies = Vec::with_capacity(decision.copies.len());
        for plan in decision.copies {
            copies.push(self.copy(plan, &message, &facts, &decision.remove_from_subject)?);
        }
        Ok(Answered { facts, copies, remove_from_subject: decision.remove_from_subject })
    }

    /// The person with this address.
    pub fn person(&self, mailbox: &Mailbox) -> Person {
        self.folder.directory.person(mailbox)
    }

    /// Renders one signature, with its images.
    pub fn render(&self, id: &str, person: &Person, locale: &str, at: SystemTime, format: Format) -> Result<Placed, WorkbenchError> {
        let fragment = self.renderer.render(id, person, locale, &self.folder.moment(at), format)?;
        let assets = fragment.images.iter().filter_map(|name| self.renderer.asset(name).cloned()).collect();
        Ok(Placed { id: id.to_owned(), placement: crate::signature::Placement::NewestReply, fragment, assets })
    }

    /// The language of a message from this person that says none itself.
    pub fn locale(&self, person: &Person) -> String {
        locale::choose(&self.folder.locale_from, &[], person, &self.folder.locale)
    }

    fn copy(&self, plan: CopyPlan, message: &Message, facts: &Facts, remove: &[String]) -> Result<Answer, WorkbenchError> {
        let mut placed = Vec::new();
        let languages = message.headers("content-language");
        let locale = locale::choose(&self.folder.locale_from, &languages, &facts.sender, &self.folder.locale);
        let mut copy = match &plan.outcome {
            Outcome::Skip(reason) => Copy::unedited(plan.recipients.clone(), message, reason.clone()),
            Outcome::Sign(choices) => {
                for choice in choices {
                    let fragment = self.renderer.render(&choice.id, &facts.sender, &locale, &facts.now, facts.format)?;
                    let assets = fragment.images.iter().filter_map(|name| self.renderer.asset(name).cloned()).collect();
                    placed.push(Placed { id: choice.id.clone(), placement: choice.placement, fragment, assets });
                }
                match insert(message, &placed, &Marks { seed: facts.seed, domain: "signet.invalid".to_owned() }) {
                    Ok(edited) => Copy::edited(plan.recipients.clone(), edited),
                    Err(unedited) => Copy::unedited(plan.recipients.clone(), message, unedited.reason),
                }
            }
        };
        let subject_changed = copy.without_in_subject(remove);
        Ok(Answer { plan, placed, copy, subject_changed })
    }

    fn facts(&self, question: &Question, message: &Message) -> Result<Facts, WorkbenchError> {
        let author = question.from.clone().or_else(|| header::author(message.content()).ok());
        let author = author.ok_or_else(|| WorkbenchError::Question("nobody sends it; for example --from ada@example.com".to_owned()))?;
        let delegate = question.delegate.clone().or_else(|| header::sender(message.content()));
        let delegate = delegate.filter(|delegate| delegate.key() != author.key());
        let to = if question.to.is_empty() { recipients(message.content()) } else { question.to.clone() };
        if to.is_empty() {
            return Err(WorkbenchError::Question("nobody receives it; for example --to bob@partner.example".to_owned()));
        }
        let wanted = &self.selector.description().headers;
        let headers = wanted.iter().flat_map(|name| message.headers(name).into_iter().map(move |value| (name.clone(), value)));
        Ok(Facts {
            tenant: "workbench".to_owned(),
            sender: self.person(&author),
            recipients: to.iter().map(|mailbox| self.recipient(mailbox)).collect(),
            subject: message.subject(),
            headers: headers.collect(),
            kind: message.kind(),
            authentication: authentication(question.authenticated),
            size: message.content().len() as u64,
            attachments: message.attachments(),
            format: message.format().unwrap_or(Format::Plain),
            already_signed: message.already_signed(),
            now: self.folder.moment(question.at),
            seed: 0,
            delegate: delegate.map(|delegate| self.person(&delegate)),
            in_thread: message.in_thread(),
            explain_every_rule: true,
        })
    }

    fn recipient(&self, mailbox: &Mailbox) -> Recipient {
        Recipient {
            local: mailbox.local().to_owned(),
            domain: mailbox.domain().as_str().to_owned(),
            class: self.folder.class(mailbox.domain()),
            groups: self.folder.directory.groups(mailbox),
        }
    }
}

/// As after the checks of the mail path.
fn authentication(aligned: bool) -> Authentication {
    let result = if aligned { "pass" } else { "fail" };
    Authentication { spf: result, dkim: result, dmarc: result, arc: "none", aligned }
}

fn passed_unchanged(recipients: usize, reason: &str) -> Decision {
    let why = "messages of this class are never edited, so no rule is asked".to_owned();
    let explanation = vec![Explanation { rule: "message class".to_owned(), applied: true, reason: why }];
    let plan = CopyPlan { recipients: (0..recipients).collect(), outcome: Outcome::Skip(reason.to_owned()), explanation };
    Decision { copies: vec![plan], remove_from_subject: Vec::new() }
}

/// The recipients that the header section names.
fn recipients(content: &[u8]) -> Vec<Mailbox> {
    let Some(parsed) = MessageParser::new().parse(content) else { return Vec::new() };
    let root = parsed.root();
    let lists = [root.to(), root.cc()].into_iter().flatten();
    let addresses = lists.flat_map(|list| list.mailboxes().filter_map(|mailbox| Some(mailbox.address()?.to_owned())).collect::<Vec<_>>());
    let mut found: Vec<Mailbox> = addresses.filter_map(|address| Mailbox::parse(&address).ok()).collect();
    let mut seen = std::collections::HashSet::new();
    found.retain(|mailbox| seen.insert(mailbox.key()));
    found
}

/// The message file with CRLF line ends, or a made-up message as a mail client would write it.
pub(crate) fn content(question: &Question) -> Result<Vec<u8>, WorkbenchError> {
    if let Some(file) = &question.message {
        return Ok(with_crlf(file));
    }
    let field = |name: &str, value: &str| {
        header::encode(name, value).map_err(|error| WorkbenchError::Question(error.to_string())).map(|octets| octets.into_iter())
    };
    let mut content = Vec::new();
    let to = question.to.iter().map(Mailbox::as_str).collect::<Vec<_>>().join(", ");
    if let Some(from) = &question.from {
        content.extend(field("From", from.as_str())?);
    }
    if let Some(delegate) = &question.delegate {
        content.extend(field("Sender", delegate.as_str())?);
    }
    content.extend(field("To", &to)?);
    let prefix = match question.kind {
        Kind::Forward => "Fwd: ",
        Kind::New | Kind::Reply => "",
    };
    content.extend(field("Subject", &format!("{prefix}{}", question.subject))?);
    if question.kind == Kind::Reply {
        content.extend(field("In-Reply-To", "<earlier@message.invalid>")?);
    }
    for (name, value) in &question.headers {
        content.extend(field(name, value)?);
    }
    let text = String::from_utf8_lossy(&with_crlf(question.text.as_bytes())).into_owned();
    let html = text.replace('&', "&amp;").replace('<', "&lt;").replace("\r\n", "<br>\r\n");
    content.extend_from_slice(
        format!(
            "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"workbench\"\r\n\r\n\
             --workbench\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n\
             --workbench\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
             <html><body><div>{html}</div></body></html>\r\n--workbench--\r\n"
        )
        .as_bytes(),
    );
    Ok(content)
}

fn with_crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    for line in text.split_inclusive(|&octet| octet == b'\n') {
        let end = line.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        out.extend_from_slice(end.unwrap_or(line));
        if end.is_some() {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}
