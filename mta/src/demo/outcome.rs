//! What became of one message of the demo, and whether that is what had to become of it.
//!
//! The judgement looks at what arrived, octet by octet, and at the reply; the event record only tells why. Nothing here prints.

use super::arrival::Check;
use super::body::Body;
use super::mail::{Expected, Mail};
use super::origin::Answers;
use super::return_host::Received;
use crate::event::MessageEvent;

/// The DKIM key that the demo's tenant gives to Signet, as a check names it.
const OWN_SEAL: &str = "dkim=northwind.example/signet";

/// What became of one message.
#[derive(Debug)]
pub struct Outcome {
    /// The message.
    pub mail: &'static Mail,
    /// What was sent, with its DKIM signature.
    pub sent: Vec<u8>,
    /// What Signet answered.
    pub answers: Answers,
    /// What Signet recorded.
    pub event: Option<MessageEvent>,
    /// What came to the return host, one entry a copy.
    pub arrived: Vec<Arrival>,
    /// From the first octet of MAIL to the last answer, as the sender saw it.
    pub milliseconds: f64,
}

/// One copy at the return host.
#[derive(Debug)]
pub struct Arrival {
    /// Envelope and content.
    pub received: Received,
    /// What its DKIM signatures and its ARC chain prove.
    pub checks: Vec<Check>,
}

impl Arrival {
    /// Whether any of its recipients is outside the demo's tenant.
    pub fn is_external(&self) -> bool {
        self.received.recipients.iter().any(|recipient| !recipient.contains("northwind.example>"))
    }
}

impl Outcome {
    /// What is not as it had to be; empty when all is well.
    pub fn faults(&self) -> Vec<String> {
        match self.mail.expected {
            Expected::Refused { reply } => self.not_refused(reply),
            Expected::Unchanged { reason } => self.not_unchanged(reason),
            Expected::Signed { copies, below, above } => self.not_signed(copies, below, above),
        }
    }

    fn not_refused(&self, reply: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let answer = self.answers.last_word();
        if !answer.starts_with(reply) {
            faults.push(format!("the answer is {answer:?}, not {reply}"));
        }
        if !self.arrived.is_empty() {
            faults.push(format!("{} copies reached the return host", self.arrived.len()));
        }
        faults
    }

    fn not_delivered(&self, copies: usize) -> Vec<String> {
        let mut faults = Vec::new();
        let answer = self.answers.last_word();
        if !answer.starts_with("250") {
            faults.push(format!("the answer is {answer:?}, not 250"));
        }
        if self.arrived.len() != copies {
            faults.push(format!("{} copies reached the return host, not {copies}", self.arrived.len()));
        }
        let mut recipients: Vec<String> = self.arrived.iter().flat_map(|copy| copy.received.recipients.clone()).collect();
        let mut wanted = self.mail.forward_paths();
        recipients.sort_unstable();
        wanted.sort_unstable();
        if recipients != wanted {
            faults.push(format!("it reached {recipients:?}, not {wanted:?}"));
        }
        let sender = format!("<{}>", self.mail.sender);
        if let Some(other) = self.arrived.iter().find(|copy| !copy.received.mail_from.starts_with(&sender)) {
            faults.push(format!("its reverse-path became {}", other.received.mail_from));
        }
        faults
    }

    fn not_unchanged(&self, reason: &str) -> Vec<String> {
        let mut faults = self.not_delivered(1);
        for copy in &self.arrived {
            if !copy.received.content.ends_with(&self.sent) {
                faults.push("its octets were changed".to_owned());
            }
            faults.extend(copy.checks.iter().filter(|check| !check.passes).map(failed));
        }
        let reasons = self.event.iter().flat_map(|event| {
            let copies = event.copies.iter().map(|copy| copy.reason.as_str());
            copies.chain([event.passed.as_str(), event.alignment.as_str()])
        });
        if !reasons.into_iter().any(|given| given.contains(reason)) {
            faults.push(format!("the reason is not {reason:?}"));
        }
        if self.event.iter().flat_map(|event| &event.copies).any(|copy| !copy.signatures.is_empty()) {
            faults.push("it got a signature".to_owned());
        }
        faults
    }

    fn not_signed(&self, copies: usize, below: &str, above: Option<&str>) -> Vec<String> {
        let mut faults = self.not_delivered(copies);
        let before = Body::of(&self.sent);
        let external = self.arrived.iter().filter(|copy| copy.is_external());
        for copy in external {
            let after = Body::of(&copy.received.content);
            let forms = [("HTML", &before.html, &after.html), ("text", &before.text, &after.text)];
            for (form, before, after) in forms {
                match (before, after) {
                    (Some(before), Some(after)) => faults.extend(misplaced(form, before, after, below, above)),
                    (None, None) => {}
                    _ => faults.push(format!("its {form} form appeared or vanished")),
                }
            }
            for wanted in [OWN_SEAL, "arc"] {
                match copy.checks.iter().find(|check| check.name == wanted) {
                    Some(check) if check.passes => {}
                    Some(check) => faults.push(failed(check)),
                    None => faults.push(format!("it carries no {wanted}")),
                }
            }
        }
        faults
    }
}

fn failed(check: &Check) -> String {
    format!("the receiver finds {}: {}", check.name, check.result)
}

/// Whether what was inserted stands between the author's words and the quotation.
fn misplaced(form: &str, before: &str, after: &str, below: &str, above: Option<&str>) -> Option<String> {
    if after.len() <= before.len() {
        return Some(format!("its {form} form has no signature"));
    }
    let insertion = before.bytes().zip(after.bytes()).take_while(|(before, after)| before == after).count();
    let Some(author) = before.find(below) else { return Some(format!("its {form} form does not contain {below:?}")) };
    if insertion < author + below.len() {
        return Some(format!("the signature in its {form} form is above {below:?}"));
    }
    let above = above?;
    let Some(quotation) = before.find(above) else { return Some(format!("its {form} form does not contain {above:?}")) };
    (insertion > quotation).then(|| format!("the signature in its {form} form is below {above:?}"))
}

#[cfg(test)]
mod tests {
    use super::misplaced;

    #[test]
    fn a_signature_is_looked_for_between_author_and_quotation() {
        let before = "Best regards\n\nOn Monday James wrote:\n> Hello\n";
        let check = |after: &str| misplaced("text", before, after, "Best regards", Some("> Hello"));
        assert_eq!(check("Best regards\n\nMarek, +49\nOn Monday James wrote:\n> Hello\n"), None);
        assert!(check("Marek, +49\nBest regards\n\nOn Monday James wrote:\n> Hello\n").unwrap().contains("above"));
        assert!(check("Best regards\n\nOn Monday James wrote:\n> Hello\nMarek, +49\n").unwrap().contains("below"));
        assert!(check(before).unwrap().contains("no signature"));
    }
}
