//! The server's side of one SMTP connection as a state machine without sockets.
//!
//! RFC 5321 sections 3 and 4, RFC 2920 (groups of commands), RFC 3207 (STARTTLS), RFC 4954 (AUTH), RFC 3030 (BDAT). The driver hands in the octets
//! that arrived and gets [`Step`]s: write this reply, close, start TLS, decide about this sender. It answers each request with the `answer_`
//! method of the same name and asks for the next step; when there is none it flushes its replies and reads. Who may send and where
//! mail goes is decided by others; an [`Envelope`] comes into being here and only with their [`Permit`](crate::tenant::Permit).

mod content;
mod requests;

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use memchr::memchr;

use crate::message::{Envelope, MailParameters, Recipient};
use crate::smtp::auth::{Attempt, Exchange, Mechanism, Outcome};
use crate::smtp::command::{self, Command, CommandError, MAX_AUTH_LINE};
use crate::smtp::data::{Chunks, Decoder};
use crate::smtp::reply::Reply;

pub use requests::{ContentRequest, MailRequest, Message, RecipientRequest};

/// Failed logins on one connection (RFC 4954 section 9 asks for a limit).
pub const MAX_LOGIN_FAILURES: u32 = 3;
/// Octets of an over-long line that are read to find its end before the connection is closed.
const MAX_SKIPPED: usize = 16 * MAX_AUTH_LINE;

/// What one listener offers and demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Our name in the greeting and in the answer to EHLO.
    pub hostname: String,
    /// Octets of a message: SIZE.
    pub maximum_size: u64,
    /// Octets of one line of a message, CRLF included.
    pub maximum_line: usize,
    /// Whether STARTTLS is offered.
    pub starttls: bool,
    /// Whether mail is taken over TLS only.
    pub tls_required: bool,
    /// Whether there are logins, so that AUTH is offered over TLS.
    pub authentication: bool,
    /// What one connection may do.
    pub limits: Limits,
}

/// Limits of one connection; past them it gets 421, or 452 for recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Commands in all.
    pub commands: u32,
    /// Refused commands.
    pub errors: u32,
    /// Commands that are none: a sign that the peer does not speak SMTP.
    pub unrecognised: u32,
    /// Accepted recipients in one transaction.
    pub recipients: usize,
    /// Transactions.
    pub transactions: u32,
}

impl Default for Limits {
    /// 1,000 recipients are Exchange Online's highest setting and Postfix's default; RFC 5321 section 4.5.3.1.8 demands 100. Commands have room for
    /// that many recipients in each of many transactions.
    fn default() -> Self {
        Self { commands: 100_000, errors: 20, unrecognised: 5, recipients: 1_000, transactions: 1_000 }
    }
}

/// What the driver does next.
#[derive(Debug)]
pub enum Step {
    /// Write the reply.
    Reply(Reply),
    /// Write the reply; the transaction that the driver knows of is gone, with whatever the next hop has of it.
    Abort(Reply),
    /// Write the reply and close. An open transaction is gone.
    Close(Reply),
    /// Write the reply, make the handshake, call [`Session::tls_established`].
    StartTls {
        /// 220
        reply: Reply,
        /// Octets that the peer sent behind STARTTLS; they are gone (RFC 3207 section 4.2 and CVE-2011-0411).
        dropped: usize,
    },
    /// Run the attempt on a thread that may compute, then [`Session::answer_authentication`].
    Authenticate(Attempt),
    /// Whose mail is it? [`Session::answer_mail`].
    Mail(MailRequest),
    /// Does the next hop take it? [`Session::answer_recipient`].
    Recipient(RecipientRequest),
    /// Is there room for the message? [`Session::answer_content`].
    Content(ContentRequest),
    /// The message is complete. Deliver it, then [`Session::answer_message`].
    Message(Message),
}

/// The part of a transaction before its first accepted recipient.
#[derive(Debug)]
struct Opened {
    permit: crate::tenant::Permit,
    reverse_path: crate::address::ReversePath,
    parameters: MailParameters,
    /// Whether a recipient was refused, so that DATA deserves 554 and no 503.
    refused: bool,
}

/// A transaction that the driver knows of.
#[derive(Debug)]
enum Transaction {
    Opened(Opened),
    Addressed(Envelope),
}

impl Transaction {
    fn smtputf8(&self) -> bool {
        match self {
            Self::Opened(opened) => opened.parameters.smtputf8,
            Self::Addressed(envelope) => envelope.parameters().smtputf8,
        }
    }

    fn recipients(&self) -> usize {
        match self {
            Self::Opened(_) => 0,
            Self::Addressed(envelope) => envelope.recipients().len(),
        }
    }

    fn accept(self, recipient: Recipient) -> Self {
        match self {
            Self::Opened(opened) => Self::Addressed(Envelope::new(opened.permit, opened.reverse_path, opened.parameters, recipient)),
            Self::Addressed(mut envelope) => {
                envelope.add(recipient);
                Self::Addressed(envelope)
            }
        }
    }
}

/// What the octets that come next are, or whose answer is awaited.
#[derive(Debug)]
enum State {
    /// Commands, no transaction.
    Idle,
    /// Commands of a transaction.
    Transaction(Transaction),
    /// Message data behind DATA.
    Data(Envelope, Decoder),
    /// Commands between two chunks.
    BetweenChunks(Envelope, Chunks),
    /// A chunk, with the octets that are missing and whether it is the last.
    Chunk(Envelope, Chunks, u64, bool),
    /// Octets of a refused chunk; then the step, and on with the state.
    Discard(u64, Box<Step>, Box<State>),
    /// A SASL response.
    Authentication(Exchange),
    /// The driver's answer to a request; the transaction that the request belongs to.
    Awaiting(Option<Transaction>),
    /// The TLS handshake.
    Handshake,
    /// Nothing.
    Closed,
}

/// What stood before a line feed.
enum Line {
    /// A line without its CRLF.
    Complete(BytesMut),
    /// No line.
    Refused(Step),
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    state: State,
    pending: Option<Step>,
    /// The driver's reason to refuse the message that is arriving.
    refusal: Option<Reply>,
    tls: bool,
    helo: Option<String>,
    extended: bool,
    login: Option<Arc<str>>,
    skipped: usize,
    commands: u32,
    errors: u32,
    unrecognised: u32,
    transactions: u32,
    login_failures: u32,
}

impl Session {
    /// A connection; `tls` says whether TLS came before SMTP.
    pub fn new(settings: Arc<Settings>, tls: bool) -> Self {
        Self {
            settings,
            state: State::Idle,
            pending: None,
            refusal: None,
            tls,
            helo: None,
            extended: false,
            login: None,
            skipped: 0,
            commands: 0,
            errors: 0,
            unrecognised: 0,
            transactions: 0,
            login_failures: 0,
        }
    }

    /// The greeting. `early` says whether the peer has sent octets before it: such a peer does not listen to replies (RFC 5321 section 3.1).
    pub fn greeting(&mut self, early: bool) -> Step {
        if early {
            return self.close(Reply::new(554, (5, 5, 1), "you talked before the greeting"));
        }
        Step::Reply(Reply::plain(220, [format!("{} ESMTP Signet", self.settings.hostname)]))
    }

    /// The name that the peer gave in EHLO or HELO since the connection or its TLS session began.
    pub fn helo(&self) -> Option<&str> {
        self.helo.as_deref()
    }

    /// Whether the peer said EHLO.
    pub fn extended(&self) -> bool {
        self.extended
    }

    /// Whether the connection is protected by TLS.
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// The login that the peer proved.
    pub fn login(&self) -> Option<&Arc<str>> {
        self.login.as_ref()
    }

    /// Whether message data is arriving, for which other timeouts hold (RFC 5321 section 4.5.3.2.5).
    pub fn receives_content(&self) -> bool {
        matches!(self.state, State::Data(..) | State::Chunk(..) | State::Discard(..))
    }

    /// Whether a transaction is open, so that the driver can tell a shutdown between two messages from one inside a message.
    pub fn in_transaction(&self) -> bool {
        !matches!(self.state, State::Idle | State::Authentication(_) | State::Handshake | State::Closed)
    }

    /// Octets of the arriving message that are held in memory.
    pub fn held(&self) -> usize {
        match &self.state {
            State::Data(_, decoder) => decoder.held(),
            State::BetweenChunks(_, chunks) | State::Chunk(_, chunks, ..) => chunks.held(),
            _ => 0,
        }
    }

    /// Refuses the message that is arriving. What is held is freed now; the peer gets the reply when it has sent everything.
    pub fn refuse_content(&mut self, reply: Reply) {
        match &mut self.state {
            State::Data(_, decoder) => decoder.discard(),
            State::BetweenChunks(_, chunks) | State::Chunk(_, chunks, ..) => chunks.discard(),
            _ => return,
        }
        self.refusal = Some(reply);
    }

    /// The handshake that [`Step::StartTls`] asked for is done. Everything the peer said before is forgotten (RFC 3207 section 4.2).
    pub fn tls_established(&mut self) {
        if matches!(self.state, State::Handshake) {
            self.state = State::Idle;
            self.tls = true;
            self.helo = None;
            self.extended = false;
            self.login = None;
        }
    }

    /// The next step, as far as `input` allows; what it uses is removed from `input`. None means: flush the replies and read more, or
    /// give the answer that is owed.
    pub fn next(&mut self, input: &mut BytesMut) -> Option<Step> {
        loop {
            if let Some(step) = self.pending.take() {
                return Some(step);
            }
            match &self.state {
                State::Data(..) => return self.data(input),
                State::Chunk(..) => return self.chunk(input),
                State::Discard(..) => return self.discard(input),
                State::Awaiting(_) | State::Handshake | State::Closed => return None,
                State::Idle | State::Transaction(_) | State::BetweenChunks(..) | State::Authentication(_) => {}
            }
            let step = match self.line(input)? {
                Line::Complete(line) if matches!(self.state, State::Authentication(_)) => self.sasl_response(&line),
                Line::Complete(line) => self.command_line(&line, input),
                Line::Refused(step) => Some(step),
            };
            if step.is_some() {
                return step;
            }
        }
    }

    /// Takes one line without its CRLF, or answers one that is none.
    fn line(&mut self, input: &mut BytesMut) -> Option<Line> {
        let Some(end) = memchr(b'\n', input) else {
            if input.len() > MAX_AUTH_LINE {
                // The last octet may be the CR of the line end.
                let excess = input.len() - 1;
                self.skipped += excess;
                input.advance(excess);
            }
            return (self.skipped > MAX_SKIPPED).then(|| Line::Refused(self.close(CommandError::Long(MAX_AUTH_LINE).reply())));
        };
        let mut line = input.split_to(end + 1);
        if !line.ends_with(b"\r\n") {
            // Whoever ends lines like this might also believe that a message ends like this.
            return Some(Line::Refused(self.close(Reply::new(500, (5, 5, 2), "bare line feed; lines end in CRLF"))));
        }
        line.truncate(line.len() - 2);
        if self.skipped > 0 || line.len() + 2 > MAX_AUTH_LINE {
            self.skipped = 0;
            if matches!(self.state, State::Authentication(_)) {
                self.state = State::Idle;
            }
            return Some(Line::Refused(self.refuse(CommandError::Long(MAX_AUTH_LINE).reply())));
        }
        Some(Line::Complete(line))
    }

    fn command_line(&mut self, line: &[u8], input: &mut BytesMut) -> Option<Step> {
        self.commands += 1;
        if self.commands > self.settings.limits.commands {
            return Some(self.close(Reply::new(421, (4, 7, 0), "too many commands on one connection")));
        }
        match command::parse(line) {
            Ok(command) => self.command(command, input),
            Err(error @ (CommandError::ChunkSize | CommandError::OtherProtocol)) => Some(self.close(error.reply())),
            Err(error) => {
                if matches!(error, CommandError::Unknown | CommandError::Octets) {
                    self.unrecognised += 1;
                    if self.unrecognised > self.settings.limits.unrecognised {
                        return Some(self.close(Reply::new(421, (4, 7, 0), "too many unrecognized commands")));
                    }
                }
                Some(self.refuse(error.reply()))
            }
        }
    }

    fn command(&mut self, command: Command, input: &mut BytesMut) -> Option<Step> {
        let unprotected = self.settings.tls_required && !self.tls;
        let step = match command {
            Command::Ehlo(name) => self.hello(name, true),
            Command::Quit => self.close(Reply::new(221, (2, 0, 0), "closing the connection")),
            Command::Noop => Step::Reply(Reply::new(250, (2, 0, 0), "ok")),
            Command::StartTls => self.starttls(input),
            Command::Auth { mechanism, initial } => return self.auth(&mechanism, initial.as_deref()),
            Command::Bdat { size, last } => return self.bdat(size, last, unprotected),
            // RFC 3207 section 4: every command but those above.
            _ if unprotected => self.refuse(Reply::new(530, (5, 7, 0), "must issue a STARTTLS command first")),
            Command::Helo(name) => self.hello(name, false),
            Command::Rset => self.reset(Reply::new(250, (2, 0, 0), "reset")),
            Command::Vrfy => Step::Reply(Reply::new(252, (2, 5, 0), "cannot verify, send mail to find out")),
            Command::Help => {
                Step::Reply(Reply::new(214, (2, 0, 0), "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS AUTH: RFC 5321"))
            }
            Command::Mail { reverse_path, parameters, extended } => self.mail(MailRequest { reverse_path, parameters }, extended),
            Command::Rcpt { recipient, extended } => self.rcpt(recipient, extended),
            Command::Data => self.data_command(!input.is_empty()),
        };
        Some(step)
    }

    fn hello(&mut self, name: String, extended: bool) -> Step {
        self.helo = Some(name);
        self.extended = extended;
        let reply = if extended { self.capabilities() } else { Reply::plain(250, [self.settings.hostname.as_str()]) };
        self.reset(reply)
    }

    fn capabilities(&self) -> Reply {
        let mut lines = vec![self.settings.hostname.clone(), "PIPELINING".to_owned(), format!("SIZE {}", self.settings.maximum_size)];
        lines.extend(["8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES"].map(str::to_owned));
        if self.settings.starttls && !self.tls {
            lines.push("STARTTLS".to_owned());
        }
        if self.settings.authentication && self.tls {
            lines.push(format!("AUTH {}", Mechanism::NAMES));
        }
        Reply::plain(250, lines)
    }

    /// Ends an open transaction, which the driver learns.
    fn reset(&mut self, reply: Reply) -> Step {
        self.refusal = None;
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Transaction(_) | State::BetweenChunks(..) => Step::Abort(reply),
            _ => Step::Reply(reply),
        }
    }

    fn starttls(&mut self, input: &mut BytesMut) -> Step {
        if self.tls {
            return self.refuse(Reply::new(503, (5, 5, 1), "TLS is already active"));
        }
        if !self.settings.starttls {
            return self.refuse(CommandError::NotImplemented.reply());
        }
        if !self.extended || !matches!(self.state, State::Idle) {
            return self.refuse(Reply::new(503, (5, 5, 1), "send EHLO first, and STARTTLS outside a transaction"));
        }
        self.state = State::Handshake;
        let dropped = input.len();
        input.clear();
        Step::StartTls { reply: Reply::new(220, (2, 0, 0), "ready to start TLS"), dropped }
    }

    fn auth(&mut self, mechanism: &str, initial: Option<&str>) -> Option<Step> {
        let refusal = if !self.settings.authentication {
            CommandError::NotImplemented.reply()
        } else if !self.tls {
            Reply::new(538, (5, 7, 11), "encryption required for authentication")
        } else if !self.extended || self.login.is_some() || !matches!(self.state, State::Idle) {
            Reply::new(503, (5, 5, 1), "AUTH once, after EHLO, outside a transaction")
        } else if let Some(mechanism) = Mechanism::parse(mechanism) {
            let exchange = Exchange::new(mechanism);
            self.state = State::Authentication(exchange);
            return match initial {
                None => Some(Step::Reply(challenge(b""))),
                // RFC 4954 section 4: "=" is a response of no octets.
                Some("=") => self.sasl_response(b""),
                Some(initial) => self.sasl_response(initial.as_bytes()),
            };
        } else {
            Reply::new(504, (5, 5, 4), "authentication mechanism not implemented")
        };
        Some(self.refuse(refusal))
    }

    fn sasl_response(&mut self, line: &[u8]) -> Option<Step> {
        let State::Authentication(exchange) = std::mem::replace(&mut self.state, State::Idle) else { return None };
        if line == b"*" {
            return Some(self.refuse(Reply::new(501, (5, 7, 0), "authentication cancelled")));
        }
        match Attempt::new(exchange, line) {
            Ok(attempt) => {
                self.state = State::Awaiting(None);
                Some(Step::Authenticate(attempt))
            }
            Err(_) => Some(self.refuse(Reply::new(501, (5, 5, 2), "response is not Base64"))),
        }
    }

    /// What became of [`Step::Authenticate`].
    pub fn answer_authentication(&mut self, outcome: Outcome) {
        self.state = State::Idle;
        let step = match outcome {
            Outcome::Continue(exchange, octets) => {
                self.state = State::Authentication(exchange);
                Step::Reply(challenge(&octets))
            }
            Outcome::Success(login) => {
                self.login = Some(login);
                Step::Reply(Reply::new(235, (2, 7, 0), "authentication successful"))
            }
            Outcome::Failure => {
                self.login_failures += 1;
                if self.login_failures >= MAX_LOGIN_FAILURES {
                    self.close(Reply::new(421, (4, 7, 0), "too many failed logins"))
                } else {
                    self.refuse(Reply::new(535, (5, 7, 8), "authentication credentials invalid"))
                }
            }
        };
        self.pending = Some(step);
    }

    /// A refusal that counts as an error.
    fn refuse(&mut self, reply: Reply) -> Step {
        self.errors += 1;
        if self.errors > self.settings.limits.errors {
            return self.close(Reply::new(421, (4, 7, 0), "too many errors on one connection"));
        }
        Step::Reply(reply)
    }

    fn close(&mut self, reply: Reply) -> Step {
        self.state = State::Closed;
        Step::Close(reply)
    }
}

/// 334 with octets in Base64 (RFC 4954 section 4).
fn challenge(octets: &[u8]) -> Reply {
    use base64::Engine as _;
    Reply::plain(334, [base64::engine::general_purpose::STANDARD.encode(octets)])
}

#[cfg(test)]
mod tests;
