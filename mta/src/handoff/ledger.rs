//! What has been delivered although the sender does not know it: so that its next attempt doubles nothing.
//!
//! Two things are recorded: the recipients of delivered copies when other copies of the message failed, and whole messages whose 250 the
//! sender may not have seen. While the sender's connection is open, the latter are [`Unconfirmed`]: a sender that died without a word may be
//! back before its old connection is known to be dead. A message is known by SHA-256 over tenant, reverse-path, Message-ID and content without the leading trace
//! fields; recipients by SHA-256 in the context of the message. No address and no content is kept. The records live in memory and, when there
//! is a store, in SQLite; a message is looked up in memory, and hashed in full only if its Message-ID is on record.
//!
//! If the store fails, the record stays in memory and the failure is logged: the sender is told the same truth, and only a restart before
//! its next attempt could double a copy. A crash of this process between two copies can do so too: SMTP has no exactly-once
//! (RFC 5321 section 6.1 accepts duplicates over losses), and a disk flush for each split message would cost more than that is worth.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use rusqlite::params;

use crate::address::{ForwardPath, ReversePath};
use crate::header;
use crate::store::{Store, StoreError};
use crate::tenant::TenantId;

/// How long records are kept, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerSettings {
    /// For copies delivered while others failed.
    pub partial: Duration,
    /// For messages whose 250 may not have arrived.
    pub unconfirmed: Duration,
    /// Recipients on record; beyond it the ones that expire first are forgotten.
    pub rows: usize,
}

impl Default for LedgerSettings {
    fn default() -> Self {
        Self {
            // RFC 5321 section 4.5.4.1: senders give up after four to five days.
            partial: Duration::from_secs(5 * 24 * 60 * 60),
            // The same section asks for at least 30 minutes between attempts, so a shorter window would miss senders that obey it; four
            // hours hold several attempts. A longer one costs memory only: the same Message-ID and content is the same message.
            unconfirmed: Duration::from_secs(4 * 60 * 60),
            // About 200 octets each: 20 MB.
            rows: 100_000,
        }
    }
}

/// Cheap to compute: tenant, reverse-path, Message-ID.
type Label = [u8; 16];
/// The whole message.
type MessageKey = [u8; 32];
/// One recipient of the message with a certain label.
type RecipientKey = [u8; 16];

/// Header fields that hops put on top. A sender that tries again may have written them afresh.
const TRACE: [&str; 8] = [
    "received",
    "return-path",
    "received-spf",
    "authentication-results",
    "dkim-signature",
    "arc-seal",
    "arc-message-signature",
    "arc-authentication-results",
];

/// Recognises a message that comes again.
#[derive(Clone)]
pub(super) struct Identity {
    tenant: TenantId,
    reverse_path: String,
    content: Bytes,
    label: Label,
    named: bool,
}

impl Identity {
    pub(super) fn new(tenant: &TenantId, reverse_path: &ReversePath, content: &Bytes) -> Self {
        let mut identity =
            Self { tenant: tenant.clone(), reverse_path: reverse_path.to_string(), content: content.clone(), label: [0; 16], named: true };
        let mut hash = Context::new(&SHA256);
        add(&mut hash, tenant.as_str().as_bytes());
        add(&mut hash, identity.reverse_path.as_bytes());
        match header::fields(content).find(|field| field.is("message-id")) {
            Some(field) => add(&mut hash, field.value),
            // Without one, only the whole message tells it from the sender's next.
            None => {
                identity.named = false;
                add(&mut hash, &identity.message());
            }
        }
        identity.label = short(hash);
        identity
    }

    pub(super) fn recipient(&self, path: &ForwardPath) -> RecipientKey {
        let mut hash = Context::new(&SHA256);
        add(&mut hash, &self.label);
        match path {
            ForwardPath::Postmaster => add(&mut hash, b"postmaster"),
            ForwardPath::Mailbox(mailbox) => add(&mut hash, mailbox.as_str().as_bytes()),
        }
        short(hash)
    }

    fn message(&self) -> MessageKey {
        let start =
            header::fields(&self.content).find(|field| !TRACE.iter().any(|name| field.is(name))).map_or(0, |field| field.span.start);
        let mut hash = Context::new(&SHA256);
        add(&mut hash, self.tenant.as_str().as_bytes());
        add(&mut hash, self.reverse_path.as_bytes());
        add(&mut hash, &self.content[start..]);
        let mut key = [0; 32];
        key.copy_from_slice(hash.finish().as_ref());
        key
    }
}

/// Length first, so that no two lists of parts run together to the same octets.
fn add(hash: &mut Context, part: &[u8]) {
    hash.update(&(part.len() as u64).to_be_bytes());
    hash.update(part);
}

fn short(hash: Context) -> [u8; 16] {
    let mut key = [0; 16];
    key.copy_from_slice(&hash.finish().as_ref()[..16]);
    key
}

/// A delivered message whose sender has not shown yet that it has our 250. Holds the content until it is dropped or [`Self::condense`]d.
pub struct Receipt {
    label: Label,
    recipients: Vec<RecipientKey>,
    message: Message,
}

enum Message {
    Content(Identity),
    Key(MessageKey),
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Receipt").field("recipients", &self.recipients.len()).finish_non_exhaustive()
    }
}

impl Receipt {
    /// Nothing for a message without Message-ID: a machine that reports the same thing twice sends the same octets twice, and taking the second
    /// message for the first one tried again would lose it. A doubled one is the smaller harm.
    pub(super) fn new(identity: Identity, recipients: Vec<RecipientKey>) -> Option<Self> {
        identity.named.then(|| Self { label: identity.label, recipients, message: Message::Content(identity) })
    }

    /// Hashes the content and lets go of it; for a sender that stays silent, so that its message does not stay in memory.
    pub fn condense(&mut self) {
        self.message = Message::Key(self.key());
    }

    fn key(&self) -> MessageKey {
        match &self.message {
            Message::Content(identity) => identity.message(),
            Message::Key(key) => *key,
        }
    }
}

/// A receipt on hold: while this lives, the same message over another connection counts as delivered. Dropping it says that the sender has our
/// 250.
pub struct Unconfirmed {
    ledger: Arc<Ledger>,
    receipt: Arc<Mutex<Receipt>>,
}

impl std::fmt::Debug for Unconfirmed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Unconfirmed").finish_non_exhaustive()
    }
}

impl Unconfirmed {
    /// See [`Receipt::condense`].
    pub fn condense(&self) {
        lock(&self.receipt).condense();
    }

    /// The sender went away: see [`Ledger::record_unconfirmed`].
    pub async fn record(self, now: SystemTime) -> Result<(), StoreError> {
        let (label, key, recipients) = {
            let receipt = lock(&self.receipt);
            (receipt.label, receipt.key(), receipt.recipients.clone())
        };
        self.ledger.record(label, key, recipients, now, self.ledger.settings.unconfirmed).await
    }
}

impl Drop for Unconfirmed {
    fn drop(&mut self) {
        let label = lock(&self.receipt).label;
        let mut memory = self.ledger.memory();
        if let Some(held) = memory.unconfirmed.get_mut(&label) {
            held.retain(|receipt| !Arc::ptr_eq(receipt, &self.receipt));
            if held.is_empty() {
                memory.unconfirmed.remove(&label);
            }
        }
    }
}

fn lock(receipt: &Mutex<Receipt>) -> MutexGuard<'_, Receipt> {
    receipt.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The records.
pub struct Ledger {
    settings: LedgerSettings,
    store: Option<Store>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    delivered: HashMap<Label, Vec<Row>>,
    rows: usize,
    handing_off: HashSet<(Label, RecipientKey)>,
    unconfirmed: HashMap<Label, Vec<Arc<Mutex<Receipt>>>>,
}

struct Row {
    message: MessageKey,
    recipient: RecipientKey,
    expires: SystemTime,
}

impl Ledger {
    /// Reads what an earlier run recorded. Without a store the records end with the process.
    pub async fn open(settings: LedgerSettings, store: Option<Store>, now: SystemTime) -> Result<Self, StoreError> {
        let mut memory = Memory::default();
        if let Some(store) = &store {
            let (now, limit) = (seconds(now), i64::try_from(settings.rows).unwrap_or(i64::MAX));
            for (label, row) in store.run(move |connection| load(connection, now, limit)).await? {
                memory.insert(label, row);
            }
        }
        Ok(Self { settings, store, memory: Mutex::new(memory) })
    }

    /// How many recipients are on record, for the metrics.
    pub fn rows(&self) -> usize {
        self.memory().rows
    }

    /// Records a delivered message whose sender went away before it showed that it has our 250. Its next attempt is answered 250 without
    /// sending anything again.
    pub async fn record_unconfirmed(&self, receipt: &Receipt, now: SystemTime) -> Result<(), StoreError> {
        self.record(receipt.label, receipt.key(), receipt.recipients.clone(), now, self.settings.unconfirmed).await
    }

    /// Records the recipients of delivered copies of a message that failed in part.
    pub(super) async fn record_partial(
        &self,
        identity: &Identity,
        recipients: Vec<RecipientKey>,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        self.record(identity.label, identity.message(), recipients, now, self.settings.partial).await
    }

    /// Holds a receipt until its sender has shown that it has our 250, or has gone.
    pub fn hold(self: &Arc<Self>, receipt: Receipt) -> Unconfirmed {
        let label = receipt.label;
        let receipt = Arc::new(Mutex::new(receipt));
        self.memory().unconfirmed.entry(label).or_default().push(Arc::clone(&receipt));
        Unconfirmed { ledger: Arc::clone(self), receipt }
    }

    /// Those of the recipients that have the message already.
    pub(super) fn delivered(&self, identity: &Identity, now: SystemTime) -> HashSet<RecipientKey> {
        // Hashing the content takes time; nobody else should wait for it.
        let held = {
            let memory = self.memory();
            let held = memory.unconfirmed.get(&identity.label).cloned().unwrap_or_default();
            if held.is_empty() && !memory.delivered.contains_key(&identity.label) {
                return HashSet::new();
            }
            held
        };
        let message = identity.message();
        let mut delivered = HashSet::new();
        for receipt in &held {
            let receipt = lock(receipt);
            if receipt.key() == message {
                delivered.extend(receipt.recipients.iter().copied());
            }
        }
        let memory = self.memory();
        let rows = memory.delivered.get(&identity.label).map_or(&[][..], Vec::as_slice);
        delivered.extend(rows.iter().filter(|row| row.message == message && row.expires > now).map(|row| row.recipient));
        delivered
    }

    /// Marks a message as being handed off; `None` when it already is, to one of these recipients.
    pub(super) fn begin(self: &Arc<Self>, identity: Identity, recipients: Vec<RecipientKey>) -> Option<InProgress> {
        let mut memory = self.memory();
        if recipients.iter().any(|recipient| memory.handing_off.contains(&(identity.label, *recipient))) {
            return None;
        }
        memory.handing_off.extend(recipients.iter().map(|recipient| (identity.label, *recipient)));
        drop(memory);
        Some(InProgress { ledger: Arc::clone(self), identity, recipients, delivered: Vec::new() })
    }

    async fn record(
        &self,
        label: Label,
        message: MessageKey,
        recipients: Vec<RecipientKey>,
        now: SystemTime,
        keep: Duration,
    ) -> Result<(), StoreError> {
        let (expires, forget) = self.remember(label, message, &recipients, now, keep);
        match &self.store {
            Some(store) => {
                store.run(move |connection| save(connection, label, message, &recipients, seconds(expires), seconds(forget))).await
            }
            None => Ok(()),
        }
    }

    /// Answers when the new records expire, and up to which expiry the old ones are forgotten.
    fn remember(
        &self,
        label: Label,
        message: MessageKey,
        recipients: &[RecipientKey],
        now: SystemTime,
        keep: Duration,
    ) -> (SystemTime, SystemTime) {
        let expires = now + keep;
        let mut memory = self.memory();
        let forget = memory.make_room(recipients.len(), self.settings.rows, now);
        for recipient in recipients {
            memory.insert(label, Row { message, recipient: *recipient, expires });
        }
        (expires, forget)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn insert(&mut self, label: Label, row: Row) {
        let rows = self.delivered.entry(label).or_default();
        match rows.iter_mut().find(|known| known.message == row.message && known.recipient == row.recipient) {
            Some(known) => known.expires = known.expires.max(row.expires),
            None => {
                rows.push(row);
                self.rows += 1;
            }
        }
    }

    /// Forgets what must be forgotten for so many more; answers up to which expiry that was.
    fn make_room(&mut self, more: usize, limit: usize, now: SystemTime) -> SystemTime {
        if self.rows + more <= limit {
            return now;
        }
        self.forget(now);
        if self.rows + more <= limit {
            return now;
        }
        // A tenth at a time, so that this does not happen again with the next record.
        let mut ends: Vec<SystemTime> = self.delivered.values().flatten().map(|row| row.expires).collect();
        ends.sort_unstable();
        let count = (more + limit / 10).min(ends.len());
        let Some(last) = count.checked_sub(1).map(|index| ends[index]) else { return now };
        tracing::warn!(event = "ledger.full", rows = self.rows, forgotten = count, "the ledger is full; the oldest records are forgotten");
        self.forget(last);
        last
    }

    fn forget(&mut self, expired: SystemTime) {
        self.delivered.retain(|_, rows| {
            rows.retain(|row| row.expires > expired);
            !rows.is_empty()
        });
        self.rows = self.delivered.values().map(Vec::len).sum();
    }
}

/// A message that is being handed off. If this is dropped before [`Self::finish`], the copies that were delivered until then are recorded.
pub(super) struct InProgress {
    ledger: Arc<Ledger>,
    identity: Identity,
    recipients: Vec<RecipientKey>,
    delivered: Vec<RecipientKey>,
}

impl InProgress {
    /// Notes that these recipients have their copy.
    pub(super) fn deliver(&mut self, recipients: impl Iterator<Item = usize>) {
        self.delivered.extend(recipients.map(|index| self.recipients[index]));
    }

    /// How many recipients have their copy.
    pub(super) fn delivered(&self) -> usize {
        self.delivered.len()
    }

    /// Everything was delivered: nothing to record unless the sender goes away.
    pub(super) fn finish(mut self) -> Option<Receipt> {
        self.delivered.clear();
        Receipt::new(self.identity.clone(), self.recipients.clone())
    }

    /// Something was not delivered: records what was.
    pub(super) async fn finish_in_part(mut self, now: SystemTime) {
        if self.delivered.is_empty() {
            return;
        }
        if let Err(error) = self.ledger.record_partial(&self.identity, self.delivered.clone(), now).await {
            tracing::error!(event = "ledger.not-kept", %error, "delivered copies are on record in memory only");
        }
        self.delivered.clear();
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        let label = self.identity.label;
        {
            let mut memory = self.ledger.memory();
            for recipient in &self.recipients {
                memory.handing_off.remove(&(label, *recipient));
            }
        }
        if self.delivered.is_empty() {
            return;
        }
        let (now, message, recipients) = (SystemTime::now(), self.identity.message(), std::mem::take(&mut self.delivered));
        let (expires, forget) = self.ledger.remember(label, message, &recipients, now, self.ledger.settings.partial);
        if let Some(store) = &self.ledger.store
            && let Err(error) =
                store.post(move |connection| save(connection, label, message, &recipients, seconds(expires), seconds(forget)))
        {
            tracing::error!(event = "ledger.not-kept", %error, "delivered copies are on record in memory only");
        }
    }
}

fn seconds(time: SystemTime) -> i64 {
    i64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()).unwrap_or(i64::MAX)
}

fn load(connection: &mut rusqlite::Connection, now: i64, limit: i64) -> rusqlite::Result<Vec<(Label, Row)>> {
    connection.execute("DELETE FROM ledger WHERE expires <= ?1", [now])?;
    let mut statement = connection.prepare("SELECT label, message, recipient, expires FROM ledger ORDER BY expires DESC LIMIT ?1")?;
    let rows = statement.query_map([limit], |row| {
        let expires = UNIX_EPOCH + Duration::from_secs(u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0));
        Ok((row.get(0)?, Row { message: row.get(1)?, recipient: row.get(2)?, expires }))
    })?;
    rows.collect()
}

fn save(
    connection: &mut rusqlite::Connection,
    label: Label,
    message: MessageKey,
    recipients: &[RecipientKey],
    expires: i64,
    forget: i64,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute("DELETE FROM ledger WHERE expires <= ?1", [forget])?;
    {
        let mut insert = transaction.prepare_cached(
            "INSERT INTO ledger (label, message, recipient, expires) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (message, recipient) DO UPDATE SET expires = max(expires, excluded.expires)",
        )?;
        for recipient in recipients {
            insert.execute(params![label, message, recipient, expires])?;
        }
    }
    transaction.commit()
}

#[cfg(test)]
mod tests;
