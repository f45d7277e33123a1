use super::testing::{ALL, Act, Hop, Step};
use super::*;
use crate::tls::testing::{Authority, Folder};
use crate::tls::{ClientAuthentication, ClientTls, ClientTlsSettings, Roots, ServerTls, ServerTlsSettings};
use std::time::SystemTime;

struct World {
    folder: Folder,
    authority: Authority,
}

impl World {
    fn new() -> Self {
        Self { folder: Folder::new(), authority: Authority::new("root") }
    }

    fn server(&self, client: ClientAuthentication) -> Arc<ServerTls> {
        let certificates = vec![self.authority.files(&self.folder, "next", &["next.example"])];
        let settings = ServerTlsSettings { certificates, client, reload_interval: Duration::from_secs(10) };
        Arc::new(ServerTls::load(settings, SystemTime::now()).expect("server"))
    }

    fn roots(&self) -> Roots {
        self.authority.roots(&self.folder)
    }

    fn client(&self, certificate: Option<&str>) -> Arc<ClientConfig> {
        let certificate = certificate.map(|name| self.authority.files(&self.folder, name, &[name]));
        ClientTls::load(&ClientTlsSettings { certificate, roots: self.roots() }, SystemTime::now()).expect("client").config
    }
}

fn target(hop: &Hop, tls: Option<Arc<ClientConfig>>) -> Target {
    let short = Duration::from_secs(1);
    let timeouts =
        Timeouts { connect: short, greeting: short, command: short, data_initiation: short, data_block: short, data_termination: short };
    Target {
        host: hop.address.ip().to_string(),
        port: hop.address.port(),
        server_name: "next.example".to_owned(),
        tls,
        hello: "signet.example".to_owned(),
        timeouts,
    }
}

async fn open(hop: &Hop, tls: Option<Arc<ClientConfig>>) -> Result<Connection, ClientError> {
    connect(&target(hop, tls), &SystemResolver).await
}

async fn error(hop: &Hop, tls: Option<Arc<ClientConfig>>) -> ClientError {
    open(hop, tls).await.err().expect("refused")
}

fn rcpts(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("RCPT TO:<r{number}@example.net>")).collect()
}

const MAIL: &str = "MAIL FROM:<alice@example.com>";

#[tokio::test]
async fn a_message_goes_out_over_tls_with_the_client_certificate() {
    let world = World::new();
    let hop = Hop::start(Some(world.server(ClientAuthentication::Required(world.roots()))), ALL).await;
    let mut connection = open(&hop, Some(world.client(Some("tenant.example")))).await.expect("connected");
    let replies = connection.envelope(MAIL, &rcpts(250)).await.expect("envelope");
    assert_eq!((replies.mail.code, replies.recipients.len()), (250, 250));
    let reply = connection.content(&[Bytes::from_static(b"A: b\r\n\r\n.dot"), Bytes::from_static(b"\r\nend")]).await.expect("content");
    assert_eq!((reply.code, reply.enhanced, &*reply.lines[0]), (250, Some((2, 6, 0)), "queued as 1"));
    connection.quit().await;
    let delivery = hop.deliveries().remove(0);
    assert_eq!((delivery.recipients.len(), delivery.names), (250, vec!["tenant.example".to_owned()]));
    assert_eq!(delivery.content, b"A: b\r\n\r\n.dot\r\nend");
    let commands = hop.commands();
    assert_eq!(commands[..3], ["EHLO signet.example", "STARTTLS", "EHLO signet.example"]);
    assert_eq!(commands[commands.len() - 2..], ["BDAT 17 LAST", "QUIT"]);
}

#[tokio::test]
async fn without_extensions_commands_go_one_by_one_and_data_is_dot_stuffed() {
    let hop = Hop::start(None, &[]).await;
    let mut connection = open(&hop, None).await.expect("connected");
    connection.envelope(MAIL, &rcpts(2)).await.expect("envelope");
    connection.envelope(MAIL, &rcpts(1)).await.expect("a second one resets the first");
    let big = Bytes::from(vec![b'x'; 700_000]);
    let reply = connection.content(&[Bytes::from_static(b"A: b\r\n\r\n.dot\r\n"), big.clone()]).await.expect("content");
    assert_eq!(reply.code, 250);
    let content = hop.deliveries().remove(0).content;
    assert_eq!(&content[..14], b"A: b\r\n\r\n.dot\r\n");
    assert_eq!(content.len(), 14 + big.len() + 2);
    assert!(hop.commands().contains(&"RSET".to_owned()));
}

#[tokio::test]
async fn every_step_of_the_opening_fails_with_its_name() {
    let world = World::new();
    let tls = world.server(ClientAuthentication::None);
    let config = world.client(None);
    let steps = [
        (Step::Greeting, Phase::Greeting),
        (Step::Hello, Phase::Hello),
        (Step::StartTls, Phase::StartTls),
        (Step::Handshake, Phase::Handshake),
        (Step::HelloAgain, Phase::Hello),
    ];
    let mut cases = tokio::task::JoinSet::new();
    for (step, expected) in steps {
        for act in [Act::Close, Act::Silence] {
            let (tls, config) = (Arc::clone(&tls), Arc::clone(&config));
            cases.spawn(async move {
                let hop = Hop::start(Some(tls), ALL).await;
                hop.fault(step, 0, act.clone());
                let error = error(&hop, Some(config)).await;
                let phase = match &error {
                    ClientError::Closed { phase } | ClientError::Io { phase, .. } => matches!(act, Act::Close).then_some(*phase),
                    ClientError::Timeout { phase, .. } => matches!(act, Act::Silence).then_some(*phase),
                    _ => None,
                };
                assert_eq!(phase, Some(expected), "{step:?} {act:?}: {error}");
            });
        }
    }
    cases.join_all().await;
    for step in [Step::Greeting, Step::Hello, Step::StartTls, Step::HelloAgain] {
        let hop = Hop::start(Some(Arc::clone(&tls)), ALL).await;
        hop.fault(step, 0, Act::Leave("554 5.7.1 go away"));
        let error = error(&hop, Some(Arc::clone(&config))).await;
        assert!(matches!(&error, ClientError::Refused { reply, .. } if reply.code == 554), "{step:?}: {error}");
    }
}

#[tokio::test]
async fn no_starttls_means_no_session() {
    let world = World::new();
    let hop = Hop::start(None, ALL).await;
    assert!(matches!(error(&hop, Some(world.client(None))).await, ClientError::NoStartTls));
    assert_eq!(hop.commands(), ["EHLO signet.example"]);
}

#[tokio::test]
async fn plaintext_behind_the_answer_to_starttls_is_an_injection() {
    let world = World::new();
    let hop = Hop::start(Some(world.server(ClientAuthentication::None)), ALL).await;
    hop.fault(Step::StartTls, 0, Act::Say("220 go\r\n250 injected"));
    assert!(matches!(error(&hop, Some(world.client(None))).await, ClientError::Injected { octets: 14 }));
}

#[tokio::test]
async fn a_wrong_certificate_on_either_side_is_a_tls_error() {
    let (world, stranger) = (World::new(), World::new());
    let hop = Hop::start(Some(world.server(ClientAuthentication::None)), ALL).await;
    assert!(matches!(error(&hop, Some(stranger.client(None))).await, ClientError::Tls { .. }), "unknown authority");
    let mut other_name = target(&hop, Some(world.client(None)));
    other_name.server_name = "other.example".to_owned();
    assert!(matches!(connect(&other_name, &SystemResolver).await, Err(ClientError::Tls { .. })), "other name");
    let strict = Hop::start(Some(world.server(ClientAuthentication::Required(world.roots()))), ALL).await;
    for config in [world.client(None), stranger_with(&world, &stranger)] {
        let refused = error(&strict, Some(config)).await;
        assert!(matches!(refused, ClientError::Tls { .. }), "{refused}");
    }
}

/// Trusts the world, shows a certificate that the world does not trust.
fn stranger_with(world: &World, stranger: &World) -> Arc<ClientConfig> {
    let certificate = Some(stranger.authority.files(&stranger.folder, "bad", &["bad.example"]));
    ClientTls::load(&ClientTlsSettings { certificate, roots: world.roots() }, SystemTime::now()).expect("client").config
}

#[tokio::test]
async fn plaintext_never_leaves_this_machine_and_nobody_listening_is_named() {
    let hop = Hop::start(None, ALL).await;
    let mut away = target(&hop, None);
    away.host = "192.0.2.1".to_owned();
    assert!(matches!(connect(&away, &SystemResolver).await, Err(ClientError::Plaintext { .. })));
    let mut closed = target(&hop, None);
    closed.port = 1;
    let error = connect(&closed, &SystemResolver).await.err().expect("refused");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}

struct Fixed(Vec<IpAddr>);

impl Resolve for Fixed {
    fn addresses<'a>(&'a self, _: &'a str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

#[tokio::test]
async fn the_next_address_is_tried_when_the_first_does_not_answer() {
    let hop = Hop::start(None, ALL).await;
    let mut named = target(&hop, None);
    named.host = "next.example".to_owned();
    // Nothing listens on 127.0.0.2 at that port.
    let addresses = ["127.0.0.2", "127.0.0.1"].map(|address| address.parse().expect("address"));
    let connection = connect(&named, &Fixed(addresses.to_vec())).await.expect("second address");
    assert_eq!(connection.peer(), hop.address);
    assert!(matches!(connect(&named, &Fixed(vec![])).await, Err(ClientError::Resolve { .. })));
}

#[tokio::test]
async fn a_next_hop_that_breaks_off_the_content_is_heard() {
    let hop = Hop::start(None, ALL).await;
    hop.fault(Step::Content, 1, Act::Leave("452 4.3.1 disk full"));
    let mut connection = open(&hop, None).await.expect("connected");
    connection.envelope(MAIL, &rcpts(1)).await.expect("envelope");
    let big = Bytes::from(vec![b'x'; 20_000_000]);
    match connection.content(&[big]).await {
        Ok(reply) => assert_eq!(reply.code, 452),
        // The kernel may have discarded the answer with the reset connection.
        Err(error) => assert!(error.is_loss() && !error.is_ambiguous(), "{error}"),
    }
    assert!(hop.deliveries().is_empty());
}

#[tokio::test]
async fn a_lost_final_answer_is_ambiguous_and_nothing_earlier_is() {
    for (step, ambiguous) in [(Step::Mail, false), (Step::Rcpt, false), (Step::Unanswered, true), (Step::Final, true)] {
        let hop = Hop::start(None, &["PIPELINING"]).await;
        hop.fault(step, 0, Act::Close);
        let mut connection = open(&hop, None).await.expect("connected");
        let outcome = match connection.envelope(MAIL, &rcpts(1)).await {
            Ok(_) => connection.content(&[Bytes::from_static(b"A: b\r\n\r\n")]).await.map(|_| ()),
            Err(error) => Err(error),
        };
        assert_eq!(outcome.expect_err("closed").is_ambiguous(), ambiguous, "{step:?}");
    }
}

#[tokio::test]
async fn a_closed_connection_is_noticed_without_asking() {
    let hop = Hop::start(None, ALL).await;
    hop.fault(Step::Rset, 1, Act::Leave("421 4.4.2 idle"));
    let mut connection = open(&hop, None).await.expect("connected");
    assert!(!connection.is_stale());
    assert!(connection.reset().await.is_err());
    assert!(connection.is_stale());
}
