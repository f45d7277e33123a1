//! `signet signatures explain`: every rule with why it did or did not apply, the copies, and where the signatures go.

use std::io::Write;

use super::{Answer, Answered, WorkbenchError};
use crate::address::Mailbox;
use crate::signature::{Facts, Kind, Outcome, Person, RecipientClass};

/// Prints what becomes of one message.
pub fn explain(answered: &Answered, out: &mut dyn Write) -> Result<(), WorkbenchError> {
    facts(&answered.facts, out)?;
    for (number, answer) in (1..).zip(&answered.copies) {
        let to: Vec<String> = answer.plan.recipients.iter().map(|index| recipient(&answered.facts, *index)).collect();
        writeln!(out, "\ncopy {number} of {}: {}", answered.copies.len(), to.join(", "))?;
        for line in &answer.plan.explanation {
            writeln!(out, "  {} {}: {}", if line.applied { "+" } else { "-" }, line.rule, line.reason)?;
        }
        writeln!(out, "  = {}", outcome(answer))?;
        for report in answer.copy.report() {
            let confidence = report.confidence.as_str();
            writeln!(out, "    {} in {}: {} (confidence {confidence})", report.id, report.media_type, report.rule)?;
        }
        if answer.subject_changed {
            let taken: Vec<String> = answered.remove_from_subject.iter().map(|text| format!("{text:?}")).collect();
            writeln!(out, "    {} is taken out of the subject", taken.join(", "))?;
        }
    }
    Ok(())
}

/// What happens to a copy, in one line.
pub(super) fn outcome(answer: &Answer) -> String {
    match (&answer.plan.outcome, answer.copy.reason()) {
        (Outcome::Skip(reason), _) => format!("no signature: {reason}"),
        (Outcome::Sign(choices), None) => {
            let ids: Vec<&str> = choices.iter().map(|choice| choice.id.as_str()).collect();
            format!("signature {}", ids.join(", "))
        }
        (Outcome::Sign(_), Some(reason)) => format!("no signature, although rules chose one: {reason}"),
    }
}

fn facts(facts: &Facts, out: &mut dyn Write) -> Result<(), WorkbenchError> {
    writeln!(out, "from     {}", sender(&facts.sender))?;
    if let Some(delegate) = &facts.delegate {
        writeln!(out, "sent by  {}", sender(delegate))?;
    }
    writeln!(out, "subject  {}", facts.subject)?;
    let kind = match facts.kind {
        Kind::New => "new",
        Kind::Reply => "reply",
        Kind::Forward => "forward",
    };
    let thread = if facts.in_thread { "in a thread" } else { "first of its thread" };
    writeln!(out, "message  {kind}, {thread}, {} octets, {} attachments", facts.size, facts.attachments)?;
    Ok(())
}

fn sender(person: &Person) -> String {
    let address = address(&person.local, &person.domain);
    if person.attributes.is_empty() && person.groups.is_empty() {
        return format!("{address} (the directory does not know this address)");
    }
    let groups = if person.groups.is_empty() { "no group".to_owned() } else { format!("groups {}", person.groups.join(", ")) };
    format!("{address} ({groups})")
}

pub(super) fn recipient(facts: &Facts, index: usize) -> String {
    let recipient = &facts.recipients[index];
    let class = match recipient.class {
        RecipientClass::Internal => "internal",
        RecipientClass::External => "external",
        RecipientClass::Partner => "partner",
    };
    format!("{} ({class})", address(&recipient.local, &recipient.domain))
}

pub(super) fn address(local: &str, domain: &str) -> String {
    let written = format!("{local}@{domain}");
    Mailbox::parse(&written).map_or(written, |mailbox| mailbox.as_str().to_owned())
}
