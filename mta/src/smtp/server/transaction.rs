//! One mail transaction between the peer and the next hop: claim, recipients, pipeline, handoff, and the record of it.
//!
//! RFC 5321 section 3.3, DESIGN decisions 1 and 7. The reply to a message is made here from evidence only: a [`HandedOff`](crate::handoff::HandedOff),
//! a refusal, or what the next hop answered.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::address::{ForwardPath, ReversePath};
use crate::event::MessageEvent;
use crate::handoff::{Receipt, Transaction, deliver_late};
use crate::message::{Accepted, MailParameters, Peer};
use crate::pipeline::{self, Ready};
use crate::probe::Probes;
use crate::service::{Service, Shared};
use crate::smtp::reply::Reply;
use crate::smtp::session::{MailRequest, Message, RecipientRequest};
use crate::tenant::{Claim, Factor, Permit, Verdict};

/// A transaction between MAIL and the end of data.
pub(super) struct Mail {
    service: Arc<Service>,
    peer: Arc<Peer>,
    way: Way,
}

/// Where it goes, as far as that is known.
enum Way {
    /// To the one tenant's next hop, which answers each RCPT.
    Known(Box<Transaction>),
    /// To ourselves: a trial of the loop.
    Trial(Arc<Shared>),
    /// The message will tell; one recipient at a time, so that the next hop's answer to it can be the answer to the message.
    Open { reverse_path: ReversePath, parameters: MailParameters },
}

impl Mail {
    /// Asks whose mail it can be.
    pub(super) fn begin(shared: &Arc<Shared>, peer: Arc<Peer>, request: &MailRequest) -> Result<(Self, Permit), Reply> {
        let service = shared.service();
        let claim =
            service.registry.permit(&peer).and_then(|permit| Ok((service.registry.claim(&permit, request.reverse_path())?, permit)));
        let (claim, permit) = claim.map_err(|verdict| {
            shared.probes.refused(request.reverse_path(), &verdict);
            log_stranger(shared, &peer, request.reverse_path(), &verdict);
            let may_log_in = service.has_logins() && peer.login.is_none() && peer.tls.is_some();
            if may_log_in { Reply::authentication_required() } else { Reply::not_permitted() }
        })?;
        let (reverse_path, parameters) = (request.reverse_path().clone(), request.parameters().clone());
        let way = match claim {
            // Whose it is the message will tell, as any other; who else has that sender is refused at RCPT.
            _ if Probes::is_sender(&reverse_path) => Way::Trial(Arc::clone(shared)),
            Claim::One(tenant) => {
                let site = service.site(&tenant.id).ok_or_else(Reply::local_error)?;
                let route = Arc::clone(&site.route);
                Way::Known(Box::new(Transaction::new(
                    route,
                    Arc::clone(&shared.pool),
                    Arc::clone(&shared.ledger),
                    reverse_path,
                    parameters,
                )))
            }
            Claim::Open(_) => Way::Open { reverse_path, parameters },
        };
        Ok((Self { service, peer, way }, permit))
    }

    /// The answer to one RCPT.
    pub(super) async fn recipient(&mut self, request: &RecipientRequest) -> Reply {
        match &mut self.way {
            Way::Known(transaction) => {
                let reply = transaction.recipient(request.recipient()).await;
                if !reply.is_positive() {
                    log_refused_recipient(transaction, &self.peer, &request.recipient().path, &reply);
                }
                reply
            }
            Way::Trial(shared) if shared.probes.expects(request.recipient().path.mailbox()) => Reply::new(250, (2, 1, 5), "recipient ok"),
            Way::Trial(_) => Reply::new(550, (5, 1, 1), "no such recipient"),
            Way::Open { .. } if request.index() > 0 => Reply::new(452, (4, 5, 3), "one recipient at a time for this sender"),
            Way::Open { .. } => Reply::new(250, (2, 1, 5), "recipient ok"),
        }
    }

    /// The peer gave the transaction up, or went away.
    pub(super) async fn abort(self) {
        if let Way::Known(transaction) = self.way {
            transaction.abort().await;
        }
    }

    /// Runs the pipeline over the complete message. An error is the reply to a message that goes no further.
    pub(super) async fn prepare(self, shared: &Arc<Shared>, message: Message, receive: Duration) -> Result<Prepared, Reply> {
        let begun = Instant::now();
        let id: Arc<str> = shared.message_ids.next().into();
        let accepted = Accepted {
            id: Arc::clone(&id),
            peer: Arc::clone(&self.peer),
            envelope: Arc::new(message.envelope),
            content: message.content,
            received: SystemTime::now(),
        };
        if let Way::Trial(shared) = &self.way {
            // It is for us, so there is nobody to hand it to.
            return Err(match shared.probes.arrived(&accepted, &self.service) {
                true => Reply::new(250, (2, 0, 0), "the way is open"),
                false => Reply::new(550, (5, 1, 1), "no such recipient"),
            });
        }
        let mut event = Box::new(opening(&accepted));
        event.micros.receive = micros(receive);
        let result = pipeline::run(accepted.clone(), &self.service, shared, event).await;
        let (ready, mut event) = match result {
            Ok(done) => done,
            Err((refusal, mut event)) => {
                let service = Arc::clone(&self.service);
                self.abort().await;
                tracing::warn!(event = "message.refused", id = %id, reason = refusal.label(), error = %refusal, generation = service.generation, "a message was refused");
                shared.metrics.refused(refusal.label());
                let reply = refusal.reply();
                conclude(shared, &mut event, &reply, "refused", begun);
                return Err(reply);
            }
        };
        let way = match self.way {
            Way::Known(transaction) if transaction.tenant() == &ready.site.tenant.id => Delivery::Known(*transaction),
            Way::Known(transaction) => {
                transaction.abort().await;
                let reply = Reply::not_permitted();
                tracing::warn!(event = "message.refused", id = %id, reason = "tenant-conflict", "the message belongs to another tenant than its reverse-path");
                shared.metrics.refused("tenant-conflict");
                conclude(shared, &mut event, &reply, "refused", begun);
                return Err(reply);
            }
            Way::Trial(_) => return Err(Reply::local_error()),
            Way::Open { reverse_path, parameters } => {
                let route = Arc::clone(&ready.site.route);
                Delivery::Late(Transaction::new(route, Arc::clone(&shared.pool), Arc::clone(&shared.ledger), reverse_path, parameters))
            }
        };
        Ok(Prepared { accepted, ready, way, event, begun })
    }
}

/// A transaction with the next hop that is open, or that is still to be opened.
enum Delivery {
    Known(Transaction),
    Late(Transaction),
}

/// A sealed message on the threshold: nothing has gone out yet.
pub(super) struct Prepared {
    accepted: Accepted,
    ready: Ready,
    way: Delivery,
    event: Box<MessageEvent>,
    begun: Instant,
}

impl Prepared {
    /// The peer went away before anything was sent: it still has the message and will try again.
    pub(super) async fn abandon(mut self, shared: &Arc<Shared>) {
        match self.way {
            Delivery::Known(transaction) | Delivery::Late(transaction) => transaction.abort().await,
        }
        let reply = Reply::new(451, (4, 4, 2), "the peer went away");
        conclude(shared, &mut self.event, &reply, "abandoned", self.begun);
    }

    /// Hands the copies to the next hop. The receipt is there when they were taken.
    pub(super) async fn deliver(self, shared: &Arc<Shared>) -> (Reply, Option<Receipt>) {
        let Self { accepted, ready, way, mut event, begun } = self;
        let started = Instant::now();
        let result = match way {
            Delivery::Known(transaction) => transaction.deliver(&accepted.content, &ready.copies).await,
            Delivery::Late(transaction) => {
                // There is exactly one: further ones were answered 452.
                let recipient = &accepted.envelope.recipients()[0];
                deliver_late(transaction, recipient, &accepted.content, &ready.copies).await
            }
        };
        event.micros.handoff = micros(started.elapsed());
        match result {
            Ok(handed_off) => {
                let reply = handed_off.reply().clone();
                let outcome = if handed_off.is_repeat() { "repeated" } else { "delivered" };
                conclude(shared, &mut event, &reply, outcome, begun);
                (reply, handed_off.into_receipt())
            }
            Err(undelivered) => {
                if let Some(trouble) = &undelivered.trouble {
                    tracing::warn!(event = "handoff.failed", id = %accepted.id, error = %trouble, delivered = undelivered.delivered, "a message was not handed off");
                }
                let outcome = if undelivered.reply.is_permanent() { "rejected" } else { "deferred" };
                conclude(shared, &mut event, &undelivered.reply, outcome, begun);
                (undelivered.reply, None)
            }
        }
    }
}

fn opening(accepted: &Accepted) -> MessageEvent {
    let peer = &accepted.peer;
    MessageEvent {
        id: accepted.id.to_string(),
        peer: peer.address.to_string(),
        helo: peer.helo.clone(),
        tls: peer.tls.as_ref().map(|tls| format!("{} {}", tls.version, tls.cipher)).unwrap_or_default(),
        reverse_path: accepted.envelope.reverse_path().to_string(),
        recipients: accepted.envelope.recipients().len(),
        size: accepted.content.len(),
        ..MessageEvent::default()
    }
}

fn conclude(shared: &Shared, event: &mut MessageEvent, reply: &Reply, outcome: &'static str, begun: Instant) {
    event.reply = String::from_utf8_lossy(&reply.to_wire()).trim_end().replace("\r\n", " / ");
    event.outcome = outcome;
    event.micros.total = micros(begun.elapsed());
    shared.report(event);
}

/// An operator who is asked why a mail bounced finds the answer here: the message itself never came.
fn log_refused_recipient(transaction: &Transaction, peer: &Peer, recipient: &ForwardPath, reply: &Reply) {
    let text = String::from_utf8_lossy(&reply.to_wire()).trim_end().replace("\r\n", " / ");
    let trouble = transaction.trouble().map(ToString::to_string).unwrap_or_default();
    tracing::warn!(
        event = "recipient.refused", tenant = %transaction.tenant(), peer = %peer.address, recipient = %recipient,
        reply = %text, error = %trouble, "a recipient was not accepted by the next hop"
    );
}

fn log_stranger(shared: &Shared, peer: &Peer, reverse_path: &ReversePath, verdict: &Verdict) {
    shared.metrics.refused("no-tenant");
    let factor = |factor: &Factor| format!("{} {}: {}", factor.name, if factor.agrees { "agrees" } else { "does not agree" }, factor.value);
    let factors = verdict.factors.iter().map(factor).collect::<Vec<_>>().join("; ");
    tracing::warn!(
        event = "sender.refused", peer = %peer.address, helo = %peer.helo, reverse_path = %reverse_path,
        reason = verdict.reason, factors = %factors, "a sender was refused: no tenant is proven"
    );
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
