//! One message through the loop, before anybody's mail takes that way: out through the tenant's return route, back in through its connector and
//! mail-flow rule.
//!
//! Its sender is one that nobody has, in the domain of the tenant's certificate; its recipient is a fresh word at our own name, so that whatever the
//! tenant's mail service does with it, no person gets it. When it comes back it has arrived: Signet is where it was going. It is attributed to its
//! tenant by all factors that the configuration demands, as any message is, and what does not agree is the answer to the trial. It is not authenticated,
//! not signed and not passed on. Nobody outside can make a trial succeed, or fail: the word has 128 random bits, and who is refused ends no trial.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::address::{Mailbox, ReversePath};
use crate::message::Accepted;
use crate::service::{Service, Shared};
use crate::smtp::client::{self, Resolve};
use crate::tenant::{Factor, TenantId, Verdict};

/// The local part of the sender, and what a recipient's begins with.
const NAME: &str = "signet-probe";
/// New connectors and rules take a few minutes to be known to all of the service's hosts.
const WAIT: Duration = Duration::from_secs(180);

/// Why a trial did not succeed; fit for an administrator.
#[derive(Debug, Error)]
pub(crate) enum ProbeError {
    /// No such tenant is in force.
    #[error("no tenant {0} is configured")]
    UnknownTenant(String),
    /// The system gives no random octets.
    #[error("the system gives no random octets")]
    Random,
    /// The service did not take the message.
    #[error("the mail service did not take the message: {0}; look at the connector from Signet, and at the certificate in tenant.return")]
    Sending(String),
    /// It came back and was refused.
    #[error("the message came back, and was refused: {0}; look at tenant.proof")]
    Refused(String),
    /// It did not come back.
    #[error("the message did not come back within {} s; look at the connector to Signet, at the rule, and whether port 25 of {host} can be reached", WAIT.as_secs())]
    Lost {
        /// Where it should have come.
        host: String,
    },
}

/// The trials that wait for their message.
#[derive(Default)]
pub(crate) struct Probes {
    waiting: Mutex<HashMap<String, Trial>>,
}

struct Trial {
    tenant: TenantId,
    /// Whose message it is, as [`Mailbox::key`].
    sender: String,
    /// Why a peer was refused that said to have it. It may have been anybody, so the trial goes on.
    refusal: Option<String>,
    done: oneshot::Sender<Result<(), String>>,
}

impl Probes {
    /// Whether a reverse-path is that of a trial.
    pub(crate) fn is_sender(reverse_path: &ReversePath) -> bool {
        reverse_path.mailbox().is_some_and(|mailbox| mailbox.local() == NAME)
    }

    /// Whether a recipient is what a trial waits for.
    pub(crate) fn expects(&self, recipient: Option<&Mailbox>) -> bool {
        recipient.is_some_and(|mailbox| self.locked().contains_key(mailbox.local()))
    }

    /// A peer was refused at MAIL that names the sender of a trial: where the message does not come otherwise, that may be why.
    pub(crate) fn refused(&self, reverse_path: &ReversePath, verdict: &Verdict) {
        let Some(sender) = reverse_path.mailbox().filter(|_| Self::is_sender(reverse_path)).map(Mailbox::key) else { return };
        for trial in self.locked().values_mut().filter(|trial| trial.sender == sender) {
            trial.refusal = Some(explain(verdict));
        }
    }

    /// A message for one of the trials has arrived; whether it was one.
    pub(crate) fn arrived(&self, accepted: &Accepted, service: &Service) -> bool {
        let mut recipients = accepted.envelope.recipients().iter().filter_map(|recipient| recipient.path.mailbox());
        let Some(trial) = recipients.find_map(|mailbox| self.locked().remove(mailbox.local())) else { return false };
        let verdict = match service.registry.attribute(accepted) {
            Ok(attribution) if attribution.tenant.id == trial.tenant => Ok(()),
            Ok(attribution) => Err(format!("it was attributed to tenant {}", attribution.tenant.id)),
            Err(verdict) => Err(explain(&verdict)),
        };
        tracing::info!(event = "probe.arrived", tenant = %trial.tenant, passed = verdict.is_ok(), "a trial of the loop has come back");
        trial.done.send(verdict).ok();
        true
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<String, Trial>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends a message from `sender` to `host` through the tenant's return route, and waits until it has come back.
pub(crate) async fn probe(shared: &Shared, tenant: &str, sender: &Mailbox, host: &str, names: &dyn Resolve) -> Result<(), ProbeError> {
    let id = TenantId::new(tenant);
    let site = shared.service().site(&id).ok_or_else(|| ProbeError::UnknownTenant(tenant.to_owned()))?;
    let word = word()?;
    let (done, arrived) = oneshot::channel();
    shared.probes.locked().insert(word.clone(), Trial { tenant: id, sender: sender.key(), refusal: None, done });
    let outcome = async {
        let message = message(sender, &format!("{word}@{host}"), SystemTime::now());
        send(&site.route.target(), names, sender, &format!("{word}@{host}"), message).await.map_err(ProbeError::Sending)?;
        match tokio::time::timeout(WAIT, arrived).await {
            Ok(Ok(verdict)) => verdict.map_err(ProbeError::Refused),
            Ok(Err(_)) | Err(_) => {
                let refusal = shared.probes.locked().get(&word).and_then(|trial| trial.refusal.clone());
                Err(refusal.map_or_else(|| ProbeError::Lost { host: host.to_owned() }, ProbeError::Refused))
            }
        }
    };
    let outcome = outcome.await;
    shared.probes.locked().remove(&word);
    outcome
}

async fn send(target: &client::Target, names: &dyn Resolve, sender: &Mailbox, recipient: &str, message: Bytes) -> Result<(), String> {
    let mut connection = client::connect(target, names).await.map_err(|error| error.to_string())?;
    let mail = format!("MAIL FROM:<{sender}>");
    let replies = connection.envelope(&mail, &[format!("RCPT TO:<{recipient}>")]).await.map_err(|error| error.to_string())?;
    let refused = std::iter::once(&replies.mail).chain(&replies.recipients).find(|reply| !reply.is_positive());
    let outcome = match refused {
        Some(reply) => Err(text(&reply.to_wire())),
        None => match connection.content(&[message]).await {
            Ok(reply) if reply.is_positive() => Ok(()),
            Ok(reply) => Err(text(&reply.to_wire())),
            Err(error) => Err(error.to_string()),
        },
    };
    connection.quit().await;
    outcome
}

/// RFC 5322, ASCII, lines that end in CRLF.
fn message(sender: &Mailbox, recipient: &str, now: SystemTime) -> Bytes {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or_default());
    let date = mail_parser::DateTime::from_timestamp(seconds).to_rfc822();
    let identifier = recipient.split('@').next().unwrap_or_default();
    let domain = sender.domain();
    Bytes::from(format!(
        "Date: {date}\r\nFrom: Signet <{sender}>\r\nTo: <{recipient}>\r\nMessage-ID: <{identifier}@{domain}>\r\n\
         Subject: Trial of the way through Signet\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
         Signet sends this message to itself, to see whether mail comes back. Nobody needs to do anything about it.\r\n"
    ))
}

/// A fresh local part, of fewer octets than the 64 of RFC 5321 section 4.5.3.1.1.
fn word() -> Result<String, ProbeError> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| ProbeError::Random)?;
    let random: String = random.iter().map(|octet| format!("{octet:02x}")).collect();
    Ok(format!("{NAME}-{random}"))
}

fn explain(verdict: &Verdict) -> String {
    let refuted = |factor: &&Factor| !factor.agrees;
    let factors: Vec<String> =
        verdict.factors.iter().filter(refuted).map(|factor| format!("{} was {:?}", factor.name, factor.value)).collect();
    if factors.is_empty() { verdict.reason.to_owned() } else { format!("{}: {}", verdict.reason, factors.join(", ")) }
}

fn text(wire: &[u8]) -> String {
    String::from_utf8_lossy(wire).trim_end().replace("\r\n", " / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender() -> Mailbox {
        Mailbox::parse("signet-probe@k7q2m4x9.smtp.signet.example").expect("an address")
    }

    #[test]
    fn the_message_names_itself_in_the_recipient_and_asks_nobody_for_anything() {
        let message = message(&sender(), "signet-probe-0@smtp.signet.example", UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let text = std::str::from_utf8(&message).expect("ASCII");
        assert!(text.is_ascii() && text.lines().all(|line| line.len() < 200) && !text.replace("\r\n", "").contains(['\r', '\n']));
        insta::assert_snapshot!(text.replace("\r\n", "\n"), @r"
        Date: Fri, 15 Jan 2027 08:00:00 +0000
        From: Signet <signet-probe@k7q2m4x9.smtp.signet.example>
        To: <signet-probe-0@smtp.signet.example>
        Message-ID: <signet-probe-0@k7q2m4x9.smtp.signet.example>
        Subject: Trial of the way through Signet
        MIME-Version: 1.0
        Content-Type: text/plain; charset=us-ascii

        Signet sends this message to itself, to see whether mail comes back. Nobody needs to do anything about it.
        ");
    }

    #[test]
    fn words_are_fresh_and_fit_into_a_local_part() {
        let [first, second] = [word().expect("random"), word().expect("random")];
        assert_ne!(first, second);
        assert!(first.starts_with("signet-probe-") && first.len() <= 64, "{first}");
    }

    #[test]
    fn a_refused_peer_ends_no_trial_and_is_remembered_for_its_sender_only() {
        let probes = Probes::default();
        let mut waiting: Vec<_> = ["one", "two"]
            .map(|name| {
                let (done, waiting) = oneshot::channel();
                let trial = Trial { tenant: TenantId::new("t"), sender: format!("signet-probe@{name}.example"), refusal: None, done };
                probes.locked().insert(format!("signet-probe-{name}"), trial);
                waiting
            })
            .into();
        let verdict =
            Verdict { factors: vec![Factor { name: "network", agrees: false, value: "192.0.2.9".to_owned() }], reason: "a stranger" };
        for path in ["somebody@one.example", "signet-probe@one.evil.example", "SIGNET-PROBE@two.example", "signet-probe@one.example"] {
            probes.refused(&ReversePath::parse(path).expect("a path"), &verdict);
        }
        assert!(waiting.iter_mut().all(|waiting| waiting.try_recv().is_err()));
        let refusal = |word: &str| probes.locked()[word].refusal.clone();
        assert_eq!(refusal("signet-probe-one"), Some("a stranger: network was \"192.0.2.9\"".to_owned()));
        assert_eq!(refusal("signet-probe-two"), None);
        assert!(probes.expects(Mailbox::parse("signet-probe-two@smtp.signet.example").ok().as_ref()));
        assert!(!probes.expects(Mailbox::parse("signet-probe-three@smtp.signet.example").ok().as_ref()));
    }
}
