//! Pass-through: a transaction with the next hop that runs alongside the sender's, so that the sender hears the next hop's own answers.
//!
//! RFC 5321 sections 3.3 and 4.2.5; RFC 1870, RFC 3461 section 5, RFC 6152 section 3, RFC 6531 section 3.5 for next hops that lack an
//! extension. Nothing is stored: until the sender has our answer, the message is the sender's.
//!
//! What the sender hears:
//!
//! - RCPT: the next hop's answer; MAIL refused: that answer, for every RCPT. 421 becomes 451, because *our* session goes on.
//! - End of data, all copies delivered: the next hop's final answer (the last copy's).
//! - Some copy failed for now (4yz, or the connection was lost): that 4yz, even if another copy failed for good, so that the sender tries again;
//!   the ledger keeps delivered copies from being sent twice, and what failed for good fails again when nothing else is left.
//! - Some copy failed for good, the others were delivered: that 5yz. The sender's report then names recipients that have the message too. The
//!   other choice, 250, would lose the failed copies silently, and a report of our own is nothing that pass-through can send.
//! - The content was sent, its answer is missing: 451. The next hop may have it, and then it comes twice; a loss would be worse (section 6.1).
//!
//! A next hop without DSN gets the message without its parameters (RFC 3461 section 5.2.2 allows that); the "relayed" report that the RFC
//! wants for NOTIFY=SUCCESS needs a queue and is not sent.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use crate::address::ReversePath;
use crate::handoff::ledger::{Identity, InProgress, Ledger};
use crate::handoff::pool::{Lease, Pool};
use crate::handoff::{HandedOff, Route, Trouble, Undelivered};
use crate::message::{MailParameters, Recipient};
use crate::seal::Sealed;
use crate::smtp::client::{self, EnvelopeReplies, Extensions};
use crate::smtp::reply::Reply;
use crate::tenant::TenantId;

/// How long an abandoned transaction may take to be reset before its connection is closed instead: nobody waits for it.
const ABORT: Duration = Duration::from_secs(5);

/// One outgoing form of the message.
struct Outgoing<'a> {
    recipients: &'a [usize],
    pieces: &'a [Bytes],
}

/// A mail transaction with the next hop for one mail transaction of the sender. Opened by the first RCPT.
pub struct Transaction {
    route: Arc<Route>,
    pool: Arc<Pool>,
    ledger: Arc<Ledger>,
    reverse_path: ReversePath,
    parameters: MailParameters,
    accepted: Vec<Recipient>,
    lease: Option<Lease>,
    /// What every further RCPT is answered, once the transaction cannot be had.
    refused: Option<Reply>,
    trouble: Option<Trouble>,
}

/// The sender's tenant was known at the end of data only: opens the transaction, names the one recipient and delivers, in one go.
pub async fn deliver_late(
    mut transaction: Transaction,
    recipient: &Recipient,
    content: &Bytes,
    copies: &[Sealed],
) -> Result<HandedOff, Undelivered> {
    let reply = transaction.recipient(recipient).await;
    if reply.is_positive() {
        return transaction.deliver(content, copies).await;
    }
    let trouble = transaction.trouble.take();
    transaction.abort().await;
    Err(Undelivered { reply, trouble, delivered: 0 })
}

impl Transaction {
    /// Nothing is sent yet.
    pub fn new(route: Arc<Route>, pool: Arc<Pool>, ledger: Arc<Ledger>, reverse_path: ReversePath, parameters: MailParameters) -> Self {
        let (accepted, lease, refused, trouble) = (Vec::new(), None, None, None);
        Self { route, pool, ledger, reverse_path, parameters, accepted, lease, refused, trouble }
    }

    /// Whose mail it carries.
    pub fn tenant(&self) -> &TenantId {
        &self.route.tenant
    }

    /// The recipients that the next hop has accepted, in order; copies name them by their index here.
    pub fn accepted(&self) -> &[Recipient] {
        &self.accepted
    }

    /// What went wrong with the next hop at RCPT, for the log.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// The next hop's answer to one RCPT.
    pub async fn recipient(&mut self, recipient: &Recipient) -> Reply {
        let mut replies = self.recipients(std::slice::from_ref(recipient)).await;
        replies.pop().unwrap_or_else(Reply::local_error)
    }

    /// The next hop's answers to several RCPTs, one each, that the sender pipelined: they are pipelined onwards.
    pub async fn recipients(&mut self, recipients: &[Recipient]) -> Vec<Reply> {
        if let Some(reply) = &self.refused {
            return vec![reply.clone(); recipients.len()];
        }
        let limit = self.route.limits.recipient_within;
        let outcome = match timeout(limit, self.ask(recipients)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Trouble::Deadline { limit }),
        };
        match outcome {
            Ok(replies) => {
                let accepted = recipients.iter().zip(&replies).filter(|(_, reply)| reply.is_positive());
                self.accepted.extend(accepted.map(|(recipient, _)| recipient.clone()));
                replies
            }
            Err(trouble) => {
                // The connection may be in the middle of anything. Recipients accepted earlier are named again to a fresh one at the end.
                self.lease = None;
                let reply = trouble.reply();
                self.trouble = Some(trouble);
                self.refused = Some(reply.clone());
                vec![reply; recipients.len()]
            }
        }
    }

    async fn ask(&mut self, recipients: &[Recipient]) -> Result<Vec<Reply>, Trouble> {
        let mut lease = match self.lease.take() {
            Some(lease) => lease,
            None => self.pool.take(&self.route).await?,
        };
        let open = lease.connection.in_transaction();
        if !open && let Some(reply) = refuse_envelope(&self.reverse_path, &self.parameters, lease.connection.extensions()) {
            self.refuse(lease, reply.clone());
            return Ok(vec![reply; recipients.len()]);
        }
        let utf8 = lease.connection.extensions().smtputf8;
        let sendable: Vec<Recipient> = recipients.iter().filter(|recipient| utf8 || recipient.path.is_ascii()).cloned().collect();
        let answers = if open {
            let lines = rcpt_lines(&sendable, lease.connection.extensions());
            lease.connection.recipients(&lines).await?
        } else if sendable.is_empty() {
            Vec::new()
        } else {
            let (used, replies) = self.envelope(lease, &sendable, None).await?;
            lease = used;
            if replies.mail.code != 250 {
                let reply = passed_back(replies.mail);
                self.refuse(lease, reply.clone());
                return Ok(vec![reply; recipients.len()]);
            }
            replies.recipients
        };
        self.lease = Some(lease);
        let mut answers = answers.into_iter().map(passed_back);
        let not_ascii = || Reply::new(553, (5, 6, 7), "next hop does not take addresses outside ASCII");
        let reply = |recipient: &Recipient| {
            if utf8 || recipient.path.is_ascii() { answers.next().unwrap_or_else(Reply::local_error) } else { not_ascii() }
        };
        Ok(recipients.iter().map(reply).collect())
    }

    /// MAIL and RCPTs; over a fresh connection when the one that was kept from earlier turns out to be closed.
    async fn envelope(&self, mut lease: Lease, recipients: &[Recipient], size: Option<u64>) -> Result<(Lease, EnvelopeReplies), Trouble> {
        loop {
            let offered = lease.connection.extensions();
            let mail = client::mail(&self.reverse_path, &self.parameters, size, offered);
            let rcpts = rcpt_lines(recipients, offered);
            let outcome = lease.connection.envelope(&mail, &rcpts).await;
            let lost = match &outcome {
                Ok(replies) => replies.mail.code == 421,
                Err(error) => error.is_loss(),
            };
            // No octet of this transaction's content has gone out, so nothing can be doubled.
            if lost && (lease.reused || lease.connection.messages() > 0) {
                lease = self.pool.renew(lease).await?;
                continue;
            }
            return Ok((lease, outcome?));
        }
    }

    fn refuse(&mut self, lease: Lease, reply: Reply) {
        lease.give_back();
        self.refused = Some(reply);
    }

    /// The sender gave up: nothing is sent. The connection is kept if the next hop takes RSET at once.
    pub async fn abort(mut self) {
        self.release().await;
    }

    async fn release(&mut self) {
        let Some(mut lease) = self.lease.take() else { return };
        if lease.connection.is_stale() {
            return;
        }
        if !lease.connection.in_transaction() || matches!(timeout(ABORT, lease.connection.reset()).await, Ok(Ok(()))) {
            lease.give_back();
        }
    }

    /// Sends each copy to its recipients. `content` is the message as the sender gave it: by it a repeated attempt is recognised. To be run
    /// to its end even if the sender goes away; what was delivered before a cancellation is on record.
    pub async fn deliver(self, content: &Bytes, copies: &[Sealed]) -> Result<HandedOff, Undelivered> {
        let copies = copies.iter().map(|copy| Outgoing { recipients: copy.recipients(), pieces: copy.pieces() }).collect();
        self.deliver_copies(content, copies).await
    }

    async fn deliver_copies(mut self, content: &Bytes, copies: Vec<Outgoing<'_>>) -> Result<HandedOff, Undelivered> {
        let failed = |trouble: Trouble| Undelivered { reply: trouble.reply(), trouble: Some(trouble), delivered: 0 };
        if !covers(&copies, self.accepted.len()) {
            return Err(failed(Trouble::Copies { recipients: self.accepted.len() }));
        }
        let identity = Identity::new(&self.route.tenant, &self.reverse_path, content);
        let keys: Vec<_> = self.accepted.iter().map(|recipient| identity.recipient(&recipient.path)).collect();
        let Some(progress) = self.ledger.begin(identity.clone(), keys.clone()) else {
            self.release().await;
            return Err(failed(Trouble::Repeated));
        };
        let done = self.ledger.delivered(&identity, SystemTime::now());
        let done: HashSet<usize> = (0..keys.len()).filter(|index| done.contains(&keys[*index])).collect();
        let mut run = Run { progress, replies: Vec::new(), trouble: None, copies: 0, deadline: None };
        for copy in &copies {
            let recipients: Vec<usize> = copy.recipients.iter().copied().filter(|index| !done.contains(index)).collect();
            if recipients.is_empty() {
                continue;
            }
            let whole = recipients.len() == self.accepted.len();
            self.deliver_copy(&mut run, &recipients, copy.pieces, whole).await;
            if run.trouble.is_some() {
                break;
            }
        }
        self.release().await;
        run.finish(!done.is_empty()).await
    }

    /// One copy, under the deadline that all copies share.
    async fn deliver_copy(&mut self, run: &mut Run, recipients: &[usize], pieces: &[Bytes], whole: bool) {
        let limit = self.route.limits.deliver_within;
        let deadline = *run.deadline.get_or_insert_with(|| Instant::now() + limit);
        let outcome = match timeout_at(deadline, self.send(recipients, pieces, whole)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Trouble::Deadline { limit }),
        };
        match outcome {
            Ok(sent) => {
                run.copies += usize::from(!sent.delivered.is_empty());
                run.progress.deliver(sent.delivered.into_iter());
                run.replies.extend(sent.replies.into_iter().map(passed_back));
            }
            Err(trouble) => {
                self.lease = None;
                run.trouble = Some(trouble);
            }
        }
    }

    /// Sends one copy. Without `whole` in a transaction of its own, with RSET before it where one is open.
    async fn send(&mut self, recipients: &[usize], pieces: &[Bytes], whole: bool) -> Result<Sent, Trouble> {
        let mut lease = match self.lease.take() {
            Some(lease) => lease,
            None => self.pool.take(&self.route).await?,
        };
        if lease.connection.is_stale() {
            lease = self.pool.renew(lease).await?;
        }
        if let Some(reply) = refuse_content(pieces, lease.connection.extensions()) {
            self.lease = Some(lease);
            return Ok(Sent { delivered: Vec::new(), replies: vec![reply] });
        }
        let mut refusals = Vec::new();
        let mut accepted = recipients.to_vec();
        if !(whole && lease.connection.in_transaction()) {
            let named: Vec<Recipient> = recipients.iter().map(|index| self.accepted[*index].clone()).collect();
            let size = u64::try_from(length(pieces)).ok();
            let (used, replies) = self.envelope(lease, &named, size).await?;
            lease = used;
            if replies.mail.code != 250 {
                self.lease = Some(lease);
                return Ok(Sent { delivered: Vec::new(), replies: vec![replies.mail] });
            }
            let (taken, refused): (Vec<_>, Vec<_>) =
                recipients.iter().copied().zip(replies.recipients).partition(|(_, reply)| reply.is_positive());
            accepted = taken.into_iter().map(|(index, _)| index).collect();
            refusals = refused.into_iter().map(|(_, reply)| reply).collect();
        }
        if accepted.is_empty() {
            self.lease = Some(lease);
            return Ok(Sent { delivered: accepted, replies: refusals });
        }
        let reply = lease.connection.content(pieces).await?;
        self.lease = Some(lease);
        if !reply.is_positive() {
            accepted.clear();
        }
        refusals.push(reply);
        Ok(Sent { delivered: accepted, replies: refusals })
    }
}

/// What became of one copy.
struct Sent {
    delivered: Vec<usize>,
    replies: Vec<Reply>,
}

/// What became of the copies so far.
struct Run {
    progress: InProgress,
    replies: Vec<Reply>,
    trouble: Option<Trouble>,
    copies: usize,
    deadline: Option<Instant>,
}

impl Run {
    async fn finish(self, repeated: bool) -> Result<HandedOff, Undelivered> {
        let Self { progress, mut replies, trouble, copies, .. } = self;
        let delivered = progress.delivered();
        let temporary = replies.iter().position(|reply| !reply.is_positive() && !reply.is_permanent());
        let permanent = replies.iter().position(Reply::is_permanent);
        let reply = match (&trouble, temporary.or(permanent)) {
            (Some(trouble), _) => trouble.reply(),
            (None, Some(index)) => replies.swap_remove(index),
            (None, None) => {
                let repeat = || Reply::new(250, (2, 0, 0), "message was delivered before");
                let reply = replies.pop().unwrap_or_else(repeat);
                return Ok(HandedOff { reply, copies, repeated, receipt: progress.finish() });
            }
        };
        progress.finish_in_part(SystemTime::now()).await;
        Err(Undelivered { reply, trouble, delivered })
    }
}

/// 421 announces that the next hop closes *its* session; the sender's goes on.
fn passed_back(mut reply: Reply) -> Reply {
    if reply.code == 421 {
        reply.code = 451;
    }
    reply
}

fn rcpt_lines(recipients: &[Recipient], offered: &Extensions) -> Vec<String> {
    recipients.iter().map(|recipient| client::rcpt(recipient, offered)).collect()
}

fn length(pieces: &[Bytes]) -> usize {
    pieces.iter().map(Bytes::len).sum()
}

/// Why this next hop cannot be given the envelope.
fn refuse_envelope(reverse_path: &ReversePath, parameters: &MailParameters, offered: &Extensions) -> Option<Reply> {
    if (parameters.smtputf8 || !reverse_path.is_ascii()) && !offered.smtputf8 {
        return Some(Reply::new(550, (5, 6, 7), "next hop does not take internationalised messages"));
    }
    too_big(parameters.size?, offered)
}

/// Why this next hop cannot be given the content, known only now that the content is.
fn refuse_content(pieces: &[Bytes], offered: &Extensions) -> Option<Reply> {
    if !offered.eight_bit_mime && !pieces.iter().all(|piece| piece.is_ascii()) {
        return Some(Reply::new(554, (5, 6, 3), "next hop does not take 8-bit content, and converting it would break signatures"));
    }
    too_big(u64::try_from(length(pieces)).unwrap_or(u64::MAX), offered)
}

fn too_big(size: u64, offered: &Extensions) -> Option<Reply> {
    let limit = offered.size_limit.filter(|limit| size > *limit)?;
    Some(Reply::new(552, (5, 3, 4), format!("message of {size} octets exceeds the next hop's limit of {limit}")))
}

/// Whether each recipient is in exactly one copy.
fn covers(copies: &[Outgoing<'_>], recipients: usize) -> bool {
    let mut named: Vec<usize> = copies.iter().flat_map(|copy| copy.recipients.iter().copied()).collect();
    named.sort_unstable();
    recipients > 0 && named.iter().copied().eq(0..recipients)
}

#[cfg(test)]
mod tests;
