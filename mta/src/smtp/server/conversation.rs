//! One connection: reads octets, performs the session's steps, writes replies, until one side ends it.
//!
//! RFC 5321 section 4.5.3.2 (timeouts), RFC 2920 (replies to a group of commands leave together). What a step means for a mail
//! transaction is in `transaction`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::timeout;

use super::transaction::Mail;
use super::{Listener, Stream};
use crate::budget::Reservation;
use crate::handoff::Unconfirmed;
use crate::message::{Peer, Tls};
use crate::service::{Shared, Terms};
use crate::smtp::reply::Reply;
use crate::smtp::session::{Session, Step};

/// How long a new connection is watched for octets that come before our greeting. Sending hosts wait for it (RFC 5321 section 3.1); a
/// longer wait would delay honest mail, a shorter one would miss what is already on its way.
const EARLY_TALKER_WAIT: Duration = Duration::from_millis(20);
/// Octets asked for in one read: four TLS records.
const READ: usize = 64 * 1024;
/// A message takes this much from the memory budget before its first octet, whatever size was announced, so that an announcement alone keeps nobody
/// else's message out; a short message needs no more.
const FIRST_RESERVATION: usize = 64 * 1024;
/// For how long a silent peer's last message is kept for the ledger as it is; then only its hash is.
const KEEP_RECEIPT_CONTENT: Duration = Duration::from_secs(2);

/// Larger messages are hashed as soon as they are delivered (a millisecond a megabyte), so that what is kept outside the memory budget is at most this
/// for each connection.
const KEPT_RECEIPT: usize = 64 * 1024;

/// Messages of one connection that may be delivered without their replies being known to have arrived: a client that sends on and on without
/// reading must not fill the memory; what is older goes on record at once.
const MOST_RECEIPTS: usize = 16;

/// Why a connection ended.
#[derive(Debug)]
enum End {
    /// The session closed it, or the peer did after it had its answers.
    Done,
    /// The peer went away.
    Gone,
    /// The peer was silent, or took no replies, for too long.
    Timeout,
    /// The process is stopping.
    Drain,
    /// A socket or TLS error.
    Failed(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Gone,
            _ => Self::Failed(error),
        }
    }
}

/// A connection on which nothing has been said yet.
pub(super) struct Line {
    /// The peer's end.
    pub(super) address: SocketAddr,
    /// Our end.
    pub(super) local: SocketAddr,
    pub(super) stream: Box<dyn Stream>,
    /// Where TLS came first.
    pub(super) tls: Option<Tls>,
    /// Octets that were read behind a PROXY header.
    pub(super) input: BytesMut,
}

/// One connection's state beside the session's.
pub(super) struct Conversation {
    pub(super) shared: Arc<Shared>,
    listener: Arc<Listener>,
    terms: Arc<Terms>,
    stream: Box<dyn Stream>,
    session: Session,
    input: BytesMut,
    output: Vec<u8>,
    address: SocketAddr,
    local: SocketAddr,
    tls: Option<Tls>,
    mail: Option<Mail>,
    reservation: Option<Reservation>,
    /// Delivered messages until their 250 is known to have arrived, oldest first.
    receipts: Vec<Unconfirmed>,
    content_since: Instant,
    receiving: bool,
}

impl Conversation {
    pub(super) fn new(shared: Arc<Shared>, listener: Arc<Listener>, terms: Arc<Terms>, line: Line) -> Self {
        let Line { address, local, stream, tls, input } = line;
        let session = Session::new(Arc::clone(&terms.session), tls.is_some());
        Self {
            shared,
            listener,
            terms,
            stream,
            session,
            input,
            output: Vec::new(),
            address,
            local,
            tls,
            mail: None,
            reservation: None,
            receipts: Vec::new(),
            content_since: Instant::now(),
            receiving: false,
        }
    }

    /// Runs to the end of the connection; `drain` turning true ends it between two messages.
    pub(super) async fn run(mut self, mut drain: watch::Receiver<bool>) {
        let end = match self.dialogue(&mut drain).await {
            Ok(()) => End::Done,
            Err(end) => end,
        };
        let farewell = match end {
            End::Timeout => Some(Reply::timeout()),
            End::Drain => Some(Reply::shutdown()),
            End::Done | End::Gone | End::Failed(_) => None,
        };
        if let Some(reply) = farewell {
            reply.render(&mut self.output);
            if let Err(error) = self.flush().await {
                tracing::debug!(event = "connection.farewell-failed", reason = ?error, peer = %self.address, "the last reply could not be written");
            }
        }
        self.abort_mail().await;
        self.remember_unconfirmed().await;
        if !matches!(end, End::Gone | End::Failed(_)) {
            // The peer may have closed first; there is nobody left to tell.
            timeout(self.terms.timeouts.write, self.stream.shutdown()).await.ok();
        }
        match end {
            End::Failed(error) => tracing::info!(event = "connection.failed", peer = %self.address, %error, "a connection broke"),
            end => tracing::debug!(event = "connection.end", peer = %self.address, reason = ?end, "a connection ended"),
        }
    }

    async fn dialogue(&mut self, drain: &mut watch::Receiver<bool>) -> Result<(), End> {
        let early = self.talks_early().await?;
        let greeting = self.session.greeting(early);
        if self.perform(greeting).await? {
            return Ok(());
        }
        loop {
            while let Some(step) = self.session.next(&mut self.input) {
                if self.perform(step).await? {
                    return Ok(());
                }
            }
            self.account_for_memory();
            self.flush().await?;
            self.read(drain).await?;
        }
    }

    /// Whether the peer has sent anything before our greeting.
    async fn talks_early(&mut self) -> Result<bool, End> {
        if !self.input.is_empty() {
            return Ok(true);
        }
        self.input.reserve(READ);
        match timeout(EARLY_TALKER_WAIT, self.stream.read_buf(&mut self.input)).await {
            Err(_) => Ok(false),
            Ok(Ok(0)) => Err(End::Gone),
            Ok(Ok(_)) => Ok(true),
            Ok(Err(error)) => Err(error.into()),
        }
    }

    /// Performs one step; true when the connection is to be closed.
    async fn perform(&mut self, step: Step) -> Result<bool, End> {
        match step {
            Step::Reply(reply) => reply.render(&mut self.output),
            Step::Abort(reply) => {
                self.abort_mail().await;
                reply.render(&mut self.output);
            }
            Step::Close(reply) => {
                reply.render(&mut self.output);
                self.flush().await?;
                return Ok(true);
            }
            Step::StartTls { reply, dropped } => self.start_tls(&reply, dropped).await?,
            Step::Authenticate(attempt) => {
                let logins = Arc::clone(&self.terms.logins);
                match self.shared.cpu.run(move || attempt.run(&logins)).await {
                    Ok(outcome) => self.session.answer_authentication(outcome),
                    Err(error) => {
                        tracing::error!(event = "login.failed", %error, peer = %self.address, "a login could not be checked");
                        return Err(End::Drain);
                    }
                }
            }
            Step::Mail(request) => {
                let answer = match Mail::begin(&self.shared, self.peer(), &request) {
                    Ok((mail, permit)) => {
                        self.mail = Some(mail);
                        Ok(permit)
                    }
                    Err(reply) => Err(reply),
                };
                self.session.answer_mail(request, answer);
            }
            Step::Recipient(request) => {
                let reply = match &mut self.mail {
                    Some(mail) => mail.recipient(&request).await,
                    None => Reply::local_error(),
                };
                self.session.answer_recipient(request, reply);
            }
            Step::Content(request) => {
                self.content_since = Instant::now();
                let announced = usize::try_from(request.announced()).unwrap_or(usize::MAX);
                let fits = self.shared.budget.has_room(announced);
                self.reservation = if fits { self.shared.budget.reserve(FIRST_RESERVATION) } else { None };
                let answer = if self.reservation.is_some() { Ok(()) } else { Err(self.out_of_memory()) };
                self.session.answer_content(request, answer);
            }
            Step::Message(message) => {
                let reply = self.deliver(message).await?;
                self.session.answer_message(reply);
            }
        }
        Ok(false)
    }

    async fn deliver(&mut self, message: crate::smtp::session::Message) -> Result<Reply, End> {
        let Some(mail) = self.mail.take() else { return Ok(Reply::local_error()) };
        let (received, octets) = (self.content_since.elapsed(), message.content.len());
        let prepared = match mail.prepare(&self.shared, message, received).await {
            Ok(prepared) => prepared,
            Err(reply) => {
                self.reservation = None;
                return Ok(reply);
            }
        };
        if let Err(end) = self.is_still_there().await {
            // Nothing has gone out, so the peer can try again as if it had never come.
            prepared.abandon(&self.shared).await;
            return Err(end);
        }
        let (reply, receipt) = prepared.deliver(&self.shared).await;
        if let Some(receipt) = receipt.map(|receipt| self.shared.ledger.hold(receipt)) {
            if octets > KEPT_RECEIPT {
                receipt.condense();
            }
            self.receipts.push(receipt);
        }
        if self.receipts.len() > MOST_RECEIPTS {
            let oldest = self.receipts.remove(0);
            remember(oldest).await;
        }
        self.reservation = None;
        Ok(reply)
    }

    /// Looks whether the peer has closed, without waiting.
    async fn is_still_there(&mut self) -> Result<(), End> {
        self.input.reserve(READ);
        tokio::select! {
            biased;
            read = self.stream.read_buf(&mut self.input) => match read {
                Ok(0) => Err(End::Gone),
                Ok(_) => Ok(()),
                Err(error) => Err(error.into()),
            },
            () = std::future::ready(()) => Ok(()),
        }
    }

    /// What is known of the peer now.
    fn peer(&self) -> Arc<Peer> {
        Arc::new(Peer {
            address: self.address,
            local: self.local,
            helo: self.session.helo().unwrap_or_default().to_owned(),
            extended: self.session.extended(),
            tls: self.tls.clone(),
            login: self.session.login().cloned(),
        })
    }

    async fn start_tls(&mut self, reply: &Reply, dropped: usize) -> Result<(), End> {
        let Some(server) = &self.listener.tls else { return Err(End::Done) };
        if dropped > 0 {
            tracing::warn!(event = "tls.injection", peer = %self.address, octets = dropped, "plaintext behind STARTTLS was dropped");
        }
        reply.render(&mut self.output);
        let limit = self.terms.timeouts.write;
        timeout(limit, async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        })
        .await
        .map_err(|_| End::Timeout)??;
        self.output.clear();
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let handshake = server.accept(plain, SystemTime::now());
        let (stream, tls) = timeout(self.terms.timeouts.handshake, handshake).await.map_err(|_| End::Timeout)?.map_err(|error| {
            self.shared.metrics.handshake_failed();
            tracing::info!(event = "tls.handshake-failed", %error, peer = %self.address, "a TLS handshake failed");
            End::Gone
        })?;
        self.stream = Box::new(stream);
        self.tls = Some(tls);
        self.session.tls_established();
        Ok(())
    }

    /// Lets the memory budget follow the message that is arriving; without room the message is refused at its end.
    fn account_for_memory(&mut self) {
        if !self.session.receives_content() {
            return;
        }
        let held = self.session.held();
        if self.reservation.as_mut().is_some_and(|reservation| !reservation.grow_to(held)) {
            let reply = self.out_of_memory();
            self.session.refuse_content(reply);
            self.reservation = None;
        }
    }

    fn out_of_memory(&self) -> Reply {
        self.shared.metrics.refused("memory");
        tracing::warn!(event = "message.no-memory", peer = %self.address, used = self.shared.budget.used(), "the memory budget has no room for a message");
        Reply::out_of_room()
    }

    async fn flush(&mut self) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        // What is here already was sent without our reply having been read; only what comes after it shows that it was.
        let gone = if self.receipts.is_empty() { Ok(()) } else { self.is_still_there().await };
        let output = std::mem::take(&mut self.output);
        let write = async {
            self.stream.write_all(&output).await?;
            self.stream.flush().await
        };
        timeout(self.terms.timeouts.write, write).await.map_err(|_| End::Timeout)??;
        self.output = output;
        self.output.clear();
        gone
    }

    /// Waits for more octets from the peer.
    async fn read(&mut self, drain: &mut watch::Receiver<bool>) -> Result<(), End> {
        let idle = !self.session.in_transaction();
        let receiving = self.session.receives_content();
        if receiving && !self.receiving {
            self.content_since = Instant::now();
        }
        self.receiving = receiving;
        let limit = if receiving {
            let rest = self.terms.timeouts.message.saturating_sub(self.content_since.elapsed());
            self.terms.timeouts.content.min(rest)
        } else {
            self.terms.timeouts.command
        };
        self.input.reserve(READ);
        let begun = Instant::now();
        let mut condensed = false;
        loop {
            let rest = limit.saturating_sub(begun.elapsed());
            let wait = if !self.receipts.is_empty() && !condensed { KEEP_RECEIPT_CONTENT.min(rest) } else { rest };
            let read = tokio::select! {
                read = timeout(wait, self.stream.read_buf(&mut self.input)) => read,
                _ = drain.wait_for(|stop| *stop), if idle => return Err(End::Drain),
            };
            match read {
                Ok(Ok(0)) => return Err(End::Gone),
                Ok(Ok(_)) => {
                    // Whoever begins something new has read the reply to its message; the rest of what was on its way proves nothing.
                    if !receiving {
                        self.receipts.clear();
                    }
                    return Ok(());
                }
                Ok(Err(error)) => return Err(error.into()),
                Err(_) if condensed || self.receipts.is_empty() => return Err(End::Timeout),
                Err(_) => {
                    condensed = true;
                    self.receipts.iter().for_each(Unconfirmed::condense);
                }
            }
        }
    }

    /// The peer has not shown that it has our 250: should it send the message again, it is answered without sending it on.
    async fn remember_unconfirmed(&mut self) {
        for receipt in std::mem::take(&mut self.receipts) {
            remember(receipt).await;
        }
    }

    async fn abort_mail(&mut self) {
        self.reservation = None;
        if let Some(mail) = self.mail.take() {
            mail.abort().await;
        }
    }
}

/// Puts a delivery on record whose reply may not have arrived.
async fn remember(receipt: Unconfirmed) {
    if let Err(error) = receipt.record(SystemTime::now()).await {
        tracing::error!(event = "ledger.write-failed", %error, "an unconfirmed delivery is remembered until the process ends only");
    }
}
