use super::*;
use crate::address::{ForwardPath, Mailbox};
use crate::handoff::{LedgerSettings, RouteLimits};
use crate::message::{Body, Ret};
use crate::smtp::client::testing::{ALL, Act, Hop, Step};
use crate::smtp::client::{ClientError, SystemResolver, Timeouts};
use crate::store::Store;
use crate::tenant::TenantId;
use crate::tls::testing::{Authority, Folder};
use crate::tls::{ClientAuthentication, ClientTls, ClientTlsSettings, ServerTls, ServerTlsSettings};

struct World {
    hop: Hop,
    pool: Arc<Pool>,
    ledger: Arc<Ledger>,
    route: Arc<Route>,
}

fn limits() -> RouteLimits {
    let short = Duration::from_secs(1);
    let timeouts =
        Timeouts { connect: short, greeting: short, command: short, data_initiation: short, data_block: short, data_termination: short };
    RouteLimits { connections: 2, wait: short, idle: Duration::from_secs(30), timeouts, ..RouteLimits::default() }
}

fn route(hop: &Hop, tenant: &str) -> Route {
    Route {
        tenant: TenantId::new(tenant),
        host: "127.0.0.1".to_owned(),
        port: hop.address.port(),
        server_name: "next.example".to_owned(),
        tls: None,
        identity: String::new(),
        hello: "signet.example".to_owned(),
        limits: limits(),
    }
}

impl World {
    async fn with(extensions: &'static [&'static str]) -> Self {
        let hop = Hop::start(None, extensions).await;
        let store = Store::in_memory().expect("store");
        let ledger = Ledger::open(LedgerSettings::default(), Some(store), SystemTime::now()).await.expect("ledger");
        let pool = Arc::new(Pool::new(Arc::new(SystemResolver), 100));
        let route = Arc::new(route(&hop, "tenant"));
        Self { hop, pool, ledger: Arc::new(ledger), route }
    }

    async fn new() -> Self {
        Self::with(ALL).await
    }

    /// With TLS and a client certificate. The files are read once; they may go when this returns.
    async fn secure() -> Self {
        let (folder, authority) = (Folder::new(), Authority::new("root"));
        let hop = Hop::start(Some(server(&folder, &authority, ClientAuthentication::Required(authority.roots(&folder)))), ALL).await;
        let tls = client(&folder, &authority, Some("tenant.example"));
        let route = Arc::new(Route { tls: Some(tls.config), identity: tls.identity, ..route(&hop, "tenant") });
        Self { hop, route, ..Self::new().await }
    }

    fn begin(&self, parameters: MailParameters) -> Transaction {
        let sender = ReversePath::Mailbox(Mailbox::parse("alice@example.com").expect("address"));
        Transaction::new(Arc::clone(&self.route), Arc::clone(&self.pool), Arc::clone(&self.ledger), sender, parameters)
    }

    /// A transaction that bob, carol and dave were accepted in.
    async fn ready(&self) -> Transaction {
        let mut transaction = self.begin(MailParameters::default());
        for name in NAMES {
            assert_eq!(transaction.recipient(&to(name)).await.code, 250);
        }
        transaction
    }

    /// One attempt of a sender: MAIL, three RCPTs, end of data.
    async fn attempt(&self, split: bool) -> Result<HandedOff, Reply> {
        let mut transaction = self.begin(MailParameters::default());
        for reply in transaction.recipients(&NAMES.map(to)).await {
            if !reply.is_positive() {
                transaction.abort().await;
                return Err(reply);
            }
        }
        deliver(transaction, split).await.map_err(|undelivered| undelivered.reply)
    }
}

fn server(folder: &Folder, authority: &Authority, client: ClientAuthentication) -> Arc<ServerTls> {
    let certificates = vec![authority.files(folder, "next", &["next.example"])];
    let settings = ServerTlsSettings { certificates, client, reload_interval: Duration::from_secs(3600) };
    Arc::new(ServerTls::load(settings, SystemTime::now()).expect("server"))
}

fn client(folder: &Folder, authority: &Authority, name: Option<&str>) -> ClientTls {
    let certificate = name.map(|name| authority.files(folder, name, &[name]));
    ClientTls::load(&ClientTlsSettings { certificate, roots: authority.roots(folder) }, SystemTime::now()).expect("client")
}

const NAMES: [&str; 3] = ["bob@example.net", "carol@example.net", "dave@example.net"];
const CONTENT: &[u8] = b"Message-ID: <1@example.com>\r\n\r\noriginal\r\n";

fn to(address: &str) -> Recipient {
    Recipient { path: ForwardPath::Mailbox(Mailbox::parse(address).expect("address")), notify: None, orcpt: None }
}

async fn deliver(transaction: Transaction, split: bool) -> Result<HandedOff, Undelivered> {
    let whole = [Bytes::from_static(b"X: 1\r\n\r\n"), Bytes::from_static(b"whole\r\n")];
    let internal = [Bytes::from_static(b"X: 1\r\n\r\ninternal\r\n")];
    let external = [Bytes::from_static(b"X: 1\r\n\r\nexternal\r\n")];
    let copies = if split {
        vec![Outgoing { recipients: &[0, 2], pieces: &internal }, Outgoing { recipients: &[1], pieces: &external }]
    } else {
        vec![Outgoing { recipients: &[0, 1, 2], pieces: &whole }]
    };
    transaction.deliver_copies(&Bytes::from_static(CONTENT), copies).await
}

fn expected(split: bool) -> Vec<(String, String)> {
    let bodies = if split { ["internal", "external", "internal"] } else { ["whole"; 3] };
    NAMES.iter().zip(bodies).map(|(name, body)| ((*name).to_owned(), body.to_owned())).collect()
}

#[tokio::test]
async fn the_next_hops_own_answers_come_back() {
    let world = World::new().await;
    world.hop.fault(Step::Rcpt, 2, Act::Say("550 5.1.10 no such person here"));
    let mut transaction = world.begin(MailParameters::default());
    let replies = transaction.recipients(&NAMES.map(to)).await;
    assert_eq!(replies[0], Reply::new(250, (2, 1, 5), "recipient ok"));
    assert_eq!(replies[1], Reply::new(550, (5, 1, 10), "no such person here"));
    assert_eq!(transaction.accepted().len(), 2);
    let pieces = [Bytes::from_static(b"A: b\r\n\r\n")];
    let copies = vec![Outgoing { recipients: &[0, 1], pieces: &pieces }];
    let done = transaction.deliver_copies(&Bytes::from_static(CONTENT), copies).await.expect("handed off");
    assert_eq!(*done.reply(), Reply::new(250, (2, 6, 0), "queued as 1"));
    assert_eq!((done.copies(), done.is_repeat()), (1, false));
    assert_eq!(world.hop.deliveries()[0].recipients, [NAMES[0], NAMES[2]]);
}

#[tokio::test]
async fn a_refused_mail_is_the_answer_to_every_rcpt() {
    for extensions in [ALL, &[]] {
        let world = World::with(extensions).await;
        world.hop.fault(Step::Mail, 1, Act::Say("550 5.7.64 TenantAttribution; Relay Access Denied"));
        let mut transaction = world.begin(MailParameters::default());
        for name in NAMES {
            let reply = transaction.recipient(&to(name)).await;
            assert_eq!(reply, Reply::new(550, (5, 7, 64), "TenantAttribution; Relay Access Denied"));
        }
        assert_eq!(world.hop.commands().iter().filter(|line| line.starts_with("MAIL")).count(), 1);
        transaction.abort().await;
        assert!(world.attempt(false).await.is_ok(), "the connection is still good");
        assert_eq!(world.hop.connections(), 1);
    }
}

#[tokio::test]
async fn envelope_parameters_reach_the_next_hop_with_every_copy() {
    let world = World::new().await;
    let parameters = MailParameters {
        body: Some(Body::EightBitMime),
        size: Some(77),
        ret: Some(Ret::Full),
        envid: Some("ID1".to_owned()),
        smtputf8: true,
    };
    let mut transaction = world.begin(parameters);
    for name in NAMES {
        let recipient = Recipient { notify: Some("NEVER".to_owned()), orcpt: Some(format!("rfc822;{name}")), ..to(name) };
        assert!(transaction.recipient(&recipient).await.is_positive());
    }
    deliver(transaction, true).await.expect("handed off");
    let commands = world.hop.commands();
    let mails: Vec<_> = commands.iter().filter(|line| line.starts_with("MAIL")).collect();
    let line = |size: usize| format!("MAIL FROM:<alice@example.com> SMTPUTF8 BODY=8BITMIME SIZE={size} RET=FULL ENVID=ID1");
    let estimate = 77 + 64 * 1024;
    assert_eq!(mails, [&line(estimate), &line(18), &line(18)]);
    let carol = "RCPT TO:<carol@example.net> NOTIFY=NEVER ORCPT=rfc822;carol@example.net";
    assert_eq!(commands.iter().filter(|line| *line == carol).count(), 2, "at RCPT, and with her copy");
}

#[tokio::test]
async fn a_next_hop_that_lacks_an_extension_gets_what_it_can_take_or_nothing() {
    let utf8 = MailParameters { smtputf8: true, ..MailParameters::default() };
    let world = World::with(&["PIPELINING", "SIZE 50"]).await;
    let mut transaction = world.begin(utf8);
    assert_eq!(transaction.recipient(&to(NAMES[0])).await.enhanced, Some((5, 6, 7)));
    let mut transaction = world.begin(MailParameters { size: Some(51), ..MailParameters::default() });
    assert_eq!(transaction.recipient(&to(NAMES[0])).await.enhanced, Some((5, 3, 4)));
    let mut transaction = world.begin(MailParameters::default());
    let replies = transaction.recipients(&[to("bob@example.net"), to("b\u{f6}b@example.net")]).await;
    assert_eq!((replies[0].code, replies[1].code, replies[1].enhanced), (250, 553, Some((5, 6, 7))));
    let table = [("\u{f6}".to_owned(), 554, (5, 6, 3)), ("x".repeat(60), 552, (5, 3, 4))];
    for (body, code, enhanced) in table {
        let mut transaction = world.begin(MailParameters { body: Some(Body::EightBitMime), ..MailParameters::default() });
        assert!(transaction.recipient(&to(NAMES[0])).await.is_positive());
        let pieces = [Bytes::from_static(b"A: b\r\n\r\n"), Bytes::from(body)];
        let copies = vec![Outgoing { recipients: &[0], pieces: &pieces }];
        let undelivered = transaction.deliver_copies(&Bytes::from_static(CONTENT), copies).await.expect_err("refused");
        assert_eq!((undelivered.reply.code, undelivered.reply.enhanced), (code, Some(enhanced)));
    }
    assert!(world.hop.deliveries().is_empty());
    assert!(!world.hop.commands().iter().any(|line| line.contains("BODY=")));
}

#[tokio::test]
async fn copies_go_out_in_transactions_of_their_own_over_the_same_connection() {
    for extensions in [ALL, &["PIPELINING"], &[]] {
        let world = World::with(extensions).await;
        let done = world.attempt(true).await.expect("handed off");
        assert_eq!((done.copies(), done.reply().lines[0].as_str()), (2, "queued as 2"));
        assert_eq!(world.hop.mailboxes(), expected(true));
        assert_eq!((world.hop.connections(), world.ledger.rows()), (1, 0));
    }
}

/// What a sender does: it tries again as long as the answer is 4yz.
async fn until_settled(world: &World, split: bool) -> Vec<u16> {
    let mut codes = Vec::new();
    for attempt in 0..4 {
        if attempt == 1 {
            world.hop.heal();
        }
        match world.attempt(split).await {
            Ok(done) => {
                codes.push(done.reply().code);
                break;
            }
            Err(reply) => {
                let transient = reply.is_transient();
                codes.push(reply.code);
                if !transient {
                    break;
                }
            }
        }
    }
    codes
}

#[tokio::test]
async fn a_next_hop_that_fails_at_any_step_loses_and_doubles_nothing() {
    let steps = [Step::Greeting, Step::Hello, Step::Mail, Step::Rcpt, Step::Data, Step::Content, Step::Final, Step::Rset];
    let acts = [Act::Close, Act::Silence, Act::Leave("421 4.3.2 shutting down"), Act::Say("451 4.3.0 try later")];
    for extensions in [Some(ALL), Some(&["PIPELINING"]), Some(&[]), None] {
        let mut cases = tokio::task::JoinSet::new();
        for step in steps {
            for act in acts.clone() {
                for (split, nth) in [(false, 1), (true, 1), (true, 2), (true, 3)] {
                    let act = act.clone();
                    cases.spawn(async move {
                        let case = format!("{extensions:?} {step:?} {act:?} {split} {nth}");
                        let world = match extensions {
                            Some(extensions) => World::with(extensions).await,
                            None => World::secure().await,
                        };
                        world.hop.fault(step, nth, act);
                        let codes = until_settled(&world, split).await;
                        assert!(codes.last() == Some(&250) && codes.len() <= 2, "{case}: {codes:?}");
                        assert_eq!(world.hop.mailboxes(), expected(split), "{case}");
                    });
                }
            }
        }
        cases.join_all().await;
    }
}

#[tokio::test]
async fn a_permanent_refusal_comes_back_at_once_at_every_step() {
    for step in [Step::Mail, Step::Rcpt, Step::Data, Step::Final] {
        for extensions in [ALL, &[]] {
            let world = World::with(extensions).await;
            world.hop.fault(step, 1, Act::Say("554 5.7.1 refused by policy"));
            let reply = world.attempt(false).await.expect_err("refused");
            assert_eq!(reply, Reply::new(554, (5, 7, 1), "refused by policy"), "{step:?}");
            assert!(world.hop.deliveries().is_empty());
            world.hop.heal();
            world.attempt(false).await.expect("the next message goes through");
        }
    }
}

#[tokio::test]
async fn a_retry_after_a_failed_second_copy_sends_only_that_one() {
    let world = World::new().await;
    world.hop.fault(Step::Final, 2, Act::Say("452 4.2.2 mailbox full"));
    let undelivered = deliver(world.ready().await, true).await.expect_err("second copy");
    assert_eq!((undelivered.reply.code, undelivered.delivered), (452, 2));
    assert_eq!(world.ledger.rows(), 2);
    let done = deliver(world.ready().await, true).await.expect("handed off");
    assert_eq!((done.copies(), done.is_repeat()), (1, true));
    assert_eq!(world.hop.mailboxes(), expected(true));
}

#[tokio::test]
async fn a_copy_that_failed_for_good_is_told_although_another_was_delivered() {
    let world = World::new().await;
    world.hop.fault(Step::Final, 2, Act::Say("550 5.7.1 content refused"));
    let undelivered = deliver(world.ready().await, true).await.expect_err("second copy");
    assert_eq!((undelivered.reply.code, undelivered.delivered), (550, 2));
    let world = World::new().await;
    world.hop.fault(Step::Final, 1, Act::Say("550 5.7.1 content refused"));
    world.hop.fault(Step::Final, 2, Act::Say("451 4.7.1 later"));
    assert_eq!(deliver(world.ready().await, true).await.expect_err("both").reply.code, 451, "a retry is worth while");
}

#[tokio::test]
async fn a_recipient_refused_only_with_its_copy_is_told_and_the_others_get_theirs() {
    for (answer, code) in [("452 4.2.2 full now", 452), ("550 5.1.1 gone now", 550)] {
        let world = World::new().await;
        // The first three RCPTs are the sender's, the fourth and fifth are the first copy's.
        world.hop.fault(Step::Rcpt, 5, Act::Say(answer));
        let undelivered = deliver(world.ready().await, true).await.expect_err("dave");
        assert_eq!((undelivered.reply.code, undelivered.delivered), (code, 2));
        world.hop.heal();
        deliver(world.ready().await, true).await.expect("dave again");
        assert_eq!(world.hop.mailboxes(), expected(true));
    }
}

#[tokio::test]
async fn a_lost_final_answer_is_not_a_success() {
    let world = World::new().await;
    world.hop.fault(Step::Unanswered, 1, Act::Close);
    let undelivered = deliver(world.ready().await, false).await.expect_err("unanswered");
    assert_eq!((undelivered.reply.code, undelivered.reply.enhanced), (451, Some((4, 4, 2))));
    assert!(matches!(undelivered.trouble, Some(Trouble::Client(error)) if error.is_ambiguous()));
}

#[tokio::test]
async fn a_sender_that_never_saw_the_success_is_told_again_and_nothing_is_sent() {
    for split in [false, true] {
        let world = World::new().await;
        let done = world.attempt(split).await.expect("handed off");
        world.ledger.record_unconfirmed(&done.into_receipt().expect("it has a Message-ID"), SystemTime::now()).await.expect("recorded");
        let again = world.attempt(split).await.expect("handed off before");
        assert_eq!((again.reply().code, again.copies(), again.is_repeat()), (250, 0, true));
        assert_eq!(world.hop.mailboxes(), expected(split));
    }
}

#[tokio::test]
async fn the_same_message_over_two_connections_is_sent_once() {
    let world = World::new().await;
    let (first, second) = (world.ready().await, world.ready().await);
    let (first, second) = tokio::join!(deliver(first, false), deliver(second, false));
    let refused = [first, second].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(matches!(&refused[..], [Undelivered { trouble: Some(Trouble::Repeated), .. }]));
    assert_eq!(world.hop.mailboxes(), expected(false));
}

#[tokio::test]
async fn copies_that_do_not_cover_the_recipients_are_not_sent() {
    let world = World::new().await;
    let pieces = [Bytes::from_static(b"A: b\r\n\r\n")];
    for recipients in [vec![&[0, 1][..]], vec![&[0, 1, 2], &[2]], vec![&[0, 1, 3]], vec![]] {
        let copies = recipients.into_iter().map(|recipients| Outgoing { recipients, pieces: &pieces }).collect();
        let undelivered = world.ready().await.deliver_copies(&Bytes::from_static(CONTENT), copies).await.expect_err("refused");
        assert!(matches!(undelivered.trouble, Some(Trouble::Copies { recipients: 3 })));
    }
    assert!(world.hop.deliveries().is_empty());
}

#[tokio::test]
async fn a_kept_connection_that_closed_is_replaced_silently() {
    for world in [World::new().await, World::secure().await] {
        // At once with the answer, so that it is seen before use; and only when it is used again.
        world.hop.fault(Step::Afterwards, 1, Act::Close);
        world.attempt(false).await.expect("first");
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.attempt(false).await.expect("second");
        assert_eq!(world.hop.connections(), 2);
        for (nth, act) in [(3, Act::Close), (5, Act::Leave("421 4.4.2 idle for too long"))] {
            world.hop.fault(Step::Mail, nth, act);
            world.attempt(false).await.expect("replaced");
        }
        assert_eq!(world.hop.connections(), 4);
        assert_eq!(world.hop.deliveries().len(), 4);
    }
}

#[tokio::test]
async fn a_connection_that_closed_between_rcpt_and_end_of_data_is_replaced() {
    let world = World::new().await;
    world.hop.fault(Step::Rcpt, 3, Act::Leave("250 2.1.5 ok"));
    let transaction = world.ready().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    deliver(transaction, false).await.expect("handed off");
    assert_eq!((world.hop.mailboxes(), world.hop.connections()), (expected(false), 2));
}

#[tokio::test]
async fn an_abandoned_transaction_sends_nothing_and_keeps_the_connection() {
    let world = World::new().await;
    world.ready().await.abort().await;
    world.begin(MailParameters::default()).abort().await;
    assert_eq!(world.hop.commands().last().map(String::as_str), Some("RSET"));
    world.attempt(false).await.expect("next");
    assert_eq!((world.hop.connections(), world.hop.deliveries().len()), (1, 1));
}

#[tokio::test]
async fn a_cancelled_handoff_closes_the_connection_and_remembers_what_was_delivered() {
    let world = World::new().await;
    world.hop.fault(Step::Final, 2, Act::Silence);
    let transaction = world.ready().await;
    // Long enough for the first copy on a busy machine; the second never gets an answer.
    let cancelled = timeout(Duration::from_millis(700), deliver(transaction, true)).await;
    assert!(cancelled.is_err());
    assert_eq!((world.ledger.rows(), world.pool.idle()), (2, 0));
    world.hop.heal();
    world.attempt(true).await.expect("the rest");
    assert_eq!(world.hop.mailboxes(), expected(true));
}

#[tokio::test]
async fn a_late_tenant_gets_its_recipient_and_content_in_one_go() {
    let world = World::new().await;
    world.hop.fault(Step::Rcpt, 1, Act::Say("550 5.1.1 unknown"));
    let transaction = world.begin(MailParameters::default());
    let undelivered = deliver_late(transaction, &to(NAMES[0]), &Bytes::from_static(CONTENT), &[]).await.expect_err("refused");
    assert_eq!(undelivered.reply.code, 550);
}

#[tokio::test]
async fn too_many_connections_and_slow_answers_become_451_in_time() {
    let world = World::new().await;
    let busy = [world.ready().await, world.ready().await];
    let reply = world.begin(MailParameters::default()).recipient(&to(NAMES[0])).await;
    assert_eq!((reply.code, reply.enhanced), (451, Some((4, 3, 2))));
    for transaction in busy {
        transaction.abort().await;
    }
    let mut route = route(&world.hop, "impatient");
    route.limits.recipient_within = Duration::from_millis(50);
    let world = World { route: Arc::new(route), ..world };
    world.hop.fault(Step::Mail, 0, Act::Silence);
    let mut transaction = world.begin(MailParameters::default());
    assert_eq!(transaction.recipient(&to(NAMES[0])).await.enhanced, Some((4, 4, 1)));
    assert!(matches!(transaction.trouble(), Some(Trouble::Deadline { .. })));
}

#[tokio::test]
async fn a_next_hop_that_is_down_gives_451_4_4_1_at_rcpt() {
    let mut world = World::new().await;
    let mut down = route(&world.hop, "tenant");
    down.port = 1;
    world.route = Arc::new(down);
    let mut transaction = world.begin(MailParameters::default());
    let reply = transaction.recipient(&to(NAMES[0])).await;
    assert_eq!((reply.code, reply.enhanced), (451, Some((4, 4, 1))));
    assert!(matches!(transaction.trouble(), Some(Trouble::Client(ClientError::Connect { .. }))));
}

#[tokio::test]
async fn connections_are_never_shared_between_tenants_or_certificates() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let hop = Hop::start(Some(server(&folder, &authority, ClientAuthentication::Required(authority.roots(&folder)))), ALL).await;
    let world = World { hop, ..World::new().await };
    let route = |tenant: &str, certificate: &str| {
        let tls = client(&folder, &authority, Some(certificate));
        Arc::new(Route { tls: Some(tls.config), identity: tls.identity, ..route(&world.hop, tenant) })
    };
    let routes = [route("one", "one.example"), route("two", "two.example"), route("one", "renewed.example")];
    let mut world = world;
    for _ in 0..3 {
        for route in &routes {
            world.route = Arc::clone(route);
            world.attempt(true).await.expect("handed off");
        }
    }
    assert_eq!(world.hop.connections(), 3);
    let mut names: Vec<_> = world.hop.deliveries().into_iter().map(|delivery| (delivery.connection, delivery.names)).collect();
    names.sort();
    names.dedup();
    let own = ["one.example", "two.example", "renewed.example"].map(|name| vec![name.to_owned()]);
    assert_eq!(names, (1..=3).zip(own).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_wrong_certificate_gives_451_4_7_5_and_missing_starttls_4_7_4() {
    let (folder, authority, stranger) = (Folder::new(), Authority::new("root"), Authority::new("stranger"));
    let tls = server(&folder, &stranger, ClientAuthentication::None);
    let config = client(&folder, &authority, None).config;
    for (tls, detail) in [(Some(tls), 5), (None, 4)] {
        let hop = Hop::start(tls, ALL).await;
        let mut world = World { hop, ..World::new().await };
        world.route = Arc::new(Route { tls: Some(Arc::clone(&config)), ..route(&world.hop, "tenant") });
        let reply = world.begin(MailParameters::default()).recipient(&to(NAMES[0])).await;
        assert_eq!((reply.code, reply.enhanced), (451, Some((4, 7, detail))));
    }
}

#[tokio::test]
async fn idle_connections_are_bounded_in_number_time_and_messages() {
    let mut world = World::new().await;
    let mut spent = route(&world.hop, "spent");
    spent.limits.messages_per_connection = 2;
    world.route = Arc::new(spent);
    for _ in 0..4 {
        world.attempt(false).await.expect("handed off");
    }
    assert_eq!((world.hop.connections(), world.pool.idle()), (2, 0));
    world.route = Arc::new(route(&world.hop, "idle"));
    world.attempt(false).await.expect("handed off");
    assert_eq!(world.pool.idle(), 1);
    world.pool.sweep(std::time::Instant::now()).await;
    assert_eq!(world.pool.idle(), 1);
    world.pool.sweep(std::time::Instant::now() + Duration::from_secs(31)).await;
    assert_eq!(world.pool.idle(), 0);
    world.attempt(false).await.expect("handed off");
    world.pool.close().await;
    assert_eq!(world.pool.idle(), 0);
    world.pool = Arc::new(Pool::new(Arc::new(SystemResolver), 0));
    world.attempt(false).await.expect("handed off");
    assert_eq!(world.pool.idle(), 0);
}

#[test]
fn a_delivery_can_move_between_threads() {
    fn moves<T: Send>(_: T) {}
    let build = |transaction: Transaction| async move { transaction.deliver(&Bytes::new(), &[]).await.is_ok() };
    let _checked_by_the_compiler = |transaction: Transaction| moves(build(transaction));
}
