//! Clients that nobody here wrote hand mail to Signet over STARTTLS, and it arrives signed.
//!
//! swaks, Python's smtplib, openssl s_client, and Postfix as the sending relay. Each shows a client certificate and verifies Signet's.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use signet::demo::materials::random_name;
use signet::event::MessageEvent;

use crate::harness::*;
use crate::judges::{self, Running};

/// In the client certificate.
const RELAY: &str = "relay.northwind.example";
const AUTHOR: &str = "hanna.lindqvist@northwind.example";
/// The tenant whose programs log in.
const LOGIN_DOMAIN: &str = "works.example";
const PASSWORD: &str = "correct horse battery staple";
/// Starting Postfix and one delivery takes two seconds on an idle machine.
const POSTFIX_PATIENCE: Duration = Duration::from_secs(40);

/// One Signet for all clients; each test waits for its own message.
struct Place {
    rig: Rig,
    /// `client.pem`, `client.key`, `authority.pem`.
    files: PathBuf,
}

fn place() -> Place {
    static SECRET: OnceLock<String> = OnceLock::new();
    let secret = SECRET.get_or_init(|| signet::stored_keys(PASSWORD).expect("a password").to_string());
    let embedded = |tenant: TenantSetup| TenantSetup { selector: None, ..tenant }.sealed();
    let certificate = format!("certificate_names = [{RELAY:?}]\n");
    let northwind = embedded(TenantSetup::northwind().proof(&certificate));
    let works = embedded(TenantSetup::new("works", LOGIN_DOMAIN).proof(&format!("{certificate}login = true")))
        .more(&format!("[[tenant.login]]\nname = \"crm\"\nsecret = {secret:?}"));
    let identity = authority().issue(&[RELAY]).expect("a certificate");
    let setup = Setup::new()
        .tenant(northwind)
        .tenant(works)
        .zone(|zone| zone.txt(LOGIN_DOMAIN, "v=spf1 ip4:127.0.0.0/8 -all"))
        .file("client/client.pem", &identity.certificate_pem)
        .file("client/client.key", &identity.key_pem)
        .file("client/authority.pem", authority().pem());
    let rig = run(setup.start());
    let files = rig.folder.path().join("client");
    Place { rig, files }
}

impl Place {
    fn file(&self, name: &str) -> String {
        self.files.join(name).to_string_lossy().into_owned()
    }

    fn port(&self) -> String {
        self.rig.address().port().to_string()
    }

    /// The message is there, signed and sealed, over this version of TLS.
    fn arrived(&self, client: &str, recipients: &[&str]) -> (String, MessageEvent) {
        let received = self.rig.one();
        let event = self.rig.event();
        let content = String::from_utf8_lossy(&received.content).into_owned();
        assert!(content.contains("Northwind Harbour"), "{client}: no signature in {content}");
        assert!(!event.copies[0].signatures.is_empty() && event.copies[0].seals.contains(&"arc=1".to_owned()), "{client}: {event:?}");
        let to: Vec<&str> = received.recipients.iter().map(|recipient| recipient.split(' ').next().unwrap_or_default()).collect();
        assert_eq!(to, recipients, "{client}");
        assert_eq!(event.outcome, "delivered", "{client}");
        eprintln!(
            "{client}: {}, tenant {}, signature {:?}, sealed {:?}, MAIL FROM:{}, RCPT TO:{}, {}",
            event.tls,
            event.tenant,
            event.copies[0].signatures,
            event.copies[0].seals,
            received.mail_from,
            to.join(" "),
            event.reply
        );
        (content, event)
    }
}

#[test]
fn swaks_pipelines_with_a_certificate_and_a_login() {
    if judges::installed("swaks").is_none() {
        return;
    }
    let place = place();
    let (certificate, key, roots, port) = (place.file("client.pem"), place.file("client.key"), place.file("authority.pem"), place.port());
    let from = format!("crm@{LOGIN_DOMAIN}");
    let arguments = ["--server", "127.0.0.1", "--port", &port, "--ehlo", "crm.works.example", "--from", &from]
        .into_iter()
        .chain(["--to", "a@contoso.example,b@contoso.example", "--header", "Subject: by swaks", "--body", "Hello from swaks", "--pipeline"])
        .chain(["--tls", "--tls-cert", &certificate, "--tls-key", &key, "--tls-verify", "--tls-ca-path", &roots, "--tls-sni", SIGNET])
        .chain(["--auth", "PLAIN", "--auth-user", "crm", "--auth-password", PASSWORD]);
    let said = judges::output(Command::new("swaks").args(arguments));
    for line in ["=== TLS started with cipher TLSv1.3", " ~> AUTH PLAIN", "<~  235 2.7.0", " ~> DATA\n<~  250 2.1.0", "<~  250 2.6.0"] {
        assert!(said.contains(line), "{line:?} is missing in:\n{said}");
    }
    let (content, event) = place.arrived("swaks", &["<a@contoso.example>", "<b@contoso.example>"]);
    assert!(content.contains("with ESMTPSA"), "{content}");
    assert_eq!(event.tenant, "works");
    assert!(event.factors.iter().any(|factor| factor.name == "login" && factor.agrees), "{:?}", event.factors);
}

#[test]
fn smtplib_sends_with_a_certificate_and_in_utf_8() {
    let Some(judges) = judges::installed("smtplib") else { return };
    let place = place();
    let script = r#"
import smtplib, ssl, sys
from email.message import EmailMessage
port, certificate, key, roots, utf8 = sys.argv[1:]
context = ssl.create_default_context(cafile=roots)
context.load_cert_chain(certificate, key)
client = smtplib.SMTP("127.0.0.1", int(port), local_hostname="relay.northwind.example")
client._host = "smtp.signet.example"  # the name to verify and to send as SNI
client.starttls(context=context)
message = EmailMessage()
message["From"] = "jürgen@northwind.example" if utf8 == "1" else "hanna.lindqvist@northwind.example"
message["To"] = "bjørn@contoso.example" if utf8 == "1" else "b@contoso.example"
message["Subject"] = "Grüße"
message.set_content("Grüße aus Python\n")
assert client.send_message(message) == {}
client.quit()
"#;
    for (utf8, from, to) in [("0", AUTHOR, "<b@contoso.example>"), ("1", "jürgen@northwind.example", "<bjørn@contoso.example>")] {
        let files = ["client.pem", "client.key", "authority.pem"].map(|name| place.file(name));
        judges::output(judges.python().args(["-c", script, &place.port()]).args(files).arg(utf8));
        let (content, _) = place.arrived("smtplib", &[to]);
        assert!(content.contains(from), "{content}");
        assert_eq!(utf8 == "1", content.contains("with UTF8SMTPS"), "{content}");
    }
}

#[test]
fn openssl_s_client_speaks_tls_1_2_and_1_3() {
    if judges::installed("openssl s_client").is_none() {
        return;
    }
    let place = place();
    for (option, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let (certificate, key, roots) = (place.file("client.pem"), place.file("client.key"), place.file("authority.pem"));
        let connect = format!("127.0.0.1:{}", place.port());
        let arguments = ["s_client", "-connect", &connect, "-starttls", "smtp", "-name", RELAY, option, "-quiet", "-crlf"]
            .into_iter()
            .chain(["-cert", &certificate, "-key", &key, "-CAfile", &roots, "-servername", SIGNET])
            .chain(["-verify_return_error", "-verify_hostname", SIGNET]);
        let mut client = Running::start(Command::new("openssl").args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()));
        let mut input = client.0.stdin.take().expect("it is piped");
        let mut output = BufReader::new(client.0.stdout.take().expect("it is piped"));
        let dialogue = [
            (format!("EHLO {RELAY}\n"), "250"),
            (format!("MAIL FROM:<{AUTHOR}>\n"), "250 2.1.0"),
            ("RCPT TO:<b@contoso.example>\n".to_owned(), "250 2.1.5"),
            ("DATA\n".to_owned(), "354"),
            (format!("From: {AUTHOR}\nSubject: by openssl\n\nHello\n.\n"), "250 2.6.0"),
            ("QUIT\n".to_owned(), "221"),
        ];
        for (command, expected) in dialogue {
            input.write_all(command.as_bytes()).expect("openssl reads");
            let reply = reply(&mut output);
            assert!(reply.starts_with(expected), "{command}: {reply}");
        }
        drop(input);
        let (_, event) = place.arrived("openssl s_client", &["<b@contoso.example>"]);
        assert!(event.tls.starts_with(version), "{}", event.tls);
    }
}

/// The last line of a reply.
fn reply(output: &mut impl BufRead) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).expect("text"), 0, "the connection ended");
        if line.as_bytes().get(3) == Some(&b' ') {
            return line.trim_end().to_owned();
        }
    }
}

#[test]
fn postfix_relays_to_us_as_its_smart_host() {
    let Some(_) = judges::installed("Postfix") else { return };
    if fs::metadata("/proc/self").expect("a Linux machine").uid() != 0 {
        eprintln!("SKIPPED: Postfix: its master process must be started by root");
        return;
    }
    let place = place();
    let mut postfix = Postfix::start(&place);
    let mut sendmail = Command::new("sendmail");
    sendmail.arg("-C").arg(&postfix.folder).args(["-N", "failure,delay", "-f", AUTHOR, "a@contoso.example", "b@contoso.example"]);
    let mut submission = Running::start(&mut sendmail);
    let text = format!("From: {AUTHOR}\nTo: a@contoso.example, b@contoso.example\nSubject: by Postfix\n\nHello\n.leading dot\n");
    submission.0.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("sendmail reads");
    assert!(submission.0.wait().expect("sendmail ends").success());
    let waited = run(async { tokio::time::timeout(POSTFIX_PATIENCE, place.rig.sink.wait_for(1)).await });
    assert!(waited.is_ok(), "nothing arrived; Postfix says:\n{}", postfix.log());
    postfix.logged("Verified TLS connection established to 127.0.0.1");
    postfix.logged("status=sent (250 2.6.0");
    postfix.logged(": removed");
    let (content, _) = place.arrived("Postfix", &["<a@contoso.example>", "<b@contoso.example>"]);
    assert!(content.contains("\r\n.leading dot\r\n") && content.contains("d=northwind.example"), "{content}");
    postfix.master.terminate(POSTFIX_PATIENCE);
}

/// A Postfix of this test's own: nothing of the system's is read or touched but its programs.
struct Postfix {
    folder: PathBuf,
    master: Running,
}

impl Postfix {
    fn start(place: &Place) -> Self {
        // Postfix's processes give up root, and must still find their files.
        let folder = std::env::temp_dir().join(format!("signet-postfix-{}", random_name().expect("a name")));
        for name in ["", "queue", "data"] {
            fs::create_dir(folder.join(name)).expect("the folder can be made");
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).expect("it is ours");
        }
        for name in ["client.pem", "client.key", "authority.pem"] {
            fs::copy(place.files.join(name), folder.join(name)).expect("the file can be copied");
        }
        let path = folder.display();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {path}/queue\ndata_directory = {path}/data\nmaillog_file = {path}/log\n\
             maillog_file_prefixes = {path}\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmyhostname = {RELAY}\nmydestination =\n\
             alias_maps =\nlocal_recipient_maps =\nsmtp_dns_support_level = disabled\nrelayhost = [127.0.0.1]:{port}\n\
             smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = {SIGNET}\nsmtp_tls_servername = {SIGNET}\nsmtp_tls_loglevel = 1\n\
             smtp_tls_CAfile = {path}/authority.pem\nsmtp_tls_cert_file = {path}/client.pem\nsmtp_tls_key_file = {path}/client.key\n",
            port = place.port()
        );
        fs::write(folder.join("main.cf"), main).expect("the configuration can be written");
        fs::write(folder.join("master.cf"), MASTER).expect("the configuration can be written");
        let ask = |name: &str| judges::output(Command::new("postconf").arg("-c").arg(&folder).args(["-h", name])).trim().to_owned();
        judges::output(Command::new("chown").arg(ask("mail_owner")).arg(folder.join("data")));
        judges::output(Command::new("postfix").arg("-c").arg(&folder).arg("check"));
        let mut master = Command::new(Path::new(&ask("daemon_directory")).join("master"));
        // A process group of its own, so that the master's end ends its children.
        master.arg("-c").arg(&folder).arg("-d").process_group(0);
        Self { master: Running::start(&mut master), folder }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Waits until Postfix says so.
    fn logged(&self, text: &str) {
        let begun = std::time::Instant::now();
        while !self.log().contains(text) {
            assert!(begun.elapsed() < POSTFIX_PATIENCE, "{text:?} is missing in:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if self.master.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            // When a test fails there is nobody to hear of a second failure.
            drop(Command::new("kill").arg(self.master.0.id().to_string()).status());
            std::thread::sleep(Duration::from_millis(500));
        }
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// What delivery needs, and nothing that listens on a network.
const MASTER: &str = "\
pickup    unix       n - n 1    1     pickup
cleanup   unix       n - n -    0     cleanup
qmgr      unix       n - n 300  1     qmgr
tlsmgr    unix       - - n 1000? 1    tlsmgr
rewrite   unix       - - n -    -     trivial-rewrite
bounce    unix       - - n -    0     bounce
defer     unix       - - n -    0     bounce
trace     unix       - - n -    0     bounce
smtp      unix       - - n -    -     smtp
error     unix       - - n -    -     error
retry     unix       - - n -    -     error
postlog   unix-dgram n - n -    1     postlogd
";
