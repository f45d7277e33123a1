//! The questions that a session asks its driver, and the answers up to the message data.
//!
//! RFC 5321 sections 3.3 and 4.1.1. A request can only be made by the session and is handed back with the answer.

use bytes::Bytes;

use super::{Opened, Session, State, Step, Transaction};
use crate::address::ReversePath;
use crate::message::{Envelope, MailParameters, Recipient};
use crate::smtp::command::CommandError;
use crate::smtp::data::Violation;
use crate::smtp::reply::Reply;
use crate::tenant::Permit;

/// Whose mail is it, and may it be sent?
#[derive(Debug)]
pub struct MailRequest {
    pub(super) reverse_path: ReversePath,
    pub(super) parameters: MailParameters,
}

impl MailRequest {
    /// From whom.
    pub fn reverse_path(&self) -> &ReversePath {
        &self.reverse_path
    }

    /// With which parameters.
    pub fn parameters(&self) -> &MailParameters {
        &self.parameters
    }
}

/// Is this recipient acceptable?
#[derive(Debug)]
pub struct RecipientRequest {
    recipient: Recipient,
    index: usize,
}

impl RecipientRequest {
    /// To whom.
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// How many recipients the transaction already has.
    pub fn index(&self) -> usize {
        self.index
    }
}

/// Is there room for the message?
#[derive(Debug)]
pub struct ContentRequest {
    pub(super) envelope: Envelope,
    /// The first chunk's size and whether it is the last; DATA has none.
    pub(super) chunk: Option<(u64, bool)>,
    /// Whether octets already lie behind DATA.
    pub(super) hasty: bool,
}

impl ContentRequest {
    /// From whom and to whom.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The least size that the message will have as far as the peer has said.
    pub fn announced(&self) -> u64 {
        let chunk = self.chunk.map_or(0, |(size, _)| size);
        self.envelope.parameters().size.unwrap_or(0).max(chunk)
    }
}

/// A complete message with its envelope.
#[derive(Debug)]
pub struct Message {
    /// From whom and to whom.
    pub envelope: Envelope,
    /// Header, empty line, body; every line ends in CRLF, dot-stuffing is undone.
    pub content: Bytes,
}

impl Session {
    pub(super) fn mail(&mut self, request: MailRequest, extended: bool) -> Step {
        if self.helo.is_none() {
            return self.refuse(Reply::new(503, (5, 5, 1), "send EHLO first"));
        }
        if !matches!(self.state, State::Idle) {
            return self.refuse(Reply::new(503, (5, 5, 1), "sender already given"));
        }
        if extended && !self.extended {
            return self.refuse(Reply::new(555, (5, 5, 4), "parameters need EHLO"));
        }
        if request.parameters.size.is_some_and(|size| size > self.settings.maximum_size) {
            return self.refuse(Violation::Size.reply());
        }
        if self.transactions >= self.settings.limits.transactions {
            return self.close(Reply::new(421, (4, 7, 0), "too many messages on one connection, make a new one"));
        }
        self.transactions += 1;
        self.state = State::Awaiting(None);
        Step::Mail(request)
    }

    /// The answer to [`Step::Mail`]: evidence that the peer may send, or what it gets instead.
    pub fn answer_mail(&mut self, request: MailRequest, answer: Result<Permit, Reply>) {
        self.state = State::Idle;
        let step = match answer {
            Ok(permit) => {
                let MailRequest { reverse_path, parameters } = request;
                self.state = State::Transaction(Transaction::Opened(Opened { permit, reverse_path, parameters, refused: false }));
                Step::Reply(Reply::new(250, (2, 1, 0), "sender ok"))
            }
            Err(reply) if reply.code == 421 => self.close(reply),
            Err(reply) if reply.is_permanent() => self.refuse(reply),
            // Trouble of ours is no error of the peer's.
            Err(reply) => Step::Reply(reply),
        };
        self.pending = Some(step);
    }

    pub(super) fn rcpt(&mut self, recipient: Recipient, extended: bool) -> Step {
        let State::Transaction(transaction) = &self.state else {
            return self.refuse(Reply::new(503, (5, 5, 1), "send MAIL first"));
        };
        if extended && !self.extended {
            return self.refuse(Reply::new(555, (5, 5, 4), "parameters need EHLO"));
        }
        let ascii = recipient.path.is_ascii() && recipient.orcpt.as_deref().is_none_or(str::is_ascii);
        if !ascii && !transaction.smtputf8() {
            return self.refuse(CommandError::NeedsUtf8.reply());
        }
        let index = transaction.recipients();
        if index >= self.settings.limits.recipients {
            // Not an error of the peer's: it sends the others in another transaction (RFC 5321 section 4.5.3.1.10).
            return Step::Reply(Reply::new(452, (4, 5, 3), "too many recipients"));
        }
        let State::Transaction(transaction) = std::mem::replace(&mut self.state, State::Idle) else {
            return self.refuse(Reply::local_error());
        };
        self.state = State::Awaiting(Some(transaction));
        Step::Recipient(RecipientRequest { recipient, index })
    }

    /// The answer to [`Step::Recipient`]; a positive reply accepts it. 421 closes the connection.
    pub fn answer_recipient(&mut self, request: RecipientRequest, reply: Reply) {
        let State::Awaiting(Some(mut transaction)) = std::mem::replace(&mut self.state, State::Idle) else {
            return;
        };
        if reply.is_positive() {
            transaction = transaction.accept(request.recipient);
        } else if let Transaction::Opened(opened) = &mut transaction {
            opened.refused = true;
        }
        self.state = State::Transaction(transaction);
        // A next hop's refusal of a recipient is no error of the peer's protocol and does not count.
        self.pending = Some(if reply.code == 421 { self.close(reply) } else { Step::Reply(reply) });
    }

    /// The answer to [`Step::Message`]. 421 closes the connection.
    pub fn answer_message(&mut self, reply: Reply) {
        self.state = State::Idle;
        self.pending = Some(if reply.code == 421 { self.close(reply) } else { Step::Reply(reply) });
    }
}
