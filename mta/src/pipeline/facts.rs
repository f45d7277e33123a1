//! What the plugins are told about a message, and what is recorded of their answers. Conversions only; nothing is decided here.

use std::sync::Arc;

use crate::address::{ForwardPath, Mailbox};
use crate::directory::Directory;
use crate::event::CopyEvent;
use crate::header;
use crate::message::Accepted;
use crate::mime::{Copy, Message};
use crate::plugin::{MessageView, PartInfo};
use crate::service::Site;
use crate::signature::{Explanation, Facts, Format, Kind, Person, Placed, Recipient, RecipientClass};
use crate::verify::Verified;

/// A selector may ask for this many header fields; the field count of a message is bounded by its size only.
const MAXIMUM_HEADERS: usize = 64;

/// What a selector that asked for the fields `wanted` is told.
pub(super) fn gather(message: &Message, verified: &Verified, site: &Site, directory: &Directory, wanted: &[String]) -> Facts {
    let accepted = verified.accepted();
    let headers = wanted.iter().flat_map(|name| message.headers(name).into_iter().map(move |value| (name.clone(), value)));
    Facts {
        tenant: site.tenant.id.to_string(),
        sender: sender(verified, directory),
        recipients: accepted.envelope.recipients().iter().map(|recipient| self::recipient(&recipient.path, site, directory)).collect(),
        subject: message.subject(),
        headers: headers.take(MAXIMUM_HEADERS).collect(),
        kind: message.kind(),
        authentication: verified.authentication(),
        size: accepted.content.len() as u64,
        attachments: message.attachments(),
        format: format(message),
        already_signed: message.already_signed(),
        now: site.zone.moment(accepted.received),
        seed: seed(accepted),
        delegate: delegate(verified, directory),
        in_thread: message.in_thread(),
        explain_every_rule: false,
    }
}

/// The author in From; when From names nobody in particular, whoever the reverse-path names.
pub(super) fn author(verified: &Verified) -> Option<&Mailbox> {
    verified.author().or_else(|| verified.accepted().envelope.reverse_path().mailbox())
}

/// The author as the directory knows them.
pub(super) fn sender(verified: &Verified, directory: &Directory) -> Person {
    author(verified).map(|mailbox| directory.person(mailbox)).unwrap_or_default()
}

/// Who sent it on the author's behalf, as the directory knows them.
fn delegate(verified: &Verified, directory: &Directory) -> Option<Person> {
    let sender = header::sender(&verified.accepted().content)?;
    let other = verified.author().is_none_or(|author| author.key() != sender.key());
    other.then(|| directory.person(&sender))
}

fn recipient(path: &ForwardPath, site: &Site, directory: &Directory) -> Recipient {
    let (local, domain, class, groups) = match path {
        ForwardPath::Mailbox(mailbox) => {
            let class = site.tenant.recipient_class(mailbox.domain());
            (mailbox.local(), mailbox.domain().as_str(), class, directory.groups(mailbox))
        }
        // RFC 5321 section 4.5.1: the receiving host's own postmaster.
        ForwardPath::Postmaster => ("postmaster", "", RecipientClass::External, Vec::new()),
    };
    Recipient { local: local.to_owned(), domain: domain.to_owned(), class, groups }
}

/// Without an editable body nothing is rendered; the selector is told the plainest form.
pub(super) fn format(message: &Message) -> Format {
    message.format().unwrap_or(Format::Plain)
}

/// Differs from message to message; the same content and time give the same number, so that a replay is exact.
pub(super) fn seed(accepted: &Accepted) -> u64 {
    use std::hash::{Hash as _, Hasher as _};
    // SipHash with fixed keys: no secret depends on it, and a replay must find the same.
    let mut hasher = std::hash::DefaultHasher::new();
    accepted.received.hash(&mut hasher);
    accepted.id.hash(&mut hasher);
    accepted.envelope.reverse_path().mailbox().map(Mailbox::key).hash(&mut hasher);
    hasher.finish()
}

/// The message as a selector may look at it.
struct View(Arc<Message>);

pub(crate) fn view(message: &Arc<Message>) -> Arc<dyn MessageView> {
    Arc::new(View(Arc::clone(message)))
}

impl MessageView for View {
    fn part_count(&self) -> u32 {
        self.0.part_count()
    }

    fn part_info(&self, index: u32) -> Option<PartInfo> {
        let part = self.0.part_info(index)?;
        Some(PartInfo { media_type: part.media_type, name: part.name, size: part.size, attachment: part.attachment })
    }

    fn authored_text(&self, max: usize) -> String {
        self.0.authored_text(max)
    }

    fn read_part(&self, index: u32, offset: u64, max: usize) -> Vec<u8> {
        self.0.read_part(index, offset, max)
    }
}

pub(super) fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::New => "new",
        Kind::Reply => "reply",
        Kind::Forward => "forward",
    }
}

/// The record of a copy that gets no signature.
pub(super) fn unsigned(recipients: &[usize], reason: &str, explanation: Vec<Explanation>) -> CopyEvent {
    CopyEvent { recipients: recipients.len(), reason: reason.to_owned(), explanation: lines(explanation), ..CopyEvent::default() }
}

/// The record of a copy for which signatures were chosen.
pub(super) fn describe(copy: &Copy, placed: &[Placed], explanation: Vec<Explanation>) -> CopyEvent {
    if let Some(reason) = copy.reason() {
        return unsigned(copy.recipients(), reason, explanation);
    }
    let applied = explanation.iter().filter(|line| line.applied);
    let mut placements = Vec::new();
    for report in copy.report() {
        let line = format!("{}: {} ({}, {})", report.media_type, placement_word(report.placement), report.rule, report.confidence.as_str());
        // A stack of signatures stands in one place; saying so once is enough.
        if !placements.contains(&line) {
            placements.push(line);
        }
    }
    CopyEvent {
        recipients: copy.recipients().len(),
        signatures: placed.iter().map(|signature| signature.id.clone()).collect(),
        reason: applied.map(|line| format!("{}: {}", line.rule, line.reason)).collect::<Vec<_>>().join("; "),
        placements,
        rewritten: copy.is_rewritten(),
        explanation: lines(explanation),
        ..CopyEvent::default()
    }
}

fn placement_word(placement: crate::signature::Placement) -> &'static str {
    match placement {
        crate::signature::Placement::NewestReply => "newest text",
        crate::signature::Placement::End => "end",
    }
}

fn lines(explanation: Vec<Explanation>) -> Vec<String> {
    let line = |line: Explanation| format!("{} {}: {}", if line.applied { "applied" } else { "not applied" }, line.rule, line.reason);
    explanation.into_iter().map(line).collect()
}
