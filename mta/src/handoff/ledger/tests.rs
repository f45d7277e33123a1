use super::*;
use crate::address::Mailbox;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn at(seconds: u64) -> SystemTime {
    NOW + Duration::from_secs(1_000_000 + seconds)
}

fn to(address: &str) -> ForwardPath {
    ForwardPath::Mailbox(Mailbox::parse(address).expect("address"))
}

fn from(address: &str) -> ReversePath {
    ReversePath::Mailbox(Mailbox::parse(address).expect("address"))
}

fn identity(tenant: &str, sender: &str, content: &str) -> Identity {
    Identity::new(&TenantId::new(tenant), &from(sender), &Bytes::copy_from_slice(content.as_bytes()))
}

const MESSAGE: &str = "Received: from a\r\n\tby b; date\r\nARC-Seal: i=1; t=1\r\nMessage-ID: <1@x>\r\nReceived: kept\r\n\r\nbody\r\n";

fn settings(rows: usize) -> LedgerSettings {
    LedgerSettings { partial: Duration::from_secs(100), unconfirmed: Duration::from_secs(10), rows }
}

async fn ledger(store: Option<Store>, seconds: u64) -> Arc<Ledger> {
    Arc::new(Ledger::open(settings(1000), store, at(seconds)).await.expect("ledger"))
}

#[test]
fn a_message_is_the_same_whatever_trace_fields_the_next_attempt_has() {
    let known = identity("t", "a@x.example", MESSAGE);
    let again = "Received: from c\r\n\tby d; later\r\nMessage-ID: <1@x>\r\nReceived: kept\r\n\r\nbody\r\n";
    let again = identity("t", "a@x.example", again);
    assert_eq!((known.label, known.message()), (again.label, again.message()));
    let others = [
        ("other tenant", identity("u", "a@x.example", MESSAGE)),
        ("other sender", identity("t", "b@x.example", MESSAGE)),
        ("other body", identity("t", "a@x.example", &MESSAGE.replace("body", "Body"))),
        ("other field", identity("t", "a@x.example", &MESSAGE.replace("kept", "lost"))),
        ("no id", identity("t", "a@x.example", &MESSAGE.replace("Message-ID", "Other-ID"))),
        ("other id", identity("t", "a@x.example", &MESSAGE.replace("<1@x>", "<2@x>"))),
    ];
    for (case, other) in others {
        assert_ne!(known.message(), other.message(), "{case}");
    }
    let nameless = |body: &str| identity("t", "a@x.example", &format!("Subject: s\r\n\r\n{body}\r\n"));
    assert_eq!(nameless("one").label, nameless("one").label);
    assert_ne!(nameless("one").label, nameless("two").label, "without Message-ID the content tells messages apart");
}

#[tokio::test]
async fn records_end_with_their_time_and_survive_a_restart() {
    let store = Store::in_memory().expect("store");
    let (message, bob, eve) = (identity("t", "a@x.example", MESSAGE), to("bob@y.example"), to("eve@y.example"));
    let (bob, eve) = (message.recipient(&bob), message.recipient(&eve));
    let first = ledger(Some(store.clone()), 0).await;
    first.record_partial(&message, vec![bob], at(0)).await.expect("recorded");
    first.record_unconfirmed(&Receipt::new(message.clone(), vec![eve]).expect("it has a Message-ID"), at(0)).await.expect("recorded");
    assert_eq!(first.delivered(&message, at(9)), HashSet::from([bob, eve]));
    let second = ledger(Some(store.clone()), 9).await;
    assert_eq!(second.delivered(&message, at(9)), HashSet::from([bob, eve]));
    assert_eq!(second.delivered(&message, at(11)), HashSet::from([bob]));
    assert_eq!(ledger(Some(store.clone()), 11).await.rows(), 1);
    assert_eq!(ledger(Some(store), 101).await.rows(), 0);
    assert!(second.delivered(&message, at(101)).is_empty());
}

#[tokio::test]
async fn a_condensed_receipt_records_the_same() {
    let ledger = ledger(None, 0).await;
    let message = identity("t", "a@x.example", MESSAGE);
    let bob = message.recipient(&to("bob@y.example"));
    let mut receipt = Receipt::new(message.clone(), vec![bob]).expect("it has a Message-ID");
    receipt.condense();
    ledger.record_unconfirmed(&receipt, at(0)).await.expect("recorded");
    assert!(ledger.delivered(&message, at(1)).contains(&bob));
    assert!(ledger.delivered(&identity("t", "a@x.example", &MESSAGE.replace("body", "Body")), at(1)).is_empty());
}

#[tokio::test]
async fn a_receipt_on_hold_counts_until_the_sender_shows_that_it_lives() {
    let ledger = ledger(None, 0).await;
    let message = identity("t", "a@x.example", MESSAGE);
    let bob = message.recipient(&to("bob@y.example"));
    let hold = || ledger.hold(Receipt::new(message.clone(), vec![bob]).expect("it has a Message-ID"));
    let (first, second) = (hold(), hold());
    first.condense();
    assert_eq!(ledger.delivered(&message, at(0)), HashSet::from([bob]));
    assert!(ledger.delivered(&identity("t", "a@x.example", &MESSAGE.replace("body", "Body")), at(0)).is_empty());
    drop(first);
    assert_eq!(ledger.delivered(&message, at(0)), HashSet::from([bob]), "the second sender has shown nothing");
    drop(second);
    assert!(ledger.delivered(&message, at(0)).is_empty());
    hold().record(at(0)).await.expect("recorded");
    assert_eq!(ledger.delivered(&message, at(9)), HashSet::from([bob]));
    assert!(ledger.delivered(&message, at(11)).is_empty());
}

#[tokio::test]
async fn the_oldest_records_make_room_in_memory_and_on_disk() {
    let store = Store::in_memory().expect("store");
    let ledger = Ledger::open(settings(20), Some(store.clone()), at(0)).await.expect("ledger");
    let message = |number: u64| identity("t", "a@x.example", &format!("Message-ID: <{number}@x>\r\n\r\n"));
    let bob = to("bob@y.example");
    for number in 0..50 {
        let message = message(number);
        ledger.record_partial(&message, vec![message.recipient(&bob)], at(number)).await.expect("recorded");
    }
    assert!(ledger.rows() <= 20);
    let kept: usize = ledger.rows();
    assert_eq!(ledger.delivered(&message(49), at(50)).len(), 1);
    assert!(ledger.delivered(&message(0), at(50)).is_empty());
    let count = "SELECT count(*) FROM ledger";
    let rows: i64 = store.run(move |connection| connection.query_row(count, [], |row| row.get(0))).await.expect("count");
    assert_eq!(usize::try_from(rows).expect("count"), kept);
}

#[tokio::test]
async fn neither_addresses_nor_content_reach_the_store() {
    let store = Store::in_memory().expect("store");
    let ledger = ledger(Some(store.clone()), 0).await;
    let message = identity("t", "alice@x.example", MESSAGE);
    ledger.record_partial(&message, vec![message.recipient(&to("bob@y.example"))], at(0)).await.expect("recorded");
    let lengths =
        "SELECT length(label), length(message), length(recipient), typeof(label) || typeof(message) || typeof(recipient) FROM ledger";
    let row = store.run(move |connection| {
        connection.query_row(lengths, [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, row.get::<_, String>(3)?))
        })
    });
    assert_eq!(row.await.expect("row"), (16, 32, 16, "blobblobblob".to_owned()));
}

#[tokio::test]
async fn a_message_in_progress_is_not_begun_twice_for_the_same_recipient() {
    let ledger = ledger(None, 0).await;
    let message = identity("t", "a@x.example", MESSAGE);
    let (bob, eve) = (message.recipient(&to("bob@y.example")), message.recipient(&to("eve@y.example")));
    let first = ledger.begin(message.clone(), vec![bob]).expect("begun");
    assert!(ledger.begin(message.clone(), vec![bob, eve]).is_none());
    let other = ledger.begin(message.clone(), vec![eve]).expect("another recipient: the sender split the message");
    drop((first, other));
    assert!(ledger.begin(message, vec![bob, eve]).is_some());
    assert_eq!(ledger.rows(), 0);
}

#[tokio::test]
async fn a_cancelled_handoff_leaves_what_it_delivered_on_record() {
    let store = Store::in_memory().expect("store");
    let ledger = ledger(Some(store.clone()), 0).await;
    let message = identity("t", "a@x.example", MESSAGE);
    let (bob, eve) = (message.recipient(&to("bob@y.example")), message.recipient(&to("eve@y.example")));
    let mut progress = ledger.begin(message.clone(), vec![bob, eve]).expect("begun");
    progress.deliver(std::iter::once(1));
    drop(progress);
    let now = SystemTime::now();
    assert_eq!(ledger.delivered(&message, now), HashSet::from([eve]));
    let again = Ledger::open(settings(10), Some(store), now).await.expect("ledger");
    assert_eq!(again.delivered(&message, now), HashSet::from([eve]));
}

#[tokio::test]
async fn a_broken_store_is_reported_and_memory_still_knows() {
    let store = Store::in_memory().expect("store");
    let ledger = ledger(Some(store.clone()), 0).await;
    store.run(|connection| connection.execute_batch("DROP TABLE ledger")).await.expect("dropped");
    let message = identity("t", "a@x.example", MESSAGE);
    let bob = message.recipient(&to("bob@y.example"));
    assert!(ledger.record_partial(&message, vec![bob], at(0)).await.is_err());
    assert!(ledger.delivered(&message, at(1)).contains(&bob));
}
